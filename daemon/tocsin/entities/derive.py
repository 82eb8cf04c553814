"""What is counted where a venue doesn't say it: exactly, by the same formulas for every venue.

    price          last, else the middle of bid and ask           spread    ask - bid
    mark_price     long: bid, short: ask
    profit         (mark_price - entry_price) x amount x lot_size x profit_price, for a short with the other sign
    equity         balance + the profits of the open positions
    margin         the sum of margin_price x amount x lot_size / leverage (the account's, where the position has none);
                   see `sums.py` for both
    margin_level   equity / margin x 100

Results are shown without trailing zeros; divisions end at twelve digits behind the point, of what is still to be added up
at forty, half to even. A value that needs a number that is missing is missing, and so is one out of all range. What a message
itself says is never counted anew.
"""

from decimal import Decimal

from msgspec import UNSET

from tocsin.entities.merge import Updates
from tocsin.events import EXACT, Account, Book, Entity, Position, Ticker, computed

_HALF = Decimal("0.5")
_HUNDRED = Decimal(100)
_TWELVE_PLACES = Decimal("1E-12")
_FORTY_PLACES = Decimal("1E-40")

ACCOUNT_VALUES = ("equity", "margin", "margin_level")


def rounded(value: Decimal, places: Decimal = _TWELVE_PLACES) -> Decimal | None:
    """The result of a division, at twelve digits behind the point, or so many."""
    # Larger numbers have no place for more digits in the 80 there are, and don't need them.
    if value.adjusted() - places.adjusted() < EXACT.prec - 1:
        value = EXACT.quantize(value, places)
    return computed(value)


# ------------------------------------------------------------------------------------------------------ tickers, books


def complete_prices(known: Entity, observed: Entity, updates: Updates, changed: set[str]) -> None:
    """Add spread and price to what a ticker's or book's message changes, where it moves them and doesn't say them."""
    if not isinstance(observed, (Ticker, Book)) or not isinstance(known, (Ticker, Book)):
        return
    quoted = "bid" in changed or "ask" in changed
    bid, ask = updates.get("bid", known.bid), updates.get("ask", known.ask)
    quote = (bid, ask) if isinstance(bid, Decimal) and isinstance(ask, Decimal) else None
    if quoted and observed.spread is UNSET:
        spread = computed(EXACT.subtract(quote[1], quote[0])) if quote else None
        put("spread", spread, known, updates, changed)
    if observed.kind == "ticker" and observed.price is UNSET and (quoted or "last" in changed):
        price = updates.get("last", getattr(known, "last", None))
        if not isinstance(price, Decimal):
            price = computed(EXACT.multiply(EXACT.add(*quote), _HALF)) if quote else None
        put("price", price, known, updates, changed)


def put(name: str, value: Decimal | None, known: Entity, updates: Updates, changed: set[str]) -> None:
    """Have the field become what was counted; it is a change where that is another value than the known one."""
    old = getattr(known, name)
    if value == old or (value is None and old is UNSET):
        updates.pop(name, None)
        changed.discard(name)
    else:
        updates[name] = value
        changed.add(name)


def ticker_of_book(book: Book) -> Ticker:
    """What a book says of its symbol's prices."""
    return Ticker(bid=book.bid, ask=book.ask, bid_size=book.bid_size, ask_size=book.ask_size)


# ----------------------------------------------------------------------------------------------------------- positions


def position_at(position: Position, ticker: Ticker) -> tuple[Decimal, Decimal | None] | None:
    """The position's mark price and profit (None out of all range) at these prices; None where a number for it is missing."""
    if position.side == "long":
        mark = ticker.bid
    elif position.side == "short":
        mark = ticker.ask
    else:
        return None
    entry, amount, lot, price = (
        position.entry_price,
        position.amount,
        position.lot_size,
        position.profit_price,
    )
    if not (
        isinstance(mark, Decimal)
        and isinstance(entry, Decimal)
        and isinstance(amount, Decimal)
        and isinstance(lot, Decimal)
        and isinstance(price, Decimal)
    ):
        return None
    gain = EXACT.subtract(mark, entry) if position.side == "long" else EXACT.subtract(entry, mark)
    return mark, computed(EXACT.multiply(EXACT.multiply(EXACT.multiply(gain, amount), lot), price))


# ------------------------------------------------------------------------------------------------------------ accounts


def margin_level(equity: object, margin: object) -> Decimal | None:
    """Equity against margin in percent; None where nothing is bound."""
    if not isinstance(equity, Decimal) or not isinstance(margin, Decimal) or margin <= 0:
        return None
    return rounded(EXACT.multiply(EXACT.divide(equity, margin), _HUNDRED))


def margin_of(position: Position, account: Account) -> Decimal | None:
    """What the position binds, at forty digits behind the point; None where a number for it is missing, or out of all range."""
    price, amount, lot = position.margin_price, position.amount, position.lot_size
    leverage = position.leverage or account.leverage
    if not (isinstance(price, Decimal) and isinstance(amount, Decimal) and isinstance(lot, Decimal)):
        return None
    if not isinstance(leverage, Decimal) or leverage <= 0:
        return None
    size = EXACT.multiply(EXACT.multiply(price, amount), lot)
    return rounded(EXACT.divide(size, leverage), _FORTY_PLACES)


def profit_of(position: Position, account: Account) -> Decimal | None:
    """What the position adds to the account's equity; None where it is missing, or in another currency."""
    currencies = (position.currency, account.currency)
    foreign = all(isinstance(currency, str) for currency in currencies) and currencies[0] != currencies[1]
    return position.profit if isinstance(position.profit, Decimal) and not foreign else None
