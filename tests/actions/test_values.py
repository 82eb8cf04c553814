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


def test_what_has_no_value_isnt_in_it():
    assert not {"event", "account", "condition", "reason", "value_at_start", "worst", "group"} & set(
        json.loads(as_json(RUN, context()))
    )
    whole = context(value_at_start="-51", worst="-70.5", group={"symbol": "BTC/USD", "account": None})
    told = json.loads(as_json(RUN, whole))
    assert (told["value"], told["value_at_start"], told["worst"]) == ("-60.10", "-51", "-70.5")
    assert told["group"] == {"symbol": "BTC/USD", "account": None}


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
        (["p", "{{ worst * 2 }}", "{{ value_at_start + 1 }}"], ["p", "-141.0", "-50"]),
        (["p", "two\n"], ["p", "two\n"]),  # what is no template is passed as it stands
    ],
)
def test_arguments(command, made):
    whole = context(value_at_start="-51", worst="-70.5")
    assert arguments(command, RUN, whole) == tuple(made)


def test_of_a_kind_that_another_version_knew_numbers_are_texts():
    old = context(kind="option")
    assert arguments(["p", "{{ amount }}"], RUN, old) == ("p", "0.50")
    with pytest.raises(Refused, match="takes numbers only"):
        arguments(["p", "{{ amount * 2 }}"], RUN, old)


def test_the_longest_argument():
    assert arguments(["{{ symbol }}"], RUN, context(symbol="x" * 16_000)) == ("x" * 16_000,)


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
        (
            "x",
            ["p", "{{ comment }}"],
            "argument 1, '{{ comment }}', would begin with - and be taken for an option; put -- before it",
        ),
        (
            "x",
            ["p", "{{ profit }}{{ symbol }}"],
            "argument 1, '{{ profit }}{{ symbol }}', would begin with - and be taken for an option; put -- before it",
        ),
        (
            "x",
            ["p", "{% if true %}-x{% endif %}"],
            "argument 1, '{% if true %}-x{% endif %}', would begin with - and be taken for an option; put -- before it",
        ),
        ("x", ["p", "{{ fields }}"], "argument 1, '{{ fields }}': 'fields' is undefined"),
        ("a\0b", ["p", "{{ symbol }}"], "argument 1, '{{ symbol }}', would hold a NUL"),
        ("x", ["p", "{{ stop_loss }}"], "argument 1, '{{ stop_loss }}': 'stop_loss' is undefined"),
        ("x", ["p", "{{ nonsense }}"], "argument 1, '{{ nonsense }}': 'nonsense' is undefined"),
        (
            "x",
            ["p", "{{ symbol.__class__ }}"],
            "argument 1, '{{ symbol.__class__ }}': access to attribute '__class__' of 'str' object is unsafe.",
        ),
        (
            "x" * 16_001,
            ["p", "{{ symbol }}"],
            "argument 1, '{{ symbol }}', is longer than 16000 characters",
        ),
        (
            "x",
            ["p", "{{ amount / 0 }}"],
            "argument 1, '{{ amount / 0 }}': DivisionByZero: [<class 'decimal.DivisionByZero'>]",
        ),
    ],
)
def test_what_is_refused(symbol, command, why):
    with pytest.raises(Refused) as refused:
        arguments(command, RUN, context(symbol=symbol, fields={**context().fields, "comment": "-5"}))
    assert str(refused.value) == why


def test_behind_two_dashes_a_text_may_begin_with_one():
    assert arguments(["p", "--", "{{ symbol }}"], RUN, context(symbol="-rf")) == ("p", "--", "-rf")
