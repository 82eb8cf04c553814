"""The life of an alert, as the files in alerts/ tell it."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.story import Story, play, stories

_FILES = sorted(Path(__file__).with_name("alerts").glob("*.yaml"))
_TESTS = [(file.stem, test) for file in _FILES for test in stories(file)]


@pytest.mark.parametrize(
    "test", [test for _, test in _TESTS], ids=[f"{file}: {test['name']}" for file, test in _TESTS]
)
def test_alert(test: dict[str, Any]) -> None:
    play(test)


UNTOLD = {"alert", "group", "cooldown", "reminder", "sequence"}
"""The kinds whose records said it by a flag, or by their key; a later kind has always said its name."""


class _FromBefore(Story):
    """Each run takes over what an earlier version had written: its records didn't say what they are of, but by a flag that
    is still there.
    """

    def _start(self) -> None:
        for at, text in self.stored.items():
            record = json.loads(text)
            if record["kind"] in UNTOLD:
                del record["kind"]
            self.stored[at] = json.dumps(record)
        super()._start()


@pytest.mark.parametrize(
    "test",
    [test for _, test in _TESTS if any("restart" in step for step in test["steps"])],
    ids=lambda test: test["name"],
)
def test_what_an_earlier_version_had_written_is_taken_over(test: dict[str, Any]) -> None:
    play(test, _FromBefore)
