"""How much of something one stands to gain or lose by: its size with a sign, and what that is worth."""

from decimal import Decimal

from tocsin.events.numbers import EXACT, computed

_SIGNS = {"long": 1, "buy": 1, "short": -1, "sell": -1}


def signed(amount: object, side: object) -> Decimal | None:
    """`amount`, positive for long and buy, negative for short and sell; None where either isn't known."""
    sign = _SIGNS.get(side) if isinstance(side, str) else None
    if sign is None or not isinstance(amount, Decimal):
        return None
    return computed(amount if sign > 0 else EXACT.minus(amount))


def worth(amount: Decimal | None, lot_size: object, *prices: object) -> Decimal | None:
    """That much at the first of the prices that is known; a lot is one unit where its size isn't known."""
    price = next((each for each in prices if isinstance(each, Decimal)), None)
    if amount is None or price is None:
        return None
    size = EXACT.multiply(amount, lot_size) if isinstance(lot_size, Decimal) else amount
    return computed(EXACT.multiply(size, price))
