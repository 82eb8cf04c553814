"""What an action is told of an alert: as JSON, and in a command's arguments. Texts are the venue's own, digit for digit and sign for sign."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Template, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from tocsin.actions.model import Refused
from tocsin.alerts.wording import Times
from tocsin.delivery.sandbox import LONGEST_TEXT, Box, ShownNumber, run
from tocsin.engine.api import AlertContext
from tocsin.events import KINDS, iso, stored_number
from tocsin.events.vocabulary import all_fields
from tocsin.store.model import RunRow

_NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LEADS = re.compile(r"\{\{-?\s*(\w+)")  # the name that an argument begins with
_BOX = Box()
_UTC = ZoneInfo("UTC")


NAMES = frozenset({
    "run", "action", "alert", "rule", "severity", "state", "venue", "kind", "event", "account", "id", "symbol", "condition", "reason",
    "value", "value_at_start", "worst", "started_at", "at", "time",
})  # fmt: skip
"""What arguments can use beside the entity's own fields."""


def context_of(row: RunRow) -> AlertContext | None:
    """What a run is about; None where another version kept it, and this one can't read it."""
    try:
        return msgspec.convert(row.data, AlertContext)
    except ValueError:
        return None


def payload(row: RunRow, context: AlertContext) -> dict[str, Any]:
    """The JSON of a webhook, and of a command's standard input. Numbers are texts as the venue wrote them, times ISO 8601 in UTC."""
    found: dict[str, Any] = {
        "run": row.id,
        "action": row.action,
        "alert": row.alert,
        "rule": context.rule,
        "severity": context.severity,
        "state": row.told,
        "venue": context.venue,
        "kind": context.kind,
        "event": context.event,
        "account": context.account,
        "id": context.entity,
        "symbol": context.symbol,
        "condition": context.condition,
        "reason": context.reason,
        "value": context.value,
        "value_at_start": context.value_at_start,
        "worst": context.worst,
        "started_at": iso(context.started_at),
        "at": iso(context.at),
        "time": iso(context.time),
        "fields": dict(context.fields),
        "group": dict(context.group) if context.group is not None else None,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def as_json(row: RunRow, context: AlertContext) -> bytes:
    return msgspec.json.encode(payload(row, context))


def arguments(command: Sequence[str], row: RunRow, context: AlertContext) -> tuple[str, ...]:
    """The arguments as they are passed. Refused where one can't be made, or would be taken for an option because of a venue's text."""
    values = _values(row, context)
    made: list[str] = []
    for position, source in enumerate(command):
        text = source
        if "{" in source:
            text = _made(source, values, position, context)
            if "--" not in command[:position] and _looks_like_an_option(source, text, values):
                raise Refused(
                    f"argument {position}, {source!r}, would begin with - and be taken for an option; put -- before it"
                )
        if "\0" in text:
            raise Refused(f"argument {position}, {source!r}, would hold a NUL")
        made.append(text)
    return tuple(made)


def _looks_like_an_option(source: str, text: str, values: Mapping[str, Any]) -> bool:
    """Whether a value makes it begin with `-`; a negative number may."""
    if not text.startswith("-") or source.startswith("-"):
        return False
    leads = _LEADS.match(source)
    number = leads is not None and isinstance(values.get(leads[1]), ShownNumber)
    return not (number and _NUMBER.fullmatch(text))


def _made(source: str, values: Mapping[str, Any], position: int, context: AlertContext) -> str:
    try:
        text = run(_compiled(source), values, Times(_UTC, context.at))
    except (UndefinedError, SecurityError, TemplateSyntaxError) as error:
        raise Refused(f"argument {position}, {source!r}: {error.message or 'not a template'}") from None
    except Exception as error:  # noqa: BLE001 # a template is the user's program, whatever it raises
        raise Refused(f"argument {position}, {source!r}: {type(error).__name__}: {error}") from None
    if len(text) > LONGEST_TEXT:
        raise Refused(f"argument {position}, {source!r}, is longer than {LONGEST_TEXT} characters")
    return text


@lru_cache(maxsize=200)
def _compiled(source: str) -> Template:
    return _BOX.ready(source)


def _values(row: RunRow, context: AlertContext) -> dict[str, Any]:
    """What arguments can use: the fields of the payload and the entity's own. What has no value isn't there, so `default` works."""
    known = all_fields(context.kind) if context.kind in KINDS else {}
    found: dict[str, Any] = {}
    for name, value in context.fields.items():
        if value is not None:
            field = known.get(name)
            found[name] = _exact(value, number=field is not None and field.type == "number")
    found |= {name: value for name, value in payload(row, context).items() if isinstance(value, str)}
    for name in ("value", "value_at_start", "worst"):
        if name in found:
            found[name] = _exact(found[name], number=True)
    return found


def _exact(value: Any, *, number: bool) -> Any:
    """A number as one to calculate with, shown as it came; a text as it is."""
    if number and isinstance(value, str):
        with suppress(ValueError):  # one that no number of ours can be is a text
            return ShownNumber.of(stored_number(value), value)
    return value
