"""Charts as SVG, made here: what lists show, and what is seen without JavaScript. Where there is some, uPlot draws from the same data.

Colours are the style sheet's, by class, so that both themes hold. Money comes as Decimal; only places on the screen are floats.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from markupsafe import Markup

from tocsin.control.snapshot import Point
from tocsin.events import from_iso, readable_text, stored_number

_SPARK = (92, 26)  # px
_WIDE = (720, 220)
_LOW = 170
_METER = 100
_DAY_WIDE = 1440  # a minute is as wide as one
_SPAN_HEIGHTS = {"away": 14, "silent": 9, "connected": 5}  # px


class Line(NamedTuple):
    """A limit: where it lies, what it is called, and the class of its colour (`bad`, `good`)."""

    at: Decimal
    label: str
    tone: str = "bad"


class Shade(NamedTuple):
    """From when to when something was so, and the class of its colour (`bad`, `warn`)."""

    begun: datetime
    ended: datetime
    tone: str = "bad"


class Series(NamedTuple):
    """What is drawn as one line. `steps`: a value holds until the next. `fill`: the space below it is filled."""

    label: str
    points: Sequence[Point]
    tone: str = "accent"
    steps: bool = False
    fill: bool = False


def meter(fraction: float, tone: str = "") -> Markup:
    """How much of the way something has gone: 0 to 1."""
    width = round(_METER * min(max(fraction, 0.0), 1.0))
    return Markup(
        '<svg class="meter {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="all" width="100" height="6"/><rect class="done" width="{}" height="6"/></svg>'
    ).format(tone, width)


def points_of(trail: Sequence[Sequence[Any]]) -> list[Point]:
    """Of `[[seconds since 1970, number as text], …]`, as screens' data have them."""
    return [Point(datetime.fromtimestamp(seconds, UTC), stored_number(value)) for seconds, value in trail]


def sparkline(trail: Sequence[Sequence[Any]], bound: str | None = None, tone: str = "down") -> Markup:
    """A small line of values, and its limit dashed; nothing of less than two points."""
    points = points_of(trail)
    if len(points) < 2:
        return Markup("")
    limit = stored_number(bound) if bound is not None else None
    frame = _Frame([points], [limit] if limit is not None else [], *_SPARK, margin=3)
    line = (
        Markup('<line class="limit" x1="0" x2="{}" y1="{y}" y2="{y}"/>').format(_SPARK[0], y=frame.y(limit))
        if limit is not None
        else ""
    )
    return Markup(
        '<svg class="spark {}" width="{w}" height="{h}" viewBox="0 0 {w} {h}" aria-hidden="true">{}'
        '<polyline points="{}"/></svg>'
    ).format(tone, line, frame.path(points), w=_SPARK[0], h=_SPARK[1])


def strip(counts: Sequence[tuple[str, int]]) -> Markup:
    """A bar for each day: its name and how many."""
    most = max((count for _, count in counts), default=0) or 1
    bars = Markup("").join(
        Markup('<rect class="{}" x="{}" y="{}" width="8" height="{}"><title>{}: {}</title></rect>').format(
            "some" if count else "none", 10 * place, 44 - height, height, day, count
        )
        for place, (day, count) in enumerate(counts)
        for height in (round(4 + 40 * count / most),)
    )
    said = f"{sum(count for _, count in counts)} in {len(counts)} days, at most {max((c for _, c in counts), default=0)} a day"
    return Markup(
        '<svg class="strip" viewBox="0 0 {} 44" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(10 * len(counts), said, bars)


def spans(of: Sequence[Mapping[str, Any]], begun: str, ended: str, sentence: str) -> Markup:
    """States over a time, as a bar: what is away is high, what is connected low, and nothing stands where nothing is known.

    `of`: `begun`, `ended` (ISO 8601) and `state`, in their order; `sentence` says it in words.
    """
    first, last = from_iso(begun), from_iso(ended)
    lasts = (last - first).total_seconds() or 1.0

    def x(at: str) -> float:
        return round(_DAY_WIDE * (from_iso(at) - first).total_seconds() / lasts, 1)

    bars = Markup("").join(
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            each["state"], left, 14 - height, max(x(each["ended"]) - left, 1.5), height
        )
        for each in of
        if (height := _SPAN_HEIGHTS.get(each["state"], 0))
        for left in (x(each["begun"]),)
    )
    return Markup(
        '<svg class="spans" viewBox="0 0 {} 14" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(_DAY_WIDE, sentence, bars)


def chart(
    sentence: str,
    series: Sequence[Series],
    *,
    lines: Sequence[Line] = (),
    shades: Sequence[Shade] = (),
    height: int = _WIDE[1],
) -> Markup:
    """A chart with what it says in words. What uPlot draws from is in `data-chart`: JSON, times in seconds, values as floats."""
    drawn = [each for each in series if len(each.points) > 1]
    if not drawn:
        return Markup('<p class="pad muted">{}</p>').format(sentence)
    frame = _Frame([each.points for each in drawn], [line.at for line in lines], _WIDE[0], height, margin=10)
    shaded = Markup("").join(
        Markup('<rect class="shade {}" x="{}" y="0" width="{}" height="{}"/>').format(
            shade.tone, frame.x(shade.begun), frame.x(shade.ended) - frame.x(shade.begun), height
        )
        for shade in shades
    )
    limits = Markup("").join(
        Markup(
            '<line class="limit {}" x1="0" x2="{}" y1="{y}" y2="{y}"/><text class="{}" x="8" y="{}">{}</text>'
        ).format(line.tone, _WIDE[0], line.tone, frame.y(line.at) + beside, line.label, y=frame.y(line.at))
        for line, beside in _labelled(lines)
    )
    paths = Markup("").join(
        Markup('<polyline class="{}" points="{}"/>').format(
            each.tone, frame.path(each.points, steps=each.steps)
        )
        for each in drawn
    )
    return Markup(
        '<div class="chart" data-chart="{}" data-height="{}" role="img" aria-label="{}">'
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}{}{}{}</svg></div>'
    ).format(
        _plotted(drawn, lines, shades),
        height,
        sentence,
        _WIDE[0],
        height,
        shaded,
        limits,
        paths,
        _axis(drawn, frame),
    )


