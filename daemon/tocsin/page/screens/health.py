"""`/health`: is it well, and if not, since when; the venues' connections of a day; what runs here, with what config."""

import platform
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from tocsin.control.measures import DEGRADED, Measures, VenueMeasures, version_of
from tocsin.events import UP, iso
from tocsin.page.connections import STATES, Span, spans_of
from tocsin.page.rule_lists import below
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.store import lists

_DAY = timedelta(hours=24)
_MOST_ROWS = 500  # spans of one venue
_SAYS: Mapping[str, str] = {
    "store": "the database takes nothing",
    "delivery": "a channel takes no messages",
    "control": "the control socket can't be made",
    "memory_queue": "what can't be recorded waits in memory",
}
_PACKAGES = ("apprise", "trio", "hypercorn", "starlette", "jinja2", "msgspec", "pydantic", "httpx")


async def state(asked: Asked) -> Json:
    """`healthy`, or what is `wrong`; `attention`: what somebody should look into all the same; `degraded`: the parts that work less well,
    how (`says`) and `since` when (None: nobody knows); a `venue` may be away and another silent. `tone`: of the worst of these.
    """
    measures = asked.snapshot.measures
    about = asked.host.about()
    since = {
        "delivery": min(
            (outage.since.isoformat() for outage in asked.snapshot.outages.values()), default=None
        ),
        "store": about["unrecorded_since"],
        "memory_queue": about["unrecorded_since"],
    }
    degraded = [*_degraded(measures, since)]
    doubtful = degraded or measures.attention or measures.dry_run
    return {
        "healthy": measures.healthy,
        "tone": "bad" if measures.wrong else "warn" if doubtful else "good",
        "wrong": [*measures.wrong],
        "attention": [*measures.attention],
        "degraded": degraded,
        "started_at": iso(measures.started_at),
        "progress_at": iso(measures.progress_at),
        "dry_run": measures.dry_run,
    }


async def connections(asked: Asked) -> Json:
    """`venues` with the `spans` of the last 24 hours (`begun`, `ended`, `state`: connected, silent, away or off, `reason`), for how many
    seconds each was `connected`, of that `silent`, and `away`, and how often it went (`times`, `times_silent`); its `status` now, and `since` when.
    """
    begun = asked.now - _DAY
    before = await asked.in_thread(partial(lists.links_before, asked.reader, begun, STATES))
    events = await asked.in_thread(partial(lists.link_events, asked.reader, begun, STATES))
    stops = await asked.in_thread(partial(lists.stops, asked.reader, begun))
    last = {row["venue"]: row["event"] for row in before}
    return {
        "begun": iso(begun),
        "ended": iso(asked.now),
        "venues": [
            _connection(venue, spans_of(
                [row for row in events if row["venue"] == venue.name], last.get(venue.name), stops, begun, asked.now
            ))
            for venue in asked.snapshot.measures.venues
        ],
    }  # fmt: skip


async def about(asked: Asked) -> Json:
    """What runs here: `versions`, `config` (the `sources` and places in `warnings` from its folder on, where they are below that), `database`, `heartbeats`, `reports`, and who may `listen`."""
    measures, known = asked.snapshot.measures, asked.host.about()
    folder = Path(measures.config).parent
    database, log = await asked.in_thread(asked.reader.sizes)
    counted = measures.counted.heartbeats
    return {
        "versions": {"Tocsin": measures.version, **await asked.in_thread(_versions)},
        "pid": measures.pid,
        "started_at": iso(measures.started_at),
        "config": {
            "path": measures.config,
            **known["config"],
            "sources": [below(folder, Path(each)) for each in known["config"]["sources"]],
            "warnings": [each.replace(f"{folder}/", "") for each in known["config"]["warnings"]],
            "reloaded_at": iso(measures.reloaded_at),
            "reload_success": measures.reload_success,
        },
        "database": {
            "state_dir": measures.state_dir,
            "bytes": database,
            "log_bytes": log,
            "retention": known["retention"],
            "unwritten": measures.unwritten,
        },
        "inbox": {"waiting": measures.inbox_waiting, "capacity": measures.inbox_capacity},
        "heartbeats": known["heartbeats"],
        "heartbeats_counted": {outcome: counted[outcome] for outcome in ("sent", "failed", "withheld")},
        "reports": {report: iso(due) for report, due in measures.reports_due.items()},
        "listen": known["listen"],
    }


def _degraded(measures: Measures, since: Mapping[str, str | None]) -> Iterator[Json]:
    for part in DEGRADED:
        if part not in measures.degraded:
            continue
        if part != "venue":
            yield {"part": part, "says": _SAYS[part], "since": since.get(part)}
            continue
        silent = [venue for venue in measures.venues if venue.status == "silent"]
        away = [venue for venue in measures.venues if venue.status not in UP]
        for venues, says in (
            (away, "a venue isn't connected"),
            (silent, "a venue brings no data on a stream"),
        ):
            if venues:
                yield {
                    "part": part,
                    "says": says,
                    "since": min(filter(None, map(_since, venues)), default=None),
                }


def _since(venue: VenueMeasures) -> str | None:
    since = venue.shown.get("since")
    return since if isinstance(since, str) else None


def _connection(venue: VenueMeasures, spans: Iterable[Span]) -> Json:
    found = [*spans]
    return {
        "venue": venue.name,
        "status": venue.status,
        "since": _since(venue),
        "connected": _seconds(found, "connected", "silent"),
        "away": _seconds(found, "away"),
        "silent": _seconds(found, "silent"),
        "times": sum(span.state == "away" for span in found),
        "times_silent": sum(span.state == "silent" for span in found),
        "spans": [
            {"begun": iso(span.begun), "ended": iso(span.ended), "state": span.state, "reason": span.reason}
            for span in found[-_MOST_ROWS:]
        ],
    }


def _seconds(spans: Iterable[Span], *states: str) -> float:
    return sum((span.ended - span.begun).total_seconds() for span in spans if span.state in states)


def _versions() -> dict[str, str]:
    """Blocks."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    return found | {package: version_of(package) for package in _PACKAGES}


HEALTH = Screen(
    name="health",
    path="/health",
    nav="health",
    api="/api/health",
    parts={
        "state": Part(("status", "channels"), state),
        "connections": Part(("status",), connections),
        "about": Part(("status", "channels"), about),
    },
)
