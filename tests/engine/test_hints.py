"""An expression that is written as people say it is refused with the same in the language's own words."""

import pytest

from support.conditions import node_of
from tocsin.document import Scalar
from tocsin.engine.language.parser import Unreadable, parse

SAID = {
    "profit is below -50": "profit < -50",
    "profit below -50": "profit < -50",
    "profit is less than -50 and symbol == 'x'": "profit < -50",
    "profit drops below -50": "profit < -50",
    "profit goes under -50.5": "profit < -50.5",
    "sum(profit) is lower than -50": "sum(profit) < -50",
    "change(profit, 5m) falls below -5": "change(profit, 5m) < -5",
    "age() is over 5m": "age() > 5m",
    "profit IS ABOVE 5": "profit > 5",
    "profit is more than 5": "profit > 5",
    "profit exceeds 5": "profit > 5",
    "profit at least 5": "profit >= 5",
    "profit at_least 5": "profit >= 5",
    "profit is not below 5": "profit >= 5",
    "profit is at most 5": "profit <= 5",
    "profit no more than 5": "profit <= 5",
    "price crosses above 5": "crosses_above(price, 5)",
    "price crossed below 5": "crosses_below(price, 5)",
    "price is between 5 and -6": "5 <= price <= -6",
    "price is missing": "missing(price)",
    "profit < -50 or price is null": "missing(price)",
    "price is not missing": "not missing(price)",
    "price exists": "not missing(price)",
    "status is canceled": 'status == "canceled"',
    "status equals canceled": 'status == "canceled"',
    "status is equal to 'canceled'": "status == 'canceled'",
    "status is not canceled": 'status != "canceled"',
    "reduce_only is true": "reduce_only == true",
    "symbol contains BTC": 'matches(symbol, "BTC")',
    "symbol like 'BTC'": "matches(symbol, 'BTC')",
    "symbol is one of BTC, ETH": 'symbol in ["…", "…"]',
    "5 is below profit": "5 < profit",
    "price drops below entry": "price < entry",
    "price is between": "10 <= price <= 20",
}  # fmt: skip
OTHERWISE = {
    "status in (open, closed)": 'write a list: ["BTCUSD", "ETHUSD"]',
    "profit > 1,000": "numbers have no thousands separator: 1000",
    "price => 5": "write `>=`",
    "price =< 5": "write `<=`",
    "price === 5": "write `==` to compare",
    "price = 5": "write `==` to compare",
    "percent_change(price, 5m) > 5 percent": "write the number alone where",
    "profit < 5 AND price > 5": "write `and`",
    "profit wobbles": "",
}


def hint(written: str) -> str:
    with pytest.raises(Unreadable) as raised:
        parse(Scalar(written, written, node_of("x").place))
    return raised.value.problem.hint


@pytest.mark.parametrize("written", SAID)
def test_what_is_said_is_written_so(written):
    assert hint(written) == f"write `{SAID[written]}`"


@pytest.mark.parametrize("written", OTHERWISE)
def test_what_is_known_from_elsewhere(written):
    assert hint(written).startswith(OTHERWISE[written])
    assert OTHERWISE[written] or not hint(written)


@pytest.mark.parametrize(
    "written", [said for said in SAID.values() if "…" not in said and not said.startswith('profit < "')]
)
def test_what_is_advised_can_be_read(written):
    parse(Scalar(written, written, node_of("x").place))
