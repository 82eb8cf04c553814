"""Every fault of a rule is told with its place, a caret and a remedy, all at once: see broken/."""

import re
from pathlib import Path

import pytest

from support.calendars import parse_calendar
from support.conditions import CHANNELS
from support.growing import shortened
from tocsin.calendars import Calendars
from tocsin.config.yaml import load
from tocsin.document import Sequence
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.rule_keys import TemplateFlaw, Usable
from tocsin.events.vocabulary import fields

BROKEN = Path(__file__).with_name("broken")
_OF_FX = ("order", "position", "account", "balance", "ticker")
_OF_POWER = ("order", "trade", "book", "contract")
SUPPLIED = {
    "fx": {kind: frozenset(fields(kind)) - {"swap", "margin_level"} for kind in _OF_FX},
    "power": {kind: frozenset(fields(kind)) - {"stop_loss"} for kind in _OF_POWER},
}


def a_template_check(text: str, usable: Usable) -> list[TemplateFlaw]:
    """Stands in for the room that renders: a `{{ word }}` must be one of the names."""
    return [
        TemplateFlaw(found.start(1), len(found[1]), f"unknown field `{found[1]}`")
        for found in re.finditer(r"{{ (\w+) }}", text)
        if found[1] not in usable.names
    ]


CALENDARS = Calendars({"trading": parse_calendar("UTC", ["09:00-17:00"]), "faulty": None})


def rendered(path: Path) -> str:
    node, problems = load(path, path.name)
    assert not problems
    assert isinstance(node, Sequence)
    environment = Environment(CHANNELS, SUPPLIED, a_template_check, CALENDARS, {"mail": "critical"})
    rules, found = compile_rules(node, environment)
    wrong = {problem.path.partition(".")[0] for problem in found if problem.level == "error"}
    assert not wrong & rules.keys() or path.stem == "duplicate_id"
    return shortened("\n".join(problem.render() for problem in found)) + "\n" if found else ""


@pytest.mark.parametrize("path", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_broken(path: Path) -> None:
    assert rendered(path) == path.with_suffix(".txt").read_text()


def test_sound_rules_have_no_problem() -> None:
    assert (BROKEN / "sound.txt").read_text() == ""
