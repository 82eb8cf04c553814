"""`then` and `unless`: one event, and another one that has to follow it, or must not come: what belongs together, and what is told.

then      first ──── second: told at the second       first ──── (within) ──── forgotten
unless    first ──── (within) ──── told               first ──── second: nothing to tell
second ─── first: nothing to tell, if the second is not older than `within`
"""

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from tocsin.engine.api import AlertContext, Part, Transition
from tocsin.engine.event_rule import EventRuleRuntime
from tocsin.engine.instances import (
    Step,
    transition,
)
from tocsin.engine.partial_match import (
    First,
    Heard,
    PartialMatch,
    belongs,
    first_key,
    is_both,
    is_first,
    is_second,
    page_key,
    page_of,
    places_of_second,
    second_key,
    second_of,
    sign,
)
from tocsin.engine.pauses import OUT_OF_HOURS, LinkTurned
from tocsin.engine.rule import Rule, SequenceSpec, Truth
from tocsin.engine.runtime import RuleBefore, RuleRuntime, Shared
from tocsin.engine.trace import Asked, InstanceTrace, Past, Subject, event_context, parts_of
from tocsin.events import Change, Instant
from tocsin.quantities import duration_text


def first_facts(rule: Rule, change: Change, now: Instant) -> Iterator[str]:
    """What the rule's own conditions saw, in words."""
    for condition in (rule.where, rule.when):
        if condition is not None and condition.holds(change, now.wall) is True:
            yield condition.describe(change, now.wall)


def completed_context(
    rule: Rule,
    first: First,
    second: Change,
    now: Instant,
    *,
    missing: tuple[str, ...] = (),
    traced: bool = True,
) -> AlertContext:
    """What is told when the second has come: of the first event's entity, as it stands now where it is the same."""
    sequence, facts = rule.sequence, [first.condition]
    assert sequence is not None, "only rules with a sequence have sequences"  # noqa: S101 - a bug of ours
    if sequence.when is not None and not missing:
        facts.append(sequence.when.describe(second_of(second, first.change), now.wall))
    same = second.key == first.change.key
    shown = msgspec.structs.replace(second, events=first.change.events) if same else first.change
    name = second.events[places_of_second(sequence, second)[-1]]
    parts = tuple(_parts(rule, first, second)) if traced else ()
    context = _context(rule, shown, now, facts, missing=(*first.missing, *missing), parts=parts)
    return msgspec.structs.replace(context, event=f"{context.event}, then {name}")


def over_context(
    rule: Rule, sequence: SequenceSpec, first: First, now: Instant, *, traced: bool = True
) -> AlertContext:
    """What is told when the time is over and the second has not come."""
    span = duration_text(timedelta(seconds=sequence.within))
    parts = tuple(_parts(rule, first, None)) if traced else ()
    context = _context(rule, first.change, now, [first.condition], missing=first.missing, parts=parts)
    return msgspec.structs.replace(
        context, event=f"{context.event}, no {' or '.join(sequence.events)} within {span}"
    )


def _context(
    rule: Rule,
    shown: Change,
    now: Instant,
    facts: list[str],
    *,
    missing: tuple[str, ...],
    parts: tuple[Part, ...],
) -> AlertContext:
    condition = " and ".join(filter(None, facts))
    return event_context(
        rule, shown, now, condition=condition, missing=tuple(dict.fromkeys(missing)), parts=parts
    )


def _parts(rule: Rule, first: First, second: Change | None) -> Iterator[Part]:
    """The rule's own conditions, as of the first event, and what became of the second."""
    yield from parts_of(rule, first.change, Instant(first.change.received, 0.0))
    if rule.sequence is not None:
        yield second_part(rule.sequence, first.change, second)


def sequence_asks(sequence: SequenceSpec) -> str:
    """What is asked of the second event: `order.filled within 30s, when amount > first.amount`."""
    span = duration_text(timedelta(seconds=sequence.within))
    when = f", when {sequence.when.source}" if sequence.when is not None else ""
    return f"{' or '.join(sequence.events)} within {span}{when}"


def second_part(sequence: SequenceSpec, first: Change, second: Change | None, *, over: bool = True) -> Part:
    """What became of `then` or `unless`: the second event came; or none did, as far as its time is `over`."""
    holds: Truth = None
    saw = "none so far"
    if second is not None:
        holds, saw = sequence.awaited, f"{second.events[-1]} of {second.key.id} came {_when(first, second)}"
    elif over:
        holds, saw = not sequence.awaited, "none came"
    return Part(
        of="then" if sequence.awaited else "unless",
        asks=sequence_asks(sequence),
        holds=holds,
        saw=saw,
        as_of=first.received,
    )


