"""Which actions alerts start, and what becomes of them: the rails as they stand, ends, restarts and reloads."""

import pytest
from msgspec import structs

from support.run_life import ACTIONS, BY, RULE, Life, at
from tocsin.actions.model import ActionSettings, Result
from tocsin.events import Instant, Key, Observation, Order
from tocsin.pipeline.acts import Acts


@pytest.fixture
def life() -> Life:
    made = Life()
    made.profit(-10, 1)
    return made


def test_a_firing_and_its_end_start_each_its_own(life):
    life.profit(-60, 2)
    assert life.said() == [("hedge", "pending", None)]
    assert life.begin(3)
    life.finish(4, Result(ok=True, result="exit 0"))
    life.profit(-10, 5)
    assert life.said() == [("hedge", "ok", None), ("hook", "pending", None)]
    assert [row.told for row in life.rows.values()] == ["firing", "resolved"]
    assert life.told() == []


def test_what_comes_with_a_snapshot_runs_nothing():
    life = Life()
    life.profit(-60, 2, "snapshot")
    assert life.said() == [("hedge", "dropped", "the venue told of it in a snapshot, not as it happened")]


def test_what_is_found_after_a_gap_runs_nothing(life):
    life.profit(-60, 2, "snapshot")
    assert life.said() == [("hedge", "dropped", "the venue told of it in a resync, not as it happened")]


def test_what_a_reload_makes_so_runs_nothing(life):
    life.profit(-40, 2)
    life.reload(3, rules=[RULE | {"when": "profit < -30"}])
    ((_, status, reason),) = life.said()
    assert (status, "a reload" in (reason or "")) == ("dropped", True)


def test_what_ends_by_hand_runs_nothing(life):
    life.profit(-60, 2)
    life.keep(Acts(life.turn).forget([Key("fx", "position", "a1", "p1")], BY, at(3)))
    assert [said[:2] for said in life.said()] == [("hedge", "pending"), ("hook", "dropped")]


@pytest.mark.parametrize(
    ("meanwhile", "seconds", "reason"),
    [
        (lambda life: life.link("disconnected", 3), 4, "fx is disconnected"),
        (lambda life: life.profit(-10, 3), 4, "it isn't so any more"),
        (lambda life: None, 33, "too late: 31s after it happened, max_age is 30s"),
        (
            lambda life: life.keep(Acts(life.turn).pause("*", BY, at(3))[0]),
            None,
            "paused by anna since 2026-",
        ),
        (
            lambda life: life.keep(Acts(life.turn).pause("hedge", BY, at(3))[0]),
            None,
            "paused by anna since 2026-",
        ),
        (lambda life: life.reload(3, {}), None, "no action is called so any more"),
    ],
)
def test_what_comes_into_the_way_before_its_turn(life, meanwhile, seconds, reason):
    life.profit(-60, 2)
    meanwhile(life)
    if seconds is not None:
        assert not life.begin(seconds)
    row = next(iter(life.rows.values()))
    assert (row.status, (row.reason or "").startswith(reason)) == ("dropped", True), row.reason


def test_what_recovers_only_doesnt_hold():
    life = Life(keep_firing_for="1m")
    life.profit(-60, 2)
    life.profit(-10, 3)
    assert not life.begin(4)
    assert life.said() == [("hedge", "dropped", "it isn't so any more")]


def test_what_cant_be_recorded_isnt_run(life):
    life.profit(-60, 2)
    assert not life.begin(3, unrecorded="disk is full")
    assert life.said() == [("hedge", "dropped", "it couldn't be recorded before it is run: disk is full")]


def test_a_dry_run_is_recorded():
    life = Life(actions={"hedge": ACTIONS["hedge"].model_copy(update={"dry_run": True})}, run=["hedge"])
    life.profit(-60, 2)
    assert not life.begin(3)
    (row,) = life.rows.values()
    assert (row.status, row.command, row.started_at) == ("dry_run", '["/bin/true"]', None)


def test_no_more_than_its_rate(life):
    for count in range(4):
        life.profit(-60, 2 + 10 * count)
        begun = life.begin(3 + 10 * count) if count < 3 else None
        if begun:
            life.finish(4 + 10 * count, Result(ok=True))
        life.profit(-10, 5 + 10 * count)
    assert [said for said in life.said() if said[0] == "hedge"][-1] == (
        "hedge",
        "dropped",
        "over its rate: 3 of 3/h already",
    )


