"""The section `reports`: what is told at times of the day."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from tocsin.alerts.decide import Routing
from tocsin.calendars import Schedule, doubts_of_zone
from tocsin.config import shape
from tocsin.config.reading import Reading
from tocsin.config.settings import IDENTIFIER, ChannelList, Zone
from tocsin.config.shape import Section
from tocsin.delivery.template_check import flaws_of
from tocsin.document import Mapping, Node, Scalar, items
from tocsin.document import Sequence as Items
from tocsin.engine.api import SEVERITIES
from tocsin.errors import Place, Problem
from tocsin.reports.model import Report
from tocsin.reports.sample import trouble
from tocsin.reports.values import BOX, USABLE

_TEMPLATES = ("title", "message")


def _time_of_day(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    Schedule.parse([value], "UTC")
    return value


def _id(value: Any) -> str:
    if not isinstance(value, str) or not shape.matches(IDENTIFIER, value):
        raise ValueError("not a name for a report: a letter first, then letters, digits, - and _; at most 64")
    return value


class ReportSection(Section):
    """What is so now, and what happened since the last one, told at times of the day."""

    id: Annotated[str, BeforeValidator(_id)] = Field(
        description="what it is called", json_schema_extra={"pattern": f"^{IDENTIFIER}$"}
    )
    at: Annotated[
        tuple[Annotated[str, BeforeValidator(_time_of_day)], ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    ] = Field(min_length=1, description='when: ["mon-fri 18:00"]; without days every day')
    tz: Zone | None = Field(None, description="the IANA time zone of these times; else the config's")
    notify: ChannelList | None = Field(
        None, min_length=1, description="the channels that send it; else those of alerts of severity info"
    )
    title: str | None = Field(None, description="its first line, a template: see tocsin help reports")
    message: str | None = Field(None, description="the rest, a template: see tocsin help reports")


def read_reports(
    reading: Reading, node: Node | None, tz: ZoneInfo, channels: Sequence[str], routing: Routing
) -> tuple[Report, ...]:
    """The reports that are right; what is wrong with the others is noted. `tz` is the config's, `channels` all that it names."""
    if node is None:
        return ()
    if not isinstance(node, Items):
        reading.add(Problem('must be a list: [{id: evening, at: ["18:00"]}]', node.place, "reports"))
        return ()
    found: dict[str, Report] = {}
    first: dict[str, Place] = {}
    for number, item in enumerate(node.items):
        path = ("reports", number)
        section, problems = shape.check(ReportSection, item, path, head=item.place)
        reading.add(*map(_of_days, problems))
        if not isinstance(item, Mapping):
            continue
        sound = _check_id(reading, item, path, first) and _check_templates(reading, item, path)
        reading.add(*doubts_of_zone(item.get("tz"), shape.dotted((*path, "tz"))))
        sound = _check_notify(reading, item, path, channels) and sound
        if section is not None and sound:
            notify = section.notify or _of_info(routing)
            if not notify:
                what = f"report {section.id} reaches nobody: no channel takes what is of severity info"
                hint = "say which channels send it: notify: [mail]"
                reading.add(Problem(what, item.place, shape.dotted(path), hint, "warning"))
            zone = section.tz or tz
            found[section.id] = Report(
                id=section.id,
                schedule=Schedule.parse(section.at, str(zone)),
                tz=zone,
                notify=tuple(dict.fromkeys(notify)),
                title=section.title,
                message=section.message,
            )
    return tuple(found.values())


def _of_days(problem: Problem) -> Problem:
    """Of days in a key of their own, where they stand."""
    days = problem.message in ("unknown key `day`", "unknown key `days`")
    return replace(problem, hint='days stand in `at`: ["mon-fri 18:00"]') if days else problem


def _of_info(routing: Routing) -> tuple[str, ...]:
    """The channels to which an alert of severity info would go, if its rule named none."""
    named = routing.channels_for("info", None)
    return tuple(name for name in named if name in routing.channels and _takes_info(routing, name))


def _takes_info(routing: Routing, name: str) -> bool:
    return routing.channels[name].min_severity == SEVERITIES[0]


def _check_id(reading: Reading, item: Mapping, path: shape.Path, first: dict[str, Place]) -> bool:
    """That no other is called so."""
    written = item.get("id")
    if not isinstance(written, Scalar):
        return True
    there = first.setdefault(written.text, written.place)
    if there is not written.place:
        hint = f"the first is at line {there.line}"
        reading.add(
            Problem(
                f"there is a report `{written.text:.80}` already",
                written.place,
                shape.dotted((*path, "id")),
                hint,
            )
        )
    return there is written.place


def _check_notify(reading: Reading, item: Mapping, path: shape.Path, channels: Sequence[str]) -> bool:
    """That the channels exist, as far as the section can be read."""
    if "channels" in reading.broken:
        return True
    named = [
        each for each in items(item.get("notify")) if isinstance(each, Scalar) and isinstance(each.value, str)
    ]
    for each in named:
        reading.check_channel(each, list(channels), (*path, "notify"))
    return all(each.text in channels for each in named)


def _check_templates(reading: Reading, item: Mapping, path: shape.Path) -> bool:
    """What is wrong with its templates, by their words, and else by what they make of a sample."""
    sound = True
    for key in _TEMPLATES:
        written = item.get(key)
        if not isinstance(written, Scalar) or not isinstance(written.value, str):
            continue
        where = shape.dotted((*path, key))
        for flaw in (flaws := flaws_of(written.text, USABLE, BOX)):
            place = written.within(flaw.offset, flaw.length)
            line = written.text.count("\n", 0, flaw.offset) + 1
            unplaced = place is written.place and "\n" in written.text.strip()
            said = f"line {line} of the text: {flaw.message}" if unplaced else flaw.message
            reading.add(Problem(said, place, where, flaw.hint))
        if not flaws and (found := trouble(written.text)):
            said, level = found
            reading.add(Problem(said, written.place, where, level=level))
        sound = sound and not flaws
    return sound
