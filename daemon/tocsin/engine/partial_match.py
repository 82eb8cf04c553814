"""What waits for the second event of a sequence, and what came before any first: kept as instances of their own. And which events
belong together.

Of several first events the latest counts for `then`; for `unless` each waits by itself, as one more instance (a page of the
sequence), however many there are, so no alert is lost and an event costs the same whatever waits already. A sequence may
be of several venues: the time between two events of one venue stands still while that venue is away, whoever else is;
between events of two venues it goes on. Over a restart it goes on by the wall-clock.
"""

import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from tocsin.engine.instances import (
    EventInstance,
    InstanceKind,
    field_text,
    group_fields,
    group_of,
    happens_in,
    is_one_of,
    tagged,
)
from tocsin.engine.rule import Rule, SequenceSpec, Truth
from tocsin.events import Change, Instant, Key, Linked, from_iso, iso
from tocsin.events.vocabulary import from_plain, is_caseless, to_plain

MOST_RECENT = 50
"""Of one sequence and venue: how many second events that came before any first are remembered, where their `when` may choose."""
_ROUNDING = 1e-3  # seconds: a second that comes just when the time is over is still awaited


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An event of a sequence: a second that came before any first, or (`First`) one that waits.

    `at` is when it was heard, put off by the `stood` seconds for which its time has stood still; it stands still again
    since `stands`.
    """

    change: Change
    at: Instant
    stood: float = 0.0
    stands: Instant | None = None

    def turned(self, held: bool, now: Instant) -> Self:
        """Its time stands still, or goes on, from now; if it does so already, nothing changes."""
        if held == (self.stands is not None):
            return self
        if self.stands is None:
            return replace(self, stands=now)
        more = now.steady - self.stands.steady
        return replace(self, at=self.at.later(more), stood=self.stood + more, stands=None)

    def to_record(self) -> dict[str, Any]:
        return {
            "change": _plain(self.change),
            "at": iso(self.at.wall),
            "stood": self.stood,
            "stands": iso(self.stands.wall) if self.stands else None,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], now: Instant, **more: Any) -> Self:
        """While nobody watched its time went on, unless it stood still already: then it does so yet."""
        stands = from_iso(record["stands"]) if record["stands"] else None
        apart = ((stands or now.wall) - from_iso(record["at"])).total_seconds()
        since = (now.wall - stands).total_seconds() if stands else 0.0
        return cls(
            change=_change(record["change"]),
            at=now.later(-max(0.0, apart)),
            stood=float(record["stood"]) + max(0.0, since),
            stands=now if stands else None,
            **more,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class First(Heard):
    """A first event that waits: for how many seconds, what of its own conditions was told, and what was missing."""

    within: float
    condition: str = ""
    missing: tuple[str, ...] = ()

    @property
    def until(self) -> Instant:
        return self.at.later(self.within)

    def to_record(self) -> dict[str, Any]:
        own = {"within": self.within, "condition": self.condition, "missing": self.missing}
        return Heard.to_record(self) | own


@dataclass(slots=True)
class PartialMatch(EventInstance):
    """What waits, and what came before, for one rule and one group of events that belong together (`key`, of one page).

    Only the first page knows what came before. `entity` is what was last heard of in it. `sign` tells what the rule
    asked for when it began: a rule that asks for something else doesn't go on with it.
    """

    rule: Rule
    key: str
    entity: Key
    sign: str
    first: First | None = None
    before: tuple[Heard, ...] = ()

    @property
    def kind(self) -> InstanceKind:
        return "sequence"

    @property
    def indexed(self) -> tuple[Hashable, str]:
        """By its rule and sequence, as the page that it is."""
        return (self.rule.id, page_of(self.key)[0]), self.key

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return self.first is not None or bool(self.before)

    def __iter__(self) -> Iterator[Heard]:
        if self.first is not None:
            yield self.first
        yield from self.before

    def due(self) -> float | None:
        """When (steady) the first of what it holds has had its time."""
        return min((self._over_at(one) for one in self if one.stands is None), default=None)

    def is_due(self, now: Instant) -> bool:
        due = self.due()
        return due is not None and due <= now.steady

    def is_of(self, venues: Collection[str]) -> bool:
        """Whether something in it is of one of these venues."""
        return any(one.change.venue in venues for one in self)

    def reaches(self, one: Heard, venue: str, now: Instant) -> bool:
        """Whether an event of that venue now comes in the time of `one`, which is in it and not over."""
        return venue == one.change.venue or now.steady < self._over_at(one) - one.stood

    def turn(self, held: Callable[[str], bool], now: Instant) -> None:
        """The time of what is of a venue that is `held` stands still, that of the others goes on."""
        if self.first is not None:
            self.first = self.first.turned(held(self.first.change.venue), now)
        self.before = tuple(one.turned(held(one.change.venue), now) for one in self.before)

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: nothing waits longer than it says."""
        self.rule = rule
        if self.first is not None:
            passed = (self.first.stands or now).steady - self.first.at.steady
            self.first = replace(self.first, within=min(self.first.within, passed + self._within))

    def take_over(self, now: Instant) -> First | None:
        """The first event, if its time is over; what came too long before is forgotten."""
        self.before = tuple(one for one in self.before if not self._is_over(one, now))
        first = self.first
        if first is None or not self._is_over(first, now):
            return None
        self.first = None
        return first

    def leave(self, venues: Collection[str]) -> None:
        """These venues are gone, and with them what is of them."""
        if self.first is not None and self.first.change.venue in venues:
            self.first = None
        self.before = tuple(one for one in self.before if one.change.venue not in venues)

    def remember(self, heard: Heard) -> None:
        """A second event that a later first may have been preceded by."""
        choosing = self.rule.sequence is not None and self.rule.sequence.when is not None
        venue = heard.change.venue
        others = (one for one in self.before if one.change.venue != venue)
        of_it = (*(one for one in self.before if one.change.venue == venue), heard)
        self.before = (*others, *of_it[-MOST_RECENT if choosing else -1 :])
        self.entity = heard.change.key

    def to_record(self) -> dict[str, Any]:
        return {
            **tagged(self),
            "sign": self.sign,
            "first": self.first.to_record() if self.first is not None else None,
            "before": [one.to_record() for one in self.before],
        }

    @classmethod
    def from_record(cls, rule: Rule, key: str, record: Mapping[str, Any], now: Instant) -> "PartialMatch":
        """What stood still does so until `turn`. KeyError, TypeError or ValueError where another version had written it."""
        first = record["first"]
        return cls(
            rule=rule,
            key=key,
            entity=Key(*record["entity"]),
            sign=record["sign"],
            first=First.from_record(
                first,
                now,
                within=float(first["within"]),
                condition=first["condition"],
                missing=tuple(first["missing"]),
            )
            if first is not None
            else None,
            before=tuple(Heard.from_record(one, now) for one in record["before"]),
        )

    @property
    def _within(self) -> float:
        return self.rule.sequence.within if self.rule.sequence else 0.0

    def _over_at(self, one: Heard) -> float:
        late = _ROUNDING if self.rule.sequence is not None and self.rule.sequence.awaited else 0.0
        return one.at.steady + (one.within if isinstance(one, First) else self._within) + late

    def _is_over(self, one: Heard, now: Instant) -> bool:
        return one.stands is None and self._over_at(one) <= now.steady