def test_five_failures_in_a_row_stop_it_until_it_is_resumed():
    life = Life(actions={"hedge": ActionSettings(command=("/bin/false",))}, run=["hedge"])
    for count in range(6):
        life.profit(-60, 2 + 10 * count)
        if count < 5:
            assert life.begin(3 + 10 * count)
            life.finish(4 + 10 * count)
        life.profit(-10, 5 + 10 * count)
    assert [status for _, status, _ in life.said()] == ["failed"] * 5 + ["dropped"]
    assert (
        life.told()[-1]
        == "hedge: failed: runs no more, tocsin resume hedge: 5 failures in a row, the last: exit 1"
    )
    life.restart(100)
    assert life.turn.runs.stops.circuit("hedge").failures == 5
    assert Acts(life.turn).resume("hedge", BY, at(101))[1]
    assert not Acts(life.turn).resume("hedge", BY, at(102))[1]
    assert life.turn.runs.stops.circuit("hedge").since is None


def test_a_success_in_between_begins_the_count_anew():
    life = Life(actions={"hedge": ActionSettings(command=("/bin/false",))}, run=["hedge"])
    for count, ok in enumerate([False] * 4 + [True] + [False] * 4):
        life.profit(-60, 2 + 10 * count)
        assert life.begin(3 + 10 * count)
        life.finish(4 + 10 * count, Result(ok=ok, reason="" if ok else "exit 1"))
        life.profit(-10, 5 + 10 * count)
    assert life.turn.runs.stops.circuit("hedge").failures == 4


def test_over_a_restart_a_command_that_was_begun_is_unknown_and_told(life):
    life.profit(-60, 2)
    assert life.begin(3)
    life.restart(10)
    life.keep(life.turn.runs_taken_over("hedge", at(10)))
    ((_, status, reason),) = life.said()
    assert status == "unknown"
    assert life.told() == [f"hedge: nobody knows whether it was done: {reason}"]
    assert life.turn.runs.waiting("hedge") is None


def test_over_a_restart_a_webhook_goes_on_with_the_same_key():
    life = Life(run={"on_resolved": ["hook"]})
    life.profit(-60, 2)
    life.profit(-10, 3)
    assert life.begin(4, "hook")
    before = next(row.id for row in life.rows.values() if row.action == "hook")
    life.restart(10)
    life.keep(life.turn.runs_taken_over("hook", at(10)))
    life.link("connected", 10)
    assert life.begin(11, "hook")
    row = life.rows[before]
    assert (row.status, row.attempts, row.started_at) == ("begun", 2, at(4).wall)


def test_over_a_restart_without_the_action_nothing_is_left_open(life):
    life.profit(-60, 2)
    assert life.begin(3)
    life.profit(-10, 4)
    life.restart(10, {})
    gone = "no action is called so any more"
    assert life.said() == [("hedge", "unknown", gone), ("hook", "dropped", gone)]
    assert len(life.told()) == 1


def test_what_another_version_kept_is_not_run(life):
    life.profit(-60, 2)
    assert life.begin(3)
    life.profit(-10, 4)
    life.rows = {id_: structs.replace(row, data={"of": "another"}) for id_, row in life.rows.items()}
    life.restart(10)
    why = "what it is about was kept by another version of Tocsin, and can't be read"
    assert life.said() == [("hedge", "unknown", why), ("hook", "dropped", why)]


def test_an_end_by_the_hours_runs_nothing():
    life = Life(active={"tz": "UTC", "open": ["00:00-00:01"]})
    life.profit(-60, 2)
    life.keep(life.turn.messages([], at(61)))
    assert life.said()[-1] == (
        "hook",
        "dropped",
        "it ended with its rule's hours, not by what the venue said",
    )


def test_paused_over_a_restart(life):
    life.keep(Acts(life.turn).pause("*", BY, at(2))[0])
    assert not Acts(life.turn).pause("*", BY, at(3))[1]
    life.restart(10)
    assert life.turn.runs.stops.paused("hook").startswith("by anna since ")
    assert Acts(life.turn).resume("*", BY, at(11))[1]
    assert not life.turn.runs.stops.paused("hook")


def test_after_a_start_nothing_is_run_before_the_venue_is_heard():
    """What the last run knew, of the venue too, is what it was then."""
    life = Life(run={"on_firing": ["hook"]})
    life.profit(-10, 1)
    life.profit(-60, 2)
    life.restart(5)
    assert not life.begin(6, "hook")
    assert life.said() == [("hook", "dropped", "fx has not been connected since the start")]


def test_what_was_tried_and_isnt_again_has_failed_and_is_told():
    life = Life(run={"on_resolved": ["hook"]})
    life.profit(-60, 2)
    life.profit(-10, 3)
    assert life.begin(4, "hook")
    life.restart(10)
    life.keep(life.turn.runs_taken_over("hook", at(10)))
    assert not life.begin(11, "hook")
    row = next(row for row in life.rows.values() if row.action == "hook")
    assert (row.status, row.reason) == (
        "failed",
        "not tried again: fx has not been connected since the start",
    )
    assert life.told() == [f"hook: failed: {row.reason}"]


