"""One step of a test, from its node to an action; what is wrong with it is added, with its place."""

import json
from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from msgspec import structs

from tocsin.alerts.silences import parse_matchers
from tocsin.config.descriptions import adapter_named, names_of_types, shipped_descriptions
from tocsin.document import Entry, Mapping, Node, Scalar, Sequence
from tocsin.errors import ConfigError, Problem
from tocsin.events import Observation
from tocsin.events.synthetic import daemon_event, link, venue_event
from tocsin.events.vocabulary import OURSELVES, VENUE_KINDS, nearest
from tocsin.quantities import parse_duration
from tocsin.ruletest import observation_parser
from tocsin.ruletest.expectations import ALERT, NOTIFIED, RUN, Names, read_wanted
from tocsin.ruletest.model import (
    Ack,
    Action,
    Answers,
    Expect,
    ExpectActions,
    ExpectAlerts,
    Message,
    Reload,
    Restart,
    Says,
    Silence,
    Step,
)
from tocsin.ruletest.observation_parser import Add
from tocsin.venues.base import Adapter


@dataclass(slots=True)
class Known:
    """What there is, and what the steps so far have made so.

    `rules` are the ids of all that the file or a reload has; None where that can't be told. `now` is in seconds;
    `accounts` those that stood beside a (venue, kind, id).
    """

    channels: tuple[str, ...]
    rules: tuple[str, ...] | None
    now: float = 0.0
    now_written: str = "0s"
    accounts: dict[tuple[str, str, str], set[str | None]] = field(default_factory=dict)


