"""What a written rule becomes."""

import json
import re
from typing import Any

import pytest

from support.conditions import CHANNELS, NOW, change, node_of, rule
from tocsin import document
from tocsin.engine.compile import Environment, compile_rule, compile_rules
from tocsin.engine.rule_keys import Usable
from tocsin.engine.rule_schema import KEYS, rule_schema


def test_a_state_rule() -> None:
    found = rule("""
        id: position-in-the-red
        watch: position
        when: {profit: {below: -50}}
        until: {profit: {above: -40}}
        where: symbol != "TEST"
        for: 30s
        keep_firing_for: 5m
        repeat: 1h
        on_gap: resolve
        severity: critical
        notify: [phone, desk, phone]
        title: "{{ symbol }}"
        message: hello
    """)
    assert (found.id, found.kinds, found.events, found.is_event_rule) == (
        "position-in-the-red",
        frozenset({"position"}),
        (),
        False,
    )
    assert found.when
    assert found.until
    assert found.where
    assert (found.when.source, found.until.source, found.where.source) == (
        "profit < -50",
        "profit > -40",
        'symbol != "TEST"',
    )
    assert (found.for_, found.keep_firing_for, found.repeat, found.cooldown) == (30.0, 300.0, 3600.0, None)
    assert (found.severity, found.notify, found.on_gap) == ("critical", ("phone", "desk"), "resolve")
    assert (found.title, found.message, found.enabled) == ("{{ symbol }}", "hello", True)
    assert (found.value_of, found.worst_is) == ("profit", "lowest")


def test_an_event_rule() -> None:
    found = rule("""
        id: gone
        watch: [order.cancelled, contract.*, order.canceled]
        if_unknown: ignore
        cooldown: 15m
        per: [account, symbol]
        enabled: false
    """)
    assert found.events == ("order.canceled", "contract.*")
    assert found.kinds == {"order", "contract"}
    assert found.is_event_rule
    assert (found.when, found.notify, found.severity) == (None, None, "warning")
    assert (found.cooldown, found.per, found.if_unknown) == (900.0, ("venue", "account", "symbol"), "ignore")
    assert not found.enabled


def test_one_word_where_a_list_may_stand() -> None:
    found = rule("{id: x, watch: order.canceled, notify: phone, per: symbol}")
    assert (found.notify, found.per) == (("phone",), ("symbol",))


def test_no_instances_but_one() -> None:
    assert rule("{id: x, watch: order.canceled, per: []}").per == ()


@pytest.mark.parametrize(
    ("when", "value_of", "worst_is"),
    [
        ("profit < -50", "profit", "lowest"),
        ("-50 > profit", "profit", "lowest"),
        ("not profit > -50", "profit", "lowest"),
        ('symbol == "B" and leverage >= 5', "leverage", "highest"),
        ("crosses_below(mark_price, stop_loss)", "mark_price", "lowest"),
        ("crosses_above(profit, 5)", "profit", "highest"),
        ("account.margin_level < 100", "account.margin_level", "lowest"),
        ("(mark_price - entry_price) / entry_price < -0.1", "mark_price", "lowest"),
        ("missing(stop_loss)", None, "highest"),
        ('status == "open"', None, "highest"),
        ("1 < profit < 5", "profit", "highest"),
    ],
)
def test_the_number_that_messages_speak_of(when: str, value_of: str | None, worst_is: str) -> None:
    found = rule(json.dumps({"id": "x", "watch": "position", "when": when}))
    assert (found.value_of, found.worst_is) == (value_of, worst_is)


@pytest.mark.parametrize(
    ("when", "worst_is"),
    [
        ("leverage > 5 and profit < -5", "lowest"),
        ("leverage > 5", "highest"),
        ('status == "open"', "highest"),
    ],
)
def test_a_chosen_number(when: str, worst_is: str) -> None:
    found = rule(json.dumps({"id": "x", "watch": "position", "when": when, "value": "profit"}))
    assert (found.value_of, found.worst_is) == ("profit", worst_is)


WRITTEN: dict[str, Any] = {"id": "x", "watch": "position", "when": {"profit": {"below": -50}}, "for": "1m"}


