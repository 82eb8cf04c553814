"""What waits for the second event of a sequence, and what came before any first: kept as lives of their own.

Of several first events the latest counts for `then`; for `unless` each waits by itself, as one more life (a page of the
sequence), however many there are, so no alert is lost and an event costs the same whatever waits already. While the venue is
away the time of a sequence stands still, over a restart it goes on by the wall-clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tocsin.engine.instance import rule_record
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, Key, from_iso, iso
from tocsin.events.vocabulary import from_plain, to_plain

MOST_RECENT = 50
"""Of one sequence: how many second events that came before any first are remembered, where their `when` may choose."""
_ROUNDING = 1e-3  # seconds: a second that comes just when the time is over is still awaited


@dataclass(frozen=True, slots=True)
class First:
    """A first event that waits: until when, what of its own conditions was told, and what was missing."""

    change: Change
    until: Instant
    condition: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Before:
    """A second event that came before any first."""

    change: Change
    at: Instant


@dataclass(slots=True)
class Awaiting:
    """What waits, and what came before, for one rule and one group of events that belong together (`key`, of one page).

    Only the first page knows what came before; more than one first event is only in records of older versions.
    `sign` tells what the rule asked for when it began: a rule that asks for something else doesn't go on with it.
    """

    rule: Rule
    key: str
    entity: Key
    sign: str
    firsts: tuple[First, ...] = ()
    before: tuple[Before, ...] = ()
    frozen: Instant | None = None  # since when its time stands still

    def due(self) -> float | None:
        """When (steady) the first of what it holds has had its time."""
        sequel = self.rule.sequel
        if self.frozen is not None or sequel is None:
            return None
        late = _ROUNDING if sequel.awaited else 0.0
        times = [first.until.steady + late for first in self.firsts]
        times += [before.at.steady + sequel.within for before in self.before]
        return min(times, default=None)

    def freeze(self, now: Instant) -> None:
        if self.frozen is None:
            self.frozen = now

    def thaw(self, now: Instant) -> None:
        if self.frozen is None:
            return
        stood = now.steady - self.frozen.steady
        self.firsts = tuple(replace(first, until=first.until.later(stood)) for first in self.firsts)
        self.before = tuple(replace(before, at=before.at.later(stood)) for before in self.before)
        self.frozen = None

    def adopt(self, rule: Rule, now: Instant) -> None:
        """The rule was edited: nothing waits longer than it says."""
        self.rule = rule
        latest = (self.frozen or now).later(rule.sequel.within if rule.sequel else 0.0)
        self.firsts = tuple(
            replace(first, until=min(first.until, latest, key=lambda at: at.steady)) for first in self.firsts
        )

    def take_over(self, now: Instant) -> tuple[First, ...]:
        """The first events whose time is over; what came too long before is forgotten."""
        within = self.rule.sequel.within if self.rule.sequel else 0.0
        over = tuple(first for first in self.firsts if first.until.steady <= now.steady)
        self.firsts = tuple(first for first in self.firsts if first.until.steady > now.steady)
        self.before = tuple(before for before in self.before if before.at.steady + within > now.steady)
        return over

    def remember(self, change: Change, now: Instant) -> None:
        """A second event that a later first may have been preceded by."""
        choosing = self.rule.sequel is not None and self.rule.sequel.when is not None
        kept = (*self.before, Before(change, now))
        self.before = kept[-MOST_RECENT:] if choosing else kept[-1:]

    def to_record(self) -> dict[str, Any]:
        return {
            "sequence": True,
            **rule_record(self.rule),
            "entity": list(self.entity),
            "sign": self.sign,
            "firsts": [
                {
                    "change": _plain(first.change),
                    "until": iso(first.until.wall),
                    "condition": first.condition,
                    "missing": first.missing,
                }
                for first in self.firsts
            ],
            "before": [
                {"change": _plain(before.change), "at": iso(before.at.wall)} for before in self.before
            ],
            "frozen": iso(self.frozen.wall) if self.frozen else None,
        }

    @classmethod
    def from_record(cls, rule: Rule, key: str, record: Mapping[str, Any], now: Instant) -> "Awaiting":
        """Its time stands still until `thaw`; while nobody watched it went on, unless the venue was away already."""
        stood = from_iso(record["frozen"]) if record["frozen"] else now.wall

        def moment(wall: str) -> Instant:
            return now.later((from_iso(wall) - stood).total_seconds())

        return cls(
            rule=rule,
            key=key,
            entity=Key(*record["entity"]),
            sign=record["sign"],
            firsts=tuple(
                First(
                    _change(first["change"]),
                    moment(first["until"]),
                    first["condition"],
                    tuple(first["missing"]),
                )
                for first in record["firsts"]
            ),
            before=tuple(
                Before(_change(before["change"]), moment(before["at"])) for before in record["before"]
            ),
            frozen=now,
        )


def page_key(sequence: str, page: int) -> str:
    """The key of a further life of that sequence. `page` is from 1; the first life's key is the sequence's own."""
    return f"{sequence}{page}"


def page_of(key: str) -> tuple[str, int]:
    """What `page_key` put together; 0 is the first life. A sequence's own key is a JSON list, so it ends in a bracket."""
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
        "account": to_plain(change.account_state) if change.account_state is not None else None,
    }


def _change(plain: Mapping[str, Any]) -> Change:
    """ValueError or KeyError where another version had written it."""
    key = Key(*plain["key"])
    account = from_plain("account", plain["account"]) if plain["account"] is not None else None
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
        account_state=account,  # type: ignore[arg-type]  # from_plain gives the kind that was asked for
    )
