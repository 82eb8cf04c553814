"""Runs that somebody has to confirm: when the question is asked, what answers count, and how it ends."""

from datetime import timedelta

import pytest

from support.calendars import parse_calendar
from support.run_life import ACTIONS, BY, RULE, Life, at
from tocsin.actions.model import ActionSettings, Result
from tocsin.alerts.decide import Route
from tocsin.events import Instant
from tocsin.pipeline.acts import Acts

HEDGE = ActionSettings(command=("/bin/true",), rate="3/h", confirm={"on": "phone", "within": "10m"})
ASKS = {**ACTIONS, "hedge": HEDGE}


@pytest.fixture
def life() -> Life:
    made = Life(ASKS)
    made.profit(-10, 1)
    made.profit(-60, 2)
    return made


def test_it_is_asked_below_what_can_be_pressed_and_waits(life):
    run = life.asked()
    assert life.questions() == [(run, 1)]
    assert life.turn.runs.waiting("hedge") is None
    (question,) = (each for each in life.deliveries if each.state_told == "question")
    assert (question.channel, question.context["asks"]) == ("phone", "run hedge?")
    assert question.expires_at - question.created_at == HEDGE.max_age


def test_two_presses_run_it(life):
    life.take(3)
    assert life.turn.runs.questions.offers(life.asked(), at(4)) == (("Run hedge", "want"),)
    assert life.press("want", 5) == ""
    life.profit(-75, 6)
    run = life.asked()
    assert life.turn.runs.questions.offers(run, at(6)) == (
        ("Yes, run (profit now -75)", "yes"),
        ("Don't", "no"),
    )
    assert life.press("yes", 7) == ""
    assert (life.rows[run].status, life.rows[run].answered_by) == ("pending", "anna")
    assert [(act.does, act.target, act.by) for act in life.acts] == [("confirm", run, "anna")]
    assert life.begin(8)
    life.finish(9, Result(ok=True, result="exit 0"))
    assert life.rows[run].status == "ok"


def test_the_first_yes_wins(life):
    life.take(3)
    run = life.asked()
    life.press("want", 4)
    assert life.press("yes", 5) == ""
    assert life.press("yes", 5, run) == life.press("no", 5, run) == "somebody has answered already"
    life.begin(6)
    life.finish(7)
    assert life.press("yes", 8, run) == "it isn't asked any more"
    assert len(life.acts) == 1


def test_who_does_not_want_it_ends_it(life):
    life.take(3)
    run = life.asked()
    assert life.press("no", 4) == ""
    assert (life.rows[run].status, life.rows[run].answered_by) == ("declined", "anna")
    assert [act.does for act in life.acts] == ["decline"]
    assert life.told() == []


def test_its_max_age_counts_from_the_second_press(life):
    life.take(3)
    life.press("want", 300)
    life.press("yes", 301)
    assert life.begin(301 + HEDGE.max_age.total_seconds() - 1)


def test_confirmed_and_too_long_in_the_queue_it_is_dropped(life):
    life.take(3)
    life.press("want", 300)
    life.press("yes", 301)
    assert not life.begin(301 + HEDGE.max_age.total_seconds() + 1)
    ((_, status, reason),) = life.said()
    assert (status, reason) == ("dropped", "too late: 31s after it happened, max_age is 30s")


@pytest.mark.parametrize("set_by", [timedelta(hours=1), timedelta(hours=-1)])
def test_the_time_to_answer_goes_on_however_the_machines_clock_is_set(life, set_by):
    life.take(3)

    def tick(seconds: float) -> list[str]:
        now = at(seconds)
        life.keep(life.turn.messages([], Instant(now.wall + set_by, now.steady)))
        return [status for _, status, _ in life.said()]

    assert tick(600) == ["asked"]
    assert tick(604) == ["unanswered"]


def test_nobody_answers(life):
    life.take(3)
    life.tick(602)
    assert [status for _, status, _ in life.said()] == ["asked"]
    assert life.turn.deadline() == pytest.approx(603)
    life.tick(603)
    assert life.said() == [("hedge", "unanswered", "nobody answered within 10m")]
    assert life.told() == []
    assert life.press("want", 604, next(iter(life.rows))) == "it isn't asked any more"


