"""The life of an alert, as the files in alerts/ tell it."""

from pathlib import Path
from typing import Any

import pytest

from support.story import play, stories

_FILES = sorted(Path(__file__).with_name("alerts").glob("*.yaml"))
_TESTS = [(file.stem, test) for file in _FILES for test in stories(file)]


@pytest.mark.parametrize(
    "test", [test for _, test in _TESTS], ids=[f"{file}: {test['name']}" for file, test in _TESTS]
)
def test_alert(test: dict[str, Any]) -> None:
    play(test)
