"""`/metrics`: the measures in Prometheus' text format, or OpenMetrics where that is asked for.

Gauges are read, not kept up: a registry of our own collects one record of measures, and is thrown away. Labels are names of the config
and closed lists of words, so there are as many series as the config says; all are there from the start.
"""

import platform
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from tocsin.control.measures import (
    DEGRADED,
    ChannelMeasures,
    Measures,
    Stored,
    VenueMeasures,
    version_of,
)
from tocsin.engine.api import SEVERITIES
from tocsin.events.vocabulary import ORIGINS, all_fields
from tocsin.meters import (
    ANSWERS,
    HEARTBEATS,
    HELD_BY,
    RUN_OUTCOMES,
    SEND_OUTCOMES,
    TOLD,
    ChannelMeters,
    Histogram,
    VenueMeters,
)

_OPENMETRICS, _PLAIN = "application/openmetrics-text", "text/plain; version=0.0.4; charset=utf-8"
MOST_RULES = 1000  # beyond so many no series is of one rule
STATUSES = all_fields("venue")["status"].values
STATES = ("pending", "firing", "recovering")

_Labelled: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


def exposition(measures: Measures, stored: Stored | None, accept: str = "") -> tuple[bytes, str]:
    """The text and its content type, by what a request's `Accept` asks for. Blocks for some milliseconds."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Collector(measures, stored))
    if _takes_openmetrics(accept):
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), _PLAIN


def _takes_openmetrics(accept: str) -> bool:
    """Whether that format is asked for in a version that is written here. What can't be read asks for nothing."""
    for each in accept.split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        versions = [part for part in parameters if part.startswith("version=")]
        if kind == _OPENMETRICS and versions in ([], ["version=1.0.0"]):
            return True
    return False


def families(measures: Measures, stored: Stored | None) -> Iterator[Metric]:
    """What there is of the daemon itself, without the process and Python."""
    yield from _Collector(measures, stored).collect()


class _Collector:
    def __init__(self, measures: Measures, stored: Stored | None) -> None:
        self._measures, self._stored = measures, stored

    def collect(self) -> Iterator[Metric]:
        yield from _of_process(self._measures)
        yield from _of_venues(self._measures)
        yield from _of_engine(self._measures)
        yield from _of_delivery(self._measures)
        yield from _of_actions(self._measures)
        yield from _of_store(self._measures)
        yield gauge(
            "tocsin_scrape_incomplete",
            "1: the database didn't answer in time, and what it would have told is left out",
            float(self._stored is None),
        )
        if self._stored is not None:
            yield from _of_database(self._measures, self._stored)


# ------------------------------------------------------------------------------------------------------------- of what


def _of_process(now: Measures) -> Iterator[Metric]:
    packages = {
        "version": now.version,
        "python": platform.python_version(),
        "apprise": version_of("apprise"),
    }
    about = {**packages, "sqlite": sqlite3.sqlite_version}
    yield gauges("tocsin_build_info", "What runs; always 1", (*about,), [((*about.values(),), 1.0)])
    yield moment("tocsin_start_timestamp_seconds", "When the daemon started", now.started_at)
    yield moment("tocsin_config_reload_timestamp_seconds", "When the config was last taken", now.reloaded_at)
    yield gauge(
        "tocsin_config_reload_success", "0: the config on the disk was refused", float(now.reload_success)
    )
    yield gauge(
        "tocsin_healthy", "1: something passes through all of the daemon and is committed", float(now.healthy)
    )
    yield gauges(
        "tocsin_degraded", "1: that part needs somebody's look", ("part",),
        (((part,), float(part in now.degraded)) for part in DEGRADED),
    )  # fmt: skip
    yield moment(
        "tocsin_progress_timestamp_seconds",
        "When something last passed through all of the daemon",
        now.progress_at,
    )
    yield counters(
        "tocsin_heartbeats", "Heartbeats, by what became of them", ("outcome",),
        (((outcome,), now.counted.heartbeats[outcome]) for outcome in HEARTBEATS),
    )  # fmt: skip


