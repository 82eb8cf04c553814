"""Which actions alerts have started: what is to be run, what is being run, who paused, whose circuit is open.

Pure but for what it remembers; each step gives what is to be committed before the next. Kept in the table `actions` and in notes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct, structs

from tocsin.actions.model import Result
from tocsin.actions.rails import FAILURES, KEPT, Facts, refused
from tocsin.engine.api import AlertContext, Transition, World
from tocsin.engine.engine import Engine
from tocsin.events import Change, Instant, Key, Venue, iso
from tocsin.events.vocabulary import OURSELVES
from tocsin.pipeline.alert_states import AlertStates
from tocsin.pipeline.options import Options
from tocsin.store.model import Batch, RunRow, RunStatus

EVERY = "*"
"""In the place of an action's name: all of them."""
MOST_WAITING = 1000
"""So many runs of one action may wait; what comes beyond is dropped."""
_PAUSE, _CIRCUIT = "pause ", "circuit "  # the beginnings of notes' keys; an action's name follows
_CONNECTED = "connected"
_GONE = "no action is called so any more"
_NOT_READ = "what it is about was kept by another version of Tocsin, and can't be read"
_LEFT = "Tocsin was ended, or given another config, while it ran"
_UNCONFIRMED = "nobody knows whether it still is so: the venue was away"


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
        if self.since is None:
            return ""
        return f"since {iso(self.since)}, after {self.failures} failures in a row"


