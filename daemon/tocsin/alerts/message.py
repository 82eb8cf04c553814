"""What a message says: a title for a locked phone, and a body with each fact once. The one place where both are composed. Pure.

A rule's own words take the place of ours, never that of the mark, of what state it is, and of what made it so.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from tocsin.alerts.entity_wording import members_text, thing_text, what, what_line, where, where_line
from tocsin.alerts.plain import plain
from tocsin.alerts.wording import (
    Style,
    Times,
    is_good_news,
    mark,
    mark_of,
    number_shown,
    span_text,
    unit_text,
    value_and_unit,
    value_shown,
)
from tocsin.engine.api import AlertContext
from tocsin.events.vocabulary import OWN_KINDS

Became: TypeAlias = Literal["firing", "resolved", "ended"]


class Said(Struct, frozen=True, kw_only=True):
    """What happened to an alert at `at`, and until when it is so (UTC). `acked`: whether it is acknowledged from then on."""

    at: datetime
    words: str
    until: datetime | None = None
    acked: bool | None = None


class Edit(Said, frozen=True, kw_only=True):
    """What has become of an alert since its message was sent.

    `ended`: by something else than the rule's own end condition. `lasted`: seconds. `before`: what was said of it before.
    """

    became: Became = "firing"
    lasted: float | None = None
    before: tuple[Said, ...] = ()


LATE = timedelta(seconds=10)  # what goes out later than that says by how much

# What of an entity a person wants to read first, in this order, beside what the message says anyway.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "order": (
        "order_type", "status", "venue_status", "amount", "filled", "remaining", "price", "stop_price", "average",
        "cost", "currency", "stop_loss", "take_profit", "power", "energy", "delivery_start", "delivery_end", "location",
    ),
    "position": (
        "status", "amount", "entry_price", "mark_price", "profit", "currency", "stop_loss", "take_profit", "commission", "swap",
    ),
    "account": ("currency", "balance", "equity", "margin", "margin_level", "stop_out_level", "result", "buying_power", "withdrawable"),
    "balance": ("change", "cause", "comment", "available", "locked", "total"),
    "trade": ("side", "price", "amount", "cost", "power", "energy", "delivery_start", "delivery_end", "location"),
    "ticker": ("price", "last", "bid", "ask", "spread", "currency", "high", "low", "volume"),
    "book": (
        "bid", "bid_size", "ask", "ask_size", "spread", "price", "power", "energy", "delivery_start", "delivery_end", "location",
    ),
    "contract": (
        "status", "verification_status", "settlement_status", "side", "price", "power", "energy", "delivery_start",
        "delivery_end", "location", "order_id",
    ),
    "venue": ("status", "reason", "since", "last_message", "attempts", "unconfirmed"),
    "daemon": ("subject",),
}  # fmt: skip
_MOST_TOGETHER = 20
_UNINTERESTING_ZERO = frozenset({"attempts", "unconfirmed"})
_LONGEST_REASON = 60  # characters, in a title
_TIMES = frozenset({"delivery_start", "delivery_end", "since", "last_message"})
_IDS = frozenset({"order_id"})


def late_by(context: AlertContext, now: datetime) -> timedelta:
    """How late a message goes out: zero up to `LATE`. What a gap hid is late from when it happened."""
    since = min(context.time, context.at) if context.origin == "resync" else context.at
    late = now - since
    return late if late > LATE else timedelta(0)


def edit_lines(edit: Edit, style: Style) -> list[str]:
    """What was done about it: `silenced by anna: rule=red 18:02:11 UTC, until 19:02:11`. Its end is the title's."""
    said = (*edit.before, edit) if edit.became == "firing" else edit.before
    times = Times(style.tz, edit.at)
    return [_said_text(each, times) for each in said]


def _said_text(said: Said, times: Times) -> str:
    text = f"{plain(said.words)} {times.text(said.at)}"
    return text if said.until is None else f"{text}, until {times.text(said.until)}"


def _end_text(edit: Edit, style: Style) -> str:
    text = _said_text(edit, Times(style.tz, edit.at))
    return text if edit.lasted is None else f"{text} after {span_text(timedelta(seconds=edit.lasted))}"


