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


_FIGURES = pytest.StashKey[list[Figure]]()


def pytest_configure(config):
    config.stash[_FIGURES] = []


@pytest.fixture
def figure(request):
    """Note a figure of this run, `figure("told within, median", 12.0, unit="ms", aim=100)`: at most `aim`, and an error
    beyond five times that."""

    def note(name, value, *, unit="", aim=None):
        request.config.stash[_FIGURES].append(Figure(name, value, unit, aim))
        assert aim is None or value <= TIMES_THE_AIM * aim, f"{name}: {value:.4g} {unit}, aim {aim:g} {unit}"

    return note


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[_FIGURES]
    if not figures:
        return
    terminalreporter.section("figures of this run")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        aim = "" if figure.aim is None else f"  (aim ≤ {figure.aim:g})"
        terminalreporter.write_line(f"{figure.name.ljust(width)}  {figure.value:10.4g} {figure.unit}{aim}")
