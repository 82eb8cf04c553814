"""The engine against a plain model of an alert's life, with restarts, gaps and reloads thrown in."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from support.story import Story, compiled
from tocsin.events import Observation, Position, number

FOR, KEEP, REPEAT = 10, 20, 15


@dataclass
class Model:
    """when profit < -50, until profit > -40; one position; whole seconds."""

    lasts: int
    keeps: int
    repeat: int | None
    state: str = "inactive"
    passed: int = 0  # seconds in this state that count
    to_reminder: int = 0
    told: list[str] = field(default_factory=list)

    def value(self, profit: int) -> None:
        if self.state == "inactive" and profit < -50:
            self._become("pending")
        elif self.state == "pending" and profit >= -50:
            self._become("inactive")
        elif self.state == "firing" and profit > -40:
            self._become("recovering")
        elif self.state == "recovering" and profit <= -40:
            self._become("firing")
            self.remind()
        self.lead_on()

    def second(self, *, up: bool = True) -> None:
        """One second passes; `up`: it counts towards `for` and `keep_firing_for`."""
        self.passed += up
        self.to_reminder -= 1
        self.lead_on()
        self.remind()

    def lead_on(self) -> None:
        if self.state == "pending" and self.passed >= self.lasts:
            self._become("firing")
            self.told.append("firing")
            self.to_reminder = self.repeat or 0
        elif self.state == "recovering" and self.passed >= self.keeps:
            self._become("inactive")
            self.told.append("resolved")

    def remind(self) -> None:
        if self.repeat and self.state == "firing" and self.to_reminder <= 0:
            self.told.append("reminder")
            self.to_reminder = self.repeat

    def _become(self, state: str) -> None:
        self.state, self.passed = state, 0


@st.composite
def lives(draw: st.DrawFn) -> tuple[dict[str, object], list[tuple[str, int]]]:
    rule: dict[str, object] = {
        "id": "r",
        "watch": "position",
        "when": "profit < -50",
        "until": "profit > -40",
    }
    for key, value in (("for", FOR), ("keep_firing_for", KEEP), ("repeat", REPEAT)):
        if draw(st.booleans()):
            rule[key] = f"{value}s"
    steps = st.one_of(
        st.tuples(st.just("value"), st.sampled_from([-70, -51, -50, -45, -40, -39, 0])),
        st.tuples(st.just("wait"), st.integers(0, 25)),
        st.tuples(st.just("restart"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["text", "wall"]), st.integers(-1000, 1000)),
        st.tuples(st.sampled_from(["down", "up"]), st.just(0)),
    )
    return rule, draw(st.lists(steps, max_size=25))


@model(suite=200, many=2_000)
@given(lives())
def test_an_alert_lives_as_the_model_says(life: tuple[dict[str, object], list[tuple[str, int]]]) -> None:
    rule, steps = life
    story = Story(compiled([rule]))
    story.connect("fx")
    model = Model(
        FOR if "for" in rule else 0,
        KEEP if "keep_firing_for" in rule else 0,
        REPEAT if "repeat" in rule else None,
    )
    last, wall_moved = 0, False
    say(story, last)
    for what, n in steps:
        if what == "value":
            last = n
            say(story, n)
            model.value(n)
        elif what == "wait":
            story.run_to(story.at + n)
            for _ in range(n):
                model.second(up=story.up["fx"])
        elif what == "restart" and not wall_moved:
            story.restart(n)
            story.run_to(story.at)
            model.to_reminder -= n
            model.remind()
        elif what == "text":
            story.reload(compiled([rule | {"title": f"words {n}"}]))
        elif what == "wall":
            story.clock.jump_wall(n)
            wall_moved = True  # across runs the wall-clock counts: no restart can be foretold after that
        elif what == "down" and story.up["fx"]:
            story.disconnect("fx")
        elif what == "up" and not story.up["fx"]:
            story.connect("fx")
        assert [told["told"] for told in story.told] == model.told
    assert [alert["state"] for alert in story.alerts()] == [s for s in [model.state] if s != "inactive"]
    well_formed(story)


def say(story: Story, profit: int) -> None:
    story.say("fx", Observation(state=Position(id="p1", profit=number(str(profit)))))


def well_formed(story: Story) -> None:
    """Nothing is resolved that wasn't told as firing, nothing fires twice without an end between."""
    firing: set[str] = set()
    ended: set[str] = set()
    for told in story.told:
        alert = told["alert"]
        if told["told"] == "firing":
            assert not firing, "fires while it fires"
            assert alert not in ended
            firing.add(alert)
        elif told["told"] == "reminder":
            assert alert in firing
        else:
            firing.remove(alert)
            ended.add(alert)


RULES = [
    {"id": "level", "watch": "position", "when": "profit < -50", "for": "5s"},
    {
        "id": "hold",
        "watch": "position",
        "when": "profit < -50",
        "until": "profit > 0",
        "keep_firing_for": "7s",
    },
    {"id": "gap", "watch": "position", "when": "profit < 0", "on_gap": "resolve", "repeat": "6s"},
    {"id": "shut", "watch": "position", "when": 'status == "closed"'},
    {"id": "age", "watch": "position", "when": "age() > 9s", "for": "2s"},
]
EVENTS = [
    {"id": "ev", "watch": "position.updated", "cooldown": "8s"},
    {"id": "rem", "watch": "position.closed", "repeat": "9s"},
]
POSSIBLE = st.one_of(
    st.tuples(st.just("value"), st.sampled_from(["p1", "p2"]), st.integers(-60, 10)),
    st.tuples(st.just("close"), st.sampled_from(["p1", "p2"]), st.integers(-60, 10)),
    st.tuples(st.just("wait"), st.just(""), st.integers(0, 20)),
    st.tuples(st.just("restart"), st.just(""), st.integers(0, 20)),
    st.tuples(st.just("reload"), st.just(""), st.integers(0, 127)),
    st.tuples(st.sampled_from(["down", "up", "wall"]), st.just(""), st.integers(-5000, 5000)),
)


@model(suite=150, many=2_000)
@given(st.lists(POSSIBLE, max_size=30))
def test_whatever_happens_firing_and_resolved_alternate(steps: list[tuple[str, str, int]]) -> None:
    story = Story(compiled(RULES + EVENTS))
    story.connect("fx")
    states = {rule["id"] for rule in RULES}
    for what, id_, n in steps:
        if what in ("value", "close"):
            status = "closed" if what == "close" else "open"
            story.say("fx", Observation(state=Position(id=id_, profit=number(str(n)), status=status)))
        elif what == "wait":
            story.run_to(story.at + n)
        elif what == "restart":
            story.restart(n)
        elif what == "reload":
            story.reload(compiled([rule for bit, rule in enumerate(RULES + EVENTS) if n >> bit & 1]))
        elif what == "wall":
            story.clock.jump_wall(n)
        else:
            (story.connect if what == "up" else story.disconnect)("fx")
    firing: set[tuple[str, str]] = set()
    for told in story.told:
        instance = (told["rule"], told["id"])
        if told["rule"] not in states or told["rule"] == "shut":
            assert told["state"] == "firing"
            continue
        if told["told"] == "firing":
            assert instance not in firing
            if not told["reason"]:  # what fires with its entity's end has nothing to resolve
                firing.add(instance)
        else:
            assert instance in firing
            if told["told"] == "resolved":
                firing.remove(instance)
    live = {(each["rule"], each["id"]) for each in story.alerts() if each["state"] != "pending"}
    assert firing == live
