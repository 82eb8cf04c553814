"""Observations from plain data, said to `Entities` one after the other, and what came of them in one line each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from tocsin.clock import ManualClock
from tocsin.entities import Entities
from tocsin.events import (
    KINDS,
    Change,
    Entity,
    Key,
    Observation,
    Occurrence,
    SnapshotBegins,
    SnapshotEnds,
    from_iso,
)
from tocsin.events.vocabulary import all_fields, from_plain

_BESIDE = ("account", "event", "origin", "time", "passing")


def state_of(kind: str, fields: Mapping[str, Any]) -> Entity:
    """From texts, as YAML's BaseLoader gives them: `~` is an explicit null."""
    flags = {name for name, field in all_fields(kind).items() if field.type == "flag"}
    plain = {name: None if value == "~" else value for name, value in fields.items()}
    return from_plain(
        kind, {name: value == "true" if name in flags else value for name, value in plain.items()}
    )


def line(change: Change) -> str:
    """`order 1 live: order.created order.open`."""
    return f"{change.kind} {change.key.id} {change.origin}: {' '.join(change.events)}".rstrip()


class Scene:
    """One daemon's entities and the clock. Each method returns the Changes."""

    def __init__(self, entities: Entities | None = None, venue: str = "fx") -> None:
        self.entities = entities or Entities()
        self.venue = venue
        self.clock = ManualClock()
        self.latest: dict[Key, Change] = {}  # what a store would hold
        self.operations: dict[tuple[str, str, str], None] = {}

    def apply(self, observed: Any, venue: str | None = None) -> list[Change]:
        changes = self.entities.apply(venue or self.venue, observed, self.clock.now(), "raw")
        self.latest |= {change.key: change for change in changes}
        for key in self.entities.unsaved():
            self.latest[key] = replace(self.latest[key], stamps=self.entities.get(key).stamps)
        self.operations |= {
            (change.venue, change.key.account, change.operation): None
            for change in changes
            if change.operation is not None
        }
        return changes

    def say(self, kind: str, *, venue: str | None = None, **fields: Any) -> list[Change]:
        """An observation of that kind; `account event origin time` stand beside the kind's fields."""
        if kind == "account":
            beside = {name: fields.pop(name) for name in _BESIDE[1:] if name in fields}
        else:
            beside = {name: fields.pop(name) for name in _BESIDE if name in fields}
        if "time" in beside:
            beside["time"] = from_iso(beside["time"])
        state = state_of(kind, fields)
        if beside.pop("passing", None):
            return self.apply(Occurrence(state=state, **beside), venue)
        return self.apply(Observation(state=state, **beside), venue)

    def link(self, event: str, venue: str | None = None, **fields: Any) -> list[Change]:
        return self.say("venue", venue=venue, id=venue or self.venue, event=f"venue.{event}", **fields)

    def snapshot(self, *kinds: str, account: str | None = None, live: bool = False) -> None:
        assert self.apply(SnapshotBegins(kinds, account, live)) == []

    def end(self) -> list[Change]:
        return self.apply(SnapshotEnds())

    def step(self, step: Mapping[str, Any]) -> list[Change]:
        """One step of a YAML case: `{order: {...}}`, `{begin: kinds, live:}`, `{end:}`, `{link: event}`, `{wait: s}`."""
        step = dict(step)
        if "wait" in step:
            self.clock.advance(float(step["wait"]))
            return []
        if "begin" in step:
            self.snapshot(
                *step["begin"].split(), account=step.get("account"), live=step.get("live") == "true"
            )
            return []
        if "end" in step:
            return self.end()
        if "link" in step:
            return self.link(step["link"])
        (kind,) = [name for name in step if name in KINDS and isinstance(step[name], dict)]
        return self.say(kind, **step.pop(kind), **step)

    def state(self, kind: str, id_: str, account: str = "") -> Entity:
        found = self.entities.get(Key(self.venue, kind, account, id_))
        assert found is not None
        return found.state

    def forget(self, *keys: Key) -> None:
        """By retention."""
        self.entities.forget(keys, self.clock.now())
        for key in keys:
            del self.latest[key]

    def restarted(self) -> "Scene":
        """Another run of the daemon, from what a store would hold."""
        scene = Scene(Entities(self.latest.values(), self.operations), self.venue)
        scene.clock, scene.latest, scene.operations = self.clock, dict(self.latest), dict(self.operations)
        return scene


def cases(path: Path) -> list[dict[str, Any]]:
    return yaml.load(path.read_text(), yaml.BaseLoader)  # a loader of texts alone, safer than the safe one
