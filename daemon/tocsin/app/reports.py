"""Reports in the running daemon: whom they go to, and the task that sends them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tocsin.app.components import Components, make_style
from tocsin.config.settings import Settings
from tocsin.reports.model import Report
from tocsin.reports.task import Recipient, ReportsTask
from tocsin.store.reader import Reader


def recipients(settings: Settings, report: Report) -> Iterator[Recipient]:
    """The URLs that a report goes to, of the channels that there are."""
    for name in report.notify:
        if (channel := settings.channels.get(name)) is None:
            continue
        for target in range(len(channel.urls)):
            style = replace(make_style(settings, channel, target), tz=report.tz)
            yield Recipient(channel=name, target=target, style=style, expire=channel.expire)


def make_reports(
    components: Components, settings: Callable[[], Settings], settled: Callable[[], bool], log: Any
) -> ReportsTask:
    """The task; `settings` gives the config as it is now."""
    return ReportsTask(
        reports=lambda: settings().reports,
        recipients=lambda report: recipients(settings(), report),
        notes=components.loaded.notes,
        reader=Reader(components.database.path),
        make=components.templates.render,
        commit=components.pipeline.call,
        settled=settled,
        clock=components.clock,
        log=log,
    )
