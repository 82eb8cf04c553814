"""What is said and what has happened by that, as data."""

from pathlib import Path

import pytest

from support.observing import Scene, cases, line
from tocsin.events.vocabulary import is_event

CASES = cases(Path(__file__).with_name("events.yaml"))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_events(case):
    scene = Scene()
    for number, step in enumerate(case["steps"], 1):
        expected = step.pop("is", [])
        changes = scene.step(step)
        assert [line(change) for change in changes] == expected, f"step {number}: {step}"
        for change in changes:
            assert all(is_event(event) for event in change.events)
            assert change.previous is None or change.previous is not change.state
