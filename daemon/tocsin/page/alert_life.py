"""What became of an alert, in order: pending, firing, what was told and run, who did what; and what comes next by itself.

Each is `{"at", "tone", "says", "name", "more", "sub", "next", "next_try"}`: `says` and `more` stand around the `name` that matters; `next`: it
is still to come, at `at` or (None) when what holds its time up is over; `next_try`: when what failed is tried again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.alerts.silences import Silences
from tocsin.alerts.wording import span_text, value_and_unit, value_name
from tocsin.engine.api import AlertContext
from tocsin.events import from_iso, iso
from tocsin.page.message_rows import outcome, status_of
from tocsin.page.screen import Json
from tocsin.page.words import via_words
from tocsin.store.model import Silence
from tocsin.store.reader import Row

_TOLD = {
    "firing": ("told ", ""),
    "reminder": ("reminded ", ""),
    "resolved": ("told ", " that it is over"),
}
_RAN = {
    "ok": ("good", "ran "),
    "dry_run": ("off", "would have run "),
    "failed": ("bad", "failed: "),
    "unknown": ("warn", "nobody knows whether it ran: "),
    "dropped": ("warn", "didn't run "),
    "declined": ("off", "somebody declined "),
    "unanswered": ("warn", "nobody answered: "),
    "asked": ("warn", "asks whether to run "),
    "pending": ("warn", "is to run "),
    "begun": ("warn", "runs "),
}
_COMES = {
    "escalate": ("escalates to ", "unless acknowledged"),
    "repeat": ("reminds", "unless acknowledged"),
    "keep_firing_for": ("is over", "unless it becomes so again"),
    "ack": ("acknowledgement ends", "then it is told again"),
    "silence": ("silence ends", "then it is told again, if it still fires"),
}

_MUTES = {
    "enabled": "switched off",
    "silence": "silenced",
    "inhibited_by": "inhibited",
    "notify_during": "outside of the hours in which it is told",
}


def entry(at: str | None, tone: str, says: str, name: str = "", **other: Any) -> Json:
    nothing = {"more": "", "sub": "", "next": False, "next_try": None}
    return {"at": at, "tone": tone, "says": says, "name": name, **nothing, **other}


def in_order(entries: Iterable[Json]) -> list[Json]:
    """What was, then what comes; what has no time last."""
    return sorted(entries, key=lambda each: (each["next"], each["at"] is None, each["at"] or ""))


def states(
    row: Row, context: AlertContext | None, *, value: str | None, first: AlertContext | None
) -> Iterator[Json]:
    """Its own states. `value`: that with which it fired; `first`: the context with which it did, where it was told."""
    fired, started = row["fired_at"], row["started_at"]
    if row["state"] == "event":
        sub = first.reason if first is not None and first.reason else ""
        yield entry(fired, _tone(row), "", "happened", sub=sub)
        return
    if started < fired:
        lasted = span_text(from_iso(fired) - from_iso(started))
        begun = value_and_unit(context, context.value_at_start) if context is not None else ""
        sub = f"for {lasted}, until it fired"
        yield entry(started, "warn", "", "pending", more=_with(context, begun), sub=sub)
    condition = (first.words or first.condition) if first is not None else ""
    yield entry(fired, _tone(row), "", "firing", more=_with(context, value or ""), sub=condition)
    if row["resolved_at"]:
        ended_at = from_iso(row["resolved_at"])
        lasted = f"{span_text(ended_at - from_iso(fired))} after it fired"
        if started < fired:
            lasted = f"{span_text(ended_at - from_iso(started))} after it began, {lasted}"
        reason = context.reason if context is not None else ""
        ended = value_and_unit(context, context.value) if context is not None else ""
        word = "ended" if reason else "resolved"
        sub = lasted + (f": {reason}" if reason else "")
        yield entry(row["resolved_at"], "good", "", word, more=_with(context, ended), sub=sub)


def worst(context: AlertContext | None, number: str | None, at: datetime | None) -> Iterator[Json]:
    """Its worst value, where it is known when that was."""
    if context is not None and number is not None and at is not None:
        yield entry(iso(at), "off", "worst, ", value_and_unit(context, number))


def messages(rows: Iterable[Row]) -> Iterator[Json]:
    """What was told, by each channel; where somebody waits or wasn't reached, why."""
    for row in rows:
        before, after = _TOLD.get(row["state_told"], (f"told ({row['state_told']}) ", ""))
        status, sub = status_of(row), ", ".join(outcome(row))
        if row["status"] == "sent":
            yield entry(row["sent_at"], status.tone, before, row["channel"], more=after, sub=sub)
        else:
            again = {"sub": sub, "next_try": row.get("next_try")}
            yield entry(row["created_at"], status.tone, status.says, row["channel"], more=after, **again)


