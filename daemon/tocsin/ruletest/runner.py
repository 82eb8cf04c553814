"""Runs tests: each on a fresh bench, step by step, up to the first expectation that isn't met. Blocks."""

import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio
from structlog.testing import capture_logs

from tocsin.config.reading import Reading
from tocsin.events import Instant, Observation, Venue
from tocsin.events.vocabulary import OURSELVES
from tocsin.ruletest.bench import Bench
from tocsin.ruletest.clock import SteppedClock
from tocsin.ruletest.decoding import decoded
from tocsin.ruletest.expected import differences, pairs, unordered
from tocsin.ruletest.model import (
    Ack,
    Action,
    Answers,
    Expect,
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
from tocsin.ruletest.reading import compile_written, switched_on
from tocsin.ruletest.said import daemon_event
from tocsin.ruletest.stand_ins import Delivered
from tocsin.ruletest.traces import TraceLine, traces

Item = Mapping[str, Any]
Pair = tuple[Wanted | None, Item | None]
_ORDER = "the same came in another order: `expect` lists what is told in the order in which it is told"
# What of a message that can't be read is told to the rules, in words.
_UNREAD = {
    "venue.malformed": "can't read the message (venue.malformed)",
    "venue.unrecognized": "doesn't know the message (venue.unrecognized)",
}
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own in it, private; its commits wait for no disk


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
    clock = SteppedClock(test.start)
    place = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    # The logs are captured: a stand-in that fails as the test says is no news for the terminal.
    with tempfile.TemporaryDirectory(prefix="tocsin-test-", dir=place) as folder, capture_logs():
        return trio.run(partial(play, tests, test, clock, Path(folder)), clock=clock)


async def play(
    tests: RuleTests,
    test: Test,
    clock: SteppedClock,
    folder: Path,
    at_end: Callable[[Bench], Awaitable[None]] | None = None,
) -> Result:
    """One test on a bench whose state is in `folder`/state; `clock` is the one that trio runs on. `at_end` is called, once it has
    passed, before the bench stops.
    """
    async with trio.open_nursery() as nursery:
        bench = Bench(
            rules=switched_on(tests.rules, test.enabled),
            channels=tests.channels,
            clock=clock,
            state_dir=folder / "state",
            nursery=nursery,
            style=tests.style,
        )
        await bench.start(test.venues)
        try:
            run = _Run(tests, bench, test.enabled)
            failure = None
            for step in test.steps:
                await bench.run_until(step.at)
                failure = await run.step(step)
                if failure is not None:
                    break
            else:
                await bench.settle()
                if at_end is not None:
                    await at_end(bench)
        finally:
            with trio.CancelScope(shield=True):
                await bench.stop()
    return Result(test, failure, tuple(run.notes))


class _Run:
    """One test while it runs."""

    def __init__(self, tests: RuleTests, bench: Bench, enabled: frozenset[str]) -> None:
        self._enabled = enabled
        self._tests, self._bench = tests, bench
        self._seen = 0  # of what was told
        self.notes: list[Note] = []

    async def step(self, step: Step) -> Failure | None:
        """Do it; the failure, where it isn't as expected."""
        match step.action:
            case Expect() as expected:
                await self._bench.settle()
                return await self._expect(step, expected)
            case ExpectAlerts() as expected:
                return await self._judge(
                    step, tuple(unordered(expected.items, tuple(await self._bench.lasting())))
                )
            case _ as action:
                wrong = await self._do(step, action)
        return await self._fails(step, said=wrong) if wrong else None

    async def _do(self, step: Step, action: Action) -> str:
        """What went wrong, in words."""
        bench = self._bench
        match action:
            case Says():
                await bench.say(action.venue, (action.observed,))
            case Message():
                await self._hear(step, action)
            case Restart():
                await bench.restart(action.down)
            case Reload():
                await self._reload(step, action)
            case Answers():
                bench.stand_ins[action.channel].works = action.works
            case Ack():
                if not await bench.acknowledge(action.rule, action.id):
                    return f"there is no alert of {action.rule} for {action.id} to acknowledge"
            case Silence():
                await bench.silence(action.match, action.lasts)
        return ""

    async def _hear(self, step: Step, message: Message) -> None:
        observed = decoded(message, self._bench.clock.now())
        begun = len(self._bench.trace)
        await self._bench.say(message.venue, observed, message.text)
        for item in observed:
            if isinstance(item, Observation) and item.event in _UNREAD and isinstance(item.state, Venue):
                said = f"the decoder of {message.type} {_UNREAD[item.event]}: {item.state.reason}"
                self._note(step, said, item.event, begun)

    async def _reload(self, step: Step, action: Reload) -> None:
        """As in production: one error anywhere, and the old rules go on, loudly."""
        reading = Reading(self._tests.path, {})
        rules, _ = compile_written(reading, action.rules, self._tests.channels, self._tests.calendars)
        wrong = [problem for problem in reading.shown() if problem.level == "error"]
        if not wrong:
            await self._bench.reload(switched_on(rules, self._enabled))
            return
        begun = len(self._bench.trace)
        event, reason = "daemon.reload_failed", f"{len(wrong)} problem(s): {wrong[0].message}"
        await self._bench.say(OURSELVES, (daemon_event(event, reason),))
        why = "\n".join(problem.render() for problem in wrong)
        self._note(step, f"the reload was refused, so the rules before it ran on: {why}", event, begun)

    def _note(self, step: Step, said: str, event: str, begun: int) -> None:
        """`begun`: where what the step led to begins in the trace."""
        heard = any(
            t.notification and t.context and t.context.event == event for t in self._bench.trace[begun:]
        )
        self.notes.append(Note(step, said, heard))

    async def _expect(self, step: Step, action: Expect) -> Failure | None:
        came = notifications(self._bench.told[self._seen :])
        self._seen = len(self._bench.told)
        alike = _all_met(unordered(action.items, came))
        return await self._judge(step, tuple(pairs(action.items, came)), _ORDER if alike else "")

    async def _judge(self, step: Step, found: tuple[Pair, ...], said: str = "") -> Failure | None:
        return None if _all_met(found) else await self._fails(step, found=found, said=said)

    async def _fails(self, step: Step, *, found: tuple[Pair, ...] = (), said: str = "") -> Failure:
        about = [
            (item.given if isinstance(item, Wanted) else item) for pair in found for item in pair if item
        ]
        if isinstance(step.action, Ack):
            about = [{"rule": step.action.rule, "id": step.action.id}]
        lines = await traces(self._bench, about)
        return Failure(step, self._bench.clock.now(), found, said, tuple(lines))


def _all_met(found: Iterable[Pair]) -> bool:
    return all(
        wanted is not None and came is not None and not differences(wanted, came) for wanted, came in found
    )


def notifications(delivered: list[Delivered]) -> tuple[Item, ...]:
    """What was told, one item a notification of one alert, in the order of the transitions."""
    together: dict[tuple[str, str, Any], list[Delivered]] = {}
    for told in sorted(delivered, key=lambda told: told.delivery.id):
        context = told.delivery.context
        of = (context["alert"], context["state"], told.delivery.created_at)
        together.setdefault(of, []).append(told)
    return tuple(_item(group) for group in together.values())


def _item(group: list[Delivered]) -> Item:
    first = group[0]
    context = first.delivery.context
    return {
        "rule": context["rule"],
        "id": context["entity"],
        "state": "resolved" if context["state"] == "resolved" else "firing",
        "severity": first.delivery.severity,
        "channels": frozenset(told.delivery.channel for told in group),
        "title": first.message.title,
        "body": first.message.body,
        "late": max(told.late for told in group),
        "suppressed": context.get("suppressed", 0),
        "at": first.at,
    }
