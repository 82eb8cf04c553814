"""What `tocsin notify` sends says that it is a test, and looks like what it stands for."""

from datetime import timedelta

import msgspec
import pytest

from support.conditions import rule
from support.outboxes import START, context
from tocsin.alerts.wording import Style
from tocsin.delivery.sample import Sample
from tocsin.delivery.templates import in_place

RED = "{id: red, watch: position, when: profit < -50, severity: critical}"
WORDED = '{id: red, watch: position, when: profit < -50, title: "{{ symbol }} at {{ profit }}", message: "{{ amount * 2 }}"}'
CANCELED = "{id: canceled, watch: order.canceled, severity: info}"
ANY = '{id: any, watch: "order.*", where: amount > 5}'
ALL = "{id: all, watch: position, per: [account], when: sum(profit) < -50}"
LAST = msgspec.to_builtins(context())

CASES = [
    ({}, "🔵 Tocsin: test", "A test message."),
    ({"text": "hello", "severity": "critical"}, "🔴 Tocsin: test", "hello"),
    ({"like": RED}, "🔴 test: EXAMPLE: profit < -50 · fx", "made up, for red has told of nothing yet"),
    ({"like": RED, "severity": "info"}, "🔵 test: EXAMPLE: profit < -50 · fx", "rule: red, info"),
    ({"like": WORDED}, "🟠 test: EXAMPLE at 1", "\n2"),
    ({"like": CANCELED}, "🔵 test: canceled: EXAMPLE 1 at 1, 1 filled · fx", "made up"),
    ({"like": ANY}, "🟠 test: updated: EXAMPLE 1 at 1, 1 filled · fx", "amount > 5"),
    ({"like": ALL}, "🟠 test: positions: sum(profit) < -50 · fx", "made up"),
    ({"like": RED, "last": LAST}, "🟠 test: -60 USD BTCUSD long: profit -60 < -50 · fx", "this alert is of "),
    (
        {"like": RED, "last": {"rule": "red"}},
        "🔴 test: EXAMPLE: profit < -50 · fx",
        "the rule's last alert can't be read",
    ),
]


@pytest.mark.parametrize(("what", "title", "body"), CASES)
async def test_what_is_sent(what, title, body):
    if "like" in what:
        what = what | {"like": rule(what["like"])}
    sample = Sample(venue="fx", **what)
    made = await sample.message(Style(), "d1", START + timedelta(hours=5), in_place)
    assert made.title == title
    assert body in made.body
    assert "late" not in made.title