def title(
    context: AlertContext, style: Style, now: datetime, own: str | None = None, edit: Edit | None = None
) -> str:
    """One line that says it all on a locked phone. `own`: what the rule says instead of us; `edit`: what came of it since."""
    words = own or headline(context, style)
    if edit is not None and edit.became != "firing" and context.asks:
        return f"{mark_of(edit.became, style)} {plain(context.asks)} {_end_text(edit, style)}: {words}"
    if edit is not None and edit.became != "firing":
        return f"{mark_of(edit.became, style)} was {words}, {_end_text(edit, style)}"
    late = late_by(context, now) if not context.after_silence else timedelta(0)
    lead = (
        mark(context, style),
        _END_WORD[bool(context.reason)].format(_end(context)) if context.state == "resolved" else "",
        _why_now(context),
        f"late {span_text(late)}:" if late else "",
    )
    return " ".join(filter(None, (*lead, words)))


def digest_line(context: AlertContext, style: Style, began: AlertContext | None = None) -> str:
    """What a digest says of it: the default title; of one that `began` meanwhile, too, for what it fired and how long. Never late."""
    if began is None or context.state != "resolved":
        return title(context, style, min(context.time, context.at))
    lasted = f"was firing for {span_text(context.at - context.started_at)}"
    worst = f", worst {value_shown(context, context.worst, padded=True)}" if context.worst is not None else ""
    limit = plain(began.limit or said(began)) or context.rule
    place = "" if context.kind in OWN_KINDS else f" · {where(context, style)}"
    return f"{mark(context, style)} {thing_text(context, style)}: {limit}, {lasted}{worst}{place}"


