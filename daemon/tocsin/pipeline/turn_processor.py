"""One turn: observations through entities, engine and the decision who is told, into one batch. Pure but for its state."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from tocsin.actions.model import Result
from tocsin.actions.values import context_of
from tocsin.engine.api import AlertContext, ChangeOutcome, Saved, Transition, World
from tocsin.engine.engine import Engine
from tocsin.engine.rule import Rule
from tocsin.engine.rule_migration import became
from tocsin.entities import Entities
from tocsin.events import KINDS, Beat, Change, Instant, Key, is_market_data
from tocsin.feed.model import Received
from tocsin.meters import PipelineMeters
from tocsin.pipeline.acknowledged import Acknowledged
from tocsin.pipeline.alert_states import AlertStates
from tocsin.pipeline.deliveries import beat_delivery
from tocsin.pipeline.notifier import Notifier
from tocsin.pipeline.options import Options
from tocsin.pipeline.questions import Wish
from tocsin.pipeline.runs import Runs
from tocsin.store.model import Acked, Batch, Loaded, OperationRow, RunRow, Silence, UnreadableRow

_MOST_MENTIONED = 200  # entities in one batch of which only `last_seen` is news
_MENTIONED_AFTER = 1.0  # seconds without a batch after which that alone is worth one


class TurnProcessor:
    """Turns what came in into what is to be committed. It alone drives the engine, so no step of that is left out.

    `observe` is shown every transition, in order, before it is decided who is notified of it.
    """

    def __init__(
        self,
        entities: Entities,
        engine: Engine,
        options: Options,
        new_id: Callable[[], str],
        *,
        observe: Callable[[Transition], None] | None = None,
        meters: PipelineMeters | None = None,
        world: World | None = None,
    ) -> None:
        self._entities = entities
        self._engine = engine
        self._new_id = new_id
        self._observe = observe
        self._meters = meters or PipelineMeters()
        self.alert_states = AlertStates()
        self.acknowledged = Acknowledged()
        self.runs = Runs(engine, world or entities, self.alert_states, lambda: self.options, new_id)
        self.notifier = Notifier(engine, lambda: self.options, new_id, self._meters)
        self.options = options
        self._wrote_mentioned = float("-inf")

    def restore(
        self, loaded: Loaded, now: Instant, *, removed: Iterable[str] = ()
    ) -> tuple[Batch, list[str]]:
        """Go on where the last run stopped; what is told of it at once (rules edited meanwhile) is in the batch.

        `removed`: the venues that are no longer configured; what is known of them is forgotten before it is judged.
        Where of what was told some is `lost`, what holds already is told with a remark on that.
        Beside it: what couldn't be read, and why; the batch sets it aside.
        """
        saved = [
            Saved(rule=row.rule, instance=row.instance, record=row.record)
            for row in loaded.instances
            if row.record is not None
        ]
        batch = Batch(
            at=now.wall, unreadable=self.notifier.restore(loaded.instances, loaded.held, loaded.notes)
        )
        batch.runs += self.runs.restore(loaded.runs, loaded.recent_runs, loaded.notes, now)
        self._told_of_runs(batch, now)
        if loaded.lost:
            self.notifier.deliveries.lost_at = now.wall
        for silence in loaded.silences:
            try:
                self.notifier.silences.add(silence)
            except ValueError as error:
                why = f"{silence.matchers:.100}: {error}"
                batch.unreadable.append(UnreadableRow(table="silences", key=(silence.id,), why=why))

        def leave() -> list[Transition]:
            gone = tuple(removed)
            found = self._engine.venues_removed(gone, now) if gone else []
            for name in gone:
                batch.gone += self._entities.venues_removed(name)
            return found

        transitions, unreadable = self._engine.restore(
            saved,
            loaded.alive,
            now,
            samples=loaded.samples,
            leave=leave,
        )
        batch.unreadable += (
            UnreadableRow(table="instances", key=(row.rule, row.instance), why=why) for row, why in unreadable
        )
        self._add(batch, transitions, now, live=False)
        return self._whole(batch, now), [*map(str, batch.unreadable)]

    def messages(self, received: Iterable[Received], now: Instant, earliest: float | None = None) -> Batch:
        """All that these messages, and the timers due before each, bring about.

        `earliest` (steady) is when the oldest message came that still waits: no timer runs past it, since that message
        may be what stops it.
        """
        batch = Batch(at=now.wall)
        touched: dict[Key, None] = {}
        # Fairness has mixed the venues; time goes on in order.
        for message in sorted(received, key=lambda message: message.at.steady):
            self._advance(batch, message.at, earliest)
            changes = self._entities.take(message.venue, message.observed, message.at, message.raw)
            for taken in self._process(batch, changes, message.at):
                touched[taken.change.key] = None
                if taken.change.operation is not None:
                    batch.operations.append(_operation_row(taken.change, taken.change.operation))
            for each in message.observed:
                if isinstance(each, Beat):
                    batch.beat = beat_delivery(each.id, now.wall)
        self._advance(batch, now, earliest)
        self._whole(batch, now)
        touched |= {key: None for key in self._entities.unsaved() if not KINDS[key.kind].market_data}
        # What is only told (a public expiry, an event of ourselves, a trade that came late) is no entity's state.
        if batch or touched or now.steady - self._wrote_mentioned >= _MENTIONED_AFTER:
            self._wrote_mentioned = now.steady
            touched |= dict.fromkeys(self._entities.mentioned(_MOST_MENTIONED))
        batch.entities = self._entities.to_keep(touched)
        return batch

    def changes(self, changes: Sequence[Change], now: Instant) -> Batch:
        """What these bring about in the rules, and the timers due before; what is known they have changed already."""
        batch = Batch(at=now.wall)
        self._advance(batch, now)
        self._process(batch, changes, now)
        return self._whole(batch, now)

    def deadline(self) -> float | None:
        """The steady time at which a timer is due, if one runs."""
        times = [self._engine.deadline(), self.notifier.deadline(), self.runs.questions.deadline()]
        return min((at for at in times if at is not None), default=None)

    # ----------------------------------------------------------------------------------------------- what people change

    def reload(self, rules: Iterable[Rule], options: Options, now: Instant) -> tuple[Batch, list[str]]:
        """Other rules, channels and names from now on. Beside the batch, in words: what became of alerts by that."""
        transitions = self._engine.reload(rules, now)
        before, self.options = self.options, options
        ended = self.runs.reloaded(before, now)  # before anything is judged by the new config
        batch = self._by_itself(transitions, now)
        batch.runs += ended
        self._tell_of_runs(batch, ended, now)
        return batch, [*filter(None, map(became, transitions))]

    def acknowledge(
        self, alert: str, now: Instant, *, by: str = "", until: datetime | None = None
    ) -> tuple[Batch, bool]:
        """No more reminders and no escalation of that alert, up to `until` (UTC; None: for good). Beside the batch: whether it goes on,
        so that there would have been any.
        """
        found = self._engine.acknowledge(alert, now)
        batch = self._by_itself(found, now)
        if until is not None and found and alert not in self.notifier.escalations:
            self.notifier.escalations.follow_acknowledged(
                alert, found[0].rule, by or "somebody", until, now.wall
            )
        self.notifier.acknowledged(batch, alert, by or "somebody", until, now)
        return self._whole(batch, now), bool(found)

    def unacknowledge(self, alert: str, now: Instant) -> tuple[Batch, bool]:
        """Reminders and escalation again, as ever from now on. Beside the batch: whether there are any."""
        found = self._engine.unacknowledge(alert, now, at_once=False)
        followed = alert in self.notifier.escalations
        batch = self._by_itself(found, now)
        self.notifier.unacknowledged(batch, alert, now)
        return self._whole(batch, now), bool(found) or followed

    def put_acked(self, batch: Batch, acked: Acked) -> None:
        """That is kept, and so from now on."""
        batch.acked.append(acked)
        self.acknowledged.note(acked)

    def waits_for(self, alert: str) -> bool:
        """Whether it matters that a message of that alert is taken: its escalation counts from then on, or (of a run) the time to answer."""
        if self.runs.questions.waits_for(alert):
            return True
        followed = self.notifier.escalations.get(alert)
        return followed is not None and not followed.begun

    def follows(self, alert: str) -> bool:
        """Whether it matters which channels know of that alert: it may be escalated to them."""
        return alert in self.notifier.escalations

    def taken(self, alerts: Iterable[str], now: Instant, handed: Iterable[tuple[str, str]] = ()) -> Batch:
        """A channel took a message of each of these alerts: from then on their escalations count.

        `handed`: alerts of which a channel's fallback got a message, and that fallback.
        """
        alerts, batch = [*alerts], Batch(at=now.wall)
        for alert in alerts:
            self.notifier.escalations.taken(alert, now.wall)
        for alert, channel in handed:
            self.notifier.escalations.handed(alert, channel)
        batch.runs += self.runs.questions.taken(alerts, now)
        return self._whole(batch, now)

    def run_begins(self, id_: str, now: Instant, command: str, unrecorded: str) -> tuple[Batch, bool]:
        """See `Runs.begin`."""
        batch, begun = self.runs.begin(id_, now, command, unrecorded)
        return self._told_of_runs(batch, now), begun

    def run_dropped(self, id_: str, reason: str, now: Instant) -> Batch:
        """See `Runs.drop`."""
        return self._told_of_runs(self.runs.drop(id_, reason, now), now)

    def run_finished(self, id_: str, result: Result, now: Instant) -> Batch:
        """See `Runs.finish`."""
        return self._told_of_runs(self.runs.finish(id_, result, now), now)

    def runs_taken_over(self, action: str, now: Instant) -> Batch:
        """See `Runs.take_over`."""
        return self._told_of_runs(self.runs.take_over(action, now), now)

    def run_answered(self, id_: str, wish: Wish, by: str, now: Instant) -> tuple[Batch, str]:
        """See `Questions.answer`."""
        return self.runs.questions.answer(id_, wish, by, now)

    def pause_runs(self, action: str, by: str, now: Instant) -> Batch | None:
        """See `Runs.pause`."""
        batch = self.runs.pause(action, by, now)
        return self._told_of_runs(batch, now) if batch is not None else None

    def _told_of_runs(self, batch: Batch, now: Instant) -> Batch:
        """The batch with what people have to know of the runs in it."""
        self._tell_of_runs(batch, batch.runs, now)
        return batch

    def _tell_of_runs(self, batch: Batch, runs: Iterable[RunRow], now: Instant) -> None:
        for row in runs:
            if (trouble := self.runs.trouble(row)) and (context := context_of(row)) is not None:
                words = f"failed: {trouble}" if row.status == "failed" else trouble
                self.notifier.of_runs.failed(batch, row, context, f"{row.action}: {words}", now)

    def venues_removed(self, names: Collection[str], now: Instant) -> tuple[Batch, list[str]]:
        """These venues are no longer configured: their alerts end. Beside the batch, in words: which."""
        transitions = self._engine.venues_removed(names, now)
        gone = [key for name in names for key in self._entities.venues_removed(name)]
        batch = self._by_itself(transitions, now)
        batch.gone += gone
        return batch, [*filter(None, map(became, transitions))]

    def forget(self, keys: Collection[Key], now: Instant) -> Batch:
        """These entities are no longer known: their alerts end, and mentioned again they are seen for the first time."""
        batch = Batch(at=now.wall)
        self._add(batch, self._engine.forget(keys, now), now, live=False)
        changes = self._entities.forget(keys, now)
        self._process(batch, changes, now)
        batch.gone += keys
        batch.entities = self._entities.to_keep(each.key for each in changes)
        return self._whole(batch, now)

    def silence(
        self, matchers: str, ends_at: datetime, now: Instant, *, reason: str = "", by: str = ""
    ) -> tuple[Batch, Silence]:
        """What matches is held from now on, up to then (UTC). ValueError, fit to be shown, on what are no matchers."""
        self.notifier.silences.forget(now.wall)
        begun = self.notifier.silences.begin(
            self._new_id(), matchers, ends_at, now.wall, reason=reason, by=by
        )
        self.notifier.look_anew()
        return self._whole(Batch(at=now.wall, silences=[begun]), now), begun

    def unsilence(self, id_: str, now: Instant) -> Batch | None:
        """A silence is taken back, and what only it held is told; None where there is none of that id."""
        ended = self.notifier.silences.end(id_, now.wall)
        if ended is None:
            return None
        self.notifier.look_anew()
        return self._whole(Batch(at=now.wall, silences=[ended]), now)

    # ------------------------------------------------------------------------------------------------------------ parts

    def _advance(self, batch: Batch, now: Instant, earliest: float | None = None) -> None:
        """Time goes on. What nothing holds back any more goes out before what comes about now: it happened earlier."""
        self._end_acknowledgements(batch, now)
        self.notifier.release(batch, now)
        if earliest is not None and earliest < now.steady:
            now = now.later(earliest - now.steady)
        self._add(batch, self._engine.advance(now), now)

    def _end_acknowledgements(self, batch: Batch, now: Instant) -> None:
        """Those that were for a time that is over: reminders go on, the first at once, and so does the escalation."""
        escalations = self.notifier.escalations
        for alert in escalations.expired(now.wall) if escalations else ():
            escalations.unacknowledged(alert, now.wall, over=True)
            found = self._engine.unacknowledge(alert, now, at_once=True)
            self._add(batch, found, now)
            followed = escalations.get(alert)
            # Where it was followed because of that alone, there is nothing to be told any more.
            if not found and followed is not None and followed.context is None:
                escalations.ended(alert)
            self.put_acked(batch, Acked(alert=alert, at=None))

    def _process(self, batch: Batch, changes: Sequence[Change], now: Instant) -> list[ChangeOutcome]:
        """What came at once, through the rules."""
        outcomes = self._engine.process(changes, now)
        for taken in outcomes:
            if taken.change.kind == "venue":
                self.runs.facts.link(taken.change)
            self._add(batch, taken.transitions, now)
            if taken.change.events:
                key = taken.change.key
                self._meters.events[key.venue, key.kind, taken.change.origin] += len(taken.change.events)
            if self._is_kept(taken):
                batch.events.append(taken.change)
            elif taken.change.events and not taken.change.state.market_data:
                batch.prices_left_out = True
        return outcomes

    def _by_itself(self, found: list[Transition], now: Instant) -> Batch:
        """What the engine brought about without a message; what was muted may be free by it."""
        batch = Batch(at=now.wall)
        self._add(batch, found, now, live=False)
        self.notifier.look_anew()
        return self._whole(batch, now)

    def _add(self, batch: Batch, transitions: list[Transition], now: Instant, *, live: bool = True) -> None:
        """`live`: by what venues said, or by the time; not by a start, a reload, or what somebody did."""
        if transitions:
            for transition in transitions:
                self.alert_states.note(transition)
                if transition.notification is not None and transition.context is not None:
                    self._start_runs(batch, transition, transition.context, now, live=live)
                if self._observe is not None:
                    self._observe(transition)
            self.notifier.tell(batch, transitions, now)
        if kept := self._engine.remembered():
            batch.samples += kept

    def _start_runs(
        self, batch: Batch, transition: Transition, context: AlertContext, now: Instant, *, live: bool
    ) -> None:
        """What its rule runs, and the questions whether it is to be."""

        def muted(channel: str) -> str:
            return self.notifier.of_runs.muted(transition.rule, context, channel, now)

        for row in self.runs.start(batch, transition, context, now, live=live, muted=muted):
            self.notifier.of_runs.ask(batch, row, context, now)

    def _whole(self, batch: Batch, now: Instant) -> Batch:
        """The batch with what is free by what it brings about, and the instances that moved."""
        if over := self.runs.questions.mind(now):
            batch.runs += over
            self._tell_of_runs(batch, over, now)
        self.notifier.release(batch, now)
        self.notifier.write(batch)
        return batch

    def _is_kept(self, taken: ChangeOutcome) -> bool:
        """Market data is kept as the config says; in any case what made a rule tell, be it of this entity, its group or a
        sequence, and what prices moved where a rule began to wait because of it, or stopped.
        """
        change = taken.change
        if not change.events:
            return False
        if taken.notifies or not is_market_data(change) or self.options.market_data == "all":
            return True
        if not change.state.market_data and any(each.state != "firing" for each in taken.transitions):
            return True
        return self.options.market_data == "changes" and change.state != change.previous


def _operation_row(change: Change, id_: str) -> OperationRow:
    return OperationRow(venue=change.venue, account=change.key.account, id=id_, at=change.received)
