"""A report that somebody asks for, beside those that are told at their times: what it would say now."""

from dataclasses import replace
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from tocsin.alerts.wording import Style, mark_of
from tocsin.delivery.model import Message
from tocsin.delivery.templates import Render
from tocsin.reports import model
from tocsin.reports.facts import Facts, gather
from tocsin.reports.model import Report
from tocsin.reports.render import kinds_of, made
from tocsin.reports.task import progress_of
from tocsin.store.reader import Reader


class AskedReport(Struct, frozen=True):
    """What it says, and the zone of its times."""

    tries_more: ClassVar[bool] = False
    facts: Facts
    tz: ZoneInfo

    async def message(self, style: Style, delivery_id: str, _now: datetime, make: Render) -> Message:
        """As it is written to one URL; `make` renders."""
        message = await made(self.facts, replace(style, tz=self.tz), delivery_id, make)
        return structs.replace(message, title=f"{mark_of(message.severity, style)} {message.title}")


def asked(reader: Reader, report: Report, now: datetime) -> AskedReport:
    """Of what happened since the last one that was told. Blocks; StoreUnavailable, SchemaRefused."""
    with reader.snapshot() as snapshot:
        progress = progress_of(snapshot.notes()).get(report.id)
    since = model.since(report, model.begun(report, progress, now), now)
    return AskedReport(gather(reader, report, since, now, kinds_of(report)), report.tz)