def _axis(series: Sequence[Series], frame: "_Frame") -> Markup:
    """The lowest and the highest value, each at its height, for who sees no chart of uPlot's."""
    values = [point.value for each in series for point in each.points]
    return Markup("").join(
        Markup('<text class="axis" x="{}" y="{}">{}</text>').format(
            _WIDE[0] - 8, frame.y(value) + beside, readable_text(value)
        )
        for value, beside in {max(values): 14, min(values): -4}.items()  # within the chart, and off the line
    )


def equity_chart(trail: Sequence[Sequence[Any]], currency: str | None, account: str | None) -> Markup:
    """An account's equity, with what it says in words."""
    points = points_of(trail)
    if not points:
        return chart(
            "No account tells its equity." if account is None else "Nothing is known of its equity yet.", []
        )
    low, high = (find(point.value for point in points) for find in (min, max))
    money = f" {currency}" if currency else ""
    said = f"Equity: {points[-1].value}{money} now, between {low} and {high} since {points[0].at:%H:%M} UTC"
    return chart(said, [Series("equity", points, fill=True)], height=_LOW)


def _labelled(lines: Sequence[Line]) -> list[tuple[Line, int]]:
    """Each with how far below it (px) its label stands: that of the lowest below, so that of two that are close neither covers the other."""
    lowest = min((line.at for line in lines), default=None)
    return [(line, 13 if len(lines) > 1 and line.at == lowest else -4) for line in lines]


class _Frame:
    """Where values lie on the screen."""

    def __init__(
        self,
        series: Sequence[Sequence[Point]],
        limits: Sequence[Decimal],
        width: int,
        height: int,
        margin: int,
    ) -> None:
        values = [point.value for points in series for point in points] + [*limits]
        times = [point.at for points in series for point in points]
        self._low, high = min(values), max(values)
        self._begun, ended = min(times), max(times)
        self._span = float(high - self._low) or 1.0
        self._lasts = (ended - self._begun).total_seconds() or 1.0
        self._width, self._height, self._margin = width, height, margin

    def x(self, at: datetime) -> float:
        passed = (at - self._begun).total_seconds() / self._lasts
        return round(self._width * min(max(passed, 0.0), 1.0), 1)

    def y(self, value: Decimal) -> float:
        room = self._height - 2 * self._margin
        return round(self._margin + room * (1 - float(value - self._low) / self._span), 1)

    def path(self, points: Sequence[Point], *, steps: bool = False) -> str:
        found: list[str] = []
        before: Point | None = None
        for point in points:
            if steps and before is not None:
                found.append(f"{self.x(point.at)},{self.y(before.value)}")
            found.append(f"{self.x(point.at)},{self.y(point.value)}")
            before = point
        return " ".join(found)


def _finite(value: Decimal) -> float | None:
    """None of what is too large for a script's numbers, and for JSON."""
    found = float(value)
    return found if math.isfinite(found) else None


def _plotted(series: Sequence[Series], lines: Sequence[Line], shades: Sequence[Shade]) -> str:
    at = sorted({point.at.timestamp() for each in series for point in each.points})
    place = {time: index for index, time in enumerate(at)}
    columns = []
    for each in series:
        column: list[float | None] = [None] * len(at)
        for point in each.points:
            column[place[point.at.timestamp()]] = _finite(point.value)
        columns.append(column)
    return json.dumps(
        {
            "data": [at, *columns],
            "series": [
                {"label": each.label, "tone": each.tone, "steps": each.steps, "fill": each.fill}
                for each in series
            ],
            "lines": [
                {"at": limit, "label": line.label, "tone": line.tone}
                for line in lines
                if (limit := _finite(line.at)) is not None
            ],
            "shades": [[s.begun.timestamp(), s.ended.timestamp(), s.tone] for s in shades],
        },
        separators=(",", ":"),
    )
