"""From a delivery's frozen context to the message that goes out: the rule's words, or ours, and what neither may omit."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Self

from jinja2 import Template, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from tocsin.alerts.message import Names, circumstances, default_body, default_title, state_line
from tocsin.alerts.plain import plain
from tocsin.delivery.model import Message
from tocsin.delivery.sandbox import Box, run
from tocsin.engine.model import Context
from tocsin.events import KINDS
from tocsin.events.vocabulary import all_fields, fields, parse_value

_ACCOUNT = "account"
_BOX = Box()


def render(
    context: Context,
    names: Names,
    *,
    delivery_id: str,
    late: timedelta = timedelta(0),
    notes: Sequence[str] = (),
) -> Message:
    """The message. A template that fails is told of in the message, which then has our own words instead.

    `notes` are the outbox's remarks (`was firing from … to …`); they are in the message whatever the template.
    """
    remarks = list(notes)
    values = _values(context, names, late)
    title = body = None
    if context.title is not None:
        title = _try("title", context.title, values, remarks)
    if context.message is not None:
        body = _try("message", context.message, values, remarks)
    return Message(
        title=_with_state(" ".join(title.split()), context) if title else default_title(context, names),
        body=_with_facts(body, context, late, remarks)
        if body
        else default_body(context, names, late=late, notes=remarks),
        severity=context.severity,
        delivery_id=delivery_id,
        resolved=context.state == "resolved",
    )


def _try(what: str, source: str, values: Mapping[str, Any], remarks: list[str]) -> str | None:
    try:
        return run(_compiled(source), values).strip()
    except Exception as error:  # noqa: BLE001 # a template is the user's program: whatever it raises, the alert still goes
        remarks.append(f"(the rule's {what} template failed: {plain(_why(error), 200)})")
        return None


def _why(error: Exception) -> str:
    match error:
        case UndefinedError() | TemplateSyntaxError() | SecurityError():
            return error.message or "not a template"
        case ZeroDivisionError():
            return "a division by zero"
        case RecursionError():
            return "nested too deeply"
        case ArithmeticError():
            return "a calculation that can't be done"
        case TypeError() if "NoneType" in str(error):
            return "a field without a value was compared or calculated with; say what to take then: stop_loss|default(0)"
        case _:
            return f"{type(error).__name__}: {error}"


@lru_cache(maxsize=2000)
def _compiled(source: str) -> Template:
    return _BOX.ready(source)


def _with_state(title: str, context: Context) -> str:
    """A title written for the firing would say of an end that it goes on."""
    state: str = context.state
    return title if state == "firing" or state in title.lower() else f"{state}: {title}"


def _with_facts(body: str, context: Context, late: timedelta, remarks: Sequence[str]) -> str:
    return "\n".join([*remarks, body, "", state_line(context), *circumstances(context, late)])


def _values(context: Context, names: Names, late: timedelta) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(fields(context.kind))
    values |= _typed(context.kind, context.fields)
    values |= {
        "venue": plain(context.venue),
        "kind": context.kind,
        "event": context.event or "",
        "id": plain(context.entity),
        "symbol": plain(context.symbol) if context.symbol else values.get("symbol"),
        "origin": context.origin,
        "time": context.time,
        "received": context.at,
        "last_seen": context.last_seen,
        "rule": context.rule,
        "severity": context.severity,
        "state": context.state,
        "condition": plain(context.condition),
        "reason": plain(context.reason) or values.get("reason") or "",
        "value": _number(context.value),
        "value_at_start": _number(context.value_at_start),
        "worst": _number(context.worst),
        "started_at": context.started_at,
        "fired_at": context.fired_at,
        "as_of": context.time,
        "duration": max(context.at - context.started_at, timedelta(0)),
        "late": late,
        "members": [_member(context.kind, member) for member in context.members],
        "missing_fields": list(context.missing),
        "suppressed": context.suppressed,
        "account_name": names.account(context.account) if context.account else None,
        "symbol_name": names.short_symbol(context.symbol) if context.symbol else None,
    }
    account = _typed(_ACCOUNT, context.account_fields)
    values[_ACCOUNT] = AccountText(plain(context.account or ""), dict.fromkeys(fields(_ACCOUNT)) | account)
    return values


def _member(kind: str, member: Mapping[str, Any]) -> dict[str, Any]:
    """One entity of a group: its fields, whether they have a value or not."""
    account = member.get(_ACCOUNT)
    common = {_ACCOUNT: plain(str(account)) if account else None, "id": plain(str(member.get("id") or ""))}
    return dict.fromkeys(fields(kind)) | _typed(kind, member) | common


class AccountText(str):
    """The account's id as text, and with a dot its fields: `{{ account }}` and `{{ account.equity }}`."""

    __slots__ = ("fields",)
    fields: Mapping[str, Any]

    def __new__(cls, text: str, values: Mapping[str, Any]) -> Self:
        made = super().__new__(cls, text)
        made.fields = values
        return made

    def __getitem__(self, key: Any) -> Any:
        return self.fields[key] if isinstance(key, str) else super().__getitem__(key)


def _typed(kind: str, plain_fields: Mapping[str, Any]) -> dict[str, Any]:
    known = all_fields(kind) if kind in KINDS else {}
    typed: dict[str, Any] = {}
    for name, value in plain_fields.items():
        if name not in known:
            continue
        field_type = known[name].type
        try:
            parsed = parse_value(field_type, value)
        except ValueError:  # kept by another version, whose vocabulary had another type for it
            parsed = str(value)
        typed[name] = plain(parsed) if isinstance(parsed, str) else parsed
    return typed


def _number(text: str | None) -> Any:
    return parse_value("number", text) if text is not None else None
