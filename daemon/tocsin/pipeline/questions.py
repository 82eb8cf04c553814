"""Runs that somebody has to confirm: what was asked, who wants it, and when nobody answers any more.

A run is `asked` from the alert on. Its question counts from when its channel took it. Two presses confirm it; then it waits for its
turn like any other, and its `max_age` counts from the second. Each step gives what is to be committed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import timedelta
from typing import Literal, Protocol, TypeAlias

from msgspec import structs

from tocsin.actions.model import Confirm
from tocsin.actions.rails import in_the_way, turned
from tocsin.actions.values import context_of
from tocsin.events import Instant
from tocsin.pipeline.options import Options
from tocsin.pipeline.rail_facts import RailFacts
from tocsin.quantities import duration_text
from tocsin.store.model import Batch, RunRow, RunStatus

MOST_ASKED = 10
"""So many questions of one action may be open; what comes beyond isn't asked."""
SENT_WITHIN = timedelta(minutes=1)
"""Beyond an action's `max_age`: a message that is on its way then may still be taken."""
Wish: TypeAlias = Literal["want", "yes", "no"]
"""What somebody presses: that it be run, that it really be run, that it not be run."""
_ANSWERED = "somebody has answered already"
_OVER = "it isn't asked any more"
_CHANGED = "what it asked for was changed by a reload"
_RESTARTED = "Tocsin was started again, and nobody knows whether it has begun again meanwhile"


class OpenRuns(Protocol):
    """The runs that aren't over."""

    def __iter__(self) -> Iterator[RunRow]:
        """In the order in which they were started; a snapshot."""
        ...

    def get(self, id_: str) -> RunRow | None: ...

    def change(self, row: RunRow) -> None:
        """It goes on like that."""
        ...

    def end(self, row: RunRow, status: RunStatus, now: Instant, reason: str | None = None) -> RunRow:
        """It is over: the row as it is kept."""
        ...


