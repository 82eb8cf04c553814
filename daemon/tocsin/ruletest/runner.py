"""Runs tests: each on a fresh simulation, step by step, up to the first expectation that isn't met. Blocks."""

import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio
from structlog.testing import capture_logs

from tocsin.clock import ManualClock
from tocsin.config.reading import Reading
from tocsin.config.rule_sets import compile_written
from tocsin.engine.api import Transition
from tocsin.events import Instant, Observation, Venue
from tocsin.events.synthetic import daemon_event
from tocsin.events.vocabulary import OURSELVES
from tocsin.explain.explanation import lines, nothing_there
from tocsin.ruletest.expectations import differences, is_pattern, pairs, unordered
from tocsin.ruletest.file_parser import switched_on
from tocsin.ruletest.model import (
    Ack,
    Action,
    Answers,
    Expect,
    ExpectActions,
    ExpectAlerts,
    Message,
    Reload,
    Restart,
    RuleTests,
    Says,
    Silence,
    Step,
    Test,
    Wanted,
)
from tocsin.ruletest.simulation import Delivered, Simulation
from tocsin.store.model import NewDelivery, RunRow
from tocsin.venues.decoding import observations

Item = Mapping[str, Any]
Pair = tuple[Wanted | None, Item | None]
_MOST = 40  # lines of one rule and entity; the last ones
_MOST_ABOUT = 5  # entities, or rules, where the test names none
_ORDER = "the same came in another order: `expect` lists what is told in the order in which it is told"
# What of a message that can't be read is told to the rules, in words.
_UNREAD = {
    "venue.malformed": "can't read the message (venue.malformed)",
    "venue.unrecognized": "doesn't know the message (venue.unrecognized)",
}
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own in it, private; its commits wait for no disk


