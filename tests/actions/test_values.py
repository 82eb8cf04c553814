"""What an action is told: the JSON, and a command's arguments, in the venue's own digits and signs."""

import json
from datetime import UTC, datetime

import pytest

from tocsin.actions.model import Refused
from tocsin.actions.values import NAMES, arguments, as_json
from tocsin.engine.api import AlertContext
from tocsin.store.model import RunRow

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOSTILE = "<!channel> [click](http://x) \n\x1b[31m {{7*7}} $(id) ||x|| **b** @a #t $C /c"
RUN = RunRow(id="r1", action="hedge", alert="a1", status="pending", created_at=AT)


def context(**parts):
    fields = {
        "profit": "-60.10",
        "amount": "0.50",
        "comment": HOSTILE,
        "stop_loss": None,
        "id": "p1",
        "swap": "-1E+3",
        "commission": "1E+9999999",
    }
    made = {
        "rule": "red", "severity": "critical", "state": "firing", "kind": "position", "venue": "fx", "entity": "p1",
        "symbol": "BTC/USD", "fields": fields, "value_of": "profit", "value": "-60.10", "started_at": AT, "at": AT, "time": AT,
    }  # fmt: skip
    return AlertContext(**{**made, **parts})


def test_the_json():
    told = json.loads(as_json(RUN, context()))
    assert told["fields"]["profit"] == "-60.10"
    assert told["fields"]["comment"] == HOSTILE
    assert {key: told[key] for key in ("run", "action", "alert", "rule", "state", "venue", "id", "symbol", "at")} == {
        "run": "r1", "action": "hedge", "alert": "a1", "rule": "red", "state": "firing", "venue": "fx", "id": "p1",
        "symbol": "BTC/USD", "at": "2026-01-01T12:00:00.000000Z",
    }  # fmt: skip


def test_what_it_names_is_known_to_check():
    told = set(
        json.loads(as_json(RUN, context(event="position.updated", account="a1", condition="c", reason="r")))
    )
    assert told - {"fields", "group"} <= NAMES


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (["p", "{{ symbol }}", "plain"], ["p", "BTC/USD", "plain"]),
        (["p", "{{ profit }}", "{{ amount * 2 }}"], ["p", "-60.10", "1.00"]),  # a number may be negative
        (["p", "{{ value }}", "{{ state }}", "{{ rule }}"], ["p", "-60.10", "firing", "red"]),
        (["p", "{{ comment }}"], ["p", HOSTILE]),
        (["p", "--symbol={{ symbol }}", "-{{ amount }}"], ["p", "--symbol=BTC/USD", "-0.50"]),
        (["p", "{{ stop_loss|default(0) }}"], ["p", "0"]),
        (["p", "{{ swap }}"], ["p", "-1E+3"]),
        (["p", "{{ commission }}"], ["p", "1E+9999999"]),  # no number that can be: as it came
        (["p", "{% if profit < 0 %}red{% endif %}"], ["p", "red"]),
    ],
)
def test_arguments(command, made):
    assert arguments(command, RUN, context()) == tuple(made)


@pytest.mark.parametrize(
    ("symbol", "command", "why"),
    [
        (
            "-rf",
            ["p", "{{ symbol }}"],
            "argument 1, '{{ symbol }}', would begin with - and be taken for an option; put -- before it",
        ),
        (
            "-9",
            ["p", "{{ symbol }}"],
            "argument 1, '{{ symbol }}', would begin with - and be taken for an option; put -- before it",
        ),
        ("a\0b", ["p", "{{ symbol }}"], "argument 1, '{{ symbol }}', would hold a NUL"),
        ("x", ["p", "{{ stop_loss }}"], "argument 1, '{{ stop_loss }}': 'stop_loss' is undefined"),
        ("x", ["p", "{{ nonsense }}"], "argument 1, '{{ nonsense }}': 'nonsense' is undefined"),
        ("x", ["p", "{{ symbol.__class__ }}"], "argument 1"),
        ("x" * 20_000, ["p", "{{ symbol }}"], "is longer than 16000 characters"),
        ("x", ["p", "{{ amount / 0 }}"], "argument 1"),
    ],
)
def test_what_is_refused(symbol, command, why):
    with pytest.raises(Refused) as refused:
        arguments(command, RUN, context(symbol=symbol))
    assert why in str(refused.value)


def test_behind_two_dashes_a_text_may_begin_with_one():
    assert arguments(["p", "--", "{{ symbol }}"], RUN, context(symbol="-rf")) == ("p", "--", "-rf")
