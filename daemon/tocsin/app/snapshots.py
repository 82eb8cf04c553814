"""Makes what is so now, thing by thing (`control.snapshot`), out of the daemon's parts; one for all that look at about the same time."""

from collections.abc import Callable, Mapping, Sequence

from tocsin.alerts.silences import Silences
from tocsin.app.components import Components
from tocsin.app.watching import Away, watched_of
from tocsin.control.measures import Measures
from tocsin.control.snapshot import Refusing, Snapshot, Watched
from tocsin.engine.api import SEVERITIES
from tocsin.engine.looks import Look, Watching
from tocsin.engine.trace import urgency
from tocsin.events import Instant, Key
from tocsin.store.model import Silence

KINDS = ("position", "order", "account", "balance", "contract")
_SHARED_FOR = 0.25  # seconds
_MOST_LOOKS = 50  # in one snapshot
_LOOK_LASTS = 1.0  # seconds

_Of = tuple[str, str]
"""Rule and instance."""


class Snapshots:
    """`measures` makes the numbers."""

    def __init__(self, components: Components, measures: Callable[[], Measures]) -> None:
        self._components, self._measures = components, measures
        self._made_at = float("-inf")  # steady
        self._last: Snapshot | None = None
        self._watched: Mapping[_Of, Watched] = {}
        self._looks: dict[_Of, tuple[float, Look | None]] = {}
        self._looked = 0
        self._silences: tuple[Sequence[Silence], Silences] = ((), Silences())

    def snapshot(self) -> Snapshot:
        """As it stands now, or stood less than 250 ms ago; on the loop, within milliseconds."""
        now = self._components.clock.now()
        if self._last is None or now.steady - self._made_at >= _SHARED_FOR:
            self._last, self._made_at = self._make(now), now.steady
        return self._last

    def _make(self, now: Instant) -> Snapshot:
        parts, measures = self._components, self._measures()
        away = {venue.name: venue.last_message for venue in measures.venues if venue.status != "connected"}
        channels = {name: len(channel.urls) for name, channel in parts.settings.channels.items()}
        alerts = self._alerts(now, away)
        return Snapshot(
            measures=measures,
            entities={kind: parts.entities.in_order(kind) for kind in KINDS},
            away=away,
            outages={
                name: Refusing(outage.since, outage.reason)
                for name, outage in parts.outages.first(channels).items()
            },
            alerts=alerts,
            closest=(),
            watched=0,
            nearest=_nearest(alerts),
            trails={},
            rates={},
            changes=dict(parts.journal.changes),
            silences=self._silences_now(),
        )

    def _alerts(self, now: Instant, away: Away) -> list[Watched]:
        """What is pending, fires or recovers, the most urgent first."""
        self._looked = 0
        looks, found = self._components.engine.looks, {}
        for of in self._components.turn.alert_states.active():
            if (standing := looks.standing(*of, now)) is not None:
                at = Watching(standing.rule, standing.instance, standing.entity)
                found[of] = watched_of(
                    at,
                    standing=standing,
                    look=self._look(of, at, now),
                    now=now,
                    away=away,
                    before=self._watched.get(of),
                )
        self._watched = found
        self._looks = {of: look for of, look in self._looks.items() if of in found}
        return sorted(found.values(), key=_urgency)

    def _look(self, of: _Of, at: Watching, now: Instant) -> Look | None:
        """As of a second ago at most, where not too much is to be looked at for that."""
        seen_at, known = self._looks.get(of, (float("-inf"), None))
        if now.steady - seen_at < _LOOK_LASTS or self._looked >= _MOST_LOOKS:
            return known
        self._looked += 1
        look = self._components.engine.looks.look(at, now)
        self._looks[of] = (now.steady, look)
        return look

    def _silences_now(self) -> Silences:
        """The same object while they are the same."""
        known = [*self._components.turn.notifier.silences]
        if known != self._silences[0]:
            self._silences = (known, self._components.acts.silences())
        return self._silences[1]


def _urgency(watched: Watched) -> tuple[int, int, float]:
    since = watched.since.timestamp() if watched.since is not None else 0.0
    return -SEVERITIES.index(watched.severity), urgency(watched.state), -since


def _nearest(alerts: Sequence[Watched]) -> Mapping[Key, Watched]:
    nearest: dict[Key, Watched] = {}
    for watched in alerts:
        nearest.setdefault(watched.key, watched)
    return nearest