def page_key(sequence: str, page: int) -> str:
    """The key of a further instance of that sequence. `page` is from 1; the first one's key is the sequence's own."""
    return f"{sequence}{page}"


def page_of(key: str) -> tuple[str, int]:
    """What `page_key` put together; 0 is the first. A sequence's own key is a JSON list, so it ends in a bracket."""
    sequence, bracket, page = key.rpartition("]")
    return sequence + bracket, int(page or 0)


def _plain(change: Change) -> dict[str, Any]:
    return {
        "key": list(change.key),
        "events": list(change.events),
        "state": to_plain(change.state),
        "origin": change.origin,
        "time": iso(change.time),
        "received": iso(change.received),
        "known_since": iso(change.known_since),
        "ended": change.ended,
        "symbol": change.symbol,
        "linked": {link: _plain_linked(there) for link, there in change.linked.items()},
    }


def _change(plain: Mapping[str, Any]) -> Change:
    """ValueError or KeyError where another version had written it."""
    key = Key(*plain["key"])
    return Change(
        key=key,
        events=tuple(plain["events"]),
        state=from_plain(key.kind, plain["state"]),
        previous=None,
        origin=plain["origin"],
        time=from_iso(plain["time"]),
        received=from_iso(plain["received"]),
        known_since=from_iso(plain["known_since"]),
        ended=plain["ended"],
        symbol=plain["symbol"],
        linked={link: _linked(there) for link, there in _linked_in(plain).items()},
    )


def _plain_linked(there: Linked) -> dict[str, Any]:
    times = {"time": there.time, "received": there.received, "seen": there.seen}
    return {
        "key": list(there.key),
        "state": to_plain(there.state),
        **{name: iso(time) for name, time in times.items()},
    }


def _linked(plain: Mapping[str, Any]) -> Linked:
    key = Key(*plain["key"])
    state = from_plain(key.kind, plain["state"])
    times = {name: from_iso(plain[name]) for name in ("time", "received", "seen")}
    return Linked(key=key, state=state, previous=state, **times)


