"""What a reload says that it changed."""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from support.daemon_parts import Lines
from tocsin.app import changes
from tocsin.app.components import Components
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.config.settings import Settings
from tocsin.engine.rule_schema import KEYS
from tocsin.events import Observation, Position
from tocsin.store.database import Database
from tocsin.store.model import Loaded

HOURS = {"tz": "UTC", "open": ["09:00-17:00"]}
RED: dict[str, Any] = {"id": "red", "watch": "position", "when": "profit < -50"}
FILLED: dict[str, Any] = {"id": "filled", "watch": "order.filled"}


def settings(folder: Path, *rules: dict[str, Any]) -> Settings:
    path = folder / "config.yaml"
    path.write_text(
        yaml.safe_dump({"channels": {"mail": "json://127.0.0.1:9/"}, "rules": [*rules]}, sort_keys=False)
    )
    path.chmod(0o600)
    return load_settings(path, environ={}, validate_url=None)


IN_HOW = "in how it is told only ({}); its alerts go on"


@pytest.mark.parametrize(
    ("rule", "edit", "said"),
    [
        (RED, {"title": "down"}, IN_HOW.format("title")),
        (RED, {"notify": "mail", "severity": "info", "message": "m"}, IN_HOW.format("severity, notify, message")),
        (RED, {"value": "amount"}, IN_HOW.format("value")),
        (RED, {"inhibited_by": ["other"]}, IN_HOW.format("inhibited_by")),
        (RED, {"notify_during": HOURS}, IN_HOW.format("notify_during")),
        (RED, {"when": "profit < -60"}, "in what it means (when)"),
        (RED, {"until": "profit > 0", "for": "5m", "keep_firing_for": "1m"}, "in what it means (until, for, keep_firing_for)"),
        (RED, {"repeat": "1h", "active": HOURS, "on_gap": "resolve", "title": "down"}, "in what it means (repeat, active, on_gap, title)"),
        (RED, {"where": "amount > 1"}, "in what it means (where)"),
        (RED, {"watch": "account", "when": "equity < 50"}, "in what it means (watch, when)"),
        (RED, {"per": [], "when": "sum(profit) < -50"}, "in what it means (when, per)"),
        (RED, {"enabled": False, "when": "profit < -60"}, "and is switched off"),
        (RED | {"enabled": False}, {"enabled": True}, "and is switched on"),
        (FILLED, {"cooldown": "1m", "if_unknown": "ignore"}, "in what it means (cooldown, if_unknown)"),
        (FILLED, {"absent": "1h", "per": []}, "in what it means (per, absent)"),
        (FILLED, {"then": {"watch": "order.updated", "within": "1m"}}, "in what it means (then or unless)"),
    ],
)  # fmt: skip
def test_an_edit_of_a_rule_is_told_by_what_it_concerns(
    tmp_path: Path, rule: dict[str, Any], edit: dict[str, Any], said: str
) -> None:
    other = {"id": "other", "watch": "venue", "when": {"status": "disconnected"}}
    before, after = settings(tmp_path, rule, other), settings(tmp_path, rule | edit, other)
    assert changes.rules(before, after) == [f"rule {rule['id']} changed {said}"]


def test_every_key_of_a_rule_has_a_name_in_what_is_told() -> None:
    """One that has none is told as a change of nothing: `changed in what it means ()`."""
    named = {key for name in changes.MEANT | changes.TOLD for key in name.split(" or ")}
    assert named == set(KEYS) - {"id"}  # another id is another rule


def test_what_is_written_otherwise_and_means_the_same_is_no_change(tmp_path: Path) -> None:
    before = settings(tmp_path, RED, FILLED)
    after = settings(tmp_path, FILLED, RED | {"when": {"profit": {"below": -50}}, "severity": "warning"})
    assert changes.rules(before, after) == []


def test_rules_that_are_new_or_gone(tmp_path: Path) -> None:
    before, after = settings(tmp_path, RED), settings(tmp_path, FILLED)
    assert changes.rules(before, after) == ["rule filled added", "rule red removed"]


def reloaded(folder: Path, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[str]:
    """What became of the alerts of two positions, at -60 and -80, by an edit of the rules."""
    nothing = Loaded(entities=(), instances=(), alive=None)
    components = Components(
        settings(folder, *before), nothing, cast(Database, None), ManualClock(), Lines(), folder
    )
    now = components.clock.now()
    for name, profit in (("p1", -60), ("p2", -80)):
        state = Position(id=name, symbol="BTC", side="long", profit=Decimal(profit))
        components.entities.apply("fx", Observation(account="a", state=state), now, None)
    components.restore()
    _, alerts = components.reload(settings(folder, *after))
    return alerts


@pytest.mark.parametrize(
    ("before", "after", "became"),
    [
        ({}, {"title": "down"}, []),
        ({}, {"when": "profit < -70"}, ["resolved: red for p1 (rule changed)", "goes on: red for p2, firing"]),
        (
            {"for": "1h"},
            {"for": "1h", "when": "profit < -70"},
            ["dropped, and nobody was told: red for p1, it was pending: rule changed", "goes on: red for p2, pending"],
        ),
        (
            {"for": "1h"},
            {"enabled": False},
            [f"dropped, and nobody was told: red for {name}, it was pending: rule disabled" for name in ("p1", "p2")],
        ),
    ],
)  # fmt: skip
def test_what_became_of_alerts_is_told(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], became: list[str]
) -> None:
    assert reloaded(tmp_path, [RED | before], [RED | after]) == became


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"names": {"symbols": {"BTCUSD": "bitcoin"}}}, ["names changed"]),
        ({"defaults": {"notify": "mail"}}, ["defaults changed"]),
        ({"retention": {"events": "7d"}}, ["retention changed"]),
        ({"store_market_data": "all"}, ["store_market_data changed"]),
        ({}, []),
    ],
)
def test_a_section_that_changed_is_told(tmp_path, section, said):
    before = settings(tmp_path, RED)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | section))
    after = load_settings(path, environ={}, validate_url=None)
    assert changes.others(before, after) == said


def test_calendars_are_told_by_their_names(tmp_path):
    day, night = {"open": "09:00-17:00"}, {"open": "22:00-07:00"}

    def with_calendars(**sections: Any) -> Settings:
        path = tmp_path / "config.yaml"
        path.write_text(json.dumps({"rules": [RED | {"active": "day"}], **sections}))
        return load_settings(path, environ={}, validate_url=None)

    first = with_calendars(calendars={"day": day, "old": night})
    second = with_calendars(calendars={"day": night, "new": night})
    assert changes.calendars(first, second).told("calendar") == [
        "calendar new added",
        "calendar old removed",
        "calendar day changed",
    ]
    assert changes.rules(first, second) == ["rule red changed in what it means (active)"]
    moved = with_calendars(tz="Asia/Tokyo", calendars={"day": day, "old": {**night, "tz": "UTC"}})
    assert changes.calendars(first, moved).told("calendar") == ["calendar day changed"]
    assert changes.others(first, moved) == ["tz changed"]
