"""What the rails of actions ask about a run: what is so now of its alert, its venue, its action. Pure but for what it remembers."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from tocsin.actions.rails import KEPT, UNCONFIRMED, Facts
from tocsin.engine.api import AlertContext, World
from tocsin.engine.engine import Engine
from tocsin.events import Change, Instant, Key, Venue
from tocsin.events.vocabulary import OURSELVES
from tocsin.pipeline.alert_states import AlertStates
from tocsin.pipeline.options import Options
from tocsin.pipeline.stops import Stops
from tocsin.store.model import RunRow

_CONNECTED = "connected"


class _Started(Struct, frozen=True):
    """What only this process knows of a run: when (steady) that was from which its `max_age` counts, and by which instance of its rule
    it was started, as far as that is known.
    """

    since: float
    instance: str | None = None


class RailFacts:
    """`options` gives the actions of the config as it is now. What was `begun` counts for an action's rate."""

    def __init__(
        self,
        engine: Engine,
        world: World,
        states: AlertStates,
        options: Callable[[], Options],
        stops: Stops,
    ) -> None:
        self._engine, self._world, self._states = engine, world, states
        self._options, self._stops = options, stops
        self._started: dict[str, _Started] = {}
        self._connected: set[str] = set()  # venues that have been so in this process
        self._recent: dict[str, list[datetime]] = {}

    # -------------------------------------------------------------------------------------------------- what happens

    def link(self, change: Change) -> None:
        """A venue's link: until it was connected once in this process, the venue counts as away."""
        if isinstance(change.state, Venue) and change.state.status == _CONNECTED:
            self._connected.add(change.venue)

    def started(self, row: RunRow, context: AlertContext, instance: str, now: Instant) -> None:
        """By an alert of that instance of its rule."""
        self._started[row.id] = _Started(now.steady - (now.wall - context.at).total_seconds(), instance)

    def confirmed(self, row: RunRow, now: Instant) -> None:
        """Somebody said that it is to be run: its `max_age` counts from then on."""
        known = self._started.get(row.id)
        self._started[row.id] = _Started(now.steady, known.instance if known is not None else None)

    def over(self, id_: str) -> None:
        """That run is: it is asked about no more."""
        self._started.pop(id_, None)

    def begun(self, action: str, at: datetime) -> None:
        """One of its runs was tried for the first time."""
        self._recent[action] = [*self._recently(action, at), at]

    # --------------------------------------------------------------------------------------------------- what is so

    def of(
        self,
        row: RunRow,
        context: AlertContext,
        now: Instant,
        *,
        live: bool = True,
        holds: bool = True,
        unrecorded: str = "",
    ) -> Facts:
        """What is so now. `live`: by what venues said, or by the time. A further try of a run is no other run, so no rate counts it."""
        circuit = str(self._stops.circuit(row.action))
        return Facts(
            settings=self._options().actions[row.action],
            now=now.wall,
            age=self._age(row, context, now),
            live=live,
            away=self._away(context) or self._unconfirmed(context),
            holds=holds,
            unrecorded=unrecorded,
            paused=self._stops.paused(row.action),
            circuit=f"{circuit}; tocsin resume {row.action}" if circuit else "",
            recent=() if row.attempts else tuple(self._recently(row.action, now.wall)),
        )

    def holds(self, row: RunRow, context: AlertContext) -> bool:
        """Whether the alert still does what started the run. What fires may be over meanwhile, and what is over may fire again; an
        event happened.
        """
        if row.told == "firing":
            return context.event is not None or self._engine.fires(row.alert)
        known = self._started.get(row.id)
        return (
            known is None
            or known.instance is None
            or self._states.of(context.rule, known.instance) != "firing"
        )

    def value(self, row: RunRow, now: Instant) -> str:
        """What the alert's value is by now, in words: ` (profit now -640.10)`; "" where it has none."""
        current = self._engine.reminder(row.alert, now) if row.told == "firing" else None
        if current is None or current.value is None or current.value_of is None:
            return ""
        return f" ({current.value_called or current.value_of} now {current.value})"

    def _age(self, row: RunRow, context: AlertContext, now: Instant) -> timedelta:
        """How long ago it happened, however the machine's clock was set meanwhile."""
        age, known = now.wall - (row.answered_at or context.at), self._started.get(row.id)
        return age if known is None else max(age, timedelta(seconds=now.steady - known.since))

    def _recently(self, action: str, now: datetime) -> list[datetime]:
        """When its runs began, as far as any rate counts them."""
        return [at for at in self._recent.get(action, ()) if timedelta(0) <= now - at < KEPT]

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
        return UNCONFIRMED if known is not None and known.unconfirmed_since is not None else ""
