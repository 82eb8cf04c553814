"""What rules watch, sampled: who is nearest to firing, the lines of the last half hour, and what is kept of alerts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.snapshots import World
from tocsin.app.alert_trails import MOST as MOST_KEPT
from tocsin.app.alert_trails import AlertTrails
from tocsin.app.rates import Rates
from tocsin.app.trail import LASTS, MOST, Trail, cut
from tocsin.app.trails import MOST as MOST_WATCHED
from tocsin.control.snapshot import Point
from tocsin.meters import VenueMeters
from tocsin.store.model import Batch

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LOSS = {"id": "loss", "watch": "position", "when": "profit < -50"}


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def near(snapshot):
    return [(watched.rule, watched.key.id) for watched in snapshot.closest]


# ------------------------------------------------------------------------------------------------------------- ranking


async def test_the_nearest_comes_first_and_what_fires_is_not_near():
    world = World(
        LOSS, {"id": "high", "watch": "position", "where": 'side == "long"', "when": "leverage > 20"}
    )
    world.say("position", id="p1", profit="-40", leverage="5", side="long")
    world.say("position", id="p2", profit="-49", leverage="19", side="short")
    world.say("position", id="p3", profit="-60", leverage="18", side="long")
    world.say("position", id="p4", leverage="30")
    await world.sample(6)
    snapshot = world.look()
    assert near(snapshot) == [("loss", "p2"), ("high", "p3"), ("loss", "p1"), ("high", "p1")]
    first = snapshot.closest[0]
    assert (first.value, first.distance.limit, first.distance.gap, first.far) == (
        "-49",
        "-50",
        "1",
        pytest.approx(0.02),
    )
    assert snapshot.nearest[first.key] is first
    assert snapshot.nearest[snapshot.alerts[0].key].rule == "loss", "it fires"
    assert snapshot.watched == 6, "of p4 no profit is known; and whether it is long, isn't"


async def test_what_is_pending_comes_first_by_when_it_fires():
    high = {"id": "high", "watch": "position", "when": "leverage > 10"}
    world = World({**LOSS, "for": "100s"}, {**LOSS, "id": "soon", "for": "80s"}, high)
    world.say("position", id="p1", profit="-60", leverage="9.9")
    await world.sample(6)
    world.say("position", id="p2", profit="-1000", leverage="5")
    await world.sample(6)
    order = [("soon", "p1"), ("soon", "p2"), ("loss", "p1"), ("loss", "p2"), ("high", "p1"), ("high", "p2")]
    assert near(world.look()) == order
    await world.sample(70)
    assert near(world.look()) == order[1:], "soon fires for p1"


async def test_what_is_closest_is_shown_as_it_is_now():
    world = World(LOSS)
    for id_, profit in (("p1", "-40"), ("p2", "-45"), ("p3", "-10")):
        world.say("position", id=id_, profit=profit)
    await world.sample(6)
    world.say("position", id="p1", profit="-49")
    world.say("position", id="p3", status="closed")
    snapshot = world.look()
    assert [(watched.key.id, watched.value) for watched in snapshot.closest] == [("p1", "-49"), ("p2", "-45")]
    assert world.look().closest[0] is snapshot.closest[0], "nothing is new"


async def test_what_is_not_known_or_not_fresh_is_not_shown_as_near():
    world = World(LOSS)
    world.say("position", id="p1", profit="-40")
    world.say("position", id="p2", symbol="BTCUSD")
    await world.sample(6)
    assert near(world.look()) == [("loss", "p1")]
    world.link("disconnected")
    assert near(world.look()) == [], "at once"
    await world.sample(6)
    snapshot = world.look()
    assert near(snapshot) == []
    (watched,) = snapshot.nearest.values()
    assert (watched.stale, watched.stale_since) == (True, world.heard_at["fx"]), "it says how old it is"
    world.link("connected")
    await world.sample(6)
    assert near(world.look()) == [], "nobody knows whether it is there"
    world.say("position", id="p1", profit="-41")
    await world.sample(6)
    assert near(world.look()) == [("loss", "p1")]


async def test_what_is_read_of_others_is_seen_anew():
    world = World(
        {"id": "margin", "watch": "position", "when": "account.margin_level < 150"},
        {"id": "old", "watch": "position", "when": "age() > 1h"},
    )
    world.say("account", id="a1", margin_level="300")
    world.say("position", profit="1")
    await world.sample(6)
    assert [watched.distance.value for watched in world.look().closest] == ["300", "6s"]
    world.say("account", id="a1", margin_level="200")
    await world.sample(6)
    margin, old = world.look().closest
    assert (margin.distance.value, margin.value, margin.distance.gap) == ("200", "200", "50")
    assert old.value is None, "a duration is no number that a message speaks of"
    assert old.distance.limit == "1h"


async def test_what_has_ended_or_is_no_rule_any_more_is_let_go():
    world = World(LOSS, {"id": "high", "watch": "position", "when": "leverage > 10"})
    for id_ in ("p1", "p2"):
        world.say("position", id=id_, profit="-40", leverage="5")
    await world.sample(6)
    world.say("position", id="p1", status="closed")
    await world.sample(6)
    assert near(world.look()) == [("loss", "p2"), ("high", "p2")]
    world.reload(LOSS)
    await world.sample(6)
    assert (near(world.look()), world.look().watched) == ([("loss", "p2")], 1)


async def test_groups_are_watched_too():
    world = World({"id": "all", "watch": "position", "per": "account", "when": "sum(profit) < -100"})
    for id_, account in (("p1", "a1"), ("p2", "a1"), ("p3", "a2")):
        world.say("position", id=id_, account=account, profit="-40", currency="USD")
    await world.sample(6)
    (first, second) = world.look().closest
    assert (first.key.id, first.value, first.far) == ("a1", "-80", pytest.approx(0.2))
    assert second.key.id == "a2"


async def test_of_too_many_the_nearest_are_watched():
    world = World(LOSS)
    for number in range(MOST_WATCHED + 300):
        world.say("position", id=f"p{number}", profit=f"{number - 40}")
    world.say("position", id="late", profit="-49")
    world.say("position", id="z", profit="-48")  # the last that is looked at
    for _ in range(200):
        await world.sample(5, step=5.0)
        snapshot = world.look()
        if snapshot.watched == MOST_WATCHED and near(snapshot)[1] == ("loss", "z"):
            break
    assert near(snapshot)[:3] == [("loss", "late"), ("loss", "z"), ("loss", "p0")]
    assert snapshot.watched == MOST_WATCHED


# ----------------------------------------------------------------------------------------------------------- the lines


async def test_what_fires_is_sampled_each_second_and_all_else_each_five():
    world = World(LOSS)
    for second in range(60):
        world.say("position", id="p1", profit=f"-{second % 7}")
        world.say("position", id="p2", profit=f"-6{second % 7}")
        await world.sample(1)
    points = {of[1]: world.sampling.trails.points(of) for of in world.sampling.trails._seen}
    slow, fast = sorted(map(len, points.values()))
    assert (slow, fast) == (12, 60)
    ((of, line),) = world.look().trails.items()
    assert (of[0], len(line), str(line[-1].value)) == ("loss", 60, "-63"), "only of what fires"
    assert world.look().trails[of] is line, "the same while nothing is added"


async def test_of_a_venue_that_is_away_nothing_is_added():
    world = World(LOSS)
    world.say("position", profit="-60")
    await world.sample(3)
    world.link("disconnected")
    before = len(world.sampling.trails.points(next(iter(world.sampling.trails._seen))))
    await world.sample(60)
    assert len(world.sampling.trails.points(next(iter(world.sampling.trails._seen)))) == before


def test_a_number_that_stays_has_two_points():
    trail = Trail()
    for second in range(100):
        trail.add(Point(at(second), Decimal(7)), T0)
    trail.add(Point(at(100), Decimal(8)), T0)
    assert [(point.at, int(point.value)) for point in trail.points] == [
        (at(0), 7), (at(90), 7), (at(99), 7), (at(100), 8)
    ]  # fmt: skip


def test_a_clock_that_is_set_back_leaves_the_line_in_order():
    trail = Trail()
    for second in (10, 20, 30, 15):
        trail.add(Point(at(second), Decimal(second)), T0)
    assert [int(point.value) for point in trail.points] == [10, 15]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=600))
def test_a_line_has_at_most_so_many_points_of_the_last_half_hour_and_ends_now(steps):
    trail, now = Trail(), T0
    for seconds, value in steps:
        now += timedelta(seconds=seconds)
        trail.add(Point(now, Decimal(value)), now - LASTS)
        assert len(trail.points) <= MOST
        assert trail.points[-1].at > now - timedelta(seconds=15)
        assert int(trail.points[-1].value) == value
    times = [point.at for point in trail.points]
    assert times == sorted(set(times))
    assert sum(time < now - LASTS for time in times) <= 1, "one, for the line to begin at"
    shown = trail.shown
    assert len(shown) == min(len(trail.points), 60)
    assert not shown or (shown[0], shown[-1]) == (trail.points[0], trail.points[-1])


def test_when_it_is_full_the_older_ones_get_sparser():
    trail = Trail()
    for second in range(1000):
        trail.add(Point(at(second), Decimal(second)), T0)
    assert len(trail.points) <= MOST
    assert trail.points[0].at == T0
    latest = [point.at for point in trail.points[-100:]]
    assert latest == [at(second) for second in range(900, 1000)]


# ------------------------------------------------------------------------------------------------------------ what is kept


class Kept:
    """What a database would hold of one alert, and the points that there are."""

    def __init__(self):
        self.points, self.rows, self.most = [], {}, 0
        self.trails = AlertTrails(lambda _of: self.points)

    def write(self):
        batch = Batch(at=T0)
        for _ in self.trails.write_into(batch):
            pass
        if batch.sparser:
            self.rows = dict(list(self.rows.items())[::2])
        self.rows |= {row.at: row.value for row in batch.trails}
        self.most = max(self.most, len(self.rows))
        return batch


def test_half_an_hour_before_it_until_its_end():
    kept = Kept()
    kept.points = [Point(at(5 * place), Decimal(place)) for place in range(360)]
    kept.trails.told("a1", ("loss", "i"), Point(at(1800), Decimal(-1)), over=False)
    kept.write()
    times = list(kept.rows)
    assert (times[0], times[-1], len(times)) == (T0, at(1800), 241)
    kept.points += [Point(at(second), Decimal(second)) for second in range(1801, 1831)]
    kept.write()
    assert [(time - at(1800)).total_seconds() for time in [*kept.rows][241:]] == [6, 12, 18, 24, 30], "of half an hour a 360th part"  # fmt: skip
    kept.trails.told("a1", ("loss", "i"), Point(at(1831), Decimal(-2)), over=True)
    kept.write()
    assert [*kept.rows.items()][-1] == (at(1831), Decimal(-2))
    kept.points.append(Point(at(1840), Decimal(1)))
    assert not kept.write(), "it is over"


def test_one_that_is_over_before_anybody_looks_has_what_it_was_told_with():
    kept = Kept()
    kept.trails.told("a1", ("loss", "i"), Point(at(0), Decimal(-60)), over=False)
    kept.trails.told("a1", ("loss", "i"), Point(at(0.5), Decimal(-40)), over=True)
    kept.write()
    assert kept.rows == {at(0): Decimal(-60), at(0.5): Decimal(-40)}


def test_however_long_it_lasts_it_has_no_more_than_some_720_points():
    kept = Kept()
    kept.trails.told("a1", ("loss", "i"), Point(T0, Decimal(0)), over=False)
    for second in range(5, 100_000, 5):  # more than a day
        kept.points = [*kept.points[-9:], Point(at(second), Decimal(second))]
        if second % 10 == 0:
            kept.write()
    assert kept.most <= MOST_KEPT + 5
    times = list(kept.rows)
    assert len(times) > MOST_KEPT / 3
    assert (times[0], at(100_000) - times[-1] < timedelta(minutes=20)) == (T0, True)
    assert max(later - one for one, later in pairwise(times)) < timedelta(hours=1)


async def test_a_trail_is_written_with_its_alert_each_ten_seconds():
    world = World(
        LOSS,
        {"id": "slow", "watch": "position", "when": "profit < -10", "for": "1h"},
        {"id": "opened", "watch": "position.opened"},
    )
    world.say("position", profit="-20")
    await world.sample(30)
    assert not world.written, "nothing fires; what is pending may never"
    world.say("position", profit="-60")
    await world.sample(30)
    rows = [row for batch in world.written for row in batch.trails]
    assert {row.alert for row in rows} == {world.alert("loss")}
    assert [str(row.value) for row in rows][:2] == ["-20", "-20"], "as it was before"
    assert str(rows[-1].value) == "-60"
    assert len(world.written) <= 3
    world.say("position", profit="-30")
    await world.sample(30)
    assert str(world.written[-1].trails[-1].value) == "-30"
    count = len(world.written)
    await world.sample(60)
    assert len(world.written) == count


# -------------------------------------------------------------------------------------------------------------- equity


async def test_what_an_account_is_worth_is_noted_each_minute():
    world = World(LOSS)
    world.say("account", id="a1", balance="100")
    await world.sample(125)
    world.say("account", id="a1", equity="90")
    await world.sample(60)
    world.say("account", id="a1", equity=None)
    await world.sample(60)
    points = world.sampling.equity.of("fx", "a1")
    assert [str(point.value) for point in points] == ["100", "100", "100", "90"], (
        "a balance is not taken for equity"
    )
    assert [row.value for batch in world.written for row in batch.equity] == [point.value for point in points]
    assert world.sampling.equity.of("fx", "other") == ()


async def test_of_a_venue_that_is_away_no_worth_is_known():
    world = World(LOSS)
    world.say("account", id="a1", balance="100")
    await world.sample(1)
    world.link("disconnected")
    await world.sample(300)
    assert len(world.sampling.equity.of("fx", "a1")) == 1


# --------------------------------------------------------------------------------------------------------------- rates


def test_messages_a_second_are_of_the_last_minute():
    meters = {"fx": VenueMeters()}
    rates = Rates(meters)
    for steady in range(0, 121, 5):
        rates.note(float(steady))
        meters["fx"].messages += 50 if steady < 60 else 5
    assert rates.now == {"fx": 1.0}
    meters["new"] = VenueMeters()
    rates.note(125.0)
    assert rates.now == {"fx": 1.0}, "of what is new nothing is known yet"
    meters["fx"] = VenueMeters(messages=3)
    rates.note(130.0)
    assert rates.now == {"new": 0.0}, "another venue has its name"


def test_few_points_are_not_cut():
    points = [Point(at(second), Decimal(second)) for second in range(5)]
    assert cut(points, 60) == tuple(points)
    assert [point.at for point in cut(points, 3)] == [at(0), at(2), at(4)]
