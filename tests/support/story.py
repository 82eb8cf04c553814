"""Alerts' lives as data: rules, steps and what is told, through the real entities, engine and turn on a hand-moved clock.

A file is a list of tests in the format of rule tests (`at`, an observation, `expect` …), each with its own `rules`.
`start` sets the wall-clock at the test's start. Beside those steps: `wall: 1h` sets the machine's clock forward or back, `remove: fx` takes a venue
from the configuration; items of `expect` may also ask for anything that
the message's context holds (`reason`, `condition`, `missing`, `value` …) and `told: reminder`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, groupby
from pathlib import Path
from typing import Any

import msgspec
import yaml

from support.observing import state_of
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.wording import Style
from tocsin.clock import ManualClock
from tocsin.config.yaml import load
from tocsin.document import Sequence
from tocsin.engine.alert_instance import AlertInstance
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.rule import Rule
from tocsin.events import (
    KINDS,
    Daemon,
    Instant,
    Observation,
    Observed,
    Occurrence,
    Sample,
    SamplesDropped,
    Venue,
    from_iso,
)
from tocsin.feed.model import Received
from tocsin.pipeline.options import Options, Targets
from tocsin.pipeline.runtime import Runtime
from tocsin.quantities import parse_duration
from tocsin.store import rows
from tocsin.store.model import Batch, HeldRow, InstanceRow, Loaded
from tocsin.store.sql import json_mapping, json_text

CHANNELS, ACTIONS = ("phone", "desk"), ("hedge", "hook")


class _Plain(yaml.SafeDumper):
    """What stands in two rules is written twice: rules have no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def compiled(written: Any) -> list[Rule]:
    # The file was read as texts alone, so what YAML calls true and false has to lose its quotes again.
    text = re.sub(r"'(true|false)'", r"\1", yaml.dump(written, Dumper=_Plain, sort_keys=False))
    node, problems = load(text, "rules.yaml")
    assert isinstance(node, Sequence), problems
    rules, found = compile_rules(node, Environment(frozenset(CHANNELS), actions=frozenset(ACTIONS)))
    assert not [each for each in (*problems, *found) if each.level == "error"], [
        each.render() for each in found
    ]
    return list(rules.values())


def seconds(text: str) -> float:
    sign = -1 if text.startswith("-") else 1
    return sign * parse_duration(text.removeprefix("-")).total_seconds()


def options() -> Options:
    return Options(
        routing=Routing(channels=dict.fromkeys(CHANNELS, Route())),
        targets=dict.fromkeys(CHANNELS, Targets(1, parse_duration("24h"))),
        style=Style(),
    )


def _is_gone(row: Sample, gone: SamplesDropped) -> bool:
    of_it = row.series == gone.series and gone.instance in (None, row.instance)
    return of_it and (gone.before is None or row.at < gone.before)


