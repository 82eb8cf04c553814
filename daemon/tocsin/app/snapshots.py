"""Makes what is so now, thing by thing (`control.snapshot`), out of the daemon's parts; one for all that look at about the same time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from tocsin.alerts.silences import Silences
from tocsin.app.components import Components
from tocsin.app.measuring import Measuring
from tocsin.app.sampling import Sampling
from tocsin.app.trails import MOST_CLOSEST
from tocsin.app.watching import SHOWN_KINDS, Away, Shown, is_stale, shown_of
from tocsin.calendars import Calendar
from tocsin.control.snapshot import Hours, Refusing, Snapshot, Watched
from tocsin.engine.api import FAR, SEVERITIES
from tocsin.engine.looks import Look, Watching
from tocsin.engine.rule import Rule
from tocsin.engine.trace import urgency
from tocsin.events import UP, Instant, Key
from tocsin.store.model import Silence

_SHARED_FOR = 0.25  # seconds
_MOST_LOOKS = 5  # in one snapshot: a rule that is looked at for the first time takes a millisecond to be compiled for it

_MOST_AS_NOW = 20  # of what is closest: more than are seen at a glance

_Of = tuple[str, str]
"""Rule and instance."""


class Snapshots:
    """`measuring` makes the numbers, `sampling` has seen what rules watch."""

    def __init__(self, components: Components, measuring: Measuring, sampling: Sampling) -> None:
        self._components, self._measuring, self._sampling = components, measuring, sampling
        self._made_at = float("-inf")  # steady
        self._last: Snapshot | None = None
        self._done = (0, 0)  # what people had done by then: acts, and reloads
        self._shown: Mapping[_Of, Shown] = {}
        self._looked = 0
        self._silences: tuple[Sequence[Silence], Silences] = ((), Silences())

    def snapshot(self) -> Snapshot:
        """As it stands now, or stood less than 250 ms ago, where nobody has done anything since; on the loop, within milliseconds."""
        now = self._components.clock.now()
        done = self._components.journal.changes["acts"], self._measuring.reloads
        if self._last is None or done != self._done or now.steady - self._made_at >= _SHARED_FOR:
            self._last, self._made_at, self._done = self._make(now), now.steady, done
        return self._last

    def _make(self, now: Instant) -> Snapshot:
        parts, measures = self._components, self._measuring.measures()
        away = {venue.name: venue.last_message for venue in measures.venues if venue.status not in UP}
        channels = {name: len(channel.urls) for name, channel in parts.settings.channels.items()}
        alerts, trails, ranking = (
            self._alerts(now, away),
            self._sampling.trails,
            self._sampling.trails.ranking,
        )
        return Snapshot(
            measures=measures,
            entities={kind: parts.entities.in_order.of(kind) for kind in SHOWN_KINDS},
            away=away,
            outages={
                name: Refusing(outage.since, outage.reason)
                for name, outage in parts.outages.first(channels).items()
            },
            alerts=alerts,
            closest=_closest([*self._idle(ranking.closest, now, away), *alerts]),
            watched=ranking.watched,
            nearest=_nearest(alerts, ranking.nearest),
            trails={of: line for of in self._shown if (line := trails.shown(of))},
            rates=self._sampling.rates.now,
            changes=dict(parts.journal.changes),
            silences=self._silences_now(),
            shut=_shut(parts.settings.rules, now.wall),
            acknowledged=parts.turn.acknowledged.all(),
        )

    def _alerts(self, now: Instant, away: Away) -> list[Watched]:
        """What is pending, fires or recovers, the most urgent first."""
        self._looked = 0
        looks, found = self._components.engine.looks, dict[_Of, Shown]()
        for of in self._components.turn.alert_states.active():
            if (standing := looks.standing(*of, now)) is not None:
                at = Watching(standing.rule, standing.instance, standing.entity)
                look = self._look(of, at, now)
                found[of] = shown_of(at, standing, look, now, away, self._shown.get(of))
        self._shown = found
        return sorted((shown.watched for shown in found.values()), key=_urgency)

    def _idle(self, closest: Iterable[Watched], now: Instant, away: Away) -> Iterator[Watched]:
        """Of what was near when it was sampled, what neither turned since nor lost its venue; what stands first as it is now."""
        engine, states = self._components.engine, self._components.turn.alert_states
        for place, watched in enumerate(closest):
            rule = engine.rule(watched.rule)
            idle = states.of(watched.rule, watched.instance) == "inactive"
            if rule is not None and idle and not is_stale(rule, watched.key, away):
                known = self._sampling.trails.as_now(watched, now, away) if place < _MOST_AS_NOW else watched
                if known is not None:
                    yield known

    def _look(self, of: _Of, at: Watching, now: Instant) -> Look | None:
        """As it was sampled, a second ago where there was time; of what has just begun now, where that isn't too much."""
        known = self._sampling.trails.look(of)
        if known is not None or self._looked >= _MOST_LOOKS or not at.rule.is_level:
            return known
        self._looked += 1
        return self._components.engine.looks.look(at, now)

    def _silences_now(self) -> Silences:
        """The same object while they are the same."""
        known = [*self._components.turn.notifier.silences]
        if known != self._silences[0]:
            self._silences = (known, self._components.acts.silences())
        return self._silences[1]


def _shut(rules: Iterable[Rule], now: datetime) -> frozenset[tuple[str, Hours]]:
    """Those out of their hours, which most have none of, and many the same."""
    known: dict[int, bool] = {}

    def is_shut(calendar: Calendar | None) -> bool:
        if calendar is None:
            return False
        if id(calendar) not in known:
            known[id(calendar)] = not calendar.is_open(now)
        return known[id(calendar)]

    found = set[tuple[str, Hours]]()
    for rule in rules:
        if rule.active is None and rule.notify_during is None:
            continue
        if is_shut(rule.active):
            found.add((rule.id, "active"))
        if is_shut(rule.notify_during):
            found.add((rule.id, "notify_during"))
    return frozenset(found)


def _urgency(watched: Watched) -> tuple[int, int, float]:
    since = watched.since.timestamp() if watched.since is not None else 0.0
    return -SEVERITIES.index(watched.severity), urgency(watched.state), -since


def _nearest(alerts: Sequence[Watched], idle: Mapping[Key, Watched]) -> Mapping[Key, Watched]:
    """What fires or is about to stands before what is only near."""
    if not alerts:
        return idle
    nearest = {watched.key: watched for watched in reversed(alerts)}
    return {**idle, **nearest}


def _closest(watched: Iterable[Watched]) -> list[Watched]:
    """Of what doesn't fire, what is known and fresh: what is pending, the first to fire first, then what is nearest to its limit."""
    near = [
        each
        for each in watched
        if each.state in ("inactive", "pending")
        and each.far is not None
        and not each.stale
        and not each.unconfirmed
    ]
    return sorted(near, key=_nearness)[:MOST_CLOSEST]


def _nearness(watched: Watched) -> tuple[bool, float, float]:
    due = watched.timer.due if watched.timer is not None else None
    fires_at = due.timestamp() if due is not None else FAR
    return watched.state != "pending", fires_at, FAR if watched.far is None else watched.far
