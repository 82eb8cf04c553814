"""How far a condition is from being so: a table of cases."""

from pathlib import Path

import pytest

from support.conditions import NOW, change, rows, sound, text_node
from tocsin.engine.api import FAR

CASES = rows(Path(__file__).with_name("distances.yaml"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case['when']}, {case['is']}" for case in CASES])
def test_each_case(case):
    gap = sound(text_node(case["when"]), "position").gap(
        change("position", case["is"], account=case.get("account")), NOW
    )
    assert gap.to_go == pytest.approx(FAR if case["to_go"] == "far" else float(case["to_go"]))
    said = f"{gap.by.value} → {gap.by.limit}" if gap.by is not None else None
    assert said == case.get("by")
    assert (gap.distance is None) is ("by" not in case)
    if gap.by is not None:
        assert gap.by.met is (case["to_go"] == 0 and not case.get("at_the_limit", False))