class Reader:
    """One step while its action is made."""

    def __init__(self, node: Mapping, doing: Entry, known: Known, add: Add) -> None:
        self._node, self._doing, self._known, self._add = node, doing, known, add
        self._name, self._value = doing.key.text, doing.value

    def observation(self) -> Action | None:
        venue = self._beside("venue", needed=True)
        if not isinstance(self._value, Mapping):
            self._add(
                Problem("must be a mapping of fields", self._value.place, self._name, "{id: p1, profit: -60}")
            )
            return None
        event, origin = self._scalar("event"), self._scalar("origin")
        observed = observation_parser.observation(
            self._name,
            self._value,
            event=event,
            origin=origin,
            account=self._scalar("account"),
            add=self._add,
        )
        if not venue or observed is None:
            return None
        if isinstance(observed, Observation):
            observed = self._with_account(venue, observed)
        return Says(venue, observed)

    def _with_account(self, venue: str, observed: Observation) -> Observation:
        """An account that isn't said is the one that was, as with any field that a message doesn't carry."""
        known = self._known.accounts.setdefault((venue, self._name, str(observed.state.id)), set())
        said_here = any(
            isinstance(node, Mapping) and "account" in node.entries for node in (self._node, self._value)
        )
        if not said_here and len(known) == 1:
            observed = structs.replace(observed, account=next(iter(known)))
        known.add(observed.account)
        return observed

    def event(self) -> Action | None:
        if not isinstance(self._value, Scalar):
            self._add(Problem("must be the name of an event", self._value.place, "event"))
            return None
        event = observation_parser.event_name(self._value, None, self._add)
        if event is None:
            return None
        # Each with a reason of its own: told twice for one reason, it would be one event.
        reason = f"as the test says, at {self._known.now_written}"
        if event.startswith("daemon."):
            return Says(OURSELVES, daemon_event(event, reason))
        venue = self._beside("venue", needed=True)
        return Says(venue, venue_event(venue, event, reason)) if venue else None

    def message(self) -> Action | None:
        venue, adapter = self._beside("venue", needed=True), self._adapter()
        text = self._value.text if isinstance(self._value, Scalar) else json_text(self._value)
        return Message(venue, adapter, text) if venue and adapter else None

    def _adapter(self) -> Adapter | None:
        """By `type:`, or by `describe:`: a shipped description, or a path from the test's file on."""
        key = "describe" if "describe" in self._node.entries else "type"
        name = self._beside(key, needed=True)
        if not name:
            return None
        place = self._node.entries[key].value.place
        if "describe" in self._node.entries and "type" in self._node.entries:
            self._add(Problem("a message has either a type or a description", place, key))
            return None
        known = shipped_descriptions() if key == "describe" else names_of_types()
        if key == "describe" or name in known:
            try:
                if (found := adapter_named(name, Path(place.file).parent)) is not None:
                    return found
            except ConfigError as error:
                for problem in error.problems:
                    self._add(problem)
                return None
        close, what = nearest(name, known), "description" if key == "describe" else "venue type"
        hint = f"did you mean `{close}`?" if close else f"there are {', '.join(known)}"
        self._add(Problem(f"no {what} is called `{name:.80}`", place, key, hint))
        return None

    def link(self) -> Action | None:
        venue = self._text("the name of a venue")
        return Says(venue, link(venue, f"{self._name}ed")) if venue else None

    def restart(self) -> Action | None:
        if isinstance(self._value, Scalar) and self._value.value is True:
            return Restart(0.0)
        given = self._keys("down") if isinstance(self._value, Mapping) else None
        if given is None:
            self._add(Problem("must be true or {down: 10m}", self._value.place, "restart"))
            return None
        down = seconds_of(given["down"], "restart.down", self._add) if "down" in given else None
        return Restart(down) if down is not None else None

    def reload(self) -> Action | None:
        if isinstance(self._value, Mapping) or (isinstance(self._value, Scalar) and not self._value.text):
            self._add(Problem("must be the name of a file or a list of rules", self._value.place, "reload"))
            return None
        return Reload(self._value)

    def answers(self) -> Action | None:
        name = self._text("the name of a channel")
        return Answers(name, self._name == "channel_works") if name and self._channel(self._value) else None

    def ack(self) -> Action | None:
        given = self._keys("rule", "id", "for") or {}
        rule, id_, lasts = given.get("rule"), given.get("id"), given.get("for")
        if isinstance(rule, Scalar) and isinstance(id_, Scalar):
            self._rule(rule)
            return Ack(rule.text, id_.text, seconds_of(lasts, "ack.for", self._add) if lasts else None)
        self._add(Problem("must be {rule: RULE, id: ID}, with or without for: 2h", self._value.place, "ack"))
        return None

    def silence(self) -> Action | None:
        given = self._keys("match", "for") or {}
        match, lasts = given.get("match"), given.get("for")
        if not isinstance(match, Scalar) or lasts is None:
            self._add(Problem("must be {match: 'rule=… venue=…', for: 2h}", self._value.place, "silence"))
            return None
        try:
            parse_matchers(match.text)
        except ValueError as error:
            self._add(Problem(str(error), match.place, "silence.match"))
        seconds = seconds_of(lasts, "silence.for", self._add)
        return Silence(match.text, seconds) if seconds is not None else None

    def expect(self) -> Action | None:
        if not isinstance(self._value, Sequence):
            self._add(Problem("must be a list, [] for nothing", self._value.place, self._name))
            return None
        known, made = _EXPECTED[self._name]
        names = Names(channel=self._channel, rule=self._rule)
        items = [read_wanted(item, names=names, add=self._add, known=known) for item in self._value]
        return made(tuple(item for item in items if item is not None))

    # ----------------------------------------------------------------------------------------------------------- parts

    def _keys(self, *names: str) -> dict[str, Node] | None:
        """The values of a mapping's keys, which are to be among these."""
        if not isinstance(self._value, Mapping):
            return None
        found = {}
        for entry in self._value:
            if entry.key.text in names:
                found[entry.key.text] = entry.value
            else:
                hint = f"known here: {', '.join(names)}"
                self._add(Problem(f"unknown key `{entry.key.text:.80}`", entry.key.place, self._name, hint))
        return found

    def _text(self, what: str) -> str | None:
        if isinstance(self._value, Scalar) and self._value.text:
            return self._value.text
        self._add(Problem(f"must be {what}", self._value.place, self._name))
        return None

    def _scalar(self, key: str) -> Scalar | None:
        node = self._node.get(key)
        if node is None or isinstance(node, Scalar):
            return node
        if key != self._name:
            self._add(Problem("must be a text", node.place, key))
        return None

    def _beside(self, key: str, *, needed: bool) -> str | None:
        node = self._scalar(key)
        if node is not None and node.text:
            return node.text
        if needed and key not in self._node.entries:
            self._add(Problem(f"the key `{key}` is missing", self._doing.key.place, self._name))
        return None

    def _channel(self, node: Node) -> bool:
        channels = self._known.channels
        if isinstance(node, Scalar) and node.text in channels:
            return True
        text = node.text if isinstance(node, Scalar) else ""
        close = nearest(text, channels)
        hint = f"did you mean `{close}`?" if close else f"channels here: {', '.join(channels)}"
        self._add(Problem(f"no channel is called `{text:.80}`", node.place, self._name, hint))
        return False

    def _rule(self, node: Scalar) -> bool:
        problem = no_such_rule(node, self._known.rules, f"{self._name}.rule")
        if problem is not None:
            self._add(problem)
        return problem is None


READ: dict[str, Callable[[Reader], Action | None]] = {
    **dict.fromkeys(VENUE_KINDS, Reader.observation),
    "event": Reader.event,
    "message": Reader.message,
    "disconnect": Reader.link,
    "connect": Reader.link,
    "restart": Reader.restart,
    "reload": Reader.reload,
    "channel_fails": Reader.answers,
    "channel_works": Reader.answers,
    "ack": Reader.ack,
    "silence": Reader.silence,
    "expect": Reader.expect,
    "expect_alerts": Reader.expect,
    "expect_actions": Reader.expect,
}


def no_such_rule(node: Scalar, rules: tuple[str, ...] | None, path: str) -> Problem | None:
    """What is wrong with the name of a rule, if anything; None for `rules`: which there are isn't known."""
    if rules is None or node.text in rules:
        return None
    close = nearest(node.text, rules)
    hint = f"did you mean `{close}`?" if close else f"rules here: {', '.join(rules) or 'none'}"
    return Problem(f"no rule is called `{node.text:.80}`", node.place, path, hint)


