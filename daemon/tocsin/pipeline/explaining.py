"""Asking why a rule fires or doesn't: what is so, the engine says; what happened, the journal; `tocsin.explain` puts it in words.

    answer = await explain(runtime, Reader(path), question, now, run_sync)

The engine is asked on its own loop, between two messages; the database is read by `run_sync`, in a thread perhaps.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

from msgspec import UNSET, structs

from tocsin.alerts.wording import time_text
from tocsin.engine.instances import group_of
from tocsin.engine.partial_match import first_key, is_first, second_among
from tocsin.engine.rule import EscalationStep, Rule
from tocsin.engine.trace import Asked, InstanceTrace, Past, Subject
from tocsin.events import KINDS, Change, Instant, Key, Linked, from_iso
from tocsin.events.links import LINKS, as_linked, folded
from tocsin.events.vocabulary import all_fields
from tocsin.explain.barriers import Circumstances, barriers, unsent
from tocsin.explain.explanation import Answer, Explanation, Known, explanation, fired, of_alert
from tocsin.explain.gates import coming, gates, steps
from tocsin.loop_budget import give_way
from tocsin.pipeline.runtime import Runtime
from tocsin.store.event_rows import NotRecorded, change_of, key_of, together
from tocsin.store.reader import Reader, Row

_LOOKED_AT = 20_000  # events of the names that a rule watches, from the latest back
_HISTORY = 500  # events of one entity
_ALL = 1_000_000  # rows
_SHORTEST = 4  # characters of an id
_AT_ONCE = 10  # subjects that are traced before messages have their turn
RunSync = Callable[[Callable[[], Any]], Awaitable[Any]]


class Names(Protocol):
    """The names that people use of accounts and symbols, by the venues' own."""

    @property
    def accounts(self) -> Mapping[str, str]: ...

    @property
    def symbols(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A rule, and for what: all that it is about, or what is called `id` (its id, symbol or account, or a name of those; it may be
    shortened, as people are shown it, or be an alert's). The first `limit` are told. `holds` says what on a channel holds what is
    told (`firing`, say) of a severity, "" for nothing.
    """

    rule: Rule
    id: str | None
    names: Names
    limit: int
    holds: Callable[[str, str, str], str] = lambda _channel, _told, _severity: ""

    @property
    def called(self) -> frozenset[str] | None:
        if self.id is None:
            return None
        named = (*self.names.accounts.items(), *self.names.symbols.items())
        return frozenset((self.id, *(own for own, name in named if name == self.id)))

    @property
    def beginning(self) -> str:
        """What is left of a shortened id; empty where that is too little to go by."""
        beginning = (self.id or "").removesuffix("…").removesuffix("...")
        return beginning if len(beginning) >= _SHORTEST else ""


async def explain(
    runtime: Runtime, reader: Reader, question: Question, now: Instant, run_sync: RunSync
) -> Answer:
    """Raises StoreUnavailable, SchemaRefused."""
    inquiry = _Inquiry(runtime, reader, question, now, run_sync)
    answer = await inquiry.about(question.called)
    if answer.count or not question.beginning:
        return answer
    if (alert := inquiry.of_alert(question.beginning)) is not None:
        return structs.replace(answer, count=1, explained=(alert,))
    meant = await run_sync(partial(inquiry.meant, question.beginning))
    if len(meant) > 1:
        return structs.replace(answer, several=tuple(meant))
    return await inquiry.about(frozenset(meant)) if meant else answer


@dataclass(slots=True)
class _Inquiry:
    runtime: Runtime
    reader: Reader
    question: Question
    now: Instant
    run_sync: RunSync
    alerts: list[Row] = field(default_factory=list)  # the rule's, latest first
    unsent: list[Row] = field(default_factory=list)

    async def about(self, called: Collection[str] | None) -> Answer:
        rule = self.question.rule
        happened = await self.run_sync(partial(self._begin, called))
        asked = Asked(called, [change for _, change in happened])
        subjects = self.runtime.engine.explain(rule, asked, self.now)
        shown = subjects[: self.question.limit]
        pasts = await self.run_sync(partial(self._pasts, shown, happened))
        found: list[Explanation] = []
        for number, (subject, past) in enumerate(zip(shown, pasts, strict=True)):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await give_way()
            if (trace := subject.trace(past)) is not None:
                found.append(self._explained(trace, past, subject))
        last = self._last(called)
        return Answer(
            rule=rule.id,
            watch=rule.events or tuple(sorted(rule.kinds)),
            count=len(subjects),
            last=_fired_for(last) if last is not None else "",
            explained=tuple(found),
        )

    def of_alert(self, beginning: str) -> Explanation | None:
        """The one alert of an event whose id begins so."""
        found = [row for row in self.alerts if row["id"].startswith(beginning)]
        if len(found) != 1 or not self.question.rule.is_event_rule or self.question.rule.lasts:
            return None
        told = of_alert(found[0])
        if told is None:
            return None
        held_back = tuple(unsent(found[0]["id"], self.unsent, self.question.holds))
        step = self._next_step(told.alert)
        return structs.replace(
            told, held_back_by=held_back, escalates=_escalates(step), coming=tuple(steps(step))
        )

    def meant(self, beginning: str) -> list[str]:
        """The names that begin so. Blocks."""
        rule = self.question.rule
        found = self.reader.called_like(rule.kinds, rule.id, beginning)
        return [name for name in found if name != self.question.id]

    # --------------------------------------------------------------------------------------------------- what is read

    def _begin(self, called: Collection[str] | None) -> list[tuple[int, Change]]:
        """The rule's alerts, and of a rule on events the latest event of each instance, with its number. Blocks."""
        rule = self.question.rule
        with self.reader.snapshot() as reader:
            self.alerts = reader.alerts_of(rule.id)
            waiting = reader.deliveries(unsent_only=True, limit=_ALL)
            self.unsent = [row for row in waiting if row["rule"] == rule.id]
            if not rule.is_event_rule or rule.lasts:
                return []
            return list(_latest(rule, _Journal(reader).happened(rule.events, called)))

    def _pasts(self, subjects: Sequence[Subject], happened: Sequence[tuple[int, Change]]) -> list[Past]:
        """Blocks."""
        rule = self.question.rule
        numbers = {(change.key, change.received): number for number, change in happened}
        with self.reader.snapshot() as reader:
            journal = _Journal(reader)
            seconds = list(journal.happened(rule.sequence.events, None)) if rule.sequence and numbers else []
            return [self._past(journal, subject, numbers, seconds) for subject in subjects]

    def _past(
        self,
        journal: "_Journal",
        subject: Subject,
        numbers: Mapping[tuple[Key, Any], int],
        seconds: Sequence[tuple[int, Change]],
    ) -> Past:
        rule, event = self.question.rule, subject.happened
        if subject.entity is None:
            return Past()
        changes = journal.history(subject.entity)
        if event is None:
            return Past(changes)
        number = numbers.get((event.key, event.received))
        second = second_among(rule, (number, event), seconds) if number is not None else None
        linked, left_out = journal.linked_then(event, rule.links)
        return Past(changes, linked if rule.links else None, second, left_out)

    # ------------------------------------------------------------------------------------------------ what is made of it

    def _explained(self, trace: InstanceTrace, past: Past, subject: Subject) -> Explanation:
        known = Known(
            past=past,
            last=next((row for row in self.alerts if row["instance"] == trace.key), None),
            raised=self._raised(trace) if subject.happened is not None and not trace.waiting else None,
            latest=next(iter(self.alerts), None),
        )
        notifier = self.runtime.turn.notifier
        there = Circumstances(
            now=self.now.wall,
            routing=self.runtime.turn.options.routing,
            reasons=lambda rule, context: notifier.mute_reasons(rule, context, self.now),
            muted=notifier.muted(trace.rule.id),
            unsent=self.unsent,
            holds=self.question.holds,
            acked=next((row for row in self.alerts if row["id"] == trace.alert_id), None),
        )
        found = explanation(
            trace, known, happened=subject.happened is not None, held_back=barriers(trace, there)
        )
        step = self._next_step(found.alert)
        return structs.replace(
            found,
            escalates=_escalates(step),
            gates=gates(trace, there),
            coming=coming(trace, step, self.now.wall),
        )

    def _next_step(self, alert: str | None) -> tuple[datetime, EscalationStep] | None:
        """Who is told next, and when; None where nobody is."""
        escalations = self.runtime.turn.notifier.escalations
        return escalations.next(alert, self.now.wall) if alert is not None else None

    def _raised(self, trace: InstanceTrace) -> Row | None:
        """The first alert that the rule raised for that entity since that event."""
        change = trace.change
        found = (
            row
            for row in reversed(self.alerts)
            if (row["venue"], row["entity"]) == (change.venue, change.key.id)
            and from_iso(row["fired_at"]) >= change.received
        )
        return next(found, None)

    def _last(self, called: Collection[str] | None) -> Row | None:
        """The last alert that the rule raised for what is asked about."""
        names = ((row, (row["entity"], row["symbol"], row["account"])) for row in self.alerts)
        return next(
            (row for row, those in names if called is None or not set(those).isdisjoint(called)), None
        )


class _Journal:
    """What happened, as the database keeps it. Blocks."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._linked = {folded(each.key): each for kind in LINKS for each in reader.entities(kind)}

    def happened(
        self, names: Collection[str], called: Collection[str] | None
    ) -> Iterator[tuple[int, Change]]:
        """The events of these names, latest first, each by itself and with its number: of what is called so, or of any."""
        for row in self._reader.events_named(names, called, limit=_LOOKED_AT):
            if (change := self._change([row])) is not None:
                yield row["id"], change

    def history(self, key: Key) -> list[Change]:
        """What happened to an entity, as far as it is kept: latest first, each with what was before it."""
        rows = (row for row in self._reader.events_of(key, limit=_HISTORY) if _is_of(row, key))
        changes = [self._change(found[::-1]) for found in together(rows)]
        known = changes[: changes.index(None)] if None in changes else changes
        linked = [
            structs.replace(change, previous=before.state)
            for change, before in pairwise(known)
            if change is not None and before is not None
        ]
        return [*linked, *(change for change in known[-1:] if change is not None)]

    def linked_then(self, event: Change, links: Collection[str]) -> tuple[dict[str, Linked], frozenset[str]]:
        """What it belonged to by these links as that was when it happened, and which of its fields aren't kept so far back;
        those are missing in it.
        """
        found: dict[str, Linked] = {}
        missing: set[str] = set()
        for link in links & event.linked.keys():
            now = self._linked[folded(event.linked[link].key)]
            if now.received <= event.received:
                found[link] = as_linked(now, now.state)
                continue
            then = next((each for each in self.history(now.key) if each.received <= event.received), None)
            left_out = self._not_kept(link, then)
            state = structs.replace((then or now).state, **dict.fromkeys(left_out, UNSET))
            found[link] = as_linked(structs.replace(then or now, state=state), state)
            missing.update(f"{link}.{name}" for name in left_out)
        return found, frozenset(missing)

    def _not_kept(self, kind: str, then: Change | None) -> frozenset[str]:
        """Of that entity, as the journal has it of a time before its latest change: the fields that may have moved since."""
        unpriced = self._reader.prices_left_out()
        if then is None or (unpriced and KINDS[kind].market_data):
            return frozenset(all_fields(kind)) - {"id", "symbol"}
        return KINDS[kind].priced if unpriced else frozenset()

    def _change(self, rows: list[Row]) -> Change | None:
        """None where this version can't read it."""
        try:
            return change_of(rows, find=lambda key: self._linked.get(folded(key)))
        except (NotRecorded, ValueError):
            return None


def _escalates(step: tuple[datetime, EscalationStep] | None) -> str:
    """`boss at 2026-01-01 00:10:00 UTC`; empty where nobody is told next."""
    return f"{', '.join(step[1].notify)} at {time_text(step[0])}" if step is not None else ""


def _fired_for(last: Row) -> str:
    """For whom an alert fired, where it is of less than all, and when."""
    return (f"for {last['entity']}, " if last["entity"] else "") + fired(last)


def _latest(rule: Rule, happened: Iterable[tuple[int, Change]]) -> Iterable[tuple[int, Change]]:
    """Of each of the rule's instances, or sequences, the latest event."""
    found: dict[Any, tuple[int, Change]] = {}
    for number, change in happened:
        if rule.sequence is None:
            found.setdefault(tuple(group_of(rule, change)), (number, change))
        elif is_first(rule, change):
            found.setdefault(first_key(rule, rule.sequence, change), (number, change))
    return found.values()


def _is_of(row: Row, key: Key) -> bool:
    return row["event"].startswith(f"{key.kind}.") and key_of(row) == key