class _Seen(Struct, frozen=True):
    """What only this process knows of a run that it started: when (steady), and by which instance of its rule."""

    steady: float
    instance: str


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
        self._engine, self._world, self._states = engine, world, states
        self._options, self._new_id = options, new_id
        self._open: dict[str, RunRow] = {}  # in the order in which they were started
        self._waiting: Counter[str] = Counter()  # those that wait and those under way, by action
        self._seen: dict[str, _Seen] = {}
        self._connected: set[str] = set()  # venues that have been so in this process
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
            if key.startswith(_PAUSE):
                self._paused[key.removeprefix(_PAUSE)] = _paused(note, now)
            elif key.startswith(_CIRCUIT):
                with suppress(ValueError):  # of another version
                    self._circuits[key.removeprefix(_CIRCUIT)] = msgspec.json.decode(note, type=Circuit)
        for row in rows:
            self._put(row)
        return [*self._unreadable(now), *self.orphaned(now)]

    def _unreadable(self, now: Instant) -> list[RunRow]:
        """Those of which this version can't say what they are about: nobody is going to do them."""
        return [
            self._left_alone(row, now, _NOT_READ)
            for row in list(self._open.values())
            if context_of(row) is None
        ]

    def orphaned(self, now: Instant) -> list[RunRow]:
        """Those whose action the config doesn't have (any more): they are over, and to be committed so."""
        known = self._options().actions
        return [
            self._left_alone(row, now, _GONE) for row in list(self._open.values()) if row.action not in known
        ]

    def take_over(self, action: str, now: Instant) -> Batch:
        """What was begun and is left alone is anybody's guess where it was a command, and tried again where it was a webhook."""
        batch = Batch(at=now.wall)
        for row in list(self._open.values()):
            if row.action == action and row.status == "begun":
                if row.is_command:  # whatever the action is by now
                    batch.runs.append(self._over(row, "unknown", now, _LEFT))
                else:
                    self._put(structs.replace(row, status="pending"))
        return batch

    # -------------------------------------------------------------------------------------------------- what happens

    def link(self, change: Change) -> None:
        """A venue's link: until it was connected once in this process, the venue counts as away."""
        if isinstance(change.state, Venue) and change.state.status == _CONNECTED:
            self._connected.add(change.venue)

    def start(
        self, batch: Batch, transition: Transition, context: AlertContext, now: Instant, *, live: bool
    ) -> None:
        """Queues what its rule runs on that transition; what the rails refuse already is recorded as dropped."""
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
            reason = refused(context, self._facts(row, context, now, live=live))
            if self._waiting[action] >= MOST_WAITING:
                reason = f"{MOST_WAITING} of its runs wait already"
            if reason:
                row = structs.replace(row, status="dropped", reason=reason, ended_at=now.wall)
            else:
                self._put(row)
                self._seen[row.id] = _Seen(now.steady, transition.instance)
            batch.runs.append(row)

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
            self._recent[row.action] = [*self._recently(row.action, now), now.wall]
        if settings.dry_run:
            batch.runs.append(self._over(structs.replace(row, command=command), "dry_run", now))
            return batch, False
        row = structs.replace(
            row,
            status="begun",
            command=command,
            started_at=row.started_at or now.wall,
            attempts=row.attempts + 1,
        )
        self._put(row)
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
        """It isn't done: because of what is in the way, or as it can't be done as it is written. One that was tried before has failed."""
        batch, row = Batch(at=now.wall), self._open.get(id_)
        if row is None:
            return batch
        tried = row.attempts - (row.status == "begun")
        if tried:
            self._failed(batch, row, f"not tried again: {reason}", now)
        else:
            batch.runs.append(self._over(row, "dropped", now, reason))
        return batch

    def finish(self, id_: str, result: Result, now: Instant) -> Batch:
        """It was tried, and isn't again. Nothing where it was over before, as a reload has it."""
        batch, row = Batch(at=now.wall), self._open.get(id_)
        if row is None:
            return batch
        row = structs.replace(row, result=result.result, output=result.output)
        if result.ok:
            batch.runs.append(self._over(row, "ok", now))
            self._set_circuit(batch, row.action, Circuit())
        else:
            self._failed(batch, row, result.reason, now)
        return batch

    def trouble(self, row: RunRow) -> str:
        """Why a run that is over didn't succeed, as people have to know it; "" where there is nothing to know."""
        if row.status == "unknown":
            return f"nobody knows whether it was done: {row.reason}"
        if row.status != "failed":
            return ""
        if self.circuit(row.action).since is None:
            return row.reason or ""
        return (
            f"runs no more, tocsin resume {row.action}: {FAILURES} failures in a row, the last: {row.reason}"
        )

    # ----------------------------------------------------------------------------------------------- what people do

    def pause(self, action: str, by: str, now: Instant) -> Batch | None:
        """No more runs of that action, or of all (`EVERY`), until it is resumed; what waits is dropped. None: it is paused already."""
        if action in self._paused:
            return None
        self._paused[action] = Paused(by, now.wall)
        batch = Batch(
            at=now.wall, notes={_PAUSE + action: msgspec.json.encode(self._paused[action]).decode()}
        )
        for row in list(self._open.values()):
            if row.status == "pending" and action in (EVERY, row.action):
                batch.runs += self.drop(row.id, f"paused {self._paused[action]}", now).runs
        return batch

    def resume(self, action: str, now: Instant) -> Batch | None:
        """Runs again: that action, also where its circuit was open; or all that were paused (`EVERY`). None: nothing stood in the way."""
        batch = Batch(at=now.wall)
        for name in list(self._paused):
            if action in (EVERY, name):
                del self._paused[name]
                batch.notes[_PAUSE + name] = None
        if action in self._circuits:
            self._set_circuit(batch, action, Circuit())
        return batch if batch.notes else None

    def paused(self, action: str) -> str:
        """By whom and since when, in words; "" where it isn't."""
        found = self._paused.get(action) or self._paused.get(EVERY)
        return str(found) if found is not None else ""

    def circuit(self, action: str) -> Circuit:
        return self._circuits.get(action, Circuit())

    # ------------------------------------------------------------------------------------------------------- parts

    def _put(self, row: RunRow) -> None:
        if row.id not in self._open:
            self._waiting[row.action] += 1
        self._open[row.id] = row

    def _over(self, row: RunRow, status: RunStatus, now: Instant, reason: str | None = None) -> RunRow:
        if self._open.pop(row.id, None) is not None:
            self._waiting[row.action] -= 1
        self._seen.pop(row.id, None)
        return structs.replace(row, status=status, reason=reason, ended_at=now.wall)

    def _left_alone(self, row: RunRow, now: Instant, why: str) -> RunRow:
        """Nobody is going to do it: what was tried may have been done."""
        return self._over(row, "unknown" if row.attempts else "dropped", now, why)

    def _failed(self, batch: Batch, row: RunRow, reason: str, now: Instant) -> None:
        batch.runs.append(self._over(row, "failed", now, reason))
        known = self.circuit(row.action)
        failures = known.failures + 1
        since = (known.since or now.wall) if failures >= FAILURES else None
        self._set_circuit(batch, row.action, Circuit(failures, since))

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
        holds: bool = True,
        live: bool = True,
        unrecorded: str = "",
    ) -> Facts:
        return Facts(
            settings=self._options().actions[row.action],
            now=now.wall,
            age=self._age(row, context, now),
            live=live,
            away=self._away(context) or self._unconfirmed(context),
            holds=holds,
            unrecorded=unrecorded,
            paused=self.paused(row.action),
            circuit=f"{circuit}; tocsin resume {row.action}"
            if (circuit := str(self.circuit(row.action)))
            else "",
            recent=tuple(self._recently(row.action, now)),
        )

    def _age(self, row: RunRow, context: AlertContext, now: Instant) -> timedelta:
        """How long ago it happened, however the machine's clock was set meanwhile."""
        age, seen = now.wall - context.at, self._seen.get(row.id)
        if seen is None:
            return age
        return max(age, row.created_at - context.at + timedelta(seconds=now.steady - seen.steady))

    def _recently(self, action: str, now: Instant) -> list[datetime]:
        """When its runs began, as far as any rate counts them."""
        return [at for at in self._recent.get(action, ()) if timedelta(0) <= now.wall - at < KEPT]

    def _holds(self, row: RunRow, context: AlertContext) -> bool:
        """What fires may be over meanwhile, and what is over may fire again; an event happened."""
        if row.told == "firing":
            return context.event is not None or self._engine.fires(row.alert)
        seen = self._seen.get(row.id)
        return seen is None or self._states.of(context.rule, seen.instance) != "firing"

    def _away(self, context: AlertContext) -> str:
        """Why the venue isn't heard, of a group that is of no one venue any that is known."""
        names = [context.venue] if context.venue else self._all_venues()
        for name in names:
            known = self._world.get(Key(name, "venue", "", name))
            state = known.state if known is not None else None
            if not isinstance(state, Venue) or name not in self._connected:
                return f"{name} has not been connected since the start"
            if state.status != _CONNECTED:
                return f"{name} is {state.status}"
        return ""

    def _all_venues(self) -> list[str]:
        return [change.venue for change in self._world.live("venue") if change.venue != OURSELVES]

    def _unconfirmed(self, context: AlertContext) -> str:
        key = Key(context.venue, context.kind, context.account or "", context.entity)
        known = self._world.get(key)
        return _UNCONFIRMED if known is not None and known.unconfirmed_since is not None else ""


def context_of(row: RunRow) -> AlertContext | None:
    """What a run is about; None where another version kept it, and this one can't read it."""
    try:
        return msgspec.convert(row.data, AlertContext)
    except ValueError:
        return None


def _paused(note: str, now: Instant) -> Paused:
    """What can't be read was a pause all the same."""
    try:
        return msgspec.json.decode(note, type=Paused)
    except ValueError:
        return Paused("somebody", now.wall)
