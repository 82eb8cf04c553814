"""Charts: what is drawn, and what is said to who doesn't see it."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from xml.etree import ElementTree as ET

import pytest

from tocsin.control.snapshot import Point
from tocsin.page.charts import Line, Series, Shade, chart, meter, sparkline, strip

START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = '</svg><script>alert(1)</script>"'


def points(*values: int) -> list[Point]:
    return [Point(START + timedelta(minutes=number), Decimal(value)) for number, value in enumerate(values)]


def parsed(markup) -> ET.Element:
    return ET.fromstring(f"<x>{markup}</x>")[0]


@pytest.mark.parametrize(("fraction", "width"), [(-1, "0"), (0, "0"), (0.5, "50"), (1, "100"), (7, "100")])
def test_a_meter_stays_within_its_bounds(fraction, width):
    assert parsed(meter(fraction))[1].get("width") == width


def test_a_line_reaches_from_edge_to_edge():
    line = parsed(sparkline([[0, "1"], [60, "3"], [120, "2"]], "2"))
    assert line[1].get("points") == "0.0,23.0 46.0,3.0 92.0,13.0"
    assert line[0].get("y1") == "13.0"
    assert sparkline([[0, "1"]]) == ""


@pytest.mark.parametrize("value", ["0", "1E-40", "-99999999999999999999"])
def test_a_flat_line_can_be_drawn(value):
    assert "polyline" in sparkline([[0, value], [1, value]])


def test_a_chart_is_drawn_twice_from_the_same():
    made = chart(
        HOSTILE,
        [Series("profit", points(1, 5, 3)), Series("other", points(2, 2), steps=True)],
        lines=[Line(Decimal(4), HOSTILE)],
        shades=[Shade(START, START + timedelta(minutes=1))],
    )
    element = parsed(made)
    assert element.get("aria-label") == HOSTILE
    data = json.loads(element.get("data-chart"))
    assert data["data"][1] == [1.0, 5.0, 3.0]
    assert data["data"][2] == [2.0, 2.0, None]
    assert data["lines"][0]["label"] == HOSTILE
    assert "style=" not in made
    assert "<script" not in made


@pytest.mark.parametrize(
    ("limits", "beside"), [((-40, -50), (-4, 13)), ((-50, -40), (13, -4)), ((-50,), (-4,))]
)
def test_of_two_limits_that_are_close_no_label_covers_the_other(limits, beside):
    made = parsed(
        chart("", [Series("profit", points(-900, 0))], lines=[Line(Decimal(at), str(at)) for at in limits])
    )
    (drawn,) = made
    labels = [text for text in drawn.iter("text") if text.get("class") != "axis"]
    found = [
        round(float(text.get("y")) - float(line.get("y1")))
        for line, text in zip(drawn.iter("line"), labels, strict=True)
    ]
    assert tuple(found) == beside


@pytest.mark.parametrize(
    ("values", "said"), [((1, "-9.999999997489795e-05", 3), ["3", "-0.0001"]), ((2, 2), ["2"])]
)
def test_without_a_script_it_says_how_high_and_how_low(values, said):
    made = parsed(chart("", [Series("profit", points(*values))]))
    axis = [text for text in made.iter("text") if text.get("class") == "axis"]
    assert [text.text for text in axis] == said
    assert all(0 < float(text.get("y")) < 220 for text in axis)


def test_a_chart_of_nothing_says_so():
    assert unescape(str(chart("nothing is known", []))) == '<p class="pad muted">nothing is known</p>'


def test_a_strip_says_what_it_shows():
    assert parsed(strip([("1 Jan", 0), ("2 Jan", 4)])).get("aria-label") == "4 in 2 days, at most 4 a day"


def test_a_number_that_no_script_knows_is_left_out():
    huge = Decimal("1e350")
    series = Series("worth", [*points(1), Point(START + timedelta(minutes=5), huge)])
    drawn = chart("Worth", [series], lines=[Line(huge, "limit")])
    plotted = json.loads(parsed(drawn).get("data-chart"), parse_constant=pytest.fail)
    assert plotted["data"][1] == [1.0, None]
    assert plotted["lines"] == []