def test_a_question_that_nobody_takes_is_a_failure_that_people_hear_of_and_no_circuit_counts(life):
    life.tick(2 + 30 + 59)
    assert [status for _, status, _ in life.said()] == ["asked"]
    life.tick(2 + 30 + 60)
    assert life.said() == [
        ("hedge", "failed", "it couldn't be asked: phone didn't take the question in time")
    ]
    assert life.told() == [
        "hedge: failed: it couldn't be asked: phone didn't take the question in time"
    ]  # URLs
    assert life.turn.runs.stops.circuit("hedge").failures == 0


def test_it_is_over_before_anybody_answers(life):
    life.take(3)
    life.profit(-10, 4)
    assert life.said()[0] == ("hedge", "dropped", "it isn't so any more")
    assert life.said()[1][:2] == ("hook", "pending")  # what the end starts doesn't wait for it


@pytest.mark.parametrize("wish", ["want", "yes"])
def test_what_is_in_the_way_at_a_press_is_said_and_the_question_stays(life, wish):
    life.take(3)
    life.press("want", 4)
    life.link("disconnected", 5)
    assert life.press(wish, 6) == "not run: fx is disconnected"
    life.link("connected", 7)
    life.profit(-60, 8, "snapshot")
    assert life.press(wish, 9) == ""


def test_a_pause_ends_the_question(life):
    life.take(3)
    life.keep(Acts(life.turn).pause("hedge", BY, at(4))[0])
    ((_, status, reason),) = life.said()
    assert (status, reason[:14]) == ("dropped", "paused by anna")


def test_a_rate_that_is_used_up_meanwhile_is_judged_at_the_press(life):
    life.take(3)
    life.press("want", 4)
    for second in range(3):
        life.turn.runs.facts.begun("hedge", at(5 + second).wall)
    assert life.press("yes", 9) == "not run: over its rate: 3 of 3/h already"


def test_a_silence_holds_the_question_back():
    life = Life(ASKS)
    life.profit(-10, 1)
    life.keep(Acts(life.turn).silence("rule=red", at(3600).wall, BY, at(1))[0])
    life.profit(-60, 2)
    ((_, status, reason),) = life.said()
    assert (status, reason[:28]) == ("dropped", "not asked: silence: rule=red")
    assert life.questions() == []


@pytest.mark.parametrize(("severity", "asked"), [("warning", False), ("critical", True)])
def test_quiet_hours_hold_the_question_back(severity, asked):
    life = Life(ASKS, Route(quiet=parse_calendar("UTC", ["00:00-24:00"])), severity=severity)
    life.profit(-10, 1)
    life.profit(-60, 2)
    ((_, status, reason),) = life.said()
    assert (status, reason) == (("asked", None) if asked else ("dropped", "not asked: phone is quiet"))


def test_what_comes_with_a_snapshot_is_not_asked_about():
    life = Life(ASKS)
    life.profit(-60, 2, "snapshot")
    assert life.said() == [("hedge", "dropped", "the venue told of it in a snapshot, not as it happened")]


def test_a_dry_run_asks_nobody():
    life = Life({**ASKS, "hedge": HEDGE.model_copy(update={"dry_run": True})})
    life.profit(-10, 1)
    life.profit(-60, 2)
    assert life.said() == [("hedge", "pending", None)]
    assert life.questions() == []


def test_no_more_than_ten_questions_of_one_action_are_open():
    life = Life(ASKS)
    for number in range(12):
        life.profit(-10, 1, entity=f"p{number}")
        life.profit(-60, 2, entity=f"p{number}")
    statuses = [status for _, status, _ in life.said()]
    assert (statuses.count("asked"), statuses.count("dropped")) == (10, 2)
    assert life.said()[-1][2] == "not asked: 10 of its questions are open already"


def test_an_event_s_question_holds_until_it_is_answered():
    life = Life(ASKS, watch="order.canceled", when=None, run=["hedge"])
    life.order("open", 1)
    life.order("canceled", 2)
    life.take(3)
    run = life.asked()
    life.press("want", 500)
    assert life.turn.runs.questions.offers(run, at(500))[0] == ("Yes, run", "yes")
    assert life.press("yes", 501) == ""


