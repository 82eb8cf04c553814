"""Where the caret stands: «…» is what each config is told to be wrong in, all at once, and nothing else is."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tocsin.actions.model import ActionSettings
from tocsin.config.load import load_settings
from tocsin.config.settings import Common, NamesSection, Person
from tocsin.delivery.model import ChannelSettings
from tocsin.engine.rule_schema import KEYS, OF_CHANNELS, EscalationConfig, InhibitorConfig, RunConfig
from tocsin.errors import ConfigError, Problem

HERE = Path(__file__).parent
SETTINGS, RULES, WARNINGS = "places_of_settings.txt", "places_of_rules.txt", "places_of_warnings.txt"
NOTHING = ("no venue is", "no channel is", "no rule is")  # of a config that isn't whole
_MARK = re.compile("«(.*?)»")


def cases(file: str) -> list[str]:
    return (HERE / file).read_text().strip("\n").split("\n---\n")


def unmarked(text: str) -> tuple[str, set[tuple[int, int, int]]]:
    """The config, and line, column and length of what is marked in it."""
    lines, places = [], set()
    for number, line in enumerate(text.split("\n"), 1):
        while (mark := _MARK.search(line)) is not None:
            places.add((number, mark.start() + 1, len(mark[1])))
            line = line[: mark.start()] + mark[1] + line[mark.end() :]  # noqa: PLW2901 - until none is left
        lines.append(line)
    return "\n".join(lines) + "\n", places


def all_cases(*files: str):
    return [
        pytest.param(case, id=f"{file.partition('.')[0]}-{number}")
        for file in files
        for number, case in enumerate(cases(file), 1)
    ]


def places(problems: Iterable[Problem], level: str) -> set[tuple[int, int, int]]:
    there = (problem.place for problem in problems if problem.level == level and problem.place)
    return {(place.line, place.column, place.length) for place in there}


def loaded(case: str) -> tuple[set[tuple[int, int, int]], tuple[Problem, ...]]:
    """What is marked, and every problem of the config."""
    path = Path("config.yaml")
    text, marked = unmarked(case)
    path.write_text(text)
    path.chmod(0o600)
    try:
        return marked, load_settings(path, environ={"HOME": "/nowhere"}).warnings
    except ConfigError as error:
        return marked, error.problems


@pytest.mark.parametrize("case", all_cases(SETTINGS, RULES))
def test_the_caret_stands_under_what_is_wrong(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marked, problems = loaded(case)
    assert places(problems, "error") == marked, problems


@pytest.mark.parametrize("case", all_cases(WARNINGS))
def test_the_caret_stands_under_what_is_doubtful(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marked, problems = loaded(case)
    doubts = [problem for problem in problems if not problem.message.startswith(NOTHING)]
    assert (places(doubts, "error"), places(doubts, "warning")) == (set(), marked), problems
    assert all(
        problem.hint or "inhibited_by" in problem.path or "notify" in problem.path for problem in doubts
    )


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        (SETTINGS, [name for name in Common.model_fields if name != "defaults"]),
        (SETTINGS, ["notify", "venues", "channels", "calendars"]),
        (SETTINGS, [*NamesSection.model_fields, *Person.model_fields, *ChannelSettings.model_fields]),
        (SETTINGS, [*ActionSettings.model_fields]),
        (RULES, [key for key in KEYS if key != "then"]),
        (RULES, ["then", "within", "match", *EscalationConfig.model_fields, *InhibitorConfig.model_fields]),
        (RULES, [*RunConfig.model_fields]),
    ],
)
def test_each_key_has_a_case(file, keys):
    for key in keys:
        assert any(re.search(rf"\b{key}»?: [^,\n]*«|«{key}»", case) for case in cases(file)), key


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ("channels: {a: {urls: json://localhost, escalate: 5}}", "`escalate` is a key of rules"),
        ("channels: {a: {urls: json://localhost, answers: anna}}", "write it so: [anna]"),
        ("channels: {a: {urls: json://localhost, quiet: {open: a}}}", ""),
        ("people: {anna: {telegram: '@anna'}}", ""),
        *(
            (f"rules: [{{id: a, watch: order.filled, {key}: x}}]", f"`{key}` is ")
            for key in sorted(OF_CHANNELS)
        ),
    ],
)
def test_what_to_do_instead_is_said(config, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, problems = loaded(config)
    (told,) = (problem for problem in problems if problem.level == "error")
    assert hint in told.hint
    assert hint or "tocsin help telegram" in told.message or '["22:00-07:00"]' in told.message


def test_what_rules_know_of_channels_is_theirs():
    assert set(ChannelSettings.model_fields) >= OF_CHANNELS
