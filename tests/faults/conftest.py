"""Programs that hurt the real daemon from outside, and count: `./run faults`.

A module is `fault_NAME.py`, a program in it `fault_WHAT`. What must never happen (an alert lost, told twice, told during a
fault without its mark) is asserted; what depends on the machine goes through `figure` and fails at five times its aim. The
table at the end is the README's, from a quiet run.
"""

from typing import NamedTuple

import pytest

TIMES_THE_AIM = 5  # a busy machine is slower than a quiet one, a broken program slower than that


class Figure(NamedTuple):
    name: str
    value: float
    unit: str
    aim: float | None


_FIGURE = "figure"


@pytest.fixture
def figure(record_property):
    """Note a figure of this run, `figure("told within, median", 12.0, unit="ms", aim=100)`: at most `aim`, and an error
    beyond five times that."""

    def note(name, value, *, unit="", aim=None):
        record_property(_FIGURE, [name, value, unit, aim])
        assert aim is None or value <= TIMES_THE_AIM * aim, f"{name}: {value:.4g} {unit}, aim {aim:g} {unit}"

    return note


def pytest_terminal_summary(terminalreporter):
    # By reports, since a test may run in a process of its own.
    reports = [report for each in ("passed", "failed") for report in terminalreporter.stats.get(each, ())]
    figures = [
        Figure(*value)
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == _FIGURE
    ]
    if not figures:
        return
    terminalreporter.section("figures of this run")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        aim = "" if figure.aim is None else f"  (aim ≤ {figure.aim:g})"
        terminalreporter.write_line(f"{figure.name.ljust(width)}  {figure.value:10.4g} {figure.unit}{aim}")
