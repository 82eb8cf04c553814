"""What an account's open positions come to, carried along as they change: a message costs the same however many there are.

Decimals are added exactly, in any order, so what is taken away again is what was added.
"""

from decimal import Decimal

from msgspec import UNSET, Struct, field

from tocsin.entities.derive import margin_of, profit_of, rounded
from tocsin.entities.entity_store import Record
from tocsin.events import SUMS, Account, Position, computed

_ZERO = Decimal(0)
# Of a position: what its margin depends on.
_MARGIN_INPUTS = ("margin_price", "amount", "lot_size", "leverage")


class _Part(Struct, frozen=True, gc=False):
    """What one position adds; None where that is missing."""

    position: Position
    profit: Decimal | None
    margin: Decimal | None


class PositionSums(Struct, eq=False):
    """The profits and margins of one account's positions, for an account of this currency and leverage."""

    currency: object = UNSET
    leverage: object = UNSET
    parts: dict[Record, _Part] = field(default_factory=dict)
    profit: Decimal = _ZERO
    margin: Decimal = _ZERO
    without_profit: int = 0
    without_margin: int = 0

    def fits(self, account: Account) -> bool:
        """Whether what was added up still holds for the account as it now is."""
        return account.currency == self.currency and account.leverage == self.leverage

    def put(self, record: Record, position: Position, account: Account) -> None:
        """The position is now so."""
        known = self.parts.get(record)
        if known is not None and all(
            getattr(known.position, name) is getattr(position, name) for name in _MARGIN_INPUTS
        ):
            margin = known.margin
        else:
            margin = margin_of(position, account)
        self.drop(record)
        self.parts[record] = part = _Part(position, profit_of(position, account), margin)
        if part.profit is None:
            self.without_profit += 1
        else:
            self.profit = SUMS.add(self.profit, part.profit)
        if part.margin is None:
            self.without_margin += 1
        else:
            self.margin = SUMS.add(self.margin, part.margin)

    def drop(self, record: Record) -> None:
        """The position lives no more; nothing happens where it isn't counted."""
        part = self.parts.pop(record, None)
        if part is None:
            return
        if part.profit is None:
            self.without_profit -= 1
        else:
            self.profit = SUMS.subtract(self.profit, part.profit)
        if part.margin is None:
            self.without_margin -= 1
        else:
            self.margin = SUMS.subtract(self.margin, part.margin)

    def equity(self, account: Account) -> Decimal | None:
        """Balance and profits; None where one of them is missing."""
        if self.without_profit or not isinstance(account.balance, Decimal):
            return None
        return computed(SUMS.add(account.balance, self.profit))

    def bound(self) -> Decimal | None:
        """The margin of all; None where one's is missing."""
        return None if self.without_margin else rounded(self.margin)