class Story:
    """One daemon's life, or several, on what one store would hold."""

    def __init__(self, rules: Iterable[Rule], start: str = "2026-01-01T00:00:00Z") -> None:
        self.rules = list(rules)
        self.clock = ManualClock(from_iso(start))
        self.at = 0.0
        self.told: list[dict[str, Any]] = []
        self._told_before: list[dict[str, Any]] = []
        self.ids = count(1)
        self.stored: dict[tuple[str, str], str] = {}
        self.entities_stored: dict[Any, Any] = {}
        self.samples_stored: list[Sample] = []
        self.held: dict[str, str] = {}
        self.alive: Instant | None = None
        self.up: dict[str, bool] = {}
        self._start()

    def _start(self) -> None:
        loaded = Loaded(
            entities=[rows.entity(row) for row in self.entities_stored.values()],
            instances=[
                InstanceRow(rule=rule, instance=key, record=json_mapping(text))
                for (rule, key), text in self.stored.items()
            ],
            alive=self.alive,
            samples=[rows.sample(rows.sample_row(row)) for row in self.samples_stored],
            held=[HeldRow(alert=alert, data=json_mapping(text)) for alert, text in self.held.items()],
        )
        runtime = Runtime(self.rules, options(), lambda: f"{next(self.ids):05}", loaded)
        self.entities, self.engine, self.turn = runtime.entities, runtime.engine, runtime.turn
        batch, unreadable = self.turn.restore(loaded, self.clock.now())
        assert not unreadable, unreadable
        self.commit(batch)

    def commit(self, batch: Batch) -> None:
        for change in batch.entities:
            self.entities_stored[change.key] = rows.entity_row(change)
        for each in batch.samples:
            if isinstance(each, Sample):
                self.samples_stored.append(each)
            else:
                self.samples_stored = [row for row in self.samples_stored if not _is_gone(row, each)]
        for row in batch.instances:
            if row.record is None:
                self.stored.pop((row.rule, row.instance), None)
            else:
                self.stored[row.rule, row.instance] = json_text(row.record)
        for held in batch.held:
            if held.data is None:
                self.held.pop(held.alert, None)
            else:
                self.held[held.alert] = json_text(held.data)
        for (alert, told), group in groupby(batch.deliveries, key=lambda each: (each.alert, each.state_told)):
            several = list(group)
            context = dict(several[0].context)
            self.told.append(
                {
                    **context,
                    "alert": alert,
                    "id": context["entity"],
                    "told": told,
                    "state": "resolved" if told == "resolved" else "firing",
                    "channels": [each.channel for each in several],
                    "at_test": self.at,
                }
            )

    # ---------------------------------------------------------------------------------------------------------- time

    def run_to(self, at: float) -> None:
        """Time passes, timers come due at their own time."""
        while True:
            due = self.turn.deadline()
            now = self.clock.now().steady
            if due is None or self.at + (due - now) > at:
                break
            before = self.at
            self._pass(max(0.0, due - now))
            self.commit(self.turn.messages([], self.clock.now()))
            after = self.turn.deadline()
            assert after is None or after > self.clock.now().steady or self.at > before, "a timer loops"
        self._pass(at - self.at)

    def _pass(self, by: float) -> None:
        self.at += by
        self.clock.advance(by)

    # --------------------------------------------------------------------------------------------------------- steps

    def say(self, venue: str, *observed: Observed) -> None:
        self.commit(
            self.turn.messages(
                [Received(venue=venue, observed=observed, at=self.clock.now())], self.clock.now()
            )
        )

    def connect(self, venue: str) -> None:
        self.up[venue] = True
        self.say(
            venue,
            Observation(
                state=Venue(id=venue, status="connected"), event="venue.connected", origin="synthetic"
            ),
        )

    def disconnect(self, venue: str) -> None:
        self.up[venue] = False
        state = Venue(id=venue, status="disconnected", reason="reset")
        self.say(venue, Observation(state=state, event="venue.disconnected", origin="synthetic"))

    def restart(self, down: float, *, killed: bool = False, away: bool = False) -> None:
        """Another run; its steady clock is a new one. A killed one was last seen alive when it last said so; `away`: no
        venue is reached yet.
        """
        if not killed:
            self.alive = self.clock.now()
        wall = self.clock.now().wall
        self.clock = ManualClock(wall)
        self.clock.advance(down)
        self.at += down
        self._start()
        for venue, up in list(self.up.items()):
            state = Venue(id=venue, status="connecting")
            self.say(venue, Observation(state=state, origin="synthetic"))
            if up and not away:
                self.connect(venue)

    def reload(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)
        self.commit(self.turn.reload(self.rules, options(), self.clock.now())[0])

    def remove(self, venue: str) -> None:
        """The venue is no longer configured."""
        del self.up[venue]
        batch, _ = self.turn.venues_removed([venue], self.clock.now())
        self.commit(batch)
        for key in batch.gone:
            self.entities_stored.pop(key, None)

    def acknowledge(self, rule: str, id_: str) -> None:
        alert = next(t["alert"] for t in reversed(self.told_ever) if t["rule"] == rule and t["id"] == id_)
        self.commit(self.turn.acknowledge(alert, self.clock.now())[0])

    def step(self, step: Mapping[str, Any]) -> None:
        self._step(step)
        self._instances_are_found_by_their_alerts()

    def _instances_are_found_by_their_alerts(self) -> None:
        instances = self.engine._instances
        by_alert = {id(found) for each in instances for found in instances.of_alert(each.alert_id)}
        assert by_alert == {id(each) for each in instances if each.alert_id}

    def _step(self, step: Mapping[str, Any]) -> None:
        for kind in KINDS:
            if isinstance(step.get(kind), dict):
                self._observe(kind, dict(step[kind]), step)
                return
        if "event" in step:
            self._event(step)
        elif "disconnect" in step:
            self._known(step["disconnect"])
            self.disconnect(step["disconnect"])
        elif "connect" in step:
            self.connect(step["connect"])
        elif "restart" in step:
            said = step["restart"] if isinstance(step["restart"], dict) else {}
            if "rules" in said:
                self.rules = compiled(said["rules"])
            self.restart(seconds(said.get("down", "0s")), killed="killed" in said, away="away" in said)
        elif "remove" in step:
            self.remove(step["remove"])
        elif "alive" in step:
            self.alive = self.clock.now()
        elif "reload" in step:
            self.reload(compiled(step["reload"]))
        elif "wall" in step:
            self.clock.jump_wall(seconds(step["wall"]))
        elif "ack" in step:
            self.acknowledge(step["ack"]["rule"], step["ack"]["id"])
        elif "expect_alerts" in step:
            assert sorted(map(dict.items, self.alerts()), key=str) == sorted(
                map(dict.items, step["expect_alerts"]), key=str
            )
        else:
            self.expect(step["expect"])

    def _observe(self, kind: str, fields: dict[str, Any], step: Mapping[str, Any]) -> None:
        venue = step.get("venue", "fx")
        self._known(venue)
        account = fields.pop("account", None) if kind != "account" else None
        time = from_iso(fields.pop("time")) if "time" in fields else None
        state = state_of(kind, fields)
        if step.get("passing"):
            self.say(venue, Occurrence(state=state, event=step["event"], account=account, time=time))
            return
        origin = step.get("origin", "live")
        observed = Observation(
            state=state, account=account, event=step.get("event"), origin=origin, time=time
        )
        self.say(venue, observed)

    def _event(self, step: Mapping[str, Any]) -> None:
        name = step["event"]
        if name.startswith("daemon."):
            state = Daemon(id="tocsin", reason=step.get("reason"), subject=step.get("subject"))
            self.say("tocsin", Occurrence(state=state, event=name, origin="synthetic"))
            return
        venue = step.get("venue", "fx")
        self._known(venue)
        self.say(venue, Observation(state=Venue(id=venue), event=name, origin="synthetic"))

    def _known(self, venue: str) -> None:
        if venue not in self.up:
            self.connect(venue)

    # -------------------------------------------------------------------------------------------------- expectations

    @property
    def told_ever(self) -> list[dict[str, Any]]:
        return self._told_before + self.told

    def expect(self, wanted: list[dict[str, Any]]) -> None:
        told, self._told_before, self.told = self.told, self.told_ever, []
        came = [{key: plain(one.get(key)) for key in want} for one, want in zip(told, wanted, strict=False)]
        short = [
            f"{t['at_test']:g}s {t['told']} {t['rule']} {t['id']}: {t['condition']} ({t['reason']})"
            for t in told
        ]
        assert (came, len(told)) == (wanted, len(wanted)), f"told {short}"

    def alerts(self) -> list[dict[str, str]]:
        return [
            {"rule": life.rule.id, "id": life.entity.id, "state": life.state}
            for life in self.engine._instances
            if isinstance(life, AlertInstance) and life.state != "inactive"
        ]


def plain(value: Any) -> Any:
    """As a YAML file of texts has it."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return "" if value is None else str(msgspec.to_builtins(value))


def stories(path: Path) -> Iterator[dict[str, Any]]:
    yield from yaml.load(path.read_text(), yaml.BaseLoader)  # texts alone: safer than the safe one


def play(test: Mapping[str, Any], kind: type[Story] = Story) -> Story:
    story = kind(compiled(test["rules"]), test.get("start", "2026-01-01T00:00:00Z"))
    for step in test["steps"]:
        story.run_to(seconds(step["at"]))
        story.step(step)
    return story
