"""Which actions alerts have started: what is to be run, what is being run, who paused, whose circuit is open.

Pure but for what it remembers; each step gives what is to be committed before the next. Kept in the table `actions` and in notes.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import Struct, structs

from tocsin.actions.model import Result
from tocsin.actions.rails import FAILURES, KEPT, Facts, refused
from tocsin.engine.api import AlertContext, Transition, World
from tocsin.engine.engine import Engine
from tocsin.events import Instant, Key, Venue, iso
from tocsin.pipeline.options import Options
from tocsin.store.model import Batch, RunRow, RunStatus

EVERY = "*"
"""In the place of an action's name: all of them."""
_PAUSE, _CIRCUIT = "pause ", "circuit "  # the beginnings of notes' keys; an action's name follows
_CONNECTED = "connected"
_GONE = "no action is called so any more"
_NOT_READ = "what it is about was kept by another version of Tocsin, and can't be read"
_LEFT = "Tocsin was ended, or given another config, while it ran"


class Paused(Struct, frozen=True):
    """Who paused it, and when (UTC)."""

    by: str
    at: datetime

    def __str__(self) -> str:
        return f"by {self.by} since {iso(self.at)}"


class Circuit(Struct, frozen=True):
    """Failures in a row; `since` when (UTC) they have opened it."""

    failures: int = 0
    since: datetime | None = None

    def __str__(self) -> str:
        return (
            f"since {iso(self.since)}, after {self.failures} failures in a row"
            if self.since is not None
            else ""
        )