def json_text(node: Node) -> str:
    """The node as JSON, numbers digit for digit as they are written."""
    if isinstance(node, Mapping):
        return "{" + ", ".join(f"{json.dumps(e.key.text)}: {json_text(e.value)}" for e in node) + "}"
    if isinstance(node, Sequence):
        return "[" + ", ".join(map(json_text, node)) + "]"
    if isinstance(node.value, bool) or node.value is None or isinstance(node.value, str):
        return json.dumps(node.value)
    return _json_number(node.text, node.value)


def _json_number(text: str, value: int | Decimal) -> str:
    try:
        json.loads(text)
    except ValueError:  # +1, .5 and 007 are YAML's, not JSON's
        return format(value, "f")
    return text


def seconds_of(node: Node, path: str, add: Add) -> float | None:
    try:
        return parse_duration(node.plain()).total_seconds()
    except ValueError as error:
        add(Problem(str(error), node.place, path))
        return None


def text_of(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else ""


_Expected: TypeAlias = type[Expect] | type[ExpectAlerts] | type[ExpectActions]
_EXPECTED: Map[str, tuple[tuple[str, ...], _Expected]] = {
    "expect": (NOTIFIED, Expect),
    "expect_alerts": (ALERT, ExpectAlerts),
    "expect_actions": (RUN, ExpectActions),
}
_DOING = (
    *VENUE_KINDS, "message", "disconnect", "connect", "restart", "reload", "channel_fails", "channel_works", "ack", "silence",
    *_EXPECTED,
)  # fmt: skip
_BESIDE = {
    "venue": (*VENUE_KINDS, "event", "message"),
    "event": VENUE_KINDS,
    "origin": VENUE_KINDS,
    "account": VENUE_KINDS,
    "type": ("message",),
    "describe": ("message",),
}


def read_step(node: Mapping, known: Known, add: Add) -> Step | None:
    """The step; None after adding what is wrong with it."""
    complaints: list[Problem] = []
    at = _at(node, known, complaints.append)
    doing = _doing(node, complaints.append)
    action: Action | None = None
    if doing is not None:
        action = READ[doing.key.text](Reader(node, doing, known, complaints.append))
        if at is not None and isinstance(action, Restart) and action.down:
            known.now, known.now_written = at + action.down, f"the end of the restart at {known.now_written}"
    for problem in complaints:
        add(problem)
    if at is None or action is None or complaints:
        return None
    written = node.get("at")
    return Step(
        at,
        written.text if isinstance(written, Scalar) else "",
        action,
        doing.key.place if doing else node.place,
    )


def _at(node: Mapping, known: Known, add: Add) -> float | None:
    written = node.get("at")
    if written is None:
        add(
            Problem(
                "the key `at` is missing", node.place, hint="when it happens, from the test's start: at: 30s"
            )
        )
        return None
    at = 0.0 if text_of(written) == "0" else seconds_of(written, "at", add)  # the start needs no unit
    if at is None:
        return None
    if at < known.now:
        hint = "steps go in order of `at`"
        add(
            Problem(
                f"{text_of(written)} is before {known.now_written}, which stands above",
                written.place,
                "at",
                hint,
            )
        )
        return None
    known.now, known.now_written = at, text_of(written)
    return at


def _doing(node: Mapping, add: Add) -> Entry | None:
    """The entry that says what the step does. `event` beside an observation names what happened, alone it is a step."""
    found = []
    unknown = False
    for entry in node:
        key = entry.key.text
        if key in _DOING and not (key == "account" and isinstance(entry.value, Scalar)):
            found.append(entry)
        elif key != "at" and key not in _BESIDE:
            keys = ["at", *_DOING, *_BESIDE]
            close = nearest(key, keys)
            hint = f"did you mean `{close}`?" if close else f"known here: {', '.join(dict.fromkeys(keys))}"
            add(Problem(f"unknown key `{key:.80}`", entry.key.place, "", hint))
            unknown = True
    event = node.entries.get("event")
    if not found and event is not None:
        found.append(event)
    if not found and unknown:
        return None
    if not found:
        add(
            Problem(
                "the step does nothing", node.place, hint=f"it holds one of {', '.join((*_DOING, 'event'))}"
            )
        )
        return None
    if len(found) > 1:
        names = " and ".join(entry.key.text for entry in found)
        add(
            Problem(
                f"a step does one thing; this has {names}",
                found[1].key.place,
                hint="make it two steps of the same `at`",
            )
        )
        return None
    doing = found[0].key.text
    for entry in node:
        goes = _BESIDE.get(entry.key.text)
        if goes is not None and entry is not found[0] and doing not in goes:
            add(Problem(f"`{entry.key.text}` makes no sense beside `{doing}`", entry.key.place))
    return found[0]
