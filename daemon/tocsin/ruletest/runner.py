"""Runs tests: each on a fresh bench, step by step, up to the first expectation that isn't met. Blocks."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio
from structlog.testing import capture_logs

from tocsin.config.reading import Reading
from tocsin.events import Instant
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
from tocsin.ruletest.said import OURSELVES, daemon_event
from tocsin.ruletest.stand_ins import Delivered
from tocsin.ruletest.traces import TraceLine, traces

Item = Mapping[str, Any]
Pair = tuple[Wanted | None, Item | None]
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own in it, private; its commits wait for no disk


@dataclass(frozen=True, slots=True)
class Failure:
    """The step at which a test went another way. `pairs`: what was expected beside what came; or `said`, in words."""

    step: Step
    at: Instant
    pairs: tuple[Pair, ...] = ()
    said: str = ""
    trace: tuple[TraceLine, ...] = ()
    refused: str = ""  # the latest reload, if it was refused: why


@dataclass(frozen=True, slots=True)
class Result:
    test: Test
    failure: Failure | None = None


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
        failure = trio.run(partial(play, tests, test, clock, Path(folder)), clock=clock)
    return Result(test, failure)


async def play(tests: RuleTests, test: Test, clock: SteppedClock, folder: Path) -> Failure | None:
    """One test on a bench whose state is in `folder`/state; `clock` is the one that trio runs on."""
    async with trio.open_nursery() as nursery:
        bench = Bench(
            rules=tests.rules,
            channels=tests.channels,
            clock=clock,
            state_dir=folder / "state",
            nursery=nursery,
        )
        await bench.start(test.venues)
        try:
            run = _Run(tests, bench)
            for step in test.steps:
                await bench.run_until(step.at)
                failure = await run.step(step)
                if failure is not None:
                    return failure
            await bench.settle()
        finally:
            with trio.CancelScope(shield=True):
                await bench.stop()
    return None


class _Run:
    """One test while it runs."""

    def __init__(self, tests: RuleTests, bench: Bench) -> None:
        self._tests, self._bench = tests, bench
        self._seen = 0  # of what was told
        self._refused = ""

    async def step(self, step: Step) -> Failure | None:
        """Do it; the failure, where it isn't as expected."""
        match step.action:
            case Expect() as expected:
                await self._bench.settle()
                return self._expect(step, expected)
            case ExpectAlerts() as expected:
                return self._judge(step, tuple(unordered(expected.items, tuple(await self._bench.lasting()))))
            case _ as action:
                wrong = await self._do(action)
        return self._fails(step, said=wrong) if wrong else None

    async def _do(self, action: Action) -> str:
        """What went wrong, in words."""
        bench = self._bench
        match action:
            case Says():
                await bench.say(action.venue, (action.observed,))
            case Message():
                await bench.say(action.venue, decoded(action, bench.clock.now()), action.text)
            case Restart():
                await bench.restart(action.down)
            case Reload():
                self._refused = await self._reload(action)
            case Answers():
                bench.stand_ins[action.channel].works = action.works
            case Ack():
                if not await bench.acknowledge(action.rule, action.id):
                    return f"there is no alert of {action.rule} for {action.id} to acknowledge"
            case Silence():
                await bench.silence(action.match, action.lasts)
        return ""

    async def _reload(self, action: Reload) -> str:
        """As in production: one error anywhere, and the old rules go on, loudly. Returns why it was refused, if it was."""
        reading = Reading(self._tests.path, {})
        rules, _ = compile_written(reading, action.rules, self._tests.channels, self._tests.calendars)
        wrong = [problem for problem in reading.shown() if problem.level == "error"]
        if wrong:
            reason = f"{len(wrong)} problem(s): {wrong[0].message}"
            await self._bench.say(OURSELVES, (daemon_event("daemon.reload_failed", reason),))
            return "\n".join(problem.render() for problem in wrong)
        await self._bench.reload(switched_on(rules, self._tests.enabled))
        return ""

    def _expect(self, step: Step, action: Expect) -> Failure | None:
        came = notifications(self._bench.told[self._seen :])
        self._seen = len(self._bench.told)
        return self._judge(step, tuple(pairs(action.items, came)))

    def _judge(self, step: Step, found: tuple[Pair, ...]) -> Failure | None:
        if all(one is not None and other is not None and not differences(one, other) for one, other in found):
            return None
        return self._fails(step, found=found)

    def _fails(self, step: Step, *, found: tuple[Pair, ...] = (), said: str = "") -> Failure:
        about = [
            (item.given if isinstance(item, Wanted) else item) for pair in found for item in pair if item
        ]
        if isinstance(step.action, Ack):
            about = [{"rule": step.action.rule, "id": step.action.id}]
        lines = traces(self._bench, about)
        return Failure(step, self._bench.clock.now(), found, said, tuple(lines), self._refused)


def notifications(delivered: list[Delivered]) -> tuple[Item, ...]:
    """What was told, one item a notification of one alert, in the order of the transitions."""
    together: dict[tuple[str, str, Any], list[Delivered]] = {}
    for told in sorted(delivered, key=lambda told: told.delivery.id):
        delivery = told.delivery
        together.setdefault((delivery.alert, delivery.state_told, delivery.created_at), []).append(told)
    return tuple(_item(group) for group in together.values())


def _item(group: list[Delivered]) -> Item:
    first = group[0]
    context = first.delivery.context
    return {
        "rule": context["rule"],
        "id": context["entity"],
        "state": "resolved" if first.delivery.state_told == "resolved" else "firing",
        "channels": frozenset(told.delivery.channel for told in group),
        "title": first.message.title,
        "body": first.message.body,
        "late": max(told.late for told in group),
        "suppressed": context.get("suppressed", 0),
        "at": first.at,
    }
