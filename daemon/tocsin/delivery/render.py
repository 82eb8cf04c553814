"""From a delivery's frozen context to the message that goes out: the rule's words, or ours, and what neither may omit."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tocsin.alerts.entity_wording import what, where
from tocsin.alerts.message import Edit, body, edit_lines, late_by, said, title
from tocsin.alerts.plain import plain
from tocsin.alerts.wording import Style, has_ended, is_good_news, value_shown
from tocsin.delivery.entity_values import entity_values, local_time, symbol_value, typed_fields
from tocsin.delivery.model import Message
from tocsin.delivery.own_words import OwnWords
from tocsin.delivery.sandbox import Box, LinkedText, ShownNumber
from tocsin.engine.api import AlertContext, LinkedFields
from tocsin.events import stored_number
from tocsin.events.links import LINKS
from tocsin.events.vocabulary import fields

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
        words = OwnWords(_BOX, _values(context, style, now), style.tz, now, "the rule's")
        own_title = words.of("title", context.title, remarks)
        own_body = words.of("message", context.message, remarks)
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


def _values(context: AlertContext, style: Style, now: datetime) -> dict[str, Any]:
    """What a template can use: each value exact, and shown as people read it."""
    values: dict[str, Any] = dict.fromkeys(fields(context.kind))
    values |= typed_fields(context.kind, context.fields, style, context.derived)
    values |= {
        "venue": plain(context.venue),
        "kind": context.kind,
        "event": plain(context.event or ""),
        "id": plain(context.entity),
        "symbol": symbol_value(context.symbol, style) if context.symbol else values.get("symbol"),
        "origin": context.origin,
        "time": local_time(context.time, style),
        "received": local_time(context.at, style),
        "last_seen": local_time(context.last_seen, style) if context.last_seen else None,
        "rule": context.rule,
        "severity": context.severity,
        "state": "ended" if context.state == "resolved" and context.reason else context.state,
        "condition": plain(said(context)),
        "reason": plain(context.reason) or values.get("reason") or "",
        "value": _value(context, context.value),
        "value_at_start": _value(context, context.value_at_start),
        "worst": _value(context, context.worst),
        "started_at": local_time(context.started_at, style),
        "fired_at": local_time(context.fired_at, style) if context.fired_at else None,
        "as_of": local_time(context.time, style),
        "duration": max(context.at - context.started_at, timedelta(0)),
        "late": late_by(context, now),
        "members": [entity_values(context.kind, member, style) for member in context.members],
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
        typed = typed_fields(link, there.fields, style, there.derived)
        if there.seen is not None:
            typed["last_seen"] = local_time(there.seen, style)
        text, shown = called[link]
        found[link] = LinkedText.of(plain(text), shown, dict.fromkeys(fields(link)) | typed)
    return found


def _value(context: AlertContext, text: str | None) -> ShownNumber | None:
    return ShownNumber.of(stored_number(text), value_shown(context, text)) if text is not None else None
