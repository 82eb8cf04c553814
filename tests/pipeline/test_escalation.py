"""Escalation beside what the rule tests show of it: the channels' quiet hours, and rows of another version."""

from datetime import timedelta

import pytest
from msgspec import structs

from support.calendars import parse_calendar
from support.observing import state_of
from support.outboxes import START
from support.story import compiled
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.wording import Style
from tocsin.app.components import of_ourselves
from tocsin.events import Instant, Observation
from tocsin.events.vocabulary import OURSELVES
from tocsin.feed.model import Received
from tocsin.pipeline import Options, Targets
from tocsin.pipeline.runtime import EMPTY, Runtime
from tocsin.store.model import Batch

NIGHT = parse_calendar("UTC", ["00:02-06:00"])


def at(seconds: float) -> Instant:
    return Instant(START + timedelta(seconds=seconds), seconds)


class Life:
    """An event rule's alerts, and what the store has of them. `quiet` are the phone's hours."""

    def __init__(self, quiet=None, **rule) -> None:
        self._rule = {
            "id": "ev",
            "watch": "daemon.degraded",
            "severity": "warning",
            "notify": ["phone"],
            **rule,
        }
        self._quiet = quiet
        self._kept = {"instances": {}, "notes": {}, "held": {}, "silences": {}}
        self._ids = iter(f"{number:09d}" for number in range(1000))
        self.notes: list[str] = []
        self._start(EMPTY, 0)

    def _start(self, loaded, seconds) -> None:
        channels = {"phone": Route(quiet=self._quiet), "desk": Route()}
        targets = dict.fromkeys(channels, Targets(1, timedelta(hours=24)))
        self.options = Options(routing=Routing(channels=channels), targets=targets, style=Style())
        self.turn = Runtime(compiled([self._rule]), self.options, self._ids.__next__).turn
        self.keep(self.turn.restore(loaded, at(seconds))[0])

    def keep(self, batch: Batch) -> Batch:
        self._kept["instances"] |= {(row.rule, row.instance): row for row in batch.instances}
        self._kept["held"] |= {row.alert: row for row in batch.held}
        self._kept["silences"] |= {each.id: each for each in batch.silences}
        self._kept["notes"] |= batch.notes
        return batch

    def restart(self, seconds: float) -> None:
        loaded = structs.replace(
            EMPTY,
            instances=[row for row in self._kept["instances"].values() if row.record],
            notes={key: note for key, note in self._kept["notes"].items() if note is not None},
            held=[row for row in self._kept["held"].values() if row.data],
            silences=[*self._kept["silences"].values()],
            alive=at(seconds),
        )
        self._start(loaded, seconds)

    def happens(self, seconds: float, why: str = "slow") -> str:
        """The alert's id."""
        said = of_ourselves("daemon.degraded", why, "store")
        batch = self.turn.messages([Received(venue=OURSELVES, observed=(said,), at=at(seconds))], at(seconds))
        return self.keep(batch).alerts[0].id

    def acknowledge(self, alert: str, seconds: float, until: float | None = None) -> None:
        ends = at(until).wall if until is not None else None
        self.keep(self.turn.acknowledge(alert, at(seconds), by="anna", until=ends)[0])

    def told(self, until: float) -> list[tuple[float, str, str]]:
        """All that is told by itself up to then."""
        found = []
        while (due := self.turn.deadline()) is not None and due <= until:
            batch = self.keep(self.turn.messages((), at(due)))
            found += [(round(due), each.channel, each.state_told) for each in batch.deliveries]
            self.notes += [note for each in batch.deliveries for note in each.context.get("notes", ())]
        return found


@pytest.mark.parametrize("restarts", [False, True])
def test_an_event_that_is_acknowledged_for_a_time_is_told_again_after_it(restarts):
    life = Life(repeat="10m")
    life.acknowledge(life.happens(0), 60, until=3600)
    if restarts:
        life.restart(90)
    assert life.told(4300) == [(3600, "phone", "reminder"), (4200, "phone", "reminder")]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("until", [5 * 3600, 30 * 3600])
