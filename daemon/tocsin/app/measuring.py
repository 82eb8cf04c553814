"""Makes the one record of what is so now (`control.measures`) out of the daemon's parts."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tocsin import __version__
from tocsin.alerts.silences import holds_at
from tocsin.app import attention
from tocsin.app.components import Components
from tocsin.app.progress_probe import ProgressProbe
from tocsin.config.settings import Settings
from tocsin.control.measures import (
    ActionMeasures,
    ChannelMeasures,
    Measures,
    RuleMeasures,
    VenueMeasures,
    moment,
)
from tocsin.delivery.gatherer import STORM
from tocsin.engine.api import Severity
from tocsin.engine.pauses import Opening
from tocsin.events import Instant
from tocsin.pipeline.inbox import MOST_WAITING


class Measuring:
    """`settings` gives the config as it is now, `remarks` further lines of attention, first those on the config."""

    def __init__(
        self,
        components: Components,
        probe: ProgressProbe,
        settings: Callable[[], Settings],
        remarks: Callable[[], Iterable[str]],
        *,
        dry_run: bool,
    ) -> None:
        self._components, self._probe, self._settings, self._remarks = components, probe, settings, remarks
        self._dry_run = dry_run
        self._clock = components.clock
        self._started_at = self.reloaded_at = self._clock.now().wall
        self.reload_success = True
        self.reloads = 0
        """How often the config was read anew since the start, taken or refused."""
        self.control_is_deaf = False

    def reloaded(self, *, success: bool) -> None:
        """The config was read anew, and taken or refused."""
        self.reload_success = success
        self.reloads += 1
        if success:
            self.reloaded_at = self._clock.now().wall

    def measures(self) -> Measures:
        """As it stands now; on the loop, within milliseconds."""
        parts, settings, now = self._components, self._settings(), self._clock.now()
        venues = self._venues(settings)
        actions = {name: parts.runs.state(name) for name in settings.actions}
        alerts: Counter[tuple[str, str]] = Counter()
        severities: Mapping[str, Severity] = {rule.id: rule.severity for rule in settings.rules}
        for (rule, state), count in parts.turn.alert_states.counts().items():
            alerts[severities.get(rule, "warning"), state] += count
        blind = parts.engine.blind_rules
        return Measures(
            version=__version__,
            pid=os.getpid(),
            config=str(settings.path),
            state_dir=str(settings.state_dir),
            dry_run=self._dry_run,
            now=now.wall,
            started_at=self._started_at,
            reloaded_at=self.reloaded_at,
            reload_success=self.reload_success,
            progress_at=self._probe.passed_at.wall,
            wrong=tuple(self._probe.wrong()),
            attention=tuple(self._attention(settings, venues, actions)),
            degraded=frozenset(self._degraded(venues)),
            venues=venues,
            channels=self._channels(settings, now),
            actions=tuple(
                ActionMeasures(name=name, circuit_open=bool(state["circuit"]))
                for name, state in actions.items()
            ),
            actions_paused=bool(parts.runs.paused),
            rules=tuple(
                RuleMeasures(id=rule.id, severity=rule.severity, enabled=rule.enabled, blind=rule.id in blind)
                for rule in settings.rules
            ),
            alerts=alerts,
            held=parts.turn.notifier.held,
            reports_due={report.id: report.schedule.following(now.wall) for report in settings.reports},
            silences_active=sum(holds_at(each, now.wall) for each in parts.acts.silences()),
            inbox_waiting=parts.inbox.waiting(),
            inbox_capacity=MOST_WAITING * max(len(venues), 1),
            unwritten=parts.journal.waiting,
            counted=parts.meters.frozen(),
        )

    def _venues(self, settings: Settings) -> tuple[VenueMeasures, ...]:
        known = self._components.entities.count()
        return tuple(
            VenueMeasures(
                name=name,
                status=str(shown["status"]),
                last_message=moment(shown.get("last_message")),
                shown=shown,
                entities={
                    kind: known.get((name, kind), 0)
                    for kind in settings.venues[name].adapter.supplies
                    if kind != "venue"
                },
            )
            for shown in self._components.venues_told(settings)
            if (name := str(shown["venue"]))
        )

    def _channels(self, settings: Settings, now: Instant) -> tuple[ChannelMeasures, ...]:
        parts = self._components
        stormy = {of.rpartition("/")[0] for of in parts.notes.under(STORM)}
        return tuple(
            ChannelMeasures(
                name=name,
                up=not parts.refuses(name),
                in_storm=name in stormy,
                quiet=quiet is not None and Opening.at(quiet, now.wall).open,
            )
            for name in settings.channels
            for quiet in (settings.gates[name].quiet,)
        )

    def _attention(
        self, settings: Settings, venues: Iterable[VenueMeasures], actions: Mapping[str, Mapping[str, str]]
    ) -> Iterable[str]:
        parts = self._components
        urls = {name: len(channel.urls) for name, channel in settings.channels.items()}
        return [
            *self._remarks(),
            *attention.of_venues([venue.shown for venue in venues]),
            *attention.of_channels(list(settings.channels)),
            *parts.outages.attention(urls),
            *attention.of_actions(parts.runs.paused, actions),
            *attention.of_rules(parts.engine.blind_rules),
            *attention.of_disk(parts.journal),
        ]

    def _degraded(self, venues: Iterable[VenueMeasures]) -> Iterable[str]:
        parts = self._components
        states = {
            "store": parts.journal.refused_since is not None or self._probe.is_refused,
            "delivery": bool(parts.outages.channels),
            "venue": any(venue.status != "connected" for venue in venues),
            "control": self.control_is_deaf,
            "memory_queue": parts.journal.overdue and parts.journal.waiting > 0,
        }
        return [part for part, is_so in states.items() if is_so]