@pytest.mark.parametrize(
    "same",
    [
        {"when": "profit < -50"},
        {"when": "(profit < -50.00)"},
        {"watch": ["position"]},
        {"for": "60s"},
        {"id": "y", "severity": "info", "notify": ["desk"], "title": "t", "message": "m", "value": "profit"},
        {"enabled": False},
    ],
)
def test_what_means_the_same_has_the_same_fingerprint(same: dict[str, Any]) -> None:
    assert rule(json.dumps(WRITTEN | same)).fingerprint == rule(json.dumps(WRITTEN)).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"when": "profit < -51"},
        {"when": "profit <= -50"},
        {"until": "profit > -40"},
        {"where": "leverage > 1"},
        {"for": "61s"},
        {"keep_firing_for": "1m"},
        {"repeat": "1h"},
        {"on_gap": "resolve"},
        {"watch": "position.closed", "for": None},
    ],
)
def test_what_means_something_else_has_another(other: dict[str, Any]) -> None:
    changed = {key: value for key, value in (WRITTEN | other).items() if value is not None}
    assert rule(json.dumps(changed)).fingerprint != rule(json.dumps(WRITTEN)).fingerprint


def test_a_condition_of_several_kinds_is_evaluated_on_each() -> None:
    found = rule('{id: x, watch: [order.*, position.*], when: symbol == "B" and stop_loss > 5}')
    assert found.when
    for kind in ("order", "position"):
        assert found.when.holds(change(kind, {"symbol": "B", "stop_loss": 6}), NOW) is True


def test_rules_keep_their_order_and_the_sound_ones_are_given() -> None:
    nodes = node_of("""
        - {id: b, watch: order.canceled}
        - {id: broken, watch: order.canceled, for: 5s}
        - {id: a, watch: order.filled}
        - {id: b, watch: order.filled}
    """)
    assert isinstance(nodes, document.Sequence)
    rules, problems = compile_rules(nodes, Environment(CHANNELS))
    assert list(rules) == ["b", "a"]
    assert rules["b"].events == ("order.canceled",)
    assert [problem.path for problem in problems] == ["broken", "b.id"]


def test_templates_may_use_the_fields_of_what_is_watched() -> None:
    asked: list[Usable] = []

    def check(text: str, usable: Usable) -> tuple[()]:
        asked.append(usable)
        return ()

    rule("{id: x, watch: [order.canceled, position.closed], title: t}", check_template=check)
    (usable,) = asked
    assert {"symbol", "side", "venue", "time", "worst", "members", "severity"} <= usable.names
    assert not {"profit", "filled", "lot_size", "account.equity"} & usable.names
    assert {"profit", "filled", "id"} <= usable.lists["members"]
    assert usable.links == {"account", "ticker", "venue"}


def test_without_supplied_fields_nothing_is_warned_about() -> None:
    node = node_of("{id: x, watch: position, when: swap < -5}")
    assert compile_rule(node, Environment(CHANNELS))[1] == []


# ------------------------------------------------------------------------------------------------ what is derived


def test_the_schema_has_every_key() -> None:
    schema = rule_schema()
    assert set(schema["properties"]) == set(KEYS)
    assert schema["required"] == ["id", "watch"]
    assert schema["additionalProperties"] is False
    assert all("description" in shape for shape in schema["properties"].values())
    json.dumps(schema)


def test_the_schema_takes_durations_as_patterns_and_thresholds_as_numbers() -> None:
    schema = rule_schema()
    for key in ("for", "repeat", "cooldown", "keep_firing_for"):
        assert re.match(schema["properties"][key]["pattern"], "1h30m")
        assert not re.match(schema["properties"][key]["pattern"], "90")
    mapping = schema["$defs"]["Condition"]["anyOf"][1]
    comparisons = mapping["properties"]["profit"]["anyOf"][-1]
    assert comparisons == {"$ref": "#/$defs/Comparisons"}
    comparisons = schema["$defs"]["Comparisons"]["properties"]
    assert {"type": "number"} in comparisons["below"]["anyOf"]
    assert comparisons["crosses_below"]["type"] == "number"
    assert (
        mapping["properties"]["profit"]["description"]
        == "unrealised while open, final once closed, as the venue counts it"
    )


def test_the_schemas_references_lead_somewhere() -> None:
    schema = rule_schema()
    for name in re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema)):
        assert name in schema["$defs"]
