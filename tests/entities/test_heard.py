"""What a person hears when a venue's messages come late, once more, or of another life: rule tests, a file a subject."""

from pathlib import Path

import pytest

from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.model import RuleTests
from tocsin.ruletest.model import Test as Case
from tocsin.ruletest.report import failure_text
from tocsin.ruletest.runner import run_test

_CASES = [
    pytest.param(tests, test, id=f"{path.stem}: {test.name}")
    for path in sorted((Path(__file__).parent / "heard").glob("*.yaml"))
    for tests in [read_tests(path)]
    for test in tests.tests
]


@pytest.mark.parametrize(("tests", "test"), _CASES)
def test_heard(tests: RuleTests, test: Case) -> None:
    result = run_test(tests, test)
    assert result.failure is None, failure_text(result)