def test_an_event_s_last_reminder_ends_no_acknowledgement(until, restarts):
    """Nor does the end of its escalation."""
    life = Life(repeat="5m", escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.acknowledge(alert, 60, until=until)
    assert life.told(3 * 3600) == []  # the last reminder would have come after two hours
    if restarts:
        life.restart(3 * 3600)
    assert life.told(until - 1) == []
    assert life.turn.notifier.escalations.get(alert).acked_until == at(until).wall
    expected = [(until + 600, "desk", "firing")] if until < 24 * 3600 else []
    assert life.told(until + 3600) == expected
    assert life.told(48 * 3600) == []
    assert alert not in life.turn.notifier.escalations


def escalates_at(after, severity="warning", quiet=None):
    """When a position's alert, taken at once, is told to the desk by its step, in seconds."""
    rule = {
        "id": "red",
        "watch": "position",
        "when": "profit < -50",
        "severity": severity,
        "notify": ["phone", "desk"],
        "escalate": [{"after": after, "notify": ["desk"]}],
    }
    channels = {name: Route(quiet=(quiet or {}).get(name)) for name in ("phone", "desk")}
    targets = dict.fromkeys(channels, Targets(1, timedelta(hours=24)))
    options = Options(routing=Routing(channels=channels), targets=targets, style=Style())
    ids = iter(f"{number:09d}" for number in range(1000))
    turn = Runtime(compiled([rule]), options, ids.__next__).turn
    turn.restore(EMPTY, at(0))
    position = Observation(state=state_of("position", {"id": "p1", "profit": -60}))
    batch = turn.messages([Received(venue="fx", observed=(position,), at=at(0))], at(0))
    (alert,) = {each.alert for each in batch.deliveries}
    turn.taken([alert], at(0))
    while True:
        due = turn.deadline()
        assert due is not None
        if told := turn.messages((), at(due)).deliveries:
            assert [each.channel for each in told] == ["desk"]
            return due


@pytest.mark.parametrize(
    ("severity", "quiet", "seconds"),
    [
        ("warning", {}, 600),
        ("warning", {"phone": NIGHT, "desk": NIGHT}, 6 * 3600 + 480),  # the night doesn't count
        ("warning", {"phone": NIGHT}, 600),  # the desk has heard of it
        ("critical", {"phone": NIGHT, "desk": NIGHT}, 600),  # told at once
    ],
)
def test_while_all_that_were_told_are_quiet_nothing_counts(severity, quiet, seconds):
    assert escalates_at("10m", severity, quiet) == pytest.approx(seconds)


def test_an_alert_that_lasts_escalates_for_as_long_as_it_fires():
    assert escalates_at("30h") == pytest.approx(30 * 3600)


def test_each_event_of_a_night_waits_for_the_morning_before_it_escalates():
    life = Life(quiet=NIGHT, escalate=[{"after": "10m", "notify": ["desk"]}])
    for seconds in (180, 240, 300):
        life.happens(seconds, why=f"slow {seconds}")
    assert life.told(6 * 3600 + 599) == []
    assert life.told(6 * 3600 + 600) == [(6 * 3600 + 600, "desk", "firing")] * 3


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("until", "taken_back", "escalates_at"),
    [
        (None, False, None),
        (2 * 3600, False, 2 * 3600 + 600),
        (1800, False, 3600 + 600),
        (None, True, 3600 + 600),
    ],
)
def test_an_event_that_is_acknowledged_while_it_is_held_is_not_escalated(
    until, taken_back, escalates_at, restarts
):
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    life.keep(life.turn.silence("rule=ev", at(3600).wall, at(0))[0])
    alert = life.happens(60)
    life.acknowledge(alert, 100, until=until)
    if taken_back:
        life.keep(life.turn.unacknowledge(alert, at(110))[0])
    if restarts:
        life.restart(120)
    assert life.told(3600) == [(3600, "phone", "firing")]
    life.keep(life.turn.taken([alert], at(3600)))
    assert life.told(48 * 3600) == ([(escalates_at, "desk", "firing")] if escalates_at else [])


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("handed", [False, True])
def test_who_knows_of_it_as_a_fallback_is_reminded(handed, restarts):
    """And then told of its ack as whoever is escalated to."""
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1), [(alert, "desk")] if handed else []))
    if restarts:
        life.restart(60)
    assert life.told(700) == [(601, "desk", "reminder" if handed else "firing")]
    (ack,) = life.turn.acknowledge(alert, at(800), by="anna", until=None)[0].deliveries
    assert (ack.channel, ack.context["acked_by"], ack.context.get("notes")) == ("desk", "anna", None)


def test_what_is_taken_again_counts_from_the_first():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    for seconds in (1, 300):
        life.keep(life.turn.taken([alert], at(seconds), [(alert, "desk")]))
    assert life.turn.notifier.escalations.get(alert).handed == ("desk",)
    assert life.told(1000) == [(601, "desk", "reminder")]


def test_a_silence_of_others_takes_nothing_from_its_time():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1)))
    for seconds in (100, 200, 300):
        life.keep(life.turn.silence(f"rule=other{seconds}", at(3600).wall, at(seconds))[0])
    assert life.told(1000) == [(601, "desk", "firing")]


def test_to_take_back_what_nobody_had_changes_nothing():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1)))
    life.keep(life.turn.unacknowledge(alert, at(300))[0])
    assert life.told(1000) == [(601, "desk", "firing")]


def test_what_is_taken_back_is_no_time_that_is_over():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1)))
    life.acknowledge(alert, 101)
    life.keep(life.turn.unacknowledge(alert, at(1000))[0])
    assert life.told(2000) == [(1500, "desk", "firing")]
    assert life.notes == []


