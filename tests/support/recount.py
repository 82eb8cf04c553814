"""An account's values counted from nothing, position by position: what the running sums must come to."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import prod

from tocsin.events import EXACT, computed

_PLACES = {12: Decimal("1E-12"), 40: Decimal("1E-40")}


def recounted(account, positions):
    """equity, margin and margin_level of an account with these open positions; None where they can't be counted."""
    held = list(positions)
    equity, margin = _equity(account, held), _margin(account, held)
    level = None
    if equity is not None and margin is not None and margin > 0:
        level = _divided([equity, Decimal(100)], margin, 12)
    return {"equity": equity, "margin": margin, "margin_level": level}


def _equity(account, held):
    profits = [position.profit for position in held]
    currencies = {c for c in (account.currency, *(p.currency for p in held)) if isinstance(c, str)}
    if not all(isinstance(each, Decimal) for each in (account.balance, *profits)):
        return None
    if isinstance(account.currency, str) and currencies != {account.currency}:
        return None
    return _total([account.balance, *profits])


def _margin(account, held):
    parts = []
    for position in held:
        sizes = (position.margin_price, position.amount, position.lot_size)
        leverage = position.leverage or account.leverage
        if not all(isinstance(each, Decimal) for each in (*sizes, leverage)) or leverage <= 0:
            return None
        parts.append(_divided(sizes, leverage, 40))
    return None if None in parts else _divided([_total(parts)], Decimal(1), 12)


def _total(numbers):
    with localcontext(prec=2000):
        return computed(sum(numbers, Decimal(0)))


def _divided(factors, divisor, digits):
    """Rounded by whole numbers, half to even."""
    scaled = round(prod(map(Fraction, factors)) / Fraction(divisor) * 10**digits)
    with localcontext(prec=2000):
        return computed(EXACT.normalize(Decimal(scaled) * _PLACES[digits]))
