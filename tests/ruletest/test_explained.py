"""What `tocsin explain` makes of the store that a run left: the cases in `explained/`, each a run and what is said of it.

A case has `rules` and `steps` as rule tests have them, `now` (from the start), the `rule` and maybe the `id` that is asked
about, and `expect`: for each of what it is about its state, its parts and what would hold a message back.
"""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import trio
import yaml

from tocsin.config.load import load_settings
from tocsin.events import Instant
from tocsin.quantities import parse_duration
from tocsin.ruletest.clock import SteppedClock
from tocsin.ruletest.explain import Explained, explain
from tocsin.ruletest.reading import read_tests
from tocsin.ruletest.runner import play

START = datetime(2026, 1, 1, tzinfo=UTC)
CASES = {
    f"{file.stem}: {case['name']}": case
    for file in sorted((Path(__file__).parent / "explained").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
}
CONFIG = """
venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}
channels: {phone: 'json://127.0.0.1/'}
rules: [rules.yaml]
names: {symbols: {BTCUSD: bitcoin}}
state_dir: state
"""
MARKS = {True: "yes", False: "no", None: "unknown"}


def short(text: str) -> str:
    """Times of that day as the clock shows them."""
    return text.replace("2026-01-01 ", "").replace(" UTC", "")


def said(each: Explained) -> dict:
    found = {
        "is": short(f"{each.title}: {each.state}"),
        "parts": [
            short(f"{part.of} {part.asks}: {MARKS[part.holds]}, {part.saw}, as of {part.as_of:%H:%M:%S}")
            for part in each.parts
        ],
    }
    if each.barriers:
        found["held back"] = [short(f"{name}: {why}") for name, why in each.barriers]
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_explained(case, tmp_path):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": case["rules"]}))
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "config.yaml").chmod(0o600)
    test = {"name": "it", "steps": case["steps"]}
    (tmp_path / "it.yaml").write_text(
        yaml.safe_dump({"rules": "rules.yaml", "channels": ["phone"], "tests": [test]})
    )
    tests = read_tests(tmp_path / "it.yaml")
    clock = SteppedClock(START)
    assert trio.run(partial(play, tests, tests.tests[0], clock, tmp_path), clock=clock).failure is None
    settings = load_settings(tmp_path / "config.yaml", validate_url=None)
    rule = next(rule for rule in settings.rules if rule.id == case["rule"])
    after = parse_duration(case["now"])
    now = Instant(START + after, after.total_seconds())
    answer = explain(settings, rule, case.get("id"), now, 20)
    assert [said(each) for each in answer.explained] == case["expect"]
    assert answer.count == len(answer.explained)
    assert short(answer.last) == case.get("last", short(answer.last))
