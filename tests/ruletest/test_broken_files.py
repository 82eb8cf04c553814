"""What is wrong with a test file is told all at once, each with its place; kept beside each file as it is shown."""

from pathlib import Path

import pytest

from support.growing import shortened
from tocsin.errors import ConfigError
from tocsin.ruletest.file_parser import read_tests

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


def told(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_tests(path)
    return shortened(str(caught.value).replace(f"{path.parent}/", "")) + "\n"


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_everything_wrong_is_told_with_its_place(path):
    assert told(path) == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a test file is a mapping"),
        ("- 1\n", "a test file is a mapping"),
        ("tests: [{name: x, steps: [{at: 0s, expect: []}]}]\n", "the key `rules` is missing"),
        ("rules: []\n", "tests: must be a list of tests"),
        ("rules: missing.yaml\ntests: []\n", "no such file"),
        ("rules: []\nchannels: []\ntests: []\n", "channels: must be a list of names, at least one"),
        ("rules: []\ntests: [{name: x, steps: [{at: 0s, at: 1s}]}]\n", "stands here twice"),
        ("rules: [}\n", "1:9"),
    ],
)
def test_files_that_are_none(tmp_path, text, message):
    path = tmp_path / "it.yaml"
    path.write_text(text)
    assert message in told(path)


def test_a_file_that_is_not_there(tmp_path):
    assert "can't read" in told(tmp_path / "none.yaml")
