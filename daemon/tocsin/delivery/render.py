"""From a delivery's frozen context to the message that goes out: the rule's words, or ours, and what neither may omit."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from jinja2 import Template, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from tocsin.alerts.entity_wording import what, where
from tocsin.alerts.message import Edit, body, edit_lines, late_by, said, title
from tocsin.alerts.plain import plain
from tocsin.alerts.wording import Style, Times, has_ended, is_good_news, number_shown, value_shown
from tocsin.delivery.model import Message
from tocsin.delivery.sandbox import Box, LinkedText, NamedText, ShownNumber, run
from tocsin.engine.api import AlertContext, LinkedFields
from tocsin.events import KINDS, number_text, stored_number
from tocsin.events.links import LINKS
from tocsin.events.vocabulary import all_fields, fields, following_fields, from_plain, parse_value

_ACCOUNT = "account"
_BOX = Box()


def render(
    context: AlertContext,
    style: Style,
    *,
    delivery_id: str,
    now: datetime | None = None,
    notes: Sequence[str] = (),
    edit: Edit | None = None,
) -> Message:
    """The message as sent `now` (UTC; default: at the transition). Where a template fails, our own words and a remark on that.

    `notes` are the outbox's remarks (`was firing from … to …`); they are in the message whatever the template. `edit`: it
    takes the place of the message that was sent, and says what came of it since.
    """
    now = now or context.at
    remarks = list(notes)
    if edit is not None:
        remarks += edit_lines(edit, style)
    own_title = own_body = None
    if context.title is not None or context.message is not None:
        make = partial(_made, _values(context, style, now), style, now)
        own_title = _try("title", context.title, make, remarks)
        own_body = _try("message", context.message, make, remarks)
    return Message(
        title=title(context, style, now, " ".join(own_title.split()) if own_title else None, edit),
        body=body(context, style, now, own_body, remarks),
        severity=context.severity,
        delivery_id=delivery_id,
        link=style.links.get(context.venue),
        resolved=is_good_news(context) if edit is None else edit.became != "firing",
        acked=bool(context.acked_by) and edit is None,
        ended=has_ended(context) if edit is None else edit.became == "ended",
    )


def _made(values: Mapping[str, Any], style: Style, now: datetime, source: str) -> str:
    return run(_compiled(source), values, Times(style.tz, now)).strip()


def _try(what: str, source: str | None, make: Callable[[str], str], remarks: list[str]) -> str | None:
    if source is None:
        return None
    try:
        return make(source)
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


def _values(context: AlertContext, style: Style, now: datetime) -> dict[str, Any]:
    """What a template can use: each value exact, and shown as people read it."""
    values: dict[str, Any] = dict.fromkeys(fields(context.kind))
    values |= _typed(context.kind, context.fields, style, context.derived)
    values |= {
        "venue": plain(context.venue),
        "kind": context.kind,
        "event": plain(context.event or ""),
        "id": plain(context.entity),
        "symbol": _symbol(context.symbol, style) if context.symbol else values.get("symbol"),
        "origin": context.origin,
        "time": _local(context.time, style),
        "received": _local(context.at, style),
        "last_seen": _local(context.last_seen, style) if context.last_seen else None,
        "rule": context.rule,
        "severity": context.severity,
        "state": "ended" if context.state == "resolved" and context.reason else context.state,
        "condition": plain(said(context)),
        "reason": plain(context.reason) or values.get("reason") or "",
        "value": _value(context, context.value),
        "value_at_start": _value(context, context.value_at_start),
        "worst": _value(context, context.worst),
        "started_at": _local(context.started_at, style),
        "fired_at": _local(context.fired_at, style) if context.fired_at else None,
        "as_of": _local(context.time, style),
        "duration": max(context.at - context.started_at, timedelta(0)),
        "late": late_by(context, now),
        "members": [_member(context.kind, member, style) for member in context.members],
        "missing_fields": list(context.missing),
        "suppressed": context.suppressed,
        "account_name": style.account_and_id(context.account) if context.account else None,
        "symbol_name": style.symbol(context.symbol) if context.symbol else None,
        "what": what(context, style),
        "where": where(context, style),
    }
    return values | _linked(context, style)


def _linked(context: AlertContext, style: Style) -> dict[str, LinkedText]:
    """What it belongs to, by the link: `{{ account.equity }}`, `{{ ticker.price }}`, `{{ venue.status }}`."""
    older = LinkedFields(context.account_fields, context.account_derived)
    account, symbol = context.account or "", context.symbol or ""
    called = {
        "account": (account, style.account(account) if account else ""),
        "ticker": (symbol, style.symbol(symbol) if symbol else ""),
        "venue": (context.venue, plain(context.venue)),
    }
    found = {}
    for link in LINKS:
        there = context.linked.get(link, older if link == _ACCOUNT else LinkedFields({}))
        typed = _typed(link, there.fields, style, there.derived)
        if there.seen is not None:
            typed["last_seen"] = _local(there.seen, style)
        text, shown = called[link]
        found[link] = LinkedText.of(plain(text), shown, dict.fromkeys(fields(link)) | typed)
    return found


def _member(kind: str, member: Mapping[str, Any], style: Style) -> dict[str, Any]:
    """One entity of a group: its fields, whether they have a value or not."""
    typed = _typed(kind, member, style, member.get("derived", ()))
    account = str(member.get(_ACCOUNT) or "")
    if symbol := member.get("symbol"):
        typed["symbol"] = _symbol(str(symbol), style)
    common = {
        _ACCOUNT: NamedText(plain(account), style.account(account)) if account else None,
        "id": plain(str(member.get("id") or "")),
    }
    return dict.fromkeys(fields(kind)) | typed | common


def _symbol(symbol: str, style: Style) -> NamedText:
    return NamedText(plain(symbol), style.symbol(symbol))


def _local(time: datetime, style: Style) -> datetime:
    return time.astimezone(style.tz)


def _typed(
    kind: str, plain_fields: Mapping[str, Any], style: Style, derived: Collection[str]
) -> dict[str, Any]:
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
        match parsed:
            case str():
                typed[name] = plain(parsed)
            case datetime():
                typed[name] = _local(parsed, style)
            case Decimal():
                typed[name] = ShownNumber.of(parsed, number_shown(str(value), name, derived=name in derived))
            case _:
                typed[name] = parsed
    return typed | _following(kind, plain_fields, derived)


def _following(kind: str, plain_fields: Mapping[str, Any], derived: Collection[str]) -> dict[str, Any]:
    """The fields that follow from those that are kept."""
    if kind not in KINDS or not (following := following_fields(kind)):
        return {}
    try:
        state = from_plain(kind, plain_fields)
    except ValueError:  # kept by another version
        return {}
    values = {name: getattr(state, name) for name in following}
    return {
        name: ShownNumber.of(value, number_shown(number_text(value), name, derived=name in derived))
        for name, value in values.items()
        if value is not None
    }


def _value(context: AlertContext, text: str | None) -> ShownNumber | None:
    return ShownNumber.of(stored_number(text), value_shown(context, text)) if text is not None else None
