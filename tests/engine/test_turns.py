"""Rules on time are judged when they may turn, not each second: as often as needed, and in time.

A recording with a hole of months, reported elsewhere (evercam/ex_nvr 404), took one look a second.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from tocsin.config.yaml import load
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Account, Instant, Observation, Order, Venue, number

START = datetime(2026, 1, 1, tzinfo=UTC)
CREATED = START - timedelta(minutes=1)
ENDS = START + timedelta(hours=1)


class World:
    """One order, and an engine whose looks are counted."""

    def __init__(self, *rules: str) -> None:
        node, problems = load("\n".join(rules), "rules")
        found, more = compile_rules(node, Environment(frozenset()))
        assert not [problem for problem in (*problems, *more) if problem.level == "error"]
        ids = count(1)
        self.entities = Entities()
        self.engine = Engine(list(found.values()), self.entities, lambda: str(next(ids)))
        self.now = Instant(START, 0.0)
        self.looks = 0
        self.engine.restore((), None, self.now)
        self.told: list[tuple[str, str, float]] = []

    def say(self, state, venue="px"):
        changes = self.entities.apply(venue, Observation(state=state), self.now, None)
        for taken in self.engine.process(changes, self.now):
            self.note(taken.transitions)

    def note(self, transitions):
        self.told += [
            (each.rule, each.notification, round(self.now.steady, 1))
            for each in transitions
            if each.notification
        ]

    def until(self, steady):
        while (due := self.engine.deadline()) is not None and due <= steady:
            self.now = self.now.later(max(0.0, due - self.now.steady))
            self.looks += 1
            assert self.looks < 10_000, "it ticks through nothing"
            self.note(self.engine.advance(self.now))
        self.now = self.now.later(steady - self.now.steady)
        self.note(self.engine.advance(self.now))

    def set_clock(self, seconds):
        self.now = Instant(self.now.wall + timedelta(seconds=seconds), self.now.steady)


ORDER = Order(id="1", symbol="X", status="open", amount=Decimal(1), created=CREATED, delivery_start=ENDS)


@pytest.mark.parametrize(
    ("when", "at"),
    [
        ("age() > 5m", 240),
        ("age() >= 5m", 240),
        ("5m < age()", 240),
        ("not (age() <= 5m)", 240),
        ("age() > 5m and status == 'open'", 240),
        ("time_since(created) > 90s", 30),
        ("time_until(delivery_start) < 15m", 45 * 60),
        ("time_until(delivery_start) <= 15m and age() > 2m", 45 * 60),
        ("0s <= age() - 5m", 240),  # reckoned with: looked at each second
        ("time_since(default(updated, created)) > 90s", 30),
        ("age() > 30d", 30 * 86400 - 60),
    ],
)
def test_it_fires_in_time(when, at):
    reckoned = "- 5m" in when
    world = World(f'- {{id: a, watch: order, when: "{when}"}}')
    world.say(ORDER)
    world.until(at - 2)
    assert world.told == []
    world.until(at + 1.5)
    assert [(rule, told) for rule, told, _ in world.told] == [("a", "firing")]
    assert at <= world.told[0][2] <= at + 1
    assert reckoned or world.looks <= 6


def test_what_can_turn_no_more_is_not_looked_at():
    world = World("- {id: a, watch: order, when: age() > 5m}", "- {id: b, watch: order, when: age() < 2m}")
    world.say(ORDER)
    world.until(86400 * 365)
    assert [(rule, told) for rule, told, _ in world.told] == [
        ("b", "firing"),
        ("b", "resolved"),
        ("a", "firing"),
    ]
    assert world.looks < 10


def test_a_change_moves_the_turn():
    world = World("- {id: a, watch: order, when: time_since(updated) > 5m}")
    world.say(Order(id="1", symbol="X", status="open", amount=Decimal(1), updated=START))
    world.until(200)
    world.say(Order(id="1", symbol="X", status="open", amount=Decimal(1), updated=world.now.wall))
    world.until(499)
    assert world.told == []
    world.until(501)
    assert [told for _, told, _ in world.told] == ["firing"]


def test_an_end_is_forgotten():
    world = World("- {id: a, watch: order, when: age() > 5m}")
    world.say(ORDER)
    world.say(Order(id="1", status="canceled"))
    world.until(3600)
    assert world.told == []
    assert world.looks < 5


def test_a_clock_that_is_set_is_noticed_at_the_next_look():
    world = World("- {id: a, watch: order, when: age() > 5m}", "- {id: b, watch: order, when: age() > 6m}")
    world.say(ORDER)
    world.until(10)
    world.set_clock(280)
    world.until(241)  # when a was to turn, had nobody set the clock
    assert sorted(rule for rule, _, _ in world.told) == ["a", "b"]


def test_what_came_due_while_the_venue_was_away_is_judged_when_it_is_back():
    world = World("- {id: a, watch: order, when: age() > 5m}")
    world.say(Venue(id="px", status="connected"))
    world.say(ORDER)
    world.say(Venue(id="px", status="disconnected"))
    world.until(400)
    assert world.told == []
    world.say(Venue(id="px", status="connected"))
    world.until(402)
    assert [told for _, told, _ in world.told] == ["firing"]


@pytest.mark.parametrize(("clock_set", "at"), [(0, 12), (6, 6), (-1, 13)])
def test_groups_are_looked_at_as_their_windows_begin(clock_set, at):
    """`clock_set`, `at`: in hours."""
    world = World(
        """- {id: well, watch: account, per: [venue], when: 'min(lowest(equity, since("12:00"))) > 95'}"""
    )
    for equity, later in ((80, 60), (97, 3600)):
        world.say(Account(id="a", equity=number(str(equity))))
        world.until(later)
    world.set_clock(clock_set * 3600)
    world.until(3600 + 1)
    world.looks = 0
    world.until(48 * 3600)
    assert world.told == [("well", "firing", at * 3600)]
    assert world.looks <= 3