class Questions:
    """`options` gives the actions of the config as it is now."""

    def __init__(self, runs: OpenRuns, facts: RailFacts, options: Callable[[], Options]) -> None:
        self._runs, self._facts, self._options = runs, facts, options
        self._wanted: set[str] = set()  # runs of which the first of the two presses has come
        # Steady: since when each is asked about, or waits for its channel. However the machine's clock is set, time goes on.
        self._since: dict[str, float] = {}

    # -------------------------------------------------------------------------------------------------- what happens

    def refused(self, action: str, muted: str) -> str:
        """Why another run of that action isn't asked for; "" where nothing is in the way. `muted`: what holds the question back."""
        if muted:
            return f"not asked: {muted}"
        asked = sum(row.action == action for row in self._asked())
        return f"not asked: {MOST_ASKED} of its questions are open already" if asked >= MOST_ASKED else ""

    def waits_for(self, id_: str) -> bool:
        """Whether it matters that the question of that run is taken."""
        row = self._runs.get(id_)
        return row is not None and row.status == "asked" and row.asked_at is None

    def taken(self, ids: Iterable[str], now: Instant) -> list[RunRow]:
        """The channel took the questions of those of these runs: from then on their time counts."""
        found = [
            structs.replace(row, asked_at=now.wall)
            for id_ in ids
            if (row := self._runs.get(id_)) is not None and self.waits_for(id_)
        ]
        for row in found:
            self._runs.change(row)
            self._since[row.id] = now.steady
        return found

    def asked_on(self, id_: str) -> str | None:
        """The channel on which it is asked; None where nobody is asked (any more)."""
        row = self._runs.get(id_)
        return self._confirm(row).on if row is not None and row.status == "asked" else None

    def restored(self, now: Instant) -> list[RunRow]:
        """Those of the last run of Tocsin that are asked about no more: the config says otherwise by now, or nobody could judge at a
        press whether what was over has begun again.
        """
        actions = self._options().actions
        return [
            self._runs.end(row, "dropped", now, _RESTARTED if row.told != "firing" else _CHANGED)
            for row in self._asked()
            if row.told != "firing" or actions[row.action].confirm is None
        ]

    def reloaded(self, before: Options, runs: Callable[[RunRow], bool], now: Instant) -> list[RunRow]:
        """Those that ask for something else than they did: of an action or a channel that was changed, or that `runs` says is
        run no more by its rule.
        """
        options = self._options()

        def is_changed(row: RunRow) -> bool:
            settings = options.actions[row.action]
            if settings != before.actions.get(row.action) or settings.confirm is None or not runs(row):
                return True
            on = settings.confirm.on
            return options.targets.get(on) != before.targets.get(on)

        return [self._runs.end(row, "dropped", now, _CHANGED) for row in self._asked() if is_changed(row)]

    def mind(self, now: Instant) -> list[RunRow]:
        """Those that are over by now, since what they are about is, or nobody has answered."""
        asked = self._asked()
        self._wanted.intersection_update(row.id for row in asked)
        self._since = {row.id: self._since.get(row.id, _begun(row, now)) for row in asked}
        return [over for row in asked if (over := self._over(row, now)) is not None]

    def _over(self, row: RunRow, now: Instant) -> RunRow | None:
        context, confirm = context_of(row), self._confirm(row)
        if context is not None and not self._facts.holds(row, context):
            return self._runs.end(row, "dropped", now, turned(context))
        if now.steady < self._until(row):
            return None
        if row.asked_at is None:
            reason = f"it couldn't be asked: {confirm.on} didn't take the question in time"
            return self._runs.end(row, "failed", now, reason)
        return self._runs.end(
            row, "unanswered", now, f"nobody answered within {duration_text(confirm.within)}"
        )

    def deadline(self) -> float | None:
        """The steady time at which the next of them that were minded is over by itself."""
        return min((self._until(row) for row in self._asked() if row.id in self._since), default=None)

    # ------------------------------------------------------------------------------------------------------ what people do

    def offers(self, id_: str, now: Instant) -> tuple[tuple[str, Wish], ...]:
        """What can be pressed now: what stands on it, and what it means."""
        row = self._runs.get(id_)
        if row is None or row.status != "asked":
            return ()
        if id_ in self._wanted:
            return (f"Yes, run{self._facts.value(row, now)}", "yes"), ("Don't", "no")
        return ((f"Run {row.action}", "want"),)

    def answer(self, id_: str, wish: Wish, by: str, now: Instant) -> tuple[Batch, str]:
        """Somebody has pressed that. Beside the batch: why it is in vain, in words; "" where it counts."""
        batch, row = Batch(at=now.wall), self._runs.get(id_)
        if row is None or row.status != "asked":
            return batch, _OVER if row is None else _ANSWERED
        answered = structs.replace(row, answered_at=now.wall, answered_by=by)
        if wish == "no":
            batch.runs.append(self._runs.end(answered, "declined", now))
            return batch, ""
        if reason := self._in_the_way(answered, now):
            return batch, f"not run: {reason}"
        if wish == "want":
            self._wanted.add(id_)
            return batch, ""
        confirmed = structs.replace(answered, status="pending")
        self._facts.confirmed(confirmed, now)
        self._runs.change(confirmed)
        batch.runs.append(confirmed)
        return batch, ""

    # ------------------------------------------------------------------------------------------------------------ parts

    def _in_the_way(self, answered: RunRow, now: Instant) -> str:
        context = context_of(answered)
        if context is None:
            return _OVER
        holds = self._facts.holds(answered, context)
        facts = self._facts.of(answered, context, now, holds=holds)
        pending = (row for row in self._runs if (row.action, row.status) == (answered.action, "pending"))
        confirmed = (row.answered_at for row in pending if row.answered_at is not None)
        facts = structs.replace(facts, recent=(*facts.recent, *confirmed))
        # How long ago it happened was judged when it was asked.
        return in_the_way(context, structs.replace(facts, age=timedelta(0)))

    def _asked(self) -> Collection[RunRow]:
        return [row for row in self._runs if row.status == "asked"]

    def _until(self, row: RunRow) -> float:
        if row.asked_at is not None:
            lasts = self._confirm(row).within
        else:
            lasts = self._options().actions[row.action].max_age + SENT_WITHIN
        return self._since[row.id] + lasts.total_seconds()

    def _confirm(self, row: RunRow) -> Confirm:
        """How it is asked: what another config asks no more is over by `restored` and `reloaded`."""
        confirm = self._options().actions[row.action].confirm
        if confirm is None:
            raise ValueError(f"run {row.id} is asked about, and {row.action} asks nobody")
        return confirm


def _begun(row: RunRow, now: Instant) -> float:
    """Of one that another run of Tocsin asked about, or that is new: the steady time at which that was, by the wall-clock."""
    return now.steady - max((now.wall - (row.asked_at or row.created_at)).total_seconds(), 0.0)
