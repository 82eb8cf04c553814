"""Alertmanager's time intervals, as far as our calendars can say the same."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.calendars import parse_calendar
from tocsin.calendars import Window

ROWS = yaml.safe_load(Path(__file__).with_name("alertmanager_intervals.yaml").read_text())


@pytest.mark.parametrize("row", ROWS["moments"], ids=lambda row: row["what"])
@pytest.mark.parametrize("is_open", [True, False])
def test_moments(row: dict[str, Any], is_open: bool) -> None:
    calendar = parse_calendar(row["tz"], row["open"])
    for moment in row["valid" if is_open else "invalid"]:
        assert calendar.is_open(datetime.fromisoformat(moment)) is is_open, moment


@pytest.mark.parametrize("window", ROWS["windows"]["right"])
def test_windows(window: str) -> None:
    assert Window.parse(window).days == frozenset(range(7))


@pytest.mark.parametrize(
    "window", [*ROWS["windows"]["wrong"], *(f"{days} 09:00-17:00" for days in ROWS["windows"]["wrong_days"])]
)
def test_windows_that_are_none(window: str) -> None:
    with pytest.raises(ValueError):
        Window.parse(window)
