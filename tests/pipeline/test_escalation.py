"""Escalation beside what the rule tests show of it: the channels' quiet hours, and rows of another version."""

from datetime import timedelta

import pytest

from support.calendars import parse_calendar
from support.observing import state_of
from support.outboxes import START
from support.story import compiled
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.wording import Style
from tocsin.events import Instant, Observation
from tocsin.feed.model import Received
from tocsin.pipeline import Options, Targets
from tocsin.pipeline.runtime import EMPTY, Runtime

NIGHT = parse_calendar("UTC", ["00:02-06:00"])


def at(seconds: float) -> Instant:
    return Instant(START + timedelta(seconds=seconds), seconds)


@pytest.mark.parametrize(
    ("severity", "quiet", "escalates_at"),
    [
        ("warning", {}, 600),
        ("warning", {"phone": NIGHT, "desk": NIGHT}, 6 * 3600 + 480),  # the night doesn't count
        ("warning", {"phone": NIGHT}, 600),  # the desk has heard of it
        ("critical", {"phone": NIGHT, "desk": NIGHT}, 600),  # told at once
    ],
)
def test_while_all_that_were_told_are_quiet_nothing_counts(severity, quiet, escalates_at):
    rule = {
        "id": "red",
        "watch": "position",
        "when": "profit < -50",
        "severity": severity,
        "notify": ["phone", "desk"],
        "escalate": [{"after": "10m", "notify": ["desk"]}],
    }
    channels = {name: Route(quiet=quiet.get(name)) for name in ("phone", "desk")}
    targets = dict.fromkeys(channels, Targets(1, timedelta(hours=24)))
    options = Options(routing=Routing(channels=channels), targets=targets, style=Style())
    ids = iter(f"{number:09d}" for number in range(1000))
    turn = Runtime(compiled([rule]), options, ids.__next__).turn
    turn.restore(EMPTY, at(0))
    position = Observation(state=state_of("position", {"id": "p1", "profit": -60}))
    batch = turn.messages([Received(venue="fx", observed=(position,), at=at(0))], at(0))
    (alert,) = {each.alert for each in batch.deliveries}
    turn.taken([alert], at(0))
    told: list[tuple[float, str]] = []
    while not told:
        due = turn.deadline()
        assert due is not None
        batch = turn.messages((), at(due))
        told += [(due, each.channel) for each in batch.deliveries]
    assert told == [(pytest.approx(escalates_at), "desk")]


def test_a_note_that_this_version_can_not_read_is_let_go(tmp_path):
    ids = iter(f"{number:09d}" for number in range(1000))
    options = Options(routing=Routing(channels={}), targets={}, style=Style())
    turn = Runtime([], options, ids.__next__).turn
    turn.notifier.escalations.restore({"followed a1": "{}", "other": "x"})
    assert "a1" not in turn.notifier.escalations
    assert turn.notifier.escalations.notes() == {"followed a1": None}