def _of_venues(now: Measures) -> Iterator[Metric]:
    by_venue = ("venue",)
    meters = {venue.name: now.counted.venue(venue.name) for venue in now.venues}

    def each(of: Callable[[VenueMeters], float]) -> _Labelled:
        return (((name,), of(found)) for name, found in meters.items())

    yield gauges(
        "tocsin_venue_status", "How the venue's connection stands: one of these is 1", ("venue", "status"),
        (((venue.name, status), float(venue.status == status)) for venue in now.venues for status in STATUSES),
    )  # fmt: skip
    yield gauges(
        "tocsin_venue_last_message_timestamp_seconds", "When the venue's last message came", by_venue,
        (((venue.name,), venue.last_message.timestamp()) for venue in now.venues if venue.last_message),
    )  # fmt: skip
    yield counters("tocsin_venue_messages", "Messages", by_venue, each(lambda found: found.messages))
    yield counters("tocsin_venue_bytes", "Bytes of messages", by_venue, each(lambda found: found.bytes))
    yield counters(
        "tocsin_venue_unrecognized", "Messages, or fields of them, that nobody knows the meaning of", by_venue,
        each(lambda found: found.unrecognized),
    )  # fmt: skip
    yield counters(
        "tocsin_venue_malformed", "Messages, or rows of them, that can't be read", by_venue,
        each(lambda found: found.malformed),
    )  # fmt: skip
    yield counters(
        "tocsin_venue_connects", "Times that the venue was connected", by_venue, each(lambda found: found.connects)
    )  # fmt: skip
    yield counters(
        "tocsin_venue_disconnects", "Outages that began", by_venue, each(lambda found: found.disconnects)
    )  # fmt: skip
    yield counters(
        "tocsin_venue_gap_seconds", "Seconds of outages that are over", by_venue,
        each(lambda found: found.gap_seconds),
    )  # fmt: skip
    yield gauges(
        "tocsin_venue_clock_skew_seconds", "How far ahead of our clock the venue's last stamp was", by_venue,
        (((name,), found.clock_skew) for name, found in meters.items() if found.clock_skew is not None),
    )  # fmt: skip
    yield gauges(
        "tocsin_entities", "What is known and hasn't ended", ("venue", "kind"),
        (((venue.name, kind), count) for venue in now.venues for kind, count in sorted(venue.entities.items())),
    )  # fmt: skip


def _of_engine(now: Measures) -> Iterator[Metric]:
    counted, told_apart = now.counted.pipeline, len(now.rules) <= MOST_RULES
    yield counters(
        "tocsin_events", "Events", ("venue", "kind", "origin"),
        ((of, counted.events[of]) for venue in now.venues for of in _event_labels(venue)),
    )  # fmt: skip
    yield histograms(
        "tocsin_event_processing_seconds", "From a message's arrival to its commit", (),
        [((), counted.processing_seconds)],
    )  # fmt: skip
    yield gauge("tocsin_inbox_waiting", "Messages that wait to be processed", now.inbox_waiting)
    yield gauge("tocsin_inbox_capacity", "Messages that can wait until venues are slowed", now.inbox_capacity)
    switched_on = sum(rule.enabled for rule in now.rules)
    yield gauges(
        "tocsin_rules", "Rules of the config", ("enabled",),
        [(("true",), switched_on), (("false",), len(now.rules) - switched_on)],
    )  # fmt: skip
    if told_apart:
        yield gauges(
            "tocsin_rule_blind", "1: the rule could judge nothing for an hour, for want of a value", ("rule",),
            (((rule.id,), float(rule.blind)) for rule in now.rules),
        )  # fmt: skip
        yield counters(
            "tocsin_alerts_fired", "Alerts that fired", ("rule", "severity"),
            (((rule.id, rule.severity), counted.fired[rule.id, rule.severity]) for rule in now.rules),
        )  # fmt: skip
    else:
        yield gauges("tocsin_rule_blind", "Rules that could judge nothing for an hour", (), [((), sum(rule.blind for rule in now.rules))])  # fmt: skip
        yield counters(
            "tocsin_alerts_fired", "Alerts that fired", ("severity",),
            (
                ((severity,), sum(counted.fired[rule.id, severity] for rule in now.rules))
                for severity in SEVERITIES
            ),
        )  # fmt: skip
    yield gauges(
        "tocsin_alerts", "Alerts that are in a state", ("severity", "state"),
        (((severity, state), now.alerts.get((severity, state), 0)) for severity in SEVERITIES for state in STATES),
    )  # fmt: skip


def _event_labels(venue: VenueMeasures) -> Iterator[tuple[str, str, str]]:
    """What can happen there; of the venue's connection only we tell."""
    for kind in sorted(venue.entities):
        yield from ((venue.name, kind, origin) for origin in ORIGINS)
    yield venue.name, "venue", "synthetic"


