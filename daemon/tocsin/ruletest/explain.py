"""Why a rule fires, or doesn't: each part of its conditions as it stands, its state there, what would hold a message back. Blocks."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

from msgspec import structs

from tocsin.alerts.decide import Routing
from tocsin.alerts.muted import from_record
from tocsin.alerts.silences import Silences
from tocsin.alerts.wording import time_text
from tocsin.engine.aggregates import Group
from tocsin.engine.language.ast import conjuncts
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.pauses import is_down
from tocsin.engine.rule import Condition, Rule, Truth
from tocsin.events import Change, Instant, Key, Venue
from tocsin.pipeline.muter import Muter
from tocsin.ruletest.barriers import Barrier, Circumstances, barriers
from tocsin.ruletest.known import Known
from tocsin.ruletest.subjects import Subject, fired, subjects
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

_ALL = 1_000_000  # rows
_SHORTEST = 4  # characters of an id


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition, or a sequel: what it asks, whether that holds (None: unknown), what it saw, and since when
    that has been so (as far as it is known).
    """

    of: str
    asks: str
    holds: Truth
    saw: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule for one of what it is about: `title` names it, `as_of` is when it was last heard of, if ever."""

    title: str
    entity: Key
    symbol: str | None
    as_of: datetime | None
    what: str
    state: str
    parts: tuple[Part, ...]
    barriers: tuple[Barrier, ...]
    unconfirmed_since: datetime | None = None  # the venue was away then, and hasn't mentioned it since


@dataclass(frozen=True, slots=True)
class Answer:
    """The first of what a rule is about, and how many there are; `last` says for whom it last fired, and when; or is empty.
    `several`: what begins with the shortened id that was asked for, where that is more than one.
    """

    explained: tuple[Explained, ...]
    count: int
    last: str
    several: tuple[str, ...] = ()


class Named(Protocol):
    """The names that people use of accounts and symbols, by the venues' own."""

    @property
    def accounts(self) -> Mapping[str, str]: ...

    @property
    def symbols(self) -> Mapping[str, str]: ...


class Daemon(Protocol):
    """Whose store is asked: its settings, or a test bench."""

    @property
    def state_dir(self) -> Path: ...

    @property
    def routing(self) -> Routing: ...

    @property
    def names(self) -> Named: ...


def explain(daemon: Daemon, rule: Rule, id_: str | None, now: Instant | None, limit: int) -> Answer:
    """Of all that the rule is about, or what is called `id_` (its id, symbol or account, or a name of those), the first.

    An id may be shortened, as people are shown it, or be an alert's. `now` is the running daemon's; None where none runs:
    timers then stand as they stood. Raises StoreUnavailable, SchemaRefused.
    """
    with Reader(daemon.state_dir / DATABASE).snapshot() as reader:
        if now is None:
            alive = reader.alive()
            now = Instant(datetime.now(UTC), alive.steady if alive is not None else 0.0)
        there = _circumstances(reader, daemon.routing, rule, now)
        answer = _answer(reader, rule, _called(id_, daemon.names), there, limit)
        beginning = (id_ or "").removesuffix("…").removesuffix("...")
        if answer.count or len(beginning) < _SHORTEST:
            return answer
        meant = [name for name in reader.called_like(rule.kinds, rule.id, beginning) if name != id_]
        if len(meant) > 1:
            return replace(answer, several=tuple(meant))
        return _answer(reader, rule, frozenset(meant), there, limit) if meant else answer


def _answer(
    reader: Reader, rule: Rule, called: frozenset[str] | None, there: Circumstances, limit: int
) -> Answer:
    known = Known(reader, rule, called)
    found, count = subjects(known, there.now.wall, limit)
    last = known.last()
    told = tuple(_explained(known, subject, there) for subject in found)
    return Answer(told, count, f"for {last['entity']}, {fired(last)}" if last is not None else "")


def _called(id_: str | None, names: Named) -> frozenset[str] | None:
    if id_ is None:
        return None
    named = (*names.accounts.items(), *names.symbols.items())
    return frozenset((id_, *(own for own, name in named if name == id_)))


def _circumstances(reader: Reader, routing: Routing, rule: Rule, now: Instant) -> Circumstances:
    silences = Silences()
    for silence in reader.silences():
        with suppress(ValueError):  # what can't be read holds nothing; the daemon says so when it starts
            silences.add(silence)
    muter = Muter({rule.id: rule}.get, silences)
    for alert in reader.alerts(active_only=True, limit=_ALL):
        muter.fires(alert["rule"], alert["venue"], alert["instance"])
    return Circumstances(
        now=now,
        routing=routing,
        muter=muter,
        away={venue.key.id: _away(venue) for venue in reader.entities("venue") if is_down(venue)},
        held=[from_record(held.data) for held in reader.held() if held.rule == rule.id],
        unsent=[row for row in reader.deliveries(unsent_only=True, limit=_ALL) if row["rule"] == rule.id],
    )


def _away(venue: Change) -> str:
    since = getattr(venue.state, "since", None)
    status = getattr(venue.state, "status", None)
    return f"{venue.key.id} is {status}" + (
        f" since {time_text(since)}" if isinstance(since, datetime) else ""
    )