class Runs:
    """`options` gives the actions of the config as it is now, `new_id` a run's id."""

    def __init__(
        self, engine: Engine, world: World, options: Callable[[], Options], new_id: Callable[[], str]
    ) -> None:
        self._engine, self._world, self._options, self._new_id = engine, world, options, new_id
        self._open: dict[str, RunRow] = {}  # in the order in which they were started
        self._recent: dict[str, list[datetime]] = {}
        self._paused: dict[str, Paused] = {}
        self._circuits: dict[str, Circuit] = {}

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
            self._recent.setdefault(action, []).append(at)
        for key, note in notes.items():
            with suppress(ValueError):  # of another version
                if key.startswith(_PAUSE):
                    self._paused[key.removeprefix(_PAUSE)] = msgspec.json.decode(note, type=Paused)
                elif key.startswith(_CIRCUIT):
                    self._circuits[key.removeprefix(_CIRCUIT)] = msgspec.json.decode(note, type=Circuit)
        self._open = {row.id: row for row in rows}
        return [*self._unreadable(now), *self.orphaned(now)]

    def _unreadable(self, now: Instant) -> list[RunRow]:
        """Those of another version, of which this one can't say what they are about: nobody is going to do them."""
        return [
            self._over(row, "unknown" if row.status == "begun" else "dropped", now, _NOT_READ)
            for row in list(self._open.values())
            if context_of(row) is None
        ]

    def orphaned(self, now: Instant) -> list[RunRow]:
        """Those whose action the config doesn't have (any more): they are over, and to be committed so."""
        known = self._options().actions
        return [
            self._over(row, "unknown" if row.status == "begun" else "dropped", now, _GONE)
            for row in list(self._open.values())
            if row.action not in known
        ]

    def take_over(self, action: str, now: Instant) -> Batch:
        """What was begun and is left alone is anybody's guess where it is a command, and tried again where it is a webhook."""
        batch = Batch(at=now.wall)
        for row in list(self._open.values()):
            if row.action == action and row.status == "begun":
                if self._options().actions[action].webhook is not None:
                    self._open[row.id] = structs.replace(row, status="pending")
                else:
                    batch.runs.append(self._over(row, "unknown", now, _LEFT))
        return batch

    # -------------------------------------------------------------------------------------------------- what happens

    def start(
        self, batch: Batch, transition: Transition, context: AlertContext, now: Instant, *, live: bool
    ) -> None:
        """What its rule runs on that transition; what the rails already refuse is recorded as dropped."""
        rule, told = self._engine.rule(transition.rule), transition.notification
        if rule is None or told is None:
            return
        for action in rule.run.of(told):
            if action not in self._options().actions:
                continue  # rule tests, and what looks at rules alone, have none
            row = RunRow(
                id=self._new_id(),
                action=action,
                alert=transition.alert_id,
                status="pending",
                created_at=now.wall,
                data=msgspec.to_builtins(context),
                told=told,
            )
            facts = self._facts(row, context, now, holds=True, live=live)
            if reason := refused(context, facts):
                row = structs.replace(row, status="dropped", reason=reason, ended_at=now.wall)
            else:
                self._open[row.id] = row
            batch.runs.append(row)

    def waiting(self, action: str) -> RunRow | None:
        """The one whose turn it is."""
        return next(
            (row for row in self._open.values() if row.action == action and row.status == "pending"), None
        )

    def begin(self, id_: str, now: Instant, command: str, unrecorded: str = "") -> tuple[Batch, bool]:
        """It is about to be tried; with the batch committed, it may. False: something is in the way, and that is recorded.

        `command` is what is going to be done, `unrecorded` why nothing can be committed, where that is so.
        """
        row, batch = self._open.get(id_), Batch(at=now.wall)
        if row is None:
            return batch, False
        if reason := self.in_the_way(id_, now, unrecorded):
            batch.runs.append(self._over(row, "dropped", now, reason))
            return batch, False
        settings = self._options().actions[row.action]
        if settings.dry_run:
            batch.runs.append(self._over(structs.replace(row, command=command), "dry_run", now))
            return batch, False
        if not row.attempts:
            self._recent[row.action] = [*self._recently(row.action, now), now.wall]
        row = structs.replace(
            row,
            status="begun",
            command=command,
            started_at=row.started_at or now.wall,
            attempts=row.attempts + 1,
        )
        self._open[id_] = row
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
        facts = self._facts(row, context, now, holds=self._holds(row, context), unrecorded=unrecorded)
        if row.attempts:
            facts = structs.replace(facts, recent=())  # another try of a run is no other run
        return refused(context, facts)

    def drop(self, id_: str, reason: str, now: Instant) -> Batch:
        """It can't be done as it is written."""
        batch = Batch(at=now.wall)
        if (row := self._open.get(id_)) is not None:
            batch.runs.append(self._over(row, "dropped", now, reason))
        return batch

    def finish(self, id_: str, result: Result, now: Instant) -> tuple[Batch, RunRow | None]:
        """It was tried, and isn't again. Beside the batch: the run as it ended; None where it was over before, as a reload has it."""
        batch, row = Batch(at=now.wall), self._open.get(id_)
        if row is None:
            return batch, None
        row = structs.replace(row, result=result.result, output=result.output)
        row = self._over(row, "ok" if result.ok else "failed", now, result.reason or None)
        batch.runs.append(row)
        known = self._circuits.get(row.action, Circuit())
        counted = 0 if result.ok else known.failures + 1
        since = (known.since or now.wall) if counted >= FAILURES else None
        self._set_circuit(batch, row.action, Circuit(counted, since))
        return batch, row

    def trouble(self, row: RunRow) -> str:
        """What people have to know of a run that is over, in words; "" where all is well."""
        if row.status == "unknown":
            return f"nobody knows whether it was done: {row.reason}"
        if row.status != "failed":
            return ""
        stopped = f"; {FAILURES} failures in a row, no more runs until tocsin resume {row.action}"
        return f"failed: {row.reason}{stopped if self.circuit(row.action).since else ''}"

    # ----------------------------------------------------------------------------------------------- what people do

    def pause(self, action: str, by: str, now: Instant) -> Batch | None:
        """No more runs of that action, or of all (`EVERY`), until it is resumed. None: it is paused already."""
        if action in self._paused:
            return None
        self._paused[action] = Paused(by, now.wall)
        return Batch(at=now.wall, notes={_PAUSE + action: msgspec.json.encode(self._paused[action]).decode()})

    def resume(self, action: str, now: Instant) -> Batch | None:
        """Runs again, also where its circuit was open. None: nothing stood in the way."""
        names = [*self._options().actions] if action == EVERY else [action]
        batch = Batch(at=now.wall)
        for name in dict.fromkeys((action, *names)):
            if self._paused.pop(name, None) is not None:
                batch.notes[_PAUSE + name] = None
            if name in self._circuits:
                self._set_circuit(batch, name, Circuit())
        return batch if batch.notes else None

    def paused(self, action: str) -> str:
        """By whom and since when, in words; "" where it isn't."""
        found = self._paused.get(action) or self._paused.get(EVERY)
        return str(found) if found is not None else ""

    def circuit(self, action: str) -> Circuit:
        return self._circuits.get(action, Circuit())

    # ------------------------------------------------------------------------------------------------------- parts

    def _over(self, row: RunRow, status: RunStatus, now: Instant, reason: str | None = None) -> RunRow:
        self._open.pop(row.id, None)
        return structs.replace(row, status=status, reason=reason, ended_at=now.wall)

    def _set_circuit(self, batch: Batch, action: str, circuit: Circuit) -> None:
        if circuit == self._circuits.get(action, Circuit()):
            return
        if circuit.failures:
            self._circuits[action] = circuit
        else:
            del self._circuits[action]
        batch.notes[_CIRCUIT + action] = msgspec.json.encode(circuit).decode() if circuit.failures else None

    def _facts(
        self,
        row: RunRow,
        context: AlertContext,
        now: Instant,
        *,
        holds: bool,
        live: bool = True,
        unrecorded: str = "",
    ) -> Facts:
        return Facts(
            settings=self._options().actions[row.action],
            now=now.wall,
            live=live,
            away=self._away(context.venue),
            holds=holds,
            unrecorded=unrecorded,
            paused=self.paused(row.action),
            circuit=str(self.circuit(row.action)),
            recent=tuple(self._recently(row.action, now)),
        )

    def _recently(self, action: str, now: Instant) -> list[datetime]:
        """When its runs began, as far as any rate counts them."""
        return [at for at in self._recent.get(action, ()) if now.wall - at < KEPT]

    def _holds(self, row: RunRow, context: AlertContext) -> bool:
        """An event happened, and an end is one: only what fires may be over meanwhile."""
        return row.told != "firing" or context.event is not None or self._engine.fires(row.alert)

    def _away(self, venue: str) -> str:
        known = self._world.get(Key(venue, "venue", "", venue))
        state = known.state if known is not None else None
        if not isinstance(state, Venue) or state.status == _CONNECTED:
            return ""
        return f"{venue} is {state.status}"


def context_of(row: RunRow) -> AlertContext | None:
    """What a run is about; None where another version kept it, and this one can't read it."""
    try:
        return msgspec.convert(row.data, AlertContext)
    except ValueError:
        return None
