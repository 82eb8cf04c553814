"""What keeps an action from being run: each rail, and the order in which they are asked (`rails.yaml`)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tocsin.actions.model import ActionSettings
from tocsin.actions.rails import RAILS, Facts, in_the_way
from tocsin.engine.api import AlertContext

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CASES = yaml.safe_load((Path(__file__).parent / "rails.yaml").read_text())
SETTINGS = ActionSettings(command=("/bin/true",), rate="2/h")
SHUT = {  # what shuts each rail, and is seen by no other
    "live": ({}, {"live": False}),
    "venue": ({}, {"away": "fx is disconnected"}),
    "max_age": ({}, {"age": timedelta(hours=1)}),
    "holds": ({}, {"holds": False}),
    "recorded": ({}, {"unrecorded": "disk is full"}),
    "pause": ({}, {"paused": "by anna"}),
    "circuit": ({}, {"circuit": "since noon"}),
    "rate": ({}, {"recent": (NOW, NOW)}),
}


def asked(context, facts):
    at = NOW - timedelta(seconds=5)
    made = {
        "rule": "r",
        "severity": "warning",
        "state": "firing",
        "kind": "order",
        "venue": "fx",
        "entity": "o1",
    }
    made |= {"started_at": at, "at": at, "time": at} | context
    return in_the_way(AlertContext(**made), Facts(**{"settings": SETTINGS, "now": NOW} | facts))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.get("reason", "runs")[:40])
def test_what_is_in_the_way(case):
    context, facts = dict(case.get("context", {})), dict(case.get("facts", {}))
    if "age" in case:
        facts["age"] = timedelta(seconds=case["age"])
    if "recent" in case:
        facts["recent"] = tuple(NOW - timedelta(seconds=age) for age in case["recent"])
    assert asked(context, facts) == case.get("reason", "")


def test_each_rail_shuts_by_itself():
    assert list(SHUT) == [name for name, _ in RAILS]
    assert all(asked(*each) for each in SHUT.values())


@pytest.mark.parametrize(("first", "second"), [*pairwise(SHUT)])
def test_of_two_that_are_shut_the_first_is_the_reason(first, second):
    both = tuple(one | other for one, other in zip(SHUT[first], SHUT[second], strict=True))
    assert asked(*both) == asked(*SHUT[first]) != asked(*SHUT[second])
