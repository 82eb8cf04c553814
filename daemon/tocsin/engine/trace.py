"""What a rule sees of what it is about, and why: what `explain` asks the runtimes for, what alerts keep, and what a message can speak
of, frozen when it happened (`AlertContext`).

An instance keeps no trace. Asked for one, its runtime evaluates the conditions again, part by part, on what it has.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from msgspec import structs

from tocsin.engine.api import AlertContext, AlertState, EnrichedChange, LinkedFields, Notification, Part
from tocsin.engine.instances import is_one_of
from tocsin.engine.rule import Condition, Rule, Truth
from tocsin.events import Change, Instant, Key, Linked, computed, computed_text, number_text
from tocsin.events.links import holder_of
from tocsin.events.vocabulary import derived_fields, to_plain


class Asked(NamedTuple):
    """What a rule is asked about: what has one of these ids, symbols or accounts (None: all); of a rule on events, the
    latest that happened of each of its instances, the latest of all first.
    """

    called: Collection[str] | None
    happened: Sequence[Change] = ()

    def names(self, *names: str | None) -> bool:
        """Whether one of these names is asked about."""
        return self.called is None or any(name in self.called for name in names)


class Past(NamedTuple):
    """What the journal knows of an entity: what happened to it, latest first, each with what was before it. Of the event that is
    asked about also what it belonged to as that then was, by the link, but for the fields that are `left_out` (`account.equity`):
    what they were isn't kept; and in a sequence the event that came with it.
    """

    changes: Sequence[Change] = ()
    linked: Mapping[str, Linked] | None = None
    second: Change | None = None
    left_out: frozenset[str] = frozenset()

    def before(self, change: Change) -> Change:
        """The entity as it stands, with what was before its latest event: that is what an edge lies between."""
        latest = self.changes[0] if self.changes else None
        if latest is None or latest.state != change.state:
            return change
        return structs.replace(change, previous=latest.previous)

    def whole(self, change: Change) -> Change:
        """An event with all that happened at once, with what was before, and with what it belonged to as that then was."""
        alike = (
            each
            for each in self.changes
            if each.received == change.received and change.events[0] in each.events
        )
        found = next(alike, None)
        if found is not None:
            change = structs.replace(change, events=found.events, previous=found.previous)
        return structs.replace(change, linked=self.linked) if self.linked is not None else change


class Timer(NamedTuple):
    """`for`, `keep_firing_for` or `absent`: how many seconds have passed, of how many; whether they go on."""

    key: Literal["for", "keep_firing_for", "absent"]
    passed: float
    lasts: float
    runs: bool


class Members(NamedTuple):
    """Of a group: how many entities take part, of how many; when something was last heard of any; how many lack a value."""

    taking_part: int
    all: int
    heard: datetime
    without_value: int

    @classmethod
    def of(cls, change: Change) -> "Members | None":
        """None where the change stands for no group."""
        group = change.group if isinstance(change, EnrichedChange) else None
        if group is None:
            return None
        return cls(group.members, group.entities, group.heard or change.received, len(group.left_out()))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceTrace:
    """A rule and one thing that it is about. `change` is that as the rule sees it (an entity, a group's stand-in, an event), `key`
    its instance's. `since` is when `state` began. `waits_until`: of the first event of a sequence that waits for a second, None
    while its time stands still. `cooldown`: until when the one that it falls under holds alerts back, and how many it has. `down`:
    its venue, where that is away and the rule hangs on it. `remind_at`: when people are next reminded, if ever.
    """

    rule: Rule
    change: Change
    key: str
    parts: tuple[Part, ...]
    state: AlertState = "inactive"
    since: datetime | None = None
    alert_id: str = ""
    acked: bool = False
    timer: Timer | None = None
    remind_at: datetime | None = None
    members: Members | None = None
    waiting: bool = False
    waits_until: datetime | None = None
    cooldown: tuple[datetime, int] | None = None
    down: Change | None = None
    unconfirmed_since: datetime | None = None


class Subject(NamedTuple):
    """One thing that a rule is about, which is looked at when it is traced: None where it is gone by then.

    `entity` is whose past it is to be traced with, if anybody's; `happened` the event that is meant.
    """

    entity: Key | None
    happened: Change | None
    trace: Callable[[Past], InstanceTrace | None]


_ORDER: Sequence[AlertState] = ("firing", "recovering", "pending", "inactive")


def urgency(state: AlertState) -> int:
    """What fires comes first."""
    return _ORDER.index(state)


def parts_of(rule: Rule, change: Change, now: Instant) -> tuple[Part, ...]:
    """The rule's conditions, evaluated part by part. Of a group its `where` says who takes part."""
    found: list[Part] = []
    members = Members.of(change)
    for of in ("where", "when", "until"):
        condition: Condition | None = getattr(rule, of)
        if condition is None:
            continue
        if of == "where" and members is not None:
            saw = f"{members.taking_part} of {members.all} take part"
            found.append(
                Part(
                    of=of, asks=condition.source, holds=members.taking_part > 0, saw=saw, as_of=members.heard
                )
            )
            continue
        without = members.without_value if members is not None else 0
        seen = [_seen(of, piece, change, now, without) for piece in condition.parts]
        whole = _all([part.holds for part in seen])
        found += (part if part.holds is whole else structs.replace(part, decides=False) for part in seen)
    return tuple(found)


def _seen(of: str, piece: Condition, change: Change, now: Instant, without: int) -> Part:
    saw = piece.describe(change, now.wall)
    return Part(
        of=of,
        asks=piece.source,
        holds=piece.holds(change, now.wall),
        saw=f"{saw} ({without} without the value left out)" if without else saw,
        distance=piece.gap(change, now.wall).distance,
        as_of=now.wall if piece.timed else None,
    )


def _all(truths: Sequence[Truth]) -> Truth:
    return False if False in truths else None if None in truths else True


def what_happened(rule: Rule, change: Change) -> str:
    """The events that the rule watches, of those that happened."""
    return ", ".join(name for name in change.events if is_one_of(name, rule.events))


def evaluate(rule: Rule, change: Change, now: Instant) -> Truth:
    """What the rule's condition comes to. `where` and `when` are one in a rule that counts and sums nothing."""
    if rule.is_group:  # `where` says who takes part
        return False if change.ended else holds(rule.when, change, now)
    truth = holds(rule.when, change, now)
    if rule.where is None or truth is False:
        return truth
    where = holds(rule.where, change, now)
    return truth if where is True else where


def selects(rule: Rule, change: Change, now: Instant) -> bool:
    """Whether the entity takes part in the rule at all."""
    return rule.is_group or rule.where is None or holds(rule.where, change, now) is not False


def lacks(rule: Rule, change: Change, now: Instant) -> tuple[str, ...]:
    """What is missing, where the rule's verdict is unknown."""
    conditions = (rule.when,) if rule.is_group else (rule.where, rule.when)
    missing = [name for one in conditions if one is not None for name in one.missing(change, now.wall)]
    return tuple(dict.fromkeys(missing))


def holds(condition: Condition | None, change: Change, now: Instant) -> Truth:
    return True if condition is None else condition.holds(change, now.wall)


# ---------------------------------------------------------------------------- what a message can speak of

MOST_NAMED = 10
"""Of the members without a value, how many are named."""


def value_of(rule: Rule, change: Change) -> Decimal | None:
    """The number that the rule's messages speak of, as this change has it."""
    if is_over(change):
        return None  # what it came to while it had members is told
    if rule.value_from is not None:
        found = rule.value_from(change, change.received)
        return computed(found) if found is not None and rule.value_computed else found
    if rule.value_of is None:
        return None
    holder: Any = change.state
    name = rule.value_of
    if link := holder_of(name):
        there, name = change.linked.get(link), name.removeprefix(f"{link}.")
        holder = there.state if there is not None else None
    value = getattr(holder, name, None)
    return value if isinstance(value, Decimal) else None


def is_over(change: Change) -> bool:
    """Whether it is a group that nobody belongs to any more."""
    group = change.group if isinstance(change, EnrichedChange) else None
    return group is not None and change.ended and not group.members


def event_name(rule: Rule, change: Change) -> str | None:
    """The name of what happened: of several that match, the most telling, which is the last."""
    if not rule.is_event_rule:
        return None
    matching = [name for name in change.events if is_one_of(name, rule.events)]
    return matching[-1] if matching else None


def event_context(
    rule: Rule,
    change: Change,
    now: Instant,
    *,
    condition: str,
    words: str | None = None,
    limit: str = "",
    missing: tuple[str, ...] = (),
    parts: tuple[Part, ...] = (),
) -> AlertContext:
    """The context of something that happened once: an event rule's, or an edge condition's."""
    value = value_of(rule, change)
    return context_of(
        rule,
        change,
        now,
        state="firing",
        condition=condition,
        words=words,
        limit=limit,
        reason=_reason(change),
        value=value,
        value_at_start=value,
        worst=value,
        started_at=now.wall,
        fired_at=now.wall,
        missing=missing,
        parts=parts,
    )


def end_reason(change: Change) -> str:
    """Why an entity's alerts end with it: `position closed: stop_loss`, `order canceled`."""
    status = getattr(change.state, "status", None)
    said = _reason(change)
    return f"{change.kind} {status or 'ended'}" + (f": {said}" if said else "")


def _reason(change: Change) -> str:
    reason = getattr(change.state, "reason", None)
    return reason if isinstance(reason, str) else ""


def value_shown(rule: Rule, value: Decimal) -> str:
    """The number that the rule's messages speak of, as they show it."""
    return computed_text(value) if rule.value_computed else number_text(value)


def _text(rule: Rule, value: Decimal | None) -> str | None:
    return value_shown(rule, value) if value is not None else None


def _bounds(rule: Rule, change: Change, now: Instant) -> Iterator[Decimal]:
    if rule.value_of is not None:
        for condition in (rule.when, rule.until):
            if condition is not None:
                yield from condition.bounds(rule.value_of, change, now.wall)


def _linked(rule: Rule, change: Change) -> dict[str, LinkedFields]:
    """The account as a whole; of its ticker and its venue what the rule names."""
    found = {}
    for link, there in change.linked.items():
        fields = to_plain(there.state)
        named = {name.removeprefix(f"{link}.") for name in rule.linked_fields if name.startswith(f"{link}.")}
        if link != "account" and "*" not in named:
            fields = {name: value for name, value in fields.items() if name in named}
        if link == "account" or named:
            found[link] = LinkedFields(fields, derived_fields(there.state), there.seen)
    return found


def _derived(rule: Rule, change: Change) -> tuple[str, ...]:
    of_group = (rule.value_of,) if rule.value_computed and rule.value_of is not None else ()
    return (*derived_fields(change.state), *of_group)


def context_of(
    rule: Rule,
    change: Change,
    now: Instant,
    *,
    state: Notification,
    condition: str,
    words: str | None,
    limit: str,
    reason: str,
    value: Decimal | None,
    value_at_start: Decimal | None,
    worst: Decimal | None,
    started_at: datetime,
    fired_at: datetime | None,
    missing: tuple[str, ...] = (),
    parts: tuple[Part, ...] = (),
) -> AlertContext:
    group = change.group if isinstance(change, EnrichedChange) else None
    left_out = group.left_out(rule.put_together) if group is not None else ()
    return AlertContext(
        rule=rule.id,
        severity=rule.severity,
        state=state,
        kind=change.kind,
        venue=change.venue,
        entity=change.key.id,
        account=change.account,
        symbol=change.symbol,
        event=event_name(rule, change),
        condition=condition,
        words=words,
        limit=limit,
        reason=reason,
        fields=to_plain(change.state),
        linked=_linked(rule, change),
        value_of=rule.value_of,
        value_called=rule.value_called,
        value=_text(rule, value),
        value_at_start=_text(rule, value_at_start),
        worst=_text(rule, worst),
        bounds=tuple(map(number_text, _bounds(rule, change, now))),
        derived=_derived(rule, change),
        started_at=started_at,
        fired_at=fired_at,
        at=now.wall,
        time=change.time,
        last_seen=change.last_seen or change.received,
        origin=change.origin,
        unconfirmed_since=group.unconfirmed_since() if group is not None else change.unconfirmed_since,
        missing=missing,
        group=group.per if group is not None else None,
        members=tuple(group.shown(rule.put_together)) if group is not None else (),
        member_count=group.members if group is not None else 0,
        left_out=tuple(left_out[:MOST_NAMED]),
        left_out_count=len(left_out),
        title=rule.title,
        message=rule.message,
        parts=parts,
    )
