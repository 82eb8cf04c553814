"""What an account earned: its result in money, and its performance as an index that money paid in or out doesn't move.

    worth          equity, else balance; once it was counted by equity, never by balance again. What closed positions brought
                   belongs to it until the balance holds it (`unbooked`)
    net_flows      deposits less withdrawals since the account was first seen
    result         worth - net_flows
    performance    worth / units, as a fund's unit has its price: 100 at first sight, and money that flows in or out at that
                   price buys or redeems units. So it is the time-weighted return: each change multiplies it by
                   (worth after - flow) / worth before

Whatever nobody explains is result. An account that lost everything begins anew at 100 with new money.
"""

from collections.abc import Iterable
from decimal import Decimal

from tocsin.entities.derive import rounded
from tocsin.entities.merge import Updates
from tocsin.events import EXACT, SUMS, Account, computed, number_text, stored_number

_FLOWS = frozenset({"deposit", "withdrawal", "transfer"})
_AT_FIRST = Decimal(100)
_ZERO = Decimal(0)
_TOGETHER = 10.0  # seconds
_MOST_EARLY = 100  # bookings of an account
_PLACES = Decimal("1E-12")
_UNIT_PLACES = Decimal("1E-40")


def flow(known: Account, observed: Account) -> Decimal:
    """The money that came (negative: went) by what this message tells; 0 where it tells of none."""
    moved = _less(observed.balance, known.balance)
    if isinstance(observed.cause, str) and observed.cause.casefold() in _FLOWS:
        if not isinstance(observed.change, Decimal):
            return moved or _ZERO
        # Some write "Withdrawal 200" where the balance fell by 200.
        return moved if moved == -observed.change else observed.change
    return _less(observed.net_deposits, known.net_deposits) or _ZERO


def worth(account: Account) -> Decimal | None:
    """What it is worth, of which the profits of `unbooked` are a part; None where that can't be told at present."""
    own = account.equity if isinstance(account.equity, Decimal) or account.by_equity else account.balance
    if not isinstance(own, Decimal):
        return None
    for profit in unbooked(account):
        own = SUMS.add(own, profit)
    return computed(own)


def unbooked(account: Account) -> list[Decimal]:
    """The final profits of closed positions that the balance doesn't hold yet, oldest first."""
    texts = account.unbooked.split() if isinstance(account.unbooked, str) else ()
    return [stored_number(text) for text in texts]


class Bookings:
    """Keeps `unbooked`: a position is closed by one message, and what it brought booked to the balance by another.

    Where the booking comes first, by a few seconds, it is known by its amount. `owner` is an account's venue and id, `at`
    the steady time.
    """

    def __init__(self) -> None:
        self._early: dict[tuple[str, str], list[tuple[float, Decimal]]] = {}

    def closed(self, owner: tuple[str, str], account: Account, profit: Decimal, at: float) -> str | None:
        """What is unbooked after a position was closed with this profit."""
        waiting = unbooked(account)
        early = [each for each in self._early.pop(owner, ()) if at - each[0] <= _TOGETHER]
        booked = next((each for each in early if each[1] == profit), None)
        if booked is not None:
            early.remove(booked)
        elif profit:
            waiting.append(profit)
        if early:
            self._early[owner] = early
        return _joined(waiting)

    def booked(self, owner: tuple[str, str], account: Account, observed: Account, at: float) -> str | None:
        """What is unbooked after this message has moved the account's balance: of no stated cause, it holds everything."""
        if not isinstance(observed.cause, str):
            return None
        waiting, change = unbooked(account), observed.change
        if observed.cause.casefold() != "trading":
            return _joined(waiting)
        if waiting:
            waiting.remove(change if isinstance(change, Decimal) and change in waiting else waiting[0])
        elif isinstance(change, Decimal):
            self._early[owner] = [*self._early.get(owner, ()), (at, change)][-_MOST_EARLY:]
        return _joined(waiting)

    def drop_venue(self, venue: str) -> None:
        """Nothing of that venue is known any more."""
        self._early = {owner: early for owner, early in self._early.items() if owner[0] != venue}


def _joined(profits: Iterable[Decimal]) -> str | None:
    """The inverse of `unbooked`."""
    return " ".join(map(number_text, profits)) or None


def valued(account: Account, flowed: Decimal, *, anew: bool = False) -> Updates:
    """`result` and `performance`, and what they are carried along by, after `flowed` came in; what can't be told stays.

    `anew`: the account is otherwise known than before, not otherwise worth: its performance stays.
    """
    now = worth(account)
    price, units = account.performance, account.units
    if not isinstance(price, Decimal) or not isinstance(units, Decimal):
        return {} if now is None else _begun(account, now)
    flows = computed(SUMS.add(account.net_flows or _ZERO, flowed))
    if now is None:
        return {"net_flows": flows, "units": _bought(units, flowed, price)} if flowed else {}
    before = SUMS.subtract(now, flowed)
    if units > 0 and not anew:
        price = _no_less_than_zero(_quotient(before, units), price)
        if flowed and price > 0:
            units = _no_less_than_zero(_quotient(EXACT.multiply(units, now), before, _UNIT_PLACES), units)
    elif price > 0:
        units = _no_less_than_zero(_quotient(now, price, _UNIT_PLACES))
    if price == 0 and now > 0:
        price, units = _AT_FIRST, _no_less_than_zero(_quotient(now, _AT_FIRST, _UNIT_PLACES))
    return {
        "by_equity": _is_by_equity(account),
        "net_flows": flows,
        "units": units,
        "result": None if flows is None else computed(SUMS.subtract(now, flows)),
        "performance": price,
    }


def _begun(account: Account, now: Decimal) -> Updates:
    return {
        "by_equity": _is_by_equity(account),
        "net_flows": _ZERO,
        "units": _no_less_than_zero(_quotient(now, _AT_FIRST, _UNIT_PLACES)),
        "result": now,
        "performance": _AT_FIRST,
    }


def _is_by_equity(account: Account) -> bool:
    return bool(account.by_equity) or isinstance(account.equity, Decimal)


def _bought(units: Decimal, flowed: Decimal, price: Decimal) -> Decimal:
    """The units after money came or went while the account's worth can't be told: at the latest price."""
    more = _quotient(flowed, price, _UNIT_PLACES) if price > 0 else None
    return units if more is None else _no_less_than_zero(computed(EXACT.add(units, more)))


def _quotient(one: Decimal, other: Decimal, places: Decimal = _PLACES) -> Decimal | None:
    return rounded(EXACT.divide(one, other), places)


def _no_less_than_zero(value: Decimal | None, out_of_range: Decimal = _ZERO) -> Decimal:
    return out_of_range if value is None else max(value, _ZERO)


def _less(new: object, old: object) -> Decimal | None:
    return SUMS.subtract(new, old) if isinstance(new, Decimal) and isinstance(old, Decimal) else None