def _when(first: Change, second: Change) -> str:
    apart = second.received - first.received
    if not apart:
        return "at once"
    return f"{duration_text(abs(apart))} {'earlier' if apart < timedelta(0) else 'later'}"


def _waits(rule: Rule, first: First) -> Iterator[Part]:
    if rule.sequence is not None:
        yield second_part(rule.sequence, first.change, None, over=False)


class SequenceRuleRuntime(RuleRuntime[PartialMatch]):
    """`events` raises what a sequence tells."""

    kinds = ("sequence",)

    def __init__(self, shared: Shared, events: EventRuleRuntime) -> None:
        super().__init__(shared)
        self._events = events
        self._last_page = 0

    # ------------------------------------------------------------------------------------------------- what happens

    def on_change(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """An event that may be a first one, a second one, or both. What completes a sequence begins no other one."""
        sequence = rule.sequence
        if sequence is None:
            return
        second = is_second(sequence, change)
        completed = False
        if second:
            completed = yield from self._second(rule, sequence, change, now)
        if not completed and is_first(rule, change):
            yield from self._first(rule, sequence, change, now)
        if second and not sequence.awaited:
            yield from self._remembered(rule, sequence, change, now)

    def on_timer(self, match: PartialMatch, now: Instant) -> Iterator[Transition]:
        """The time of something in it is over: what was awaited is not told any more, what had not to come is."""
        sequence = match.rule.sequence
        over = match.take_over(now)
        yield self._kept(match, "its time is over", now)
        if over is not None and sequence is not None and not sequence.awaited:
            context = partial(over_context, match.rule, sequence, over, now)
            yield from self._events.raised(match.rule, over.change, context, now)

    def on_link(self, match: PartialMatch, link: LinkTurned, now: Instant) -> Iterator[Transition]:
        if not link.stays and match.is_of((link.venue,)):
            self.thaw(match, now)
            self._instances.keep(match)
            yield transition(match, Step(trace="venue away" if link.down else "venue back"), now)

    def on_hours_over(self, match: PartialMatch, now: Instant) -> Iterable[Transition]:
        return self.end(match, now, OUT_OF_HOURS)

    def on_venues_removed(
        self, match: PartialMatch, venues: Collection[str], now: Instant
    ) -> Iterator[Transition]:
        """What is of these venues ends; what is of others goes on."""
        if match.is_of(venues):
            match.leave(venues)
            yield self._kept(match, "venue removed", now)

    # ------------------------------------------------------------------------------------ other rules, another run

    def goes_on(self, match: PartialMatch, before: RuleBefore, now: Instant) -> bool:  # noqa: ARG002 # whenever
        return match.sign == sign(match.rule)

    def revive(
        self,
        rule: Rule,
        key: str,
        record: Mapping[str, Any],
        alive: Instant | None,  # noqa: ARG002 # it goes by the wall-clock
        now: Instant,
    ) -> PartialMatch:
        match = PartialMatch.from_record(rule, key, record, now)
        self._last_page = max(self._last_page, page_of(key)[1])
        return match

    def thaw(self, match: PartialMatch, now: Instant) -> None:
        match.turn(partial(self._links.is_paused, match.rule), now)

    def lacking(self, rule: Rule, now: Instant) -> tuple[str, ...] | None:
        return self._events.lacking(rule, now)

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        """What waits; then what has happened and doesn't."""
        waiting = sorted(
            (each for each in self._instances if each.rule.id == rule.id), key=lambda each: each.key
        )
        firsts = [each.first for each in waiting if isinstance(each, PartialMatch) and each.first is not None]
        firsts.sort(key=lambda first: first.change.received, reverse=True)
        waits = {(first.change.key, first.change.received) for first in firsts}
        found = [
            Subject(first.change.key, first.change, partial(self._trace_first, rule, first))
            for first in firsts
            if asked.names(first.change.key.id, first.change.symbol, first.change.key.account)
        ]
        found += (
            Subject(each.key, each, partial(self._trace_over, rule, each, now))
            for each in asked.happened
            if (each.key, each.received) not in waits
        )
        return found

    def _trace_first(self, rule: Rule, first: First, past: Past) -> InstanceTrace:
        plain = {name: getattr(first.change, name) for name in Change.__struct_fields__}
        past = past._replace(linked=None)  # it waits with what it belongs to as that was
        trace = self._events.trace(rule, past.whole(Change(**{**plain, "previous": None})))
        until = None if first.stands else first.until.wall
        return replace(trace, parts=(*trace.parts, *_waits(rule, first)), waiting=True, waits_until=until)

    def _trace_over(self, rule: Rule, change: Change, now: Instant, past: Past) -> InstanceTrace:
        trace = self._events.trace(rule, past.whole(change))
        sequence, first = rule.sequence, trace.change
        if sequence is None:
            return trace
        over = now.wall >= first.received + timedelta(seconds=sequence.within)
        part = second_part(sequence, first, past.second, over=over)
        if any(each.holds is False for each in trace.parts):
            part = msgspec.structs.replace(
                part, holds=None, saw="not asked: such an event begins no sequence"
            )
        return replace(trace, parts=(*trace.parts, part))

    # --------------------------------------------------------------------------------------------------------- parts

    def _pages(self, rule: Rule, sequence: str) -> list[PartialMatch]:
        """All that waits in that sequence."""
        found = self._instances.by((rule.id, sequence)).values()
        return [each for each in found if isinstance(each, PartialMatch)]

    def _second(
        self, rule: Rule, sequence: SequenceSpec, change: Change, now: Instant
    ) -> Generator[Transition, None, bool]:
        """Returns whether it completed what was awaited."""
        key = second_key(rule, sequence, change)
        completed = False
        for match in self._pages(rule, key) if key is not None else ():
            if match.is_due(now):
                yield from self.on_timer(match, now)
            first = match.first
            if first is None or not match.reaches(first, change.venue, now):
                continue
            counts, missing = belongs(rule, sequence, change, first.change, now)
            if not counts:
                continue
            match.first = None
            yield self._kept(match, f"the second came: {', '.join(change.events)}", now)
            if sequence.awaited:
                completed = True
                context = partial(completed_context, rule, first, change, now, missing=missing)
                yield from self._events.raised(rule, first.change, context, now)
        return completed

    def _first(
        self, rule: Rule, sequence: SequenceSpec, change: Change, now: Instant
    ) -> Iterator[Transition]:
        change, truth, missing = self._events.count_and_evaluate(rule, change, now)
        if rule.if_unknown == "ignore":
            self._health.note(rule, truth, now.steady, missing)
        if truth is False or (truth is None and rule.if_unknown == "ignore"):
            return
        first = First(
            change=change,
            at=now,
            stands=self._stands(rule, change, now),
            within=sequence.within,
            condition=" and ".join(first_facts(rule, change, now)),
            missing=missing,
        )
        if is_both(rule, sequence, change):
            counts, unknown = belongs(rule, sequence, change, change, now)
            if counts and sequence.awaited:
                context = partial(completed_context, rule, first, change, now, missing=unknown)
                yield from self._events.raised(rule, change, context, now)
            if counts:
                return
        match = self._page(rule, first_key(rule, sequence, change), change)
        if match.is_due(now):
            yield from self.on_timer(match, now)
        if any(
            match.reaches(one, change.venue, now) and belongs(rule, sequence, one.change, change, now)[0]
            for one in match.before
        ):
            return
        yield self._waits(match, first, now)

    def _waits(self, match: PartialMatch, first: First, now: Instant) -> Transition:
        """The latest counts where a second is awaited; else each waits in a page of its own."""
        rule, sequence = match.rule, match.rule.sequence
        if match.first is not None and sequence is not None and not sequence.awaited:
            self._last_page += 1
            match = PartialMatch(rule, page_key(match.key, self._last_page), first.change.key, sign(rule))
        match.first, match.entity = first, first.change.key
        return self._kept(match, "the first came", now)

    def _remembered(
        self, rule: Rule, sequence: SequenceSpec, change: Change, now: Instant
    ) -> Iterator[Transition]:
        key = second_key(rule, sequence, change)
        if key is None:
            return
        match = self._page(rule, key, change)
        match.remember(Heard(change=change, at=now, stands=self._stands(rule, change, now)))
        yield self._kept(match, "the second came first", now)

    def _page(self, rule: Rule, key: str, change: Change) -> PartialMatch:
        """The sequence's first page, as it is or to be begun."""
        match = self._instances.get(rule.id, key)
        return match if isinstance(match, PartialMatch) else PartialMatch(rule, key, change.key, sign(rule))

    def _stands(self, rule: Rule, change: Change, now: Instant) -> Instant | None:
        """What a venue tells while it is away stands still from the first."""
        return now if self._links.is_paused(rule, change.venue) else None

    def _kept(self, match: PartialMatch, why: str, now: Instant) -> Transition:
        keep = bool(match)
        (self._instances.keep if keep else self._instances.forget)(match)
        return transition(match, Step(trace=why), now, keep=keep)