@dataclass(frozen=True, slots=True)
class TraceLine:
    """`id` is None for all that the rule is about, `at` for how it stands now."""

    rule: str
    id: str | None
    at: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a step came to that its writer may not have meant. `heard`: a rule of the test tells of it."""

    step: Step
    said: str
    heard: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """The step at which a test went another way. `pairs`: what was expected beside what came; or `said`, in words."""

    step: Step
    at: Instant
    pairs: tuple[Pair, ...] = ()
    said: str = ""
    trace: tuple[TraceLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    test: Test
    failure: Failure | None = None
    notes: tuple[Note, ...] = ()


def run_tests(tests: RuleTests, on_result: Callable[[Result], None] = lambda _result: None) -> list[Result]:
    """Every test of a file. Raises nothing for what the rules do; an exception is a bug of ours."""
    results = []
    for test in tests.tests:
        results.append(run_test(tests, test))
        on_result(results[-1])
    return results


def run_test(tests: RuleTests, test: Test) -> Result:
    clock = ManualClock(test.start)
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    # The logs are captured: a channel that fails as the test says is no news for the terminal.
    with tempfile.TemporaryDirectory(prefix="tocsin-test-", dir=place) as folder, capture_logs():
        return trio.run(partial(play, tests, test, clock, Path(folder)), clock=clock)


async def play(
    tests: RuleTests,
    test: Test,
    clock: ManualClock,
    folder: Path,
    at_end: Callable[[Simulation], Awaitable[None]] | None = None,
) -> Result:
    """One test in a simulation whose state is in `folder`/state; `clock` is the one that trio runs on. `at_end` is called, once it has
    passed, before the simulation stops.
    """
    async with trio.open_nursery() as nursery:
        simulation = Simulation(
            rules=switched_on(tests.rules, test.enabled),
            channels=tests.channels,
            clock=clock,
            state_dir=folder / "state",
            nursery=nursery,
            style=tests.style,
        )
        await simulation.start(test.venues)
        try:
            run = _Run(tests, simulation, test.enabled)
            failure = None
            for step in test.steps:
                await simulation.run_until(step.at)
                failure = await run.step(step)
                if failure is not None:
                    break
            else:
                await simulation.settle()
                if at_end is not None:
                    await at_end(simulation)
        finally:
            with trio.CancelScope(shield=True):
                await simulation.stop()
    return Result(test, failure, tuple(run.notes))


class _Run:
    """One test while it runs."""

    def __init__(self, tests: RuleTests, simulation: Simulation, enabled: frozenset[str]) -> None:
        self._enabled = enabled
        self._tests, self._simulation = tests, simulation
        self._seen = self._seen_runs = 0  # of what was told, and run
        self.notes: list[Note] = []

    async def step(self, step: Step) -> Failure | None:
        """Do it; the failure, where it isn't as expected."""
        match step.action:
            case Expect() as expected:
                await self._simulation.settle()
                return await self._expect(step, expected)
            case ExpectAlerts() as expected:
                return await self._judge(
                    step, tuple(unordered(expected.items, tuple(await self._simulation.lasting())))
                )
            case ExpectActions() as expected:
                came = tuple(map(_run_item, self._simulation.ran[self._seen_runs :]))
                self._seen_runs = len(self._simulation.ran)
                return await self._judge(step, tuple(pairs(expected.items, came)))
            case _ as action:
                wrong = await self._do(step, action)
        return await self._fails(step, said=wrong) if wrong else None

    async def _do(self, step: Step, action: Action) -> str:
        """What went wrong, in words."""
        simulation = self._simulation
        match action:
            case Says():
                await simulation.say(action.venue, (action.observed,))
            case Message():
                await self._hear(step, action)
            case Restart():
                await simulation.restart(action.down)
            case Reload():
                await self._reload(step, action)
            case Answers():
                simulation.fakes[action.channel].works = action.works
            case Ack():
                if not await simulation.acknowledge(action.rule, action.id, action.lasts):
                    return f"there is no alert of {action.rule} for {action.id} to acknowledge"
            case Silence():
                await simulation.silence(action.match, action.lasts)
        return ""

    async def _hear(self, step: Step, message: Message) -> None:
        now = self._simulation.clock.now()
        observed = observations(message.venue, message.adapter, message.text, now.wall)
        begun = len(self._simulation.trace)
        await self._simulation.say(message.venue, observed, message.text)
        for item in observed:
            if isinstance(item, Observation) and item.event in _UNREAD and isinstance(item.state, Venue):
                said = f"the decoder of {message.adapter.name} {_UNREAD[item.event]}: {item.state.reason}"
                self._note(step, said, item.event, begun)

    async def _reload(self, step: Step, action: Reload) -> None:
        """As in production: one error anywhere, and the old rules go on, loudly."""
        reading = Reading(self._tests.path, {})
        rules, _ = compile_written(reading, action.rules, self._tests.channels, self._tests.calendars)
        wrong = [problem for problem in reading.shown() if problem.level == "error"]
        if not wrong:
            await self._simulation.reload(switched_on(rules, self._enabled))
            return
        begun = len(self._simulation.trace)
        event, reason = "daemon.reload_failed", f"{len(wrong)} problem(s): {wrong[0].message}"
        await self._simulation.say(OURSELVES, (daemon_event(event, reason),))
        why = "\n".join(problem.render() for problem in wrong)
        self._note(step, f"the reload was refused, so the rules before it ran on: {why}", event, begun)

    def _note(self, step: Step, said: str, event: str, begun: int) -> None:
        """`begun`: where what the step led to begins in the trace."""
        heard = any(
            t.notification and t.context and t.context.event == event for t in self._simulation.trace[begun:]
        )
        self.notes.append(Note(step, said, heard))

    async def _expect(self, step: Step, action: Expect) -> Failure | None:
        came = notifications(self._simulation.told[self._seen :])
        self._seen = len(self._simulation.told)
        alike = _all_met(unordered(action.items, came))
        return await self._judge(step, tuple(pairs(action.items, came)), _ORDER if alike else "")

    async def _judge(self, step: Step, found: tuple[Pair, ...], said: str = "") -> Failure | None:
        return None if _all_met(found) else await self._fails(step, found=found, said=said)

    async def _fails(self, step: Step, *, found: tuple[Pair, ...] = (), said: str = "") -> Failure:
        about = [*_about(item for pair in found for item in pair if item)]
        if isinstance(step.action, Ack):
            about = [{"rule": step.action.rule, "id": step.action.id}]
        lines = await traces(self._simulation, about)
        return Failure(step, self._simulation.clock.now(), found, said, tuple(lines))


def _all_met(found: Iterable[Pair]) -> bool:
    return all(
        wanted is not None and came is not None and not differences(wanted, came) for wanted, came in found
    )


