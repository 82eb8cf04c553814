"""What comes with one message is one thing to a group: it is judged as it stands afterwards, once."""

from typing import Any

import pytest

from support.observing import state_of
from support.story import Story, compiled
from tocsin.events import Observation, SnapshotBegins, SnapshotEnds

LOSS = {"id": "loss", "watch": "position", "per": ["account"], "when": "sum(profit) < -50"}
SOME = {"id": "some", "watch": "position", "per": ["account"], "when": "count() > 0"}
RED = {"id": "red", "watch": "position", "when": "profit < -50"}


def position(id_: str, profit: str, account: str = "a1", **fields: Any) -> Observation:
    return Observation(state=state_of("position", {"id": id_, "profit": profit, **fields}), account=account)


CASES = {
    "an opening snapshot": ([LOSS], [["p1 -60", "p2 100", "p3 10"]], []),
    "in any order": ([LOSS], [["p1 100", "p2 -160", "p3 50"]], []),
    "and it is so": ([LOSS], [["p1 -60", "p2 -60", "p3 10"]], ["loss firing a1 -110"]),
    "two accounts": ([LOSS], [["p1 -60", "p2 -60 a2", "p3 100"]], ["loss firing a2 -60"]),
    "the last one ends and another begins": (
        [SOME], [["p1 5"], ["p1 5 a1 closed", "p2 5"]], ["some firing a1 1"],
    ),
    "in the other order": ([SOME], [["p1 5"], ["p2 5", "p1 5 a1 closed"]], ["some firing a1 1"]),
    "all end": (
        [SOME], [["p1 5", "p2 5"], ["p2 5 a1 closed", "p1 5 a1 closed"]], ["some firing a1 2", "some resolved a1 2"],
    ),
    "a rule on the group comes first where it does so in the file": (
        [LOSS, RED], [["p1 -60"]], ["loss firing a1 -60", "red firing p1 -60"],
    ),
    "a group comes with the last of what moved it": (
        [LOSS, RED], [["p1 -60", "p2 -60", "p3 -60 a2"]],
        ["red firing p1 -60", "loss firing a1 -120", "red firing p2 -60", "loss firing a2 -60", "red firing p3 -60"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "messages", "told"), CASES.values(), ids=CASES)
def test_one_message_is_judged_once(rules: list[Any], messages: list[list[str]], told: list[str]) -> None:
    story = Story(compiled(rules))
    story.connect("fx")
    for message in messages:
        story.run_to(story.at + 1)
        story.say("fx", *map(_said, message))
    assert [f"{t['rule']} {t['told']} {t['id']} {t['value']}" for t in story.told] == told


def _said(text: str) -> Observation:
    id_, profit, account, status, *_ = (
        [*text.split(), "a1", "open"] if text.count(" ") < 2 else [*text.split(), "open"]
    )
    return position(id_, profit, account, status=status)


def test_a_picture_of_all_positions_is_one_message() -> None:
    story = Story(compiled([LOSS]))
    story.connect("fx")
    story.say(
        "fx",
        SnapshotBegins(kinds=("position",)),
        position("p1", "-60"),
        position("p2", "100"),
        SnapshotEnds(),
    )
    assert not story.told


def test_positions_that_are_forgotten_leave_together() -> None:
    story = Story(compiled([LOSS, SOME]))
    story.connect("fx")
    story.say("fx", position("p1", "100"), position("p2", "-90"), position("p3", "5"))
    assert [each["rule"] for each in story.told] == ["some"]
    keys = [change.key for change in story.entities.live("position")]
    story.commit(story.turn.forget(keys, story.clock.now()))
    assert [f"{each['rule']} {each['told']}" for each in story.told] == ["some firing", "some resolved"]
