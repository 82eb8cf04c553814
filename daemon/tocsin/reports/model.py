"""What a report of the config is, and when it is due. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from tocsin.calendars import Schedule

_INSTANT = timedelta(microseconds=1)
_SET_BACK = timedelta(hours=1)  # a clock that is set back by less tells no report twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One of the config: sent by the channels `notify` at the times of `schedule`. `tz`: of its times; `title` and `message` are
    templates, None for our own words.
    """

    id: str
    schedule: Schedule
    tz: ZoneInfo
    notify: tuple[str, ...]
    title: str | None = None
    message: str | None = None


class Progress(Struct, frozen=True, kw_only=True):
    """Of one report: up to when nothing is to be told any more (`seen`), by which `schedule`, and up to when the last one `told` what
    happened (None: there was none). All UTC.
    """

    seen: datetime
    schedule: str
    told: datetime | None = None


def begun(report: Report, kept: Progress | None, now: datetime) -> Progress:
    """Where a report goes on. One that is new, or has other times than it had, begins now: it missed nothing."""
    if kept is not None and kept.schedule == str(report.schedule):
        return kept
    return Progress(seen=now, schedule=str(report.schedule), told=kept.told if kept is not None else None)


def due(report: Report, progress: Progress, now: datetime) -> datetime | None:
    """The time for which the report is to be told now; of several that were missed the last one. None: there is none."""
    latest = report.schedule.latest(now)
    return latest if latest > progress.seen else None


def next_due(report: Report, progress: Progress, now: datetime) -> datetime:
    """When it is due next. Where the clock was set back a little, not again at a time that was told."""
    return report.schedule.following(max(now, progress.seen))


def is_ahead(progress: Progress, now: datetime) -> bool:
    """Whether it was noted by a clock that was far ahead of this one, and says nothing now."""
    return progress.seen > now + _SET_BACK


def since(report: Report, progress: Progress, at: datetime) -> datetime:
    """From when on a report tells what happened: since the last one, or the time before this where none was told."""
    if progress.told is not None and progress.told < at:
        return progress.told
    return report.schedule.latest(report.schedule.latest(at) - _INSTANT)
