"""How the value of an alert went, against the limits where it begins and ends, and when it was pending and fired."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from tocsin.alerts.wording import counted, span_text, unit_text, value_name, value_shown
from tocsin.control.snapshot import Point
from tocsin.engine.api import AlertContext, Part
from tocsin.events import from_iso, iso, stored_number
from tocsin.page.alert_rows import trail_of
from tocsin.page.charts import Line, Series, Shade, chart, points_of
from tocsin.page.screen import Json
from tocsin.store.reader import Row

_HEIGHT = 250  # px
_MOST_ROWS = 30  # of the table
_SAYS = {"when": ("fires", "bad"), "until": ("ends", "good")}


def chart_of(row: Row, context: AlertContext | None, points: Sequence[Point], now: datetime) -> Json:
    """`points` of the value (`value_of`, in `unit`), `lines` where it fires and ends, `shades` from when to when it was pending (`warn`) and
    fired (`bad`), and the `sentence` that says it all. `value_of` None: the alert is about no number.
    """
    if context is None or context.value_of is None or context.event is not None:
        return {"value_of": None}
    lines = [*_lines(context)]
    return {
        "value_of": value_name(context),
        "unit": unit_text(context, context.value_of).strip(),
        "points": trail_of(points),
        "lines": lines,
        "shades": [*_shades(row, points, now)],
        "sentence": _sentence(row, context, points, lines),
        "lasts": (points[-1].at - points[0].at).total_seconds() if points else 0.0,
    }


def worst_at(row: Row, worst: str | None, points: Sequence[Point], now: datetime) -> datetime | None:
    """When it was at its worst, as far as that is kept: `points` begin before the alert, and what was then is another's."""
    if worst is None:
        return None
    try:
        value = stored_number(worst)
    except ValueError:
        return None
    begun, ended = _lasted(row, now)
    return next((each.at for each in points if each.value == value and begun <= each.at <= ended), None)


def value_at(points: Sequence[Point], at: datetime) -> Decimal | None:
    """What was last known of it then."""
    before = [point.value for point in points if point.at <= at]
    return before[-1] if before else None


def alert_chart(data: Json) -> Markup:
    """Of what `chart_of` made."""
    return chart(
        data["sentence"],
        [Series(data["value_of"], points_of(data["points"]))],
        lines=[Line(stored_number(each["at"]), each["label"], each["tone"]) for each in data["lines"]],
        shades=[
            Shade(from_iso(each["begun"]), from_iso(each["ended"]), each["tone"]) for each in data["shades"]
        ],
        height=_HEIGHT,
    )


def thinned(points: Sequence[Any]) -> list[Any]:
    """As many as a table can have, the last always."""
    every = max(1, -(-len(points) // _MOST_ROWS))
    return [*points][::-1][::every][::-1]


def _lines(context: AlertContext) -> Iterator[Json]:
    """The limits of what the value is compared with; each says on which side of it the alert fires, or ends."""
    bounds = [stored_number(bound) for bound in context.bounds]
    for part in context.parts:
        limit = _limit(part)
        if limit is None or limit not in bounds or part.of not in _SAYS:
            continue
        bounds.remove(limit)
        word, tone = _SAYS[part.of]
        yield {
            "at": str(limit),
            "label": f"{word} {_side(part, limit)} {value_shown(context, str(limit))}",
            "tone": tone,
        }


def _limit(part: Part) -> Decimal | None:
    try:
        return stored_number(part.distance.limit) if part.distance is not None else None
    except ValueError:  # a duration
        return None


def _side(part: Part, limit: Decimal) -> str:
    """By where the value was when the comparison held, or didn't."""
    value = stored_number(part.distance.value) if part.distance is not None else limit
    if value == limit:
        return "below" if "<" in part.asks else "above"
    return "below" if (value < limit) is (part.distance is not None and part.distance.met) else "above"


def _shades(row: Row, points: Sequence[Point], now: datetime) -> Iterator[Json]:
    if len(points) < 2:
        return
    first, last = points[0].at, points[-1].at
    fired = from_iso(row["fired_at"])
    started, ended = _lasted(row, now)
    for begun, over, tone in ((started, fired, "warn"), (fired, ended, "bad")):
        begun_, over_ = max(begun, first), min(over, last)
        if begun_ < over_:
            yield {"begun": iso(begun_), "ended": iso(over_), "tone": tone}


def _lasted(row: Row, now: datetime) -> tuple[datetime, datetime]:
    """From when its condition began to hold to its end, or until now."""
    return from_iso(row["started_at"]), from_iso(row["resolved_at"]) if row["resolved_at"] else now


def _sentence(row: Row, context: AlertContext, points: Sequence[Point], lines: Sequence[Json]) -> str:
    called = value_name(context)
    if len(points) < 2:
        return f"How {called} went before isn't kept."
    values = [point.value for point in points]
    texts = [value_shown(context, str(value)) for value in (values[0], values[-1], min(values), max(values))]
    unit = unit_text(context, str(context.value_of))
    limits = "; ".join(each["label"] for each in lines)
    over = " and is over" if row["resolved_at"] else ""
    return (
        f"{called} over {span_text(points[-1].at - points[0].at)}: from {texts[0]} to {texts[1]}{unit}, between {texts[2]} and {texts[3]},"
        f" in {counted(len(points), 'value')}. {limits + '; ' if limits else ''}fired {from_iso(row['fired_at']):%H:%M:%S} UTC{over}"
    )