class TestARestart:
    def test_what_was_confirmed_is_run_where_that_is_not_too_long_ago(self, life):
        life.take(3)
        life.press("want", 4)
        life.press("yes", 5)
        life.restart(10, ASKS)
        life.link("connected", 11)
        run = life.turn.runs.waiting("hedge")
        assert run is not None
        assert run.answered_by == "anna"

    def test_what_is_over_by_then_is_asked_no_more(self, life):
        life.take(3)
        life.restart(10, ASKS)  # the alert is forgotten
        assert life.said() == [("hedge", "dropped", "it isn't so any more")]

    def test_what_the_config_asks_no_more_by_then_is_over(self):
        life = Life(ASKS, watch="order.canceled", when=None, run=["hedge"])
        life.order("open", 1)
        life.order("canceled", 2)
        life.take(3)
        life.restart(10, ACTIONS)
        assert life.said() == [("hedge", "dropped", CHANGED)]

    def test_the_time_to_answer_goes_on(self):
        life = Life(ASKS, watch="order.canceled", when=None, run=["hedge"])
        life.order("open", 1)
        life.order("canceled", 2)
        life.take(3)
        life.restart(400, ASKS)
        life.tick(602)
        assert life.said()[0][1] == "asked"
        life.tick(604)
        assert life.said()[0][1] == "unanswered"


def test_an_action_that_a_reload_takes_away_is_asked_about_no_more(life):
    life.take(3)
    life.reload(4, actions={"hook": ACTIONS["hook"]})
    assert life.said() == [("hedge", "dropped", "no action is called so any more")]


CHANGED = "what it asked for was changed by a reload"
MOVED = HEDGE.model_copy(update={"confirm": HEDGE.confirm.model_copy(update={"on": "mobile"})})


@pytest.mark.parametrize(
    ("actions", "rules"),
    [
        ({**ASKS, "hedge": HEDGE.model_copy(update={"command": ("/bin/false",)})}, None),
        ({**ASKS, "hedge": MOVED}, None),
        (ASKS, [{**RULE, "run": []}]),
    ],
    ids=["another command", "another channel", "its rule runs it no more"],
)
def test_what_a_reload_changes_is_asked_no_more(life, actions, rules):
    life.take(3)
    life.reload(4, actions=actions, rules=rules)
    assert life.said() == [("hedge", "dropped", CHANGED)]


def test_a_reload_of_something_else_leaves_the_question(life):
    life.take(3)
    life.reload(4, actions={**ASKS, "hook": ACTIONS["hook"].model_copy(update={"rate": "1/h"})})
    assert life.said() == [("hedge", "asked", None)]


def test_what_a_reload_finds_failed_is_told_once(life):
    life.reload(2 + 30 + 60, actions=ASKS)
    assert [status for _, status, _ in life.said()] == ["failed"]
    assert len(life.told()) == 1


def test_confirmed_and_not_run_is_told(life):
    life.take(3)
    life.press("want", 4)
    life.press("yes", 5)
    life.link("disconnected", 6)
    assert not life.begin(7)
    assert life.told() == ["hedge: confirmed by anna, but not run: fx is disconnected"]


def test_what_is_confirmed_and_waits_counts_for_the_rate():
    life = Life({**ASKS, "hedge": HEDGE.model_copy(update={"rate": "1/h"})})
    for entity in ("p1", "p2"):
        life.profit(-10, 1, entity=entity)
        life.profit(-60, 2, entity=entity)
    first, second = life.rows
    life.keep(life.turn.taken([first, second], at(3)))
    assert [life.press(wish, 4, first) for wish in ("want", "yes")] == ["", ""]
    assert life.press("want", 5, second) == "not run: over its rate: 1 of 1/h already"


def test_what_an_end_asks_is_dropped_over_a_restart(life):
    life = Life(
        {**ACTIONS, "hook": ACTIONS["hook"].model_copy(update={"confirm": HEDGE.confirm})},
        run={"on_resolved": ["hook"]},
    )
    life.profit(-60, 1)
    life.profit(-10, 2)
    life.take(3)
    life.restart(10, {**ACTIONS, "hook": ACTIONS["hook"].model_copy(update={"confirm": HEDGE.confirm})})
    ((_, status, reason),) = life.said()
    assert (status, (reason or "")[:24]) == ("dropped", "Tocsin was started again")