def _about(items: Iterable[Wanted | Item]) -> Iterator[Item]:
    """The items, and of a digest its alerts."""
    for item in items:
        given = item.given if isinstance(item, Wanted) else item
        alerts = given.get("alerts")
        yield from _about(alerts) if isinstance(alerts, tuple) and alerts else (given,)


def notifications(delivered: list[Delivered]) -> tuple[Item, ...]:
    """What was told, one item a notification of one alert (or a digest of the same alerts), in the order of the transitions."""
    together: dict[tuple[Any, ...], list[Delivered]] = {}
    for told in sorted(delivered, key=lambda told: (told.parts or (told.delivery,))[-1].id):
        together.setdefault(_what(told), []).append(told)
    return tuple(_item(group) for group in together.values())


def _what(told: Delivered) -> tuple[Any, ...]:
    if told.delivery.state_told == "digest":
        return (told.delivery.created_at, *map(_transition, told.parts))
    return _transition(told.delivery)


def _transition(delivery: NewDelivery) -> tuple[Any, ...]:
    return delivery.context["alert"], delivery.context["state"], delivery.created_at


def _item(group: list[Delivered]) -> Item:
    first = group[0]
    told = {
        "severity": first.delivery.severity,
        "channels": frozenset(told.delivery.channel for told in group),
        "title": first.message.title,
        "body": first.message.body,
        "late": max(told.late for told in group),
        "at": first.at,
    }
    if first.delivery.state_told != "digest":
        return told | _alert(first.delivery)
    last = {part.alert: part for part in first.parts}
    over = bool(first.delivery.context.get("over"))
    return told | {
        "state": "resolved" if over else "firing",
        "alerts": tuple(_alert(part) | {"severity": part.severity} for part in last.values()),
    }


def _alert(delivery: NewDelivery) -> dict[str, Any]:
    context = delivery.context
    return {
        "rule": context["rule"],
        "id": context["entity"],
        "state": "resolved" if context["state"] == "resolved" else "firing",
        "suppressed": context.get("suppressed", 0),
    }


def _run_item(run: RunRow) -> Item:
    return {
        "action": run.action,
        "rule": run.data["rule"],
        "id": run.data["entity"],
        "state": run.told,
        "dropped": run.reason if run.status == "dropped" else None,
    }


async def traces(simulation: Simulation, about: Iterable[Mapping[str, Any]]) -> list[TraceLine]:
    """The steps of every rule and entity that are named, how the rule stands there now, and what holds it back."""
    now = simulation.clock.now()
    found: list[TraceLine] = []
    for rule, entity in dict.fromkeys(_subjects(simulation, about)):
        steps = [t for t in simulation.trace if t.rule == rule and t.entity.id == entity]
        for step in steps[-_MOST:]:
            at = now.steady - (now.wall - step.at).total_seconds()
            found.append(TraceLine(rule, entity, at, _said(step)))
        found += [TraceLine(rule, entity, None, text) for text in await _standing(simulation, rule, entity)]
    return found


def _subjects(simulation: Simulation, about: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str | None]]:
    """The rules and entities that are named, or all that the rules did something for."""
    for item in about:
        named, entity = item.get("rule"), item.get("id")
        rules = [rule.id for rule in simulation.rules[:_MOST_ABOUT]]
        for rule in [str(named)] if named is not None and not is_pattern(str(named)) else rules:
            if entity is not None and not is_pattern(str(entity)):
                yield rule, str(entity)
                continue
            moved: dict[str | None, None] = dict.fromkeys(
                t.entity.id for t in simulation.trace if t.rule == rule
            )
            yield from ((rule, id_) for id_ in list(moved or [None])[-_MOST_ABOUT:])


def _said(step: Transition) -> str:
    """A step in words: what was told, or which state it led to."""
    word = step.notification or step.state
    return step.trace if word == "inactive" or step.trace.startswith(word) else f"{word}: {step.trace}"


async def _standing(simulation: Simulation, name: str, entity: str | None) -> list[str]:
    rule = next((rule for rule in simulation.rules if rule.id == name), None)
    if rule is None:
        return ["there is no such rule now"]
    answer = await simulation.explain(rule, entity, _MOST_ABOUT)
    told = [line for each in answer.explained for line in lines(each)]
    more = answer.count - len(answer.explained)
    return [
        *([] if answer.explained else [f"it {nothing_there(answer, entity)}"]),
        *told,
        *([f"and {more} more"] if more else []),
    ]
