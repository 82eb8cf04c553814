"""Alerts as the page's lists show them: a row of the store, and what the engine knows of it now."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs

from tocsin.alerts.message import headline
from tocsin.alerts.silences import matchers_of
from tocsin.alerts.wording import Style, value_and_unit, value_name, without_mark
from tocsin.control.acts import as_acknowledged
from tocsin.control.snapshot import Point, Snapshot, Watched
from tocsin.engine.api import AlertContext
from tocsin.events import from_iso, iso, number_text
from tocsin.page.screen import Json
from tocsin.pipeline.acts import FIRING


def alert_rows(rows: Sequence[Mapping[str, Any]], snapshot: Snapshot, style: Style) -> list[Json]:
    """These alerts (rows of `Reader.alerts`), each with its value of now, and what can be done about it."""
    watched = {each.alert: each for each in snapshot.alerts if each.alert}
    return [alert_row(row, watched.get(row["id"]), snapshot, style) for row in rows]


def alert_row(row: Mapping[str, Any], watched: Watched | None, snapshot: Snapshot, style: Style) -> Json:
    """`number` and `title` (in the words of what was sent, with the value of now where these are ours), `condition`, `worst`; `as_told`: when a
    title in the rule's own words was told, which stays as it is; `trail`: [[seconds, value], …] with `limit`; `matchers` that silence it and its like.
    """
    row, context = as_acknowledged(row, snapshot.acknowledged), context_of(row)
    lives = row["state"] in FIRING
    silence = (
        snapshot.silences.over(context, snapshot.measures.now) if lives and context is not None else None
    )
    known = watched if lives else None
    number, words = _titled(row, context, known, style)
    worst = worst_of(context, known)
    return {
        "id": row["id"],
        "rule": row["rule"],
        "severity": row["severity"],
        "state": row["state"],
        "venue": row["venue"],
        "account": row["account"],
        "entity": row["entity"],
        "symbol": row["symbol"],
        "number": number,
        "title": words,
        "condition": (context.limit or context.condition) if context is not None else "",
        "worst": _worst(context, worst) if context is not None else worst,
        "as_told": iso(context.at) if known is not None and context is not None and context.title else None,
        "fired_at": row["fired_at"],
        "started_at": row["started_at"],
        "resolved_at": row["resolved_at"],
        "acked_at": row["acked_at"],
        "acked_by": row["acked_by"],
        "acked_until": row["acked_until"],
        "held": row["held"],
        "silenced_until": iso(silence.ends_at) if silence is not None else None,
        "stale_since": iso(known.stale_since) if known is not None and known.stale_since else None,
        "trail": trail_of(snapshot.trails.get((row["rule"], row["instance"]), ())),
        "limit": context.bounds[0] if context is not None and context.bounds else None,
        "matchers": matchers(row, context),
    }


def in_short(made: Mapping[str, Any]) -> str:
    """What one of these says, on a line: with the number of now, or where the words are the rule's own, as it was told."""
    words = f"{made['number']} {made['title']}".strip()
    return f"{words} (as told)" if made["as_told"] else words


def context_of(row: Mapping[str, Any]) -> AlertContext | None:
    """None where another version wrote it."""
    try:
        return msgspec.convert(row["data"], AlertContext)
    except msgspec.ValidationError:
        return None


def worst_of(context: AlertContext | None, watched: Watched | None) -> str | None:
    """How bad that alert got since its condition began to hold: of one that lives (`watched`) as the engine has it, else as it was told last."""
    if watched is not None:
        return watched.worst
    return context.worst if context is not None else None


def matchers(row: Mapping[str, Any], context: AlertContext | None) -> str:
    """What silences that alert's rule for what it is about."""
    return matchers_of(context) if context is not None else f"rule={row['rule']}"


def _worst(context: AlertContext, worst: str | None) -> str:
    """Where the title is a rule's own nothing else says of what that is the number."""
    number = value_and_unit(context, worst)
    return f"{value_name(context)} {number}" if number and context.title is not None else number


def trail_of(points: Sequence[Point]) -> list[list[Any]]:
    """As JSON has it: seconds since 1970, and the number as text."""
    return [[round(point.at.timestamp(), 3), number_text(point.value)] for point in points]


def _titled(
    row: Mapping[str, Any], context: AlertContext | None, watched: Watched | None, style: Style
) -> tuple[str, str]:
    """The number that it is about, and what it says of that; of a rule's own words the number is a part. How long it lasted counts from when
    it fired, as everywhere on the page; messages count from when it began.
    """
    if context is None or context.title is not None or context.event is not None:
        return "", without_mark(str(row["title"]))
    if context.state == "resolved":
        return "", headline(structs.replace(context, started_at=from_iso(row["fired_at"])), style)
    if watched is not None and watched.value is not None:
        context = structs.replace(context, value=watched.value)
    number = value_and_unit(context, context.value)
    return number, headline(context, style).removeprefix(number).strip()