def body(
    context: AlertContext,
    style: Style,
    now: datetime,
    own: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """The whole story, a fact a line. `notes` are the outbox's own remarks, first because they change the meaning.

    What no text of the rule's own can leave out stands above it: who cuts the message cuts the rule's words.
    """
    times = Times(style.tz, now)
    remarks = [*notes, *_remarks(context, now, times), *_together(context)]
    if own:
        return "\n".join([*remarks, f"{_state_line(context)} · {where(context, style)}", own])
    lines = [
        *remarks,
        where_line(context, style),
        _state_line(context),
        _values(context),
        _when(context, times),
        what_line(context, style),
    ]
    lines += [
        members_text(context, style) if context.group is not None else _details(context, style, times, lines),
        f"rule: {context.rule}" + ("" if is_good_news(context) else f", {context.severity}"),
    ]
    return "\n".join(line for line in lines if line)


# --------------------------------------------------------------------------------------------------------------- title


def _why_now(context: AlertContext) -> str:
    """Why it is told though it isn't new: a reminder, an escalation, or what somebody did about it."""
    if context.after_silence:
        return f"{context.suppressed} alerts after a silence:"
    if context.asks:
        return plain(context.asks)
    if context.action_failed:
        return f"{plain(context.action_failed, _LONGEST_REASON)}:"
    if context.acked_by:
        return f"acknowledged by {plain(context.acked_by)}:"
    if context.unacknowledged is not None:
        return f"not acknowledged for {span_text(timedelta(seconds=context.unacknowledged))}:"
    return "still:" if context.state == "reminder" else ""


_END_WORD = {True: "ended ({}):", False: "resolved:"}


def _end(context: AlertContext) -> str:
    """What ended it, without the venue's own words for that, which stand in the body."""
    return plain(context.reason.partition(": ")[0], _LONGEST_REASON)


def headline(context: AlertContext, style: Style) -> str:
    """The title without what stands before it."""
    place = "" if context.kind in OWN_KINDS else f" · {where(context, style)}"
    if context.event is not None:
        happened = plain(context.event.partition(".")[2].replace("_", " "))
        why = f", {plain(context.reason, _LONGEST_REASON)}" if context.reason else ""
        return f"{happened}: {what(context, style)}{why}{place}"
    thing = thing_text(context, style)
    if context.state != "resolved":
        limit = plain(context.limit or said(context)) or context.rule
        number = value_and_unit(context, context.value)
        return f"{' '.join(filter(None, (number, thing)))}: {limit}{place}"
    lasted = f"after {span_text(context.at - context.started_at)}"
    if context.value is None:
        return f"{thing}: {plain(said(context))}, {lasted}{place}"
    worst = (
        f", worst {value_shown(context, context.worst, padded=True)}"
        if context.worst not in (None, context.value)
        else ""
    )
    return f"{thing} {value_and_unit(context, context.value)} {lasted}{worst}{place}"


# ---------------------------------------------------------------------------------------------------------------- body


def said(context: AlertContext) -> str:
    """What made it so, in words."""
    return context.condition if context.words is None else context.words


def _state_line(context: AlertContext) -> str:
    """The state, the event or condition in the vocabulary's words, and the reason: what no template can leave out."""
    state = "ended" if context.state == "resolved" and context.reason else str(context.state)
    if context.action_failed:
        state = "started by"
    if context.asks:
        state = "because"
    if context.acked_by:
        state = f"acknowledged by {plain(context.acked_by)}"
    condition, reason = plain(said(context)), plain(context.reason)
    told = ", ".join(filter(None, (plain(context.event or ""), condition)))
    because = f" ({reason})" if reason and not _says(condition, "reason", reason) else ""
    return f"{state}: {told}{because}" if told else f"{state}{because}"


def _says(text: str, name: str, value: str) -> bool:
    """Whether the text says already what value it has."""
    return (
        re.search(
            rf"(?<![\w.]){re.escape(name)} (?:is |changed from .+ to )?{re.escape(value)}(?![\w.])", text
        )
        is not None
    )


def _remarks(context: AlertContext, now: datetime, times: Times) -> list[str]:
    """What changes the meaning of the rest."""
    lines = [plain(context.action_failed)] if context.action_failed else []
    if context.unconfirmed_since is not None:
        lines.append(f"not confirmed since {times.text(context.unconfirmed_since)}: the venue was away")
    if late := late_by(context, now):
        lines.append(f"late by {span_text(late)}")
    if context.held_by:
        lines.append(f"not told before: {plain(context.held_by)}")
    if context.origin == "resync":
        lines.append("found after a gap: it happened while the connection was away")
    if context.missing:
        lines.append(f"not known: {', '.join(context.missing)}; told to be on the safe side")
    if context.left_out:
        more = context.left_out_count - len(context.left_out)
        named = ", ".join(map(plain, context.left_out)) + (f" and {more} more" if more > 0 else "")
        lines.append(f"left out, for they have no value: {named}")
    return lines


def _together(context: AlertContext) -> list[str]:
    """What else is told with it."""
    lines = [f"held back since the last message: {context.suppressed}"] if context.suppressed else []
    if context.after_silence:
        lines = [f"{context.suppressed} alerts were silenced: {plain('; '.join(context.after_silence))}"]
    lines += [f"  and {other}" for other in context.together[:_MOST_TOGETHER]]
    if len(context.together) > _MOST_TOGETHER:
        lines.append(f"  and {len(context.together) - _MOST_TOGETHER} more")
    return lines


def _values(context: AlertContext) -> str:
    """`  profit -39 USD, worst -75, at start -60`: what the condition doesn't say of it, what is so now first."""
    if context.value_of is None or context.value is None:
        return ""
    past = {"worst": context.worst, "at start": context.value_at_start} if context.event is None else {}
    told = [
        f"{word} {value_shown(context, past[word] or '')}"
        for word in past
        if past[word] not in (None, context.value)
    ]
    called, value = context.value_called or context.value_of, value_shown(context, context.value)
    if not told and _says(said(context), called, value):
        return ""
    return "  " + ", ".join([f"{called} {value}{unit_text(context, context.value_of)}", *told])


def _when(context: AlertContext, times: Times) -> str:
    if context.event is not None:
        return f"when: {times.text(context.time)}"
    lasted = max(context.at - context.started_at, timedelta(0))
    began = times.text(context.started_at)
    if context.state == "resolved":
        return f"lasted: {span_text(lasted)}, from {began} to {times.text(context.at)}"
    return f"since: {began}" + (f", for {span_text(lasted)}" if lasted else "")


def _details(context: AlertContext, style: Style, times: Times, lines: Sequence[str]) -> str:
    """What else there is to know of it: nothing that these lines say already."""
    before = "\n".join(lines)
    shown = []
    for name in SHOWN.get(context.kind, ()):
        value = context.fields.get(name)
        if value is None or name == context.value_of or (name in _UNINTERESTING_ZERO and value == "0"):
            continue
        if name == "status" and context.event == f"{context.kind}.{value}":
            continue
        if name == "reason" and value == context.reason:
            continue
        if name == "venue_status" and context.fields.get("status") not in (None, "unknown"):
            continue  # the venue's code for what is said in words
        if name == "side" and f" {value}" in what_line(context, style):
            continue
        if name == "currency" and re.search(rf"\d {re.escape(str(value))}\b", before):
            continue
        text = _detail(context, name, str(value), style, times)
        if _says(before, name, text) or (name == "since" and text in before):
            continue
        shown.append(f"{name} {text}")
    return "  " + ", ".join(shown) if shown else ""


def _detail(context: AlertContext, name: str, value: str, style: Style, times: Times) -> str:
    if name in _TIMES:
        try:
            return times.text(datetime.fromisoformat(value))
        except (ValueError, OverflowError):
            return plain(value)
    if name in _IDS:
        return style.id(value)
    number = number_shown(value, name, derived=name in context.derived)
    return f"{number} W" if name == "power" else number
