"""One turn: observations through entities, engine and the decision who is told, into one batch. Pure but for its state."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from tocsin.engine.engine import Engine
from tocsin.engine.model import ChangeOutcome, Sample, SamplesDropped, Saved, Transition
from tocsin.entities import Entities
from tocsin.events import KINDS, Change, Instant, Key, is_market_data
from tocsin.feed.model import Received
from tocsin.pipeline.notifier import Notifier
from tocsin.pipeline.options import Options
from tocsin.store.model import (
    Batch,
    HeldRow,
    InstanceRow,
    OperationRow,
    SampleRow,
    SamplesGone,
    Silence,
    UnreadableRow,
)

_MOST_MENTIONED = 200  # entities in one batch of which only `last_seen` is news
_MENTIONED_AFTER = 1.0  # seconds without a batch after which that alone is worth one


class TurnProcessor:
    """Turns what came in into what is to be committed."""

    def __init__(
        self, entities: Entities, engine: Engine, options: Options, new_id: Callable[[], str]
    ) -> None:
        self._entities = entities
        self._engine = engine
        self._new_id = new_id
        self._notifier = Notifier(engine, lambda: self.options, new_id)
        self.options = options
        self._wrote_mentioned = float("-inf")

    def restore(
        self,
        instances: Iterable[InstanceRow],
        alive: Instant | None,
        now: Instant,
        samples: Iterable[SampleRow] = (),
        held: Iterable[HeldRow] = (),
        *,
        silences: Iterable[Silence] = (),
        removed: Iterable[str] = (),
        lost: bool = False,
    ) -> tuple[Batch, list[str]]:
        """Go on where the last run stopped; what is told of it at once (rules edited meanwhile) is in the batch.

        `removed`: the venues that are no longer configured; what is known of them is forgotten before it is judged.
        `lost`: of what was told some is no longer known; what holds already is told with a remark on that.
        Beside it: what couldn't be read, and why; the batch sets it aside.
        """
        rows = list(instances)
        saved = [
            Saved(rule=row.rule, instance=row.instance, record=row.record)
            for row in rows
            if row.record is not None
        ]
        batch = Batch(at=now.wall, unreadable=self._notifier.restore(rows, held))
        if lost:
            self._notifier.lost_at = now.wall
        for silence in silences:
            try:
                self._notifier.silences.add(silence)
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
            alive,
            now,
            samples=[Sample(row.series, row.instance, row.time, row.value) for row in samples],
            leave=leave,
        )
        batch.unreadable += (
            UnreadableRow(table="instances", key=(row.rule, row.instance), why=why) for row, why in unreadable
        )
        self._add(batch, transitions, now)
        self._notifier.release(batch, now)
        return batch, [*map(str, batch.unreadable)]

    def messages(self, received: Iterable[Received], now: Instant, earliest: float | None = None) -> Batch:
        """All that these messages, and the timers due before each, bring about.

        `earliest` (steady) is when the oldest message came that still waits: no timer runs past it, since that message
        may be what stops it.
        """
        batch = Batch(at=now.wall)
        touched: dict[Key, None] = {}
        # Fairness has mixed the venues; time goes on in order.
        for message in sorted(received, key=lambda message: message.at.steady):
            self._notifier.release(batch, message.at)
            self._advance(batch, message.at, earliest)
            for change in self._entities.take(message.venue, message.observed, message.at, message.raw):
                self._engine.process(change, message.at)
            for taken in self._engine.settle(message.at):
                touched[taken.change.key] = None
                if taken.change.operation is not None:
                    batch.operations.append(_operation_row(taken.change, taken.change.operation))
                self._add(batch, taken.transitions, message.at)
                if self._is_kept(taken):
                    batch.events.append(taken.change)
                elif taken.change.events and not taken.change.state.market_data:
                    batch.prices_left_out = True
        self._notifier.release(batch, now)  # before what comes about now: it happened earlier
        self._advance(batch, now, earliest)
        self._notifier.release(batch, now)
        self._notifier.write(batch)
        touched |= {key: None for key in self._entities.unsaved() if not KINDS[key.kind].market_data}
        # What is only told (a public expiry, an event of ourselves, a trade that came late) is no entity's state.
        if batch or touched or now.steady - self._wrote_mentioned >= _MENTIONED_AFTER:
            self._wrote_mentioned = now.steady
            touched |= dict.fromkeys(self._entities.mentioned(_MOST_MENTIONED))
        batch.entities = [now_so for key in touched if (now_so := self._entities.get(key)) is not None]
        return batch

    def _advance(self, batch: Batch, now: Instant, earliest: float | None) -> None:
        if earliest is not None and earliest < now.steady:
            now = now.later(earliest - now.steady)
        self._add(batch, self._engine.advance(now), now)

    def deadline(self) -> float | None:
        """The steady time at which a timer is due, if one runs."""
        times = (self._engine.deadline(), self._notifier.deadline())
        return min((at for at in times if at is not None), default=None)

    def transitions(self, found: list[Transition], now: Instant) -> Batch:
        """What the engine brought about by itself (a reload, an acknowledgement)."""
        batch = Batch(at=now.wall)
        self._add(batch, found, now)
        self._notifier.look_anew()
        self._notifier.release(batch, now)
        self._notifier.write(batch)
        return batch

    def forget(self, keys: Collection[Key], now: Instant) -> Batch:
        """These entities are no longer known: their alerts end, and mentioned again they are seen for the first time."""
        batch = Batch(at=now.wall)
        self._add(batch, self._engine.forget(keys, now), now)
        changes = self._entities.forget(keys, now)
        for change in changes:
            self._engine.process(change, now)
        for taken in self._engine.settle(now):
            self._add(batch, taken.transitions, now)
            if self._is_kept(taken):
                batch.events.append(taken.change)
        batch.gone += keys
        batch.entities = [found for each in changes if (found := self._entities.get(each.key)) is not None]
        self._notifier.release(batch, now)
        self._notifier.write(batch)
        return batch

    def silence(self, matchers: str, ends_at: datetime, now: Instant, reason: str = "") -> Batch:
        """What matches is held from now on, up to then (UTC). ValueError, fit to be shown, on what are no matchers."""
        self._notifier.silences.forget(now.wall)
        begun = self._notifier.silences.begin(self._new_id(), matchers, ends_at, now.wall, reason)
        return Batch(at=now.wall, silences=[begun])

    def unsilence(self, id_: str, now: Instant) -> Batch | None:
        """A silence is taken back, and what only it held is told; None where there is none of that id."""
        ended = self._notifier.silences.end(id_, now.wall)
        if ended is None:
            return None
        batch = Batch(at=now.wall, silences=[ended])
        self._notifier.look_anew()
        self._notifier.release(batch, now)
        return batch

    def _is_kept(self, taken: ChangeOutcome) -> bool:
        """Market data is kept as the config says; in any case what made a rule tell, be it of this entity, its group or a
        sequence, and what prices moved where a rule began to wait because of it, or stopped.
        """
        change = taken.change
        if not change.events:
            return False
        if taken.tells or not is_market_data(change) or self.options.market_data == "all":
            return True
        if not change.state.market_data and any(each.state != "firing" for each in taken.transitions):
            return True
        return self.options.market_data == "changes" and change.state != change.previous

    def _add(self, batch: Batch, transitions: list[Transition], now: Instant) -> None:
        if transitions:
            self._notifier.tell(batch, transitions, now)
        if kept := self._engine.remembered():
            batch.samples += map(_sample_row, kept)


def _operation_row(change: Change, id_: str) -> OperationRow:
    return OperationRow(venue=change.venue, account=change.key.account, id=id_, at=change.received)


def _sample_row(kept: Sample | SamplesDropped) -> SampleRow | SamplesGone:
    if isinstance(kept, Sample):
        return SampleRow(kept.series, kept.instance, kept.at, kept.value)
    return SamplesGone(kept.series, kept.instance, kept.before)