def test_an_edited_rule_escalates_by_its_new_times():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    life.keep(life.turn.taken([life.happens(0)], at(1)))
    assert life.told(100) == []
    assert life.turn.deadline() == pytest.approx(601)
    edited = {
        "id": "ev",
        "watch": "daemon.degraded",
        "notify": ["phone"],
        "escalate": [{"after": "5m", "notify": ["desk"]}],
    }
    life.keep(life.turn.reload(compiled([edited]), life.options, at(100))[0])
    assert life.told(1000) == [(301, "desk", "firing")]


def test_the_end_of_a_silence_ends_no_acknowledgement():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1)))
    life.acknowledge(alert, 100)
    life.keep(life.turn.silence("rule=ev", at(300).wall, at(200))[0])
    other = life.happens(250, why="slower")
    assert life.told(300) == [(300, "phone", "firing")]
    life.keep(life.turn.taken([other], at(301)))
    assert life.told(48 * 3600) == [(901, "desk", "firing")], "the other's, which nobody has"


def test_what_is_taken_back_in_a_silence_counts_after_it():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1)))
    life.keep(life.turn.silence("rule=ev", at(3600).wall, at(100))[0])
    life.acknowledge(alert, 200)
    life.keep(life.turn.unacknowledge(alert, at(300))[0])
    assert life.told(48 * 3600) == [(3600 + 501, "desk", "firing")]


def test_the_end_of_a_silence_is_no_beginning():
    life = Life(escalate=[{"after": "10s", "notify": ["desk"]}])
    life.happens(0)
    life.keep(life.turn.silence("rule=ev", at(8).wall, at(5))[0])
    assert life.told(100) == [(70, "desk", "firing")], "nobody takes the first message for a minute"


def test_each_alert_counts_from_when_its_own_message_is_taken():
    life = Life(escalate=[{"after": "5s", "notify": ["desk"]}])
    life.keep(life.turn.taken([life.happens(0)], at(1)))
    other = life.happens(3, why="slower")
    assert life.told(7) == [(6, "desk", "firing")]
    life.keep(life.turn.taken([other], at(10)))
    assert life.told(100) == [(15, "desk", "firing")]


def test_the_alert_of_a_rule_that_is_gone_escalates_no_more():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1)))
    life.keep(life.turn.reload([], life.options, at(100))[0])
    assert life.told(48 * 3600) == []
    assert alert not in life.turn.notifier.escalations


def test_who_is_told_next():
    life = Life(
        escalate=[{"after": "10m", "notify": ["desk"], "repeat": "1h"}, {"after": "20m", "notify": ["phone"]}]
    )
    alert, escalations = life.happens(0), life.turn.notifier.escalations

    def following(seconds):
        found = escalations.next(alert, at(seconds).wall)
        assert found is not None
        return (found[0] - START).total_seconds(), found[1].notify

    assert escalations.next("none", at(1).wall) is None
    assert escalations.next(alert, at(1).wall) is None, "nobody has taken it"
    life.keep(life.turn.taken([alert], at(1)))
    assert following(100) == (601.0, ("desk",))
    assert life.told(700) == [(601, "desk", "firing")]
    assert following(700) == (1201.0, ("phone",))
    assert life.told(1300) == [(1201, "phone", "reminder")]
    assert following(1300) == (4201.0, ("desk",))
    life.acknowledge(alert, 1400)
    assert escalations.next(alert, at(1500).wall) is None


@pytest.mark.parametrize("restarts", [False, True])
def test_an_acknowledgement_while_it_is_held_is_over_with_its_time_without_escalation_too(restarts):
    life = Life()
    life.keep(life.turn.silence("rule=ev", at(3600).wall, at(0))[0])
    life.acknowledge(life.happens(60), 100, until=1800)
    if restarts:
        life.restart(120)
    assert life.told(48 * 3600) == [(3600, "phone", "firing")]


@pytest.mark.parametrize("rule", [{}, {"escalate": [{"after": "10m", "notify": ["desk"]}], "notify": []}])
def test_what_nobody_is_to_react_to_is_not_followed(rule):
    life = Life(**rule)
    alert = life.happens(0)
    life.keep(life.turn.taken([alert], at(1), [(alert, "desk")]))
    assert alert not in life.turn.notifier.escalations
    assert life.told(48 * 3600) == []


def test_what_a_silence_held_is_told_though_its_rule_is_gone():
    life = Life(escalate=[{"after": "10m", "notify": ["desk"]}])
    life.keep(life.turn.silence("rule=ev", at(3600).wall, at(0))[0])
    life.happens(60)
    life.keep(life.turn.reload([], life.options, at(100))[0])
    assert life.told(48 * 3600) == [(3600, "phone", "firing")]


def test_a_note_that_this_version_can_not_read_is_let_go(tmp_path):
    ids = iter(f"{number:09d}" for number in range(1000))
    options = Options(routing=Routing(channels={}), targets={}, style=Style())
    turn = Runtime([], options, ids.__next__).turn
    turn.notifier.escalations.restore({"followed a1": "{}", "other": "x"})
    assert "a1" not in turn.notifier.escalations
    assert turn.notifier.escalations.notes() == {"followed a1": None}
