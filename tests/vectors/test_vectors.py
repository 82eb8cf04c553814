"""Facts from other projects' tests, as rule tests: what each file says of its origin stands at its head.

That the expectations hold the engine, not only the parser, is shown by turning each of them round.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.model import Expect, ExpectAlerts, RuleTests, Step, Wanted
from tocsin.ruletest.model import Test as Vector
from tocsin.ruletest.report import failure_text
from tocsin.ruletest.runner import run_test

_FILES = sorted(Path(__file__).parent.glob("*.yaml"))
_READ = [read_tests(file) for file in _FILES]
_CASES = [
    pytest.param(read, test, id=f"{read.path.stem}: {test.name}") for read in _READ for test in read.tests
]


def test_there_are_the_three_projects() -> None:
    assert [file.stem for file in _FILES] == ["elastalert", "home_assistant", "prometheus"]


@pytest.mark.parametrize("read", _READ, ids=lambda read: read.path.stem)
def test_a_file_names_its_origin_and_its_licence(read: RuleTests) -> None:
    head = "".join(line for line in read.path.read_text().splitlines(keepends=True) if line.startswith("#"))
    assert "github.com/" in head
    assert "Apache License 2.0" in head


@pytest.mark.parametrize(("read", "test"), _CASES)
def test_vector(read: RuleTests, test: Vector) -> None:
    result = run_test(read, test)
    assert result.failure is None, failure_text(result)


@pytest.mark.parametrize(("read", "test"), _CASES)
def test_another_expectation_fails(read: RuleTests, test: Vector) -> None:
    """Each test but for one expectation turned round, the last that expects anything (else the last)."""
    places = [
        place for place, step in enumerate(test.steps) if isinstance(step.action, Expect | ExpectAlerts)
    ]
    assert places, "a test that expects nothing"
    place = next((place for place in reversed(places) if _items(test.steps[place])), places[-1])
    steps = (*test.steps[:place], _turned_round(test.steps[place]), *test.steps[place + 1 :])
    failure = run_test(read, replace(test, steps=steps)).failure
    assert failure is not None
    assert failure.step.place == test.steps[place].place


def _items(step: Step) -> tuple[Wanted, ...]:
    return step.action.items if isinstance(step.action, Expect | ExpectAlerts) else ()


def _turned_round(step: Step) -> Step:
    """What is expected, less its last item; where nothing is, something."""
    assert isinstance(step.action, Expect | ExpectAlerts)
    items = step.action.items[:-1] if step.action.items else (Wanted({"state": "firing"}, step.place),)
    return replace(step, action=replace(step.action, items=items))