def runs(rows: Iterable[Row]) -> Iterator[Json]:
    """The actions that it started."""
    for row in rows:
        tone, says = _RAN.get(row["status"], ("warn", f"{row['status']}: "))
        at = row["started_at"] or row["asked_at"] or row["created_at"]
        found = [row["result"], row["reason"]]
        if row["answered_by"]:
            found.append(f"answered by {row['answered_by']}")
        if row["started_at"] and row["ended_at"]:
            found.append(
                f"in {(from_iso(row['ended_at']) - from_iso(row['started_at'])).total_seconds():.3g} s"
            )
        more = " since it is over" if row["told"] == "resolved" else ""
        yield entry(at, tone, says, row["action"], more=more, sub=", ".join(filter(None, found)))


def acts(rows: Iterable[Row]) -> Iterator[Json]:
    """Who acknowledged it, by what, and why; or took that back."""
    for row in rows:
        says = {"ack": "acknowledged by ", "unack": "no longer acknowledged, says "}.get(row["does"])
        if says is not None:
            sub = ": ".join(filter(None, (via_words(row["via"]), row["why"])))
            yield entry(row["at"], "good", says, row["by"] or "nobody known", sub=sub)


def silences(
    rows: Iterable[Row], context: AlertContext | None, names: Mapping[str, str], now: str
) -> Iterator[Json]:
    """What silenced it: who made that, and when it was over."""
    for row in rows:
        if context is None or not _holds(row, context, names):
            continue
        by = row["created_by"] or "nobody known"
        sub = ": ".join(filter(None, (via_words(row["via"]), row["reason"] or row["matchers"])))
        yield entry(row["starts_at"], "off", "silenced by ", by, sub=sub)
        if row["ended_at"]:
            yield entry(row["ended_at"], "off", "silence taken back by ", row["ended_by"] or "nobody known")
        elif row["ends_at"] <= now:
            yield entry(row["ends_at"], "off", "silence over")
        else:
            yield _comes("silence", row["ends_at"], "")


def coming(found: Sequence[Mapping[str, Any]], row: Row, held_back_by: Iterable[str]) -> Iterator[Json]:
    """What comes next by itself: `found` is `Explanation.coming`, `held_back_by` is what holds its messages back, by its key in the rule."""
    mutes = [_MUTES[each] for each in held_back_by if each in _MUTES]
    for each in found:
        if each["what"] in _COMES:
            comes = _comes(each["what"], each["at"] and iso(datetime.fromisoformat(each["at"])), each["who"])
            if each["what"] == "repeat" and mutes:
                comes["sub"] = f"held back while it is {' and '.join(mutes)}"
            yield comes
    if row["acked_at"] and row["acked_until"] and not row["resolved_at"]:
        yield _comes("ack", row["acked_until"], "")


def _comes(what: str, at: str | None, who: str) -> Json:
    says, unless = _COMES[what]
    sub = unless if at is not None else "its time stands still while the venue is away"
    return entry(at, "off", says, who, sub=sub, next=True)


def _holds(row: Row, context: AlertContext, names: Mapping[str, str]) -> bool:
    """Whether that silence matches the alert; those that this version can't read match nothing."""
    begun, ends = from_iso(row["starts_at"]), from_iso(row["ends_at"])
    silence = Silence(
        id=row["id"], matchers=row["matchers"], reason="", created_at=begun, starts_at=begun, ends_at=ends
    )
    try:
        return Silences([silence], lambda: names).over(context, begun) is not None
    except ValueError:
        return False


def _with(context: AlertContext | None, number: str) -> str:
    if context is None or not number:
        return ""
    return f", {value_name(context)} {number}"


def _tone(row: Row) -> str:
    return {"critical": "bad", "warning": "warn"}.get(row["severity"], "good")
