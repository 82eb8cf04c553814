"""What `tocsin explain` makes of a run, in the daemon and of the store that it left: the cases in `explained/`, each a run and what is said of it.

A case has `rules` and `steps` as rule tests have them, `now` (from the start), the `rule` and maybe the `id` that is asked
about, and `expect`: for each of what it is about its state, its parts and what would hold a message back.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from support.explained import explained_twice
from tocsin.explain.explanation import MARKS, Explanation, part_text

START = datetime(2026, 1, 1, tzinfo=UTC)
CASES = {
    f"{file.stem}: {case['name']}": case
    for file in sorted((Path(__file__).parent / "explained").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
}


def short(text: str) -> str:
    """Times of that day as the clock shows them."""
    return text.replace("2026-01-01 ", "").replace(" UTC", "")


def said(each: Explanation) -> dict:
    found = {
        "is": short(f"{each.title}: {each.state}"),
        "parts": [
            short(
                f"{part.of} {part.asks}: {MARKS[part.holds]}, {part_text(part)},"
                f" as of {datetime.fromisoformat(part.as_of):%H:%M:%S}"
            )
            for part in each.parts
        ],
    }
    if each.held_back_by:
        found["held back"] = [short(f"{barrier.what}: {barrier.why}") for barrier in each.held_back_by]
    if each.escalates:
        found["escalates"] = short(each.escalates)
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_explained(case, tmp_path):
    live, stored = explained_twice(
        tmp_path, case["rules"], case["steps"], case["now"], [(case["rule"], case.get("id"))]
    )
    assert stored == live
    (answer,) = live
    assert [said(each) for each in answer.explained] == case["expect"]
    assert answer.count == len(answer.explained)
    assert short(answer.last) == case.get("last", short(answer.last))
