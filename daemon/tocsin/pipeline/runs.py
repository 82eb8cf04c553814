"""Which actions alerts have started: what is to be run, what is being run, and how it ends.

Pure but for what it remembers; each step gives what is to be committed before the next. Kept in the table `actions`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec
from msgspec import structs

from tocsin.actions.model import Result
from tocsin.actions.rails import FAILURES, in_the_way
from tocsin.actions.values import context_of
from tocsin.engine.api import AlertContext, Transition, World
from tocsin.engine.engine import Engine
from tocsin.events import Instant
from tocsin.pipeline.alert_states import AlertStates
from tocsin.pipeline.options import Options
from tocsin.pipeline.questions import Questions
from tocsin.pipeline.rail_facts import RailFacts
from tocsin.pipeline.stops import EVERY, Stops
from tocsin.store.model import Batch, RunRow, RunStatus

MOST_WAITING = 1000
"""So many runs of one action may wait; what comes beyond is dropped."""
_GONE = "no action is called so any more"
_NOT_READ = "what it is about was kept by another version of Tocsin, and can't be read"
_LEFT = "Tocsin was ended, or given another config, while it ran"


class Runs:
    """`options` gives the actions of the config as it is now, `new_id` a run's id."""

    def __init__(
        self,
        engine: Engine,
        world: World,
        states: AlertStates,
        options: Callable[[], Options],
        new_id: Callable[[], str],
    ) -> None:
        self._engine, self._options, self._new_id = engine, options, new_id
        self.stops = Stops()
        """Whoever pauses or resumes calls `pause` and `resume` here."""
        self.facts = RailFacts(engine, world, states, options, self.stops)
        self.questions = Questions(self, self.facts, options)
        self._open: dict[str, RunRow] = {}  # in the order in which they were started
        self._waiting: Counter[str] = Counter()  # those that wait and those under way, by action

    # --------------------------------------------------------------------------------------------------- another run

    def restore(
        self,
        rows: Iterable[RunRow],
        recent: Iterable[tuple[str, datetime]],
        notes: Mapping[str, str],
        now: Instant,
    ) -> list[RunRow]:
        """Go on where the last run of Tocsin stopped. Those that nobody is going to do, to be committed."""
        for action, at in recent:
            self.facts.begun(action, at)
        self.stops.restore(notes, now.wall)
        for row in rows:
            self.change(row)
        return [*self._unreadable(now), *self.orphaned(now), *self.questions.restored(now)]

    def _unreadable(self, now: Instant) -> list[RunRow]:
        """Those of which this version can't say what they are about: nobody is going to do them."""
        return [self._left_alone(row, now, _NOT_READ) for row in self if context_of(row) is None]

    def orphaned(self, now: Instant) -> list[RunRow]:
        """Those whose action the config doesn't have (any more): they are over, and to be committed so."""
        known = self._options().actions
        return [self._left_alone(row, now, _GONE) for row in self if row.action not in known]

    def reloaded(self, before: Options, now: Instant) -> list[RunRow]:
        """Those that are over by another config than `before`."""

        def still(row: RunRow) -> bool:
            rule = self._engine.rule(str(row.data.get("rule")))
            return rule is not None and row.action in rule.run.of(row.told)

        return [*self.orphaned(now), *self.questions.reloaded(before, still, now)]

    def take_over(self, action: str, now: Instant) -> Batch:
        """What was begun and is left alone is anybody's guess where it was a command, and tried again where it was a webhook."""
        batch = Batch(at=now.wall)
        for row in self:
            if row.action == action and row.status == "begun":
                if row.is_command:  # whatever the action is by now
                    batch.runs.append(self.end(row, "unknown", now, _LEFT))
                else:
                    self.change(structs.replace(row, status="pending"))
        return batch

    # -------------------------------------------------------------------------------------------------- what happens

    def start(
        self,
        batch: Batch,
        transition: Transition,
        context: AlertContext,
        now: Instant,
        *,
        live: bool,
        muted: Callable[[str], str],
    ) -> list[RunRow]:
        """Queues what its rule runs on that transition; what the rails refuse already is recorded as dropped. Those of them that
        somebody is to be asked about. `muted`: what holds questions back from a channel, in words.
        """
        asked: list[RunRow] = []
        rule, told = self._engine.rule(transition.rule), transition.notification
        if rule is None or told is None:
            return asked
        for action in rule.run.of(told):
            if action not in self._options().actions:
                continue  # rule tests, and what looks at rules alone, have none
            settings = self._options().actions[action]
            confirm = settings.confirm if not settings.dry_run else None
            row = RunRow(
                id=self._new_id(),
                action=action,
                alert=transition.alert_id,
                status="pending" if confirm is None else "asked",
                created_at=now.wall,
                data=msgspec.to_builtins(context),
                told=told,
            )
            reason = in_the_way(context, self.facts.of(row, context, now, live=live))
            if self._waiting[action] >= MOST_WAITING:
                reason = f"{MOST_WAITING} of its runs wait already"
            if confirm is not None and not reason:
                reason = self.questions.refused(action, muted(confirm.on))
            if reason:
                row = structs.replace(row, status="dropped", reason=reason, ended_at=now.wall)
            else:
                self.change(row)
                self.facts.started(row, context, transition.instance, now)
                if confirm is not None:
                    asked.append(row)
            batch.runs.append(row)
        return asked

    def waiting(self, action: str) -> RunRow | None:
        """The one whose turn it is. What an end starts waits for what the firing has started."""
        if not self._waiting[action]:
            return None
        fired = {row.alert for row in self._open.values() if row.told == "firing"}
        return next(
            (
                row
                for row in self._open.values()
                if row.action == action
                and row.status == "pending"
                and (row.told == "firing" or row.alert not in fired)
            ),
            None,
        )

    def begin(self, id_: str, now: Instant, command: str, unrecorded: str = "") -> tuple[Batch, bool]:
        """It is about to be tried; with the batch committed, it may. False: something is in the way, or it is a dry run; that is recorded.

        `command` is what is going to be done, `unrecorded` why nothing can be committed, where that is so.
        """
        row, batch = self._open.get(id_), Batch(at=now.wall)
        if row is None:
            return batch, False
        if reason := self.in_the_way(id_, now, unrecorded):
            return self.drop(id_, reason, now), False
        settings = self._options().actions[row.action]
        if not row.attempts and settings.limit is not None:
            self.facts.begun(row.action, now.wall)
        if settings.dry_run:
            batch.runs.append(self.end(structs.replace(row, command=command), "dry_run", now))
            return batch, False
        row = structs.replace(
            row,
            status="begun",
            command=command,
            started_at=row.started_at or now.wall,
            attempts=row.attempts + 1,
        )
        self.change(row)
        batch.runs.append(row)
        return batch, True

    def in_the_way(self, id_: str, now: Instant, unrecorded: str = "") -> str:
        """Why it isn't to be tried now; "" where nothing is in the way."""
        row = self._open.get(id_)
        if row is None or row.action not in self._options().actions:
            return _GONE
        context = context_of(row)
        if context is None:
            return _NOT_READ
        holds = self.facts.holds(row, context)
        return in_the_way(context, self.facts.of(row, context, now, holds=holds, unrecorded=unrecorded))

    def drop(self, id_: str, reason: str, now: Instant) -> Batch:
        """It isn't done: because of what is in the way, or as it can't be done as it is written. One that was tried before has failed."""
        batch, row = Batch(at=now.wall), self._open.get(id_)
        if row is None:
            return batch
        tried = row.attempts - (row.status == "begun")
        if tried:
            self._failed(batch, row, f"not tried again: {reason}", now)
        else:
            batch.runs.append(self.end(row, "dropped", now, reason))
        return batch

    def finish(self, id_: str, result: Result, now: Instant) -> Batch:
        """It was tried, and isn't again. Nothing where it was over before, as a reload has it."""
        batch, row = Batch(at=now.wall), self._open.get(id_)
        if row is None:
            return batch
        row = structs.replace(row, result=result.result, output=result.output)
        if result.ok:
            batch.runs.append(self.end(row, "ok", now))
            batch.notes |= self.stops.succeeded(row.action)
        else:
            self._failed(batch, row, result.reason, now)
        return batch

    def trouble(self, row: RunRow) -> str:
        """Why a run that is over didn't succeed, as people have to know it; "" where there is nothing to know."""
        if row.status == "dropped" and row.answered_by:
            return f"confirmed by {row.answered_by}, but not run: {row.reason}"
        if row.status == "unknown":
            return f"nobody knows whether it was done: {row.reason}"
        if row.status != "failed":
            return ""
        if self.stops.circuit(row.action).since is None:
            return row.reason or ""
        return (
            f"runs no more, tocsin resume {row.action}: {FAILURES} failures in a row, the last: {row.reason}"
        )

    # ----------------------------------------------------------------------------------------------- what people do

    def pause(self, action: str, by: str, now: Instant) -> Batch | None:
        """No more runs of that action, or of all (`EVERY`), until it is resumed; what waits is dropped. None: it is paused already."""
        notes = self.stops.pause(action, by, now.wall)
        if notes is None:
            return None
        batch = Batch(at=now.wall, notes=notes)
        for row in self:
            if row.status in ("asked", "pending") and action in (EVERY, row.action):
                batch.runs += self.drop(row.id, f"paused {self.stops.paused(action)}", now).runs
        return batch

    def resume(self, action: str, now: Instant) -> Batch | None:
        """Runs again: that action, also where its circuit was open; or all that were paused (`EVERY`). None: nothing stood in the way."""
        notes = self.stops.resume(action)
        return Batch(at=now.wall, notes=notes) if notes else None

    # ------------------------------------------------------------------------------------------------------- parts

    def __iter__(self) -> Iterator[RunRow]:
        """Those that aren't over, in the order in which they were started; a snapshot."""
        return iter(list(self._open.values()))

    def get(self, id_: str) -> RunRow | None:
        """One that isn't over."""
        return self._open.get(id_)

    def change(self, row: RunRow) -> None:
        """It goes on like that."""
        if row.id not in self._open:
            self._waiting[row.action] += 1
        self._open[row.id] = row

    def end(self, row: RunRow, status: RunStatus, now: Instant, reason: str | None = None) -> RunRow:
        """It is over: the row as it is kept."""
        if self._open.pop(row.id, None) is not None:
            self._waiting[row.action] -= 1
        self.facts.over(row.id)
        return structs.replace(row, status=status, reason=reason, ended_at=now.wall)

    def _left_alone(self, row: RunRow, now: Instant, why: str) -> RunRow:
        """Nobody is going to do it: what was tried may have been done."""
        return self.end(row, "unknown" if row.attempts else "dropped", now, why)

    def _failed(self, batch: Batch, row: RunRow, reason: str, now: Instant) -> None:
        batch.runs.append(self.end(row, "failed", now, reason))
        batch.notes |= self.stops.failed(row.action, now.wall)