def test_a_command_that_was_begun_is_no_webhook_however_the_config_is_edited(life):
    life.profit(-60, 2)
    assert life.begin(3)
    life.restart(10, {"hedge": ACTIONS["hook"], "hook": ACTIONS["hook"]})
    life.keep(life.turn.runs_taken_over("hedge", at(10)))
    assert [status for _, status, _ in life.said()] == ["unknown"]


def test_back_without_a_word_of_the_position_nobody_knows(life):
    life.profit(-60, 2)
    life.link("disconnected", 3)
    life.link("connected", 4)
    assert not life.begin(5)
    assert life.said() == [("hedge", "dropped", "nobody knows whether it still is so: the venue was away")]


def test_a_group_of_all_venues_waits_for_each_of_them():
    life = Life(per=["symbol"], when="sum(profit) < -50", run=["hedge"])
    life.profit(-10, 1)
    life.profit(-60, 2)
    assert life.said() == [("hedge", "pending", None)]
    life.link("disconnected", 3)
    assert not life.begin(4)
    assert life.said() == [("hedge", "dropped", "fx is disconnected")]


def test_what_an_end_starts_waits_for_what_the_firing_started(life):
    life.profit(-60, 2)
    assert life.begin(3)
    life.profit(-10, 4)
    assert life.turn.runs.waiting("hook") is None
    life.finish(5, Result(ok=True))
    assert life.begin(6, "hook")


def test_what_was_over_and_fires_again_isnt_undone(life):
    life.profit(-60, 2)
    assert life.begin(3)
    life.finish(4, Result(ok=True))
    life.profit(-10, 5)
    life.profit(-60, 6)
    run = life.turn.runs.waiting("hedge")
    life.keep(life.turn.run_dropped(run.id, "for the test", at(6)))
    assert not life.begin(7, "hook")
    assert ("hook", "dropped", "it fires again") in life.said()


def test_however_the_clock_is_set_what_waited_long_is_late(life):
    life.profit(-60, 2)
    run = life.turn.runs.waiting("hedge")
    later = Instant(at(2).wall, 3602.0)  # an hour on, and the clock an hour back
    life.keep(life.turn.run_begins(run.id, later, "[]", "")[0])
    assert life.said() == [("hedge", "dropped", "too late: 1h after it happened, max_age is 30s")]


def test_no_more_than_so_many_wait():
    life = Life(watch="order.canceled", when=None, run=["hedge"])
    life.turn.runs._waiting["hedge"] = 1000
    life.say(Observation(state=Order(id="o1", symbol="B", status="canceled"), account="a1"), 2)
    assert life.said() == [("hedge", "dropped", "1000 of its runs wait already")]


def test_a_pause_that_cant_be_read_is_one():
    life = Life()
    life.notes["pause *"] = "{}"
    life.restart(10)
    assert life.turn.runs.stops.paused("hedge").startswith("by somebody since ")


def test_what_a_cooldown_held_back_runs_nothing():
    life = Life(watch="order.canceled", when=None, cooldown="1h", run=["hedge"])
    for number, seconds in enumerate((1, 10)):
        order = Order(id=f"o{number}", symbol="B", status="canceled")
        life.say(Observation(state=order, account="a1"), seconds)
    assert life.begin(11)
    life.finish(12, Result(ok=True))
    life.keep(life.turn.messages([], at(3701)))
    why = "a cooldown had held it back: it isn't as it happened"
    assert life.said() == [("hedge", "ok", None), ("hedge", "dropped", why)]


def test_a_webhook_that_was_tried_is_unknown_where_its_action_goes():
    life = Life(run={"on_firing": ["hook"]})
    life.profit(-60, 2)
    assert life.begin(3, "hook")
    life.keep(life.turn.runs_taken_over("hook", at(4)))
    life.reload(5, {})
    assert life.said() == [("hook", "unknown", "no action is called so any more")]
    assert len(life.told()) == 1


def test_a_dry_run_counts_for_the_rate():
    dry = ACTIONS["hedge"].model_copy(update={"dry_run": True, "rate": "1/h"})
    life = Life(actions={"hedge": dry}, run=["hedge"])
    life.profit(-60, 2)
    assert not life.begin(3)
    life.profit(-10, 4)
    life.profit(-60, 5)
    assert [status for _, status, _ in life.said()] == ["dry_run", "dropped"]