def _of_delivery(now: Measures) -> Iterator[Metric]:
    counted, by_channel = now.counted.pipeline, ("channel",)
    meters = {channel.name: now.counted.channel(channel.name) for channel in now.channels}

    def each(of: Callable[[ChannelMeters], float]) -> _Labelled:
        return (((name,), of(found)) for name, found in meters.items())

    def now_so(of: Callable[[ChannelMeasures], bool]) -> _Labelled:
        return (((channel.name,), float(of(channel))) for channel in now.channels)

    yield counters(
        "tocsin_notifications", "Notifications of alerts that were handed to the channel", ("channel", "told"),
        (((name, told), counted.notifications[name, told]) for name in meters for told in TOLD),
    )  # fmt: skip
    yield counters(
        "tocsin_notifications_held", "Notifications that something held back or dropped", ("reason",),
        (((reason,), counted.held[reason]) for reason in HELD_BY),
    )  # fmt: skip
    yield counters(
        "tocsin_sends", "Requests to the channel's service", ("channel", "outcome"),
        (((name, outcome), found.sends[outcome]) for name, found in meters.items() for outcome in SEND_OUTCOMES),
    )  # fmt: skip
    yield histograms(
        "tocsin_send_seconds", "One request to the channel's service", by_channel,
        (((name,), found.send_seconds) for name, found in meters.items()),
    )  # fmt: skip
    yield histograms(
        "tocsin_delivery_delay_seconds", "From when the alert was raised to when the service took its message",
        ("channel", "severity"),
        (((name, severity), found.delay[severity]) for name, found in meters.items() for severity in SEVERITIES),
    )  # fmt: skip
    yield counters("tocsin_deliveries_dead", "Messages that were given up", by_channel, each(lambda found: found.dead))  # fmt: skip
    yield counters(
        "tocsin_fallbacks", "Messages that the channel's fallback got instead", by_channel,
        each(lambda found: found.fallbacks),
    )  # fmt: skip
    yield gauges("tocsin_channel_up", "1: the last try was taken", by_channel, now_so(lambda each: each.up))
    yield gauges(
        "tocsin_storm", "1: a storm is being gathered", by_channel, now_so(lambda each: each.in_storm)
    )
    yield counters(
        "tocsin_answers", "What people pressed in a chat", ("channel", "does"),
        (((name, does), now.counted.answers[name, does]) for name in meters for does in ANSWERS),
    )  # fmt: skip
    yield gauges(
        "tocsin_silences", "Silences that aren't over", ("state",),
        [(("active",), now.silences_active)],
    )  # fmt: skip


def _of_actions(now: Measures) -> Iterator[Metric]:
    by_action, runs = ("action",), now.counted.pipeline.runs
    yield counters(
        "tocsin_actions", "Runs of actions, by what came of them", ("action", "outcome"),
        (((each.name, outcome), runs[each.name, outcome]) for each in now.actions for outcome in RUN_OUTCOMES),
    )  # fmt: skip
    yield histograms(
        "tocsin_action_seconds", "The last try of a run", by_action,
        (((each.name,), now.counted.action(each.name)) for each in now.actions),
    )  # fmt: skip
    yield gauge("tocsin_actions_paused", "1: all actions are paused", float(now.actions_paused))
    yield gauges(
        "tocsin_action_circuit_open", "1: failures in a row have stopped it", by_action,
        (((each.name,), float(each.circuit_open)) for each in now.actions),
    )  # fmt: skip


def _of_store(now: Measures) -> Iterator[Metric]:
    store = now.counted.store
    yield histograms("tocsin_store_commit_seconds", "One commit", (), [((), store.commit_seconds)])
    yield counters("tocsin_store_failures", "Commits that the disk refused", (), [((), store.failures)])
    yield gauge("tocsin_memory_queue_waiting", "Writes that aren't on the disk yet", now.unwritten)


def _of_database(now: Measures, stored: Stored) -> Iterator[Metric]:
    by_channel = ("channel",)
    waiting = [(channel.name, stored.waiting.get(channel.name)) for channel in now.channels]
    yield gauges(
        "tocsin_deliveries_waiting", "Messages that wait to be sent", by_channel,
        (((name,), found[0] if found else 0) for name, found in waiting),
    )  # fmt: skip
    yield gauges(
        "tocsin_delivery_oldest_waiting_timestamp_seconds",
        "Since when the oldest message waits; in quiet hours only of critical ones", by_channel,
        (((channel.name,), since.timestamp()) for channel in now.channels if (since := _oldest(channel, stored))),
    )  # fmt: skip
    yield gauges(
        "tocsin_alerts_unacknowledged", "Alerts that fire and that nobody has acknowledged", ("severity",),
        (((severity,), stored.unacknowledged.get(severity, 0)) for severity in SEVERITIES),
    )  # fmt: skip
    yield gauge("tocsin_database_bytes", "The database's file", stored.database_bytes)
    yield gauge("tocsin_wal_bytes", "The file of the database's write-ahead log", stored.wal_bytes)


def _oldest(channel: ChannelMeasures, stored: Stored) -> datetime | None:
    _, since, critical_since = stored.waiting.get(channel.name, (0, None, None))
    return critical_since if channel.quiet else since


# ------------------------------------------------------------------------------------------------------------ families


def gauges(name: str, told: str, labels: Sequence[str], values: _Labelled) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def gauge(name: str, told: str, value: float) -> Metric:
    return gauges(name, told, (), [((), value)])


def moment(name: str, told: str, at: datetime) -> Metric:
    return gauge(name, told, at.timestamp())


def counters(name: str, told: str, labels: Sequence[str], values: _Labelled) -> Metric:
    """The name is without its `_total`."""
    family = CounterMetricFamily(name, told, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def histograms(
    name: str, told: str, labels: Sequence[str], values: Iterable[tuple[tuple[str, ...], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, told, labels=labels)
    for of, histogram in values:
        bounds = [*map(str, histogram.bounds), "+Inf"]
        family.add_metric(of, [*zip(bounds, map(float, histogram.cumulative), strict=True)], histogram.sum)
    return family