def _linked_in(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    """An older version knew of the account alone, and nothing of its times."""
    if plain.get("account") is None:
        linked: Mapping[str, Any] = plain.get("linked", {})
        return linked
    venue, _, account, _ = plain["key"]
    times = {"time": plain["time"], "received": plain["received"], "seen": plain["received"]}
    return {"account": {"key": [venue, "account", account, account], "state": plain["account"], **times}}


# --------------------------------------------------------------------------------------- which events belong together


class Second(Change, frozen=True, kw_only=True):
    """A second event, beside the first one that `first.FIELD` speaks of."""

    first: Change
    last_known: Mapping[str, Any]


def second_of(change: Change, first: Change) -> Second:
    known = getattr(change, "last_known", {})
    fields = {name: getattr(change, name) for name in Change.__struct_fields__}
    return Second(**fields, first=first, last_known=known)


def sign(rule: Rule) -> str:
    """What a rule asks of the events of a sequence, but for how long and by which conditions of the first."""
    sequence = rule.sequence
    if sequence is None:
        return ""
    when = sequence.when.source if sequence.when else None
    return json.dumps(
        [
            sequence.awaited,
            sorted(rule.events),
            sorted(sequence.events),
            when,
            sorted(sequence.match),
            group_fields(rule),
        ]
    )


def is_first(rule: Rule, change: Change) -> bool:
    return change.kind in rule.kinds and happens_in(change, rule.events)


def is_second(sequence: SequenceSpec, change: Change) -> bool:
    return change.kind in sequence.kinds and bool(places_of_second(sequence, change))


def is_both(rule: Rule, sequence: SequenceSpec, change: Change) -> bool:
    """Whether one message tells of a first and a second event, the second being another one (and, if awaited, later)."""
    seconds = places_of_second(sequence, change)
    firsts = [place for place, name in enumerate(change.events) if is_one_of(name, rule.events)]
    return any(
        second > first if sequence.awaited else second != first for first in firsts for second in seconds
    )


def first_key(rule: Rule, sequence: SequenceSpec, change: Change) -> str:
    return _key(rule, change, _matched(rule, sequence, change, second=False))


def second_key(rule: Rule, sequence: SequenceSpec, change: Change) -> str | None:
    """The sequence that a second event belongs to; None where it can belong to none."""
    values = _matched(rule, sequence, change, second=True)
    return None if None in values else _key(rule, change, values)


def belongs(
    rule: Rule, sequence: SequenceSpec, change: Change, first: Change, now: Instant
) -> tuple[bool, tuple[str, ...]]:
    """Whether a second event counts for that first one, and what was missing to know it.

    Unknown tells, unless the rule says to ignore it: an awaited second then counts, one that must not come doesn't.
    """
    if sequence.when is None:
        return True, ()
    second = second_of(change, first)
    truth: Truth = sequence.when.holds(second, now.wall)
    if truth is not None:
        return truth, ()
    tells = rule.if_unknown == "tell"
    missing = sequence.when.missing(second, now.wall) if tells else ()
    return tells is sequence.awaited, missing


def second_among(
    rule: Rule, first: tuple[int, Change], events: Iterable[tuple[int, Change]]
) -> Change | None:
    """Of what happened, each with its number and latest first, the earliest that counts for that first event; for `unless` also
    one that came before it.
    """
    sequence = rule.sequence
    if sequence is None:
        return None
    number, change = first
    key, earliest = first_key(rule, sequence, change), None
    for other, second in events:
        apart = (second.received - change.received).total_seconds()
        if apart < -sequence.within:
            break
        if other == number or apart > sequence.within or (other < number and sequence.awaited):
            continue
        at = Instant(second.received, 0.0)
        if second_key(rule, sequence, second) == key and belongs(rule, sequence, second, change, at)[0]:
            earliest = second
    return earliest


def places_of_second(sequence: SequenceSpec, change: Change) -> list[int]:
    """The places of the second's names among what happened."""
    return [place for place, name in enumerate(change.events) if is_one_of(name, sequence.events)]


def _matched(rule: Rule, sequence: SequenceSpec, change: Change, *, second: bool) -> list[str | None]:
    """The values by which the second event belongs to the first. Case tells nothing where it does so in neither field."""
    found = []
    for theirs, ours in sequence.match:
        exact = not (is_caseless(theirs, sequence.kinds) and is_caseless(ours, rule.kinds))
        found.append(field_text(change, theirs if second else ours, exact=exact))
    return found


def _key(rule: Rule, change: Change, matched: list[str | None]) -> str:
    return json.dumps(["sequence", *group_of(rule, change), *matched])