def _explained(known: Known, subject: Subject, there: Circumstances) -> Explained:
    change = subject.change
    parts = tuple(_parts(known, subject, there.now.wall))
    standing = tuple(barriers(known.rule, subject, there))
    state = subject.state
    if subject.untold and not standing and all(part.holds for part in parts):
        state += "; all of it is so: the rule may be newer than the event"
    return Explained(
        title=_title(subject),
        entity=change.key,
        symbol=change.symbol,
        as_of=_last_heard(known, subject),
        what=subject.what,
        state=state,
        parts=parts,
        barriers=standing,
        unconfirmed_since=_unconfirmed_since(subject),
    )


def _unconfirmed_since(subject: Subject) -> datetime | None:
    return (
        subject.group.unconfirmed_since() if subject.group is not None else subject.change.unconfirmed_since
    )


def _title(subject: Subject) -> str:
    """`position p1 (BTCUSD) on fx`; `2 of 3 positions of a1 on fx`."""
    key, group = subject.change.key, subject.group
    if group is not None:
        of = f" of {key.id}" if key.id else " in all"
        title = f"{group.members} of {len(group.live)} {key.kind}s{of}"
    else:
        symbol = subject.change.symbol
        title = f"{subject.what} {key.id}" + (f" ({symbol})" if symbol and symbol != key.id else "")
    return title + (f" on {key.venue}" if key.venue and key.venue != key.id else "")


def _parts(known: Known, subject: Subject, now: datetime) -> Iterator[Part]:
    rule = known.rule
    seen = _Seen(known, subject, now)
    for name in ("where", "when", "until"):
        condition: Condition | None = getattr(rule, name)
        if condition is None:
            continue
        if name == "where" and subject.group is not None:
            yield _taking_part(condition, subject.group, _heard(known, subject))
            continue
        pieces: list[Condition] = [condition]
        if isinstance(condition, TreeCondition):
            pieces = [TreeCondition(part) for part in conjuncts(condition.tree)]
        for piece in pieces:
            yield seen.part(name, piece)
    if subject.sequel is not None and rule.sequence is not None:
        asks, holds, saw = subject.sequel
        yield Part("then" if rule.sequence.awaited else "unless", asks, holds, saw, subject.change.received)


def _taking_part(where: Condition, group: Group, heard: datetime) -> Part:
    """Of a group `where` says who takes part."""
    return Part(
        "where", where.source, group.members > 0, f"{group.members} of {len(group.live)} take part", heard
    )


def _last_heard(known: Known, subject: Subject) -> datetime | None:
    """When a message last mentioned it; of a venue, when that said anything: tries to reach it are none. None: never."""
    state = subject.change.state
    if isinstance(state, Venue):
        return state.last_message or None
    return (subject.change.last_seen if subject.group is None else None) or _heard(known, subject)


def _heard(known: Known, subject: Subject) -> datetime:
    """When it was last heard of; of a group, when any of its entities was."""
    if subject.group is None:
        return subject.change.received
    members = (known.world.get(key) for key in subject.group.live)
    return max((member.received for member in members if member is not None), default=subject.change.received)


class _Seen:
    """What the parts of a rule's conditions see of one subject."""

    def __init__(self, known: Known, subject: Subject, now: datetime) -> None:
        self._now = now
        self._heard = _heard(known, subject)
        self._group = subject.group
        self._alert = subject.alert
        self._account = known.account_of(subject.change.key)
        change = subject.change
        past = [] if subject.group is not None else known.history(change.key)
        self._past = [each for each in past if each.received <= change.received]
        if not known.rule.is_event_rule and self._past and self._past[0].state == change.state:
            # An edge is between the two latest states.
            change = structs.replace(change, previous=self._past[0].previous)
        self._change = change

    def part(self, name: str, condition: Condition) -> Part:
        saw = condition.describe(self._change, self._now)
        if condition.counted and self._alert is not None:
            saw = f"it was when the alert was raised; counted afresh since: {saw}"
            return Part(name, condition.source, True, saw, self._since(condition))
        if self._group is not None and (without := len(self._group.left_out())):
            saw += f" ({without} without the value left out)"
        return Part(
            name, condition.source, condition.holds(self._change, self._now), saw, self._since(condition)
        )

    def _since(self, condition: Condition) -> datetime:
        """When the values that it reads came to be what they are, as far as what is kept goes back."""
        if condition.timed:
            return self._now
        if condition.remembers:
            return self._heard
        of_account = any(name.startswith("account.") for name in condition.fields)
        own = [name for name in condition.fields if "." not in name]
        times = [self._account.received] if of_account and self._account is not None else []
        if own or not times:
            times.append(self._so_since(own))
        return max(times)

    def _so_since(self, fields: list[str]) -> datetime:
        def values(change: Change) -> list[Any]:
            return [getattr(change.state, name, None) for name in fields]

        present = values(self._change)
        alike = list(takewhile(lambda change: values(change) == present, self._past))
        return alike[-1].received if alike else self._heard
