"""Where the caret stands: «…» is what each config is told to be wrong in, all at once, and nothing else is."""

import re
from pathlib import Path

import pytest

from tocsin.config.load import load_settings
from tocsin.config.settings import Common, NamesSection, Person
from tocsin.delivery.model import ChannelSettings
from tocsin.engine.rule_schema import KEYS, EscalationConfig, InhibitorConfig
from tocsin.errors import ConfigError

HERE = Path(__file__).parent
SETTINGS, RULES = "places_of_settings.txt", "places_of_rules.txt"
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


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{file.partition('.')[0]}-{number}")
        for file in (SETTINGS, RULES)
        for number, case in enumerate(cases(file), 1)
    ],
)
def test_the_caret_stands_under_what_is_wrong(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("config.yaml")
    text, marked = unmarked(case)
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as raised:
        load_settings(path, environ={"HOME": "/nowhere"})
    errors = [problem for problem in raised.value.problems if problem.level == "error"]
    places = {(p.place.line, p.place.column, p.place.length) for p in errors if p.place}
    assert places == marked, str(raised.value)


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        (SETTINGS, [name for name in Common.model_fields if name != "defaults"]),
        (SETTINGS, ["notify", "venues", "channels", "calendars"]),
        (SETTINGS, [*NamesSection.model_fields, *Person.model_fields, *ChannelSettings.model_fields]),
        (RULES, [key for key in KEYS if key != "then"]),
        (RULES, ["then", "within", "match", *EscalationConfig.model_fields, *InhibitorConfig.model_fields]),
    ],
)
def test_each_key_has_a_case(file, keys):
    for key in keys:
        assert any(re.search(rf"\b{key}»?: [^,\n]*«|«{key}»", case) for case in cases(file)), key
