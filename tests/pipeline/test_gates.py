"""The table of what can hold a message back (`tests/gates.yaml`), each cell in the daemon's pipeline, a rule test, a replay and explain.

What is told is the same in all of them, and so is the reason. Two neighbours that are shut at once: the first is the reason.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from support.daemon_parts import Lines
from support.outboxes import START, TrioClock
from tocsin.alerts import decide
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.wording import Style
from tocsin.clock import ManualClock
from tocsin.engine.rule import Rule
from tocsin.events.synthetic import link
from tocsin.feed.model import Received
from tocsin.pipeline import Inbox, Options, Pipeline, Targets
from tocsin.pipeline.acts import Acts, By, Target
from tocsin.pipeline.runtime import EMPTY, Runtime
from tocsin.replay.records import Database
from tocsin.replay.replay import replay
from tocsin.ruletest import model
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.runner import traces
from tocsin.ruletest.simulation import Simulation
from tocsin.store.journal import Journal
from tocsin.store.model import Batch
from tocsin.store.store import DATABASE

TABLE = yaml.safe_load((Path(__file__).parents[1] / "gates.yaml").read_text())
END = 665.0  # seconds; a little after the gates have opened
REOPENS = 660.0
BY = By("anna", "test")


@dataclass
class Cell:
    """`gates` are shut for what is told of `kind`; the first of them is the reason."""

    kind: str
    gates: Sequence[dict[str, Any]]
    told: dict[float, str] = field(default_factory=dict)
    holds: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} {' and '.join(gate['gate'] for gate in self.gates)}"

    @property
    def whole(self) -> dict[str, Any]:
        return TABLE["kinds"][self.kind]

    @property
    def routing(self) -> Routing:
        return Routing(channels={"phone": Route(**(self.gates[0].get("route", {}) if self.gates else {}))})

    @property
    def is_disabled(self) -> bool:
        return any(gate.get("disabled") for gate in self.gates)

    @property
    def until(self) -> float:
        return self.whole.get("until", END) if not self.gates else END

    def write(self, folder: Path) -> model.RuleTests:
        rule = {"id": "it", **self.whole["rule"]}
        for gate in self.gates:
            rule |= gate.get("rule", {})
        beside = [each for gate in self.gates for each in gate.get("beside", [])]
        own = [step for gate in self.gates for step in [*gate.get("steps", []), TABLE["last"]]]
        steps = sorted([*self.whole["steps"], *own], key=lambda step: float(step["at"][:-1]))
        test = {"name": "it", "start": "2026-01-01T00:00:00Z", "steps": steps}
        path = folder / "it.yaml"
        path.write_text(
            json.dumps({"rules": [rule, *beside], "channels": ["phone"], "tests": [test]}, default=str)
        )
        return read_tests(path)


def cells() -> Iterator[Cell]:
    for kind, whole in TABLE["kinds"].items():
        yield Cell(kind, (), whole["told"])
    for gate in [*TABLE["gates"], *TABLE["channel_gates"]]:
        for kind, cell in gate["cells"].items():
            yield Cell(kind, (gate,), cell["told"], cell.get("holds", False))


def pairs() -> Iterator[Cell]:
    """Neighbours that meet the same kind, both shut."""
    for first, second in pairwise(TABLE["gates"]):
        for kind in first["cells"]:
            if kind in second["cells"] and kind != "resolved":  # of those only one gate holds any
                yield Cell(kind, (first, second))


CELLS, PAIRS = list(cells()), list(pairs())


@dataclass
class Seen:
    """What was told of `it` (seconds: what), and what stood in its way when it was asked: gate and reason, the first first."""

    told: dict[float, str] = field(default_factory=dict)
    held: list[tuple[str, str]] = field(default_factory=list)


def rules_now(tests: model.RuleTests, *, off: bool) -> list[Rule]:
    return [replace(rule, enabled=not (off and rule.id == "it")) for rule in tests.rules]


def happenings(cell: Cell, tests: model.RuleTests) -> list[tuple[float, Any]]:
    """What happens, at its time: a step's action, other rules, or the question."""
    found: list[tuple[float, Any]] = [(step.at, step.action) for step in tests.tests[0].steps]
    found.append((float(cell.whole["ask"]), "ask"))
    if cell.is_disabled:
        found += [(60.0, rules_now(tests, off=True)), (REOPENS, rules_now(tests, off=False))]
    return sorted(found, key=lambda each: each[0])


# ------------------------------------------------------------------------------------------------ a rule test, and explain


async def simulated(
    cell: Cell, folder: Path, clock: ManualClock, tests: model.RuleTests
) -> tuple[Seen, Seen]:
    """As a rule test sees it (what its trace says where it fails), and as explain does."""
    tested, explained = Seen(), Seen()
    async with trio.open_nursery() as nursery:
        simulation = Simulation(
            rules=tests.rules,
            channels=tests.channels,
            clock=clock,
            state_dir=folder / "state",
            nursery=nursery,
            style=Style(),
        )
        simulation.routing = cell.routing
        await simulation.start(["fx"])
        for at, what in happenings(cell, tests):
            await simulation.run_until(at)
            match what:
                case model.Says():
                    await simulation.say(what.venue, (what.observed,))
                case model.Silence():
                    await simulation.silence(what.match, what.lasts)
                case model.Ack():
                    assert await simulation.acknowledge(what.rule, what.id)
                case "ask":
                    await simulation.settle()
                    id_ = "o1" if cell.kind == "event" else "p1"
                    it = next(rule for rule in simulation.rules if rule.id == "it")
                    answer = await simulation.explain(it, id_, 5)
                    explained.held = [
                        (each.what, each.why) for found in answer.explained for each in found.held_back_by
                    ]
                    lines = await traces(simulation, [{"rule": "it", "id": id_}])
                    tested.held = [
                        (gate["gate"], line.text)
                        for line in lines
                        for gate in TABLE["gates"]
                        if f"{gate['gate']}: " in line.text
                    ]
                case _:
                    await simulation.reload(what)
        await simulation.run_until(cell.until)
        await simulation.settle()
        await simulation.stop()
    tested.told = {
        each.at: each.delivery.state_told for each in simulation.told if each.delivery.context["rule"] == "it"
    }
    return tested, explained


# ------------------------------------------------------------------------------------------------- the daemon's pipeline


class Disk:
    """Takes all."""

    def __init__(self) -> None:
        self.committed: list[Batch] = []

    async def commit(self, batch: Batch) -> None:
        await trio.lowlevel.checkpoint()
        self.committed.append(batch)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


async def piped(cell: Cell, tests: model.RuleTests) -> Seen:
    seen, disk, clock, inbox = Seen(), Disk(), TrioClock(), Inbox()
    options = Options(routing=cell.routing, targets={"phone": Targets(1, timedelta(hours=24))}, style=Style())
    ids = (f"{number:09d}" for number in range(10_000))
    runtime = Runtime(tests.rules, options, ids.__next__)
    acts = Acts(runtime.turn)
    async with trio.open_nursery() as nursery:
        journal = Journal(disk, clock, Lines())
        pipeline = Pipeline(
            inbox=inbox,
            turn=runtime.turn,
            journal=journal,
            clock=clock,
            wake=lambda _channels: None,
            log=Lines(),
        )
        runtime.entities.apply("fx", link("fx", "connected"), clock.now(), None)
        nursery.start_soon(pipeline.run)
        await pipeline.ask(partial(runtime.turn.restore, EMPTY, clock.now()))
        for at, what in happenings(cell, tests):
            await trio.sleep_until(at)
            now = clock.now()
            match what:
                case model.Says():
                    await inbox.put(Received(venue=what.venue, observed=(what.observed,), at=now))
                case model.Silence():
                    await pipeline.ask(partial(acts.silence, what.match, now.later(what.lasts).wall, BY, now))
                case model.Ack():
                    (alert,) = {
                        row.id for batch in disk.committed for row in batch.alerts if row.rule == "it"
                    }
                    assert await pipeline.ask(
                        partial(acts.acknowledge, Target(id=alert, lasts=True), BY, now)
                    )
                case "ask":
                    seen.held = [
                        (row.data["by"], row.reason)
                        for batch in disk.committed
                        for row in batch.held
                        if row.data is not None and row.rule == "it"
                    ]
                case _:
                    await pipeline.ask(partial(runtime.turn.reload, what, options, now))
        await trio.sleep_until(cell.until)
        nursery.cancel_scope.cancel()
    seen.told = {
        (each.created_at - START).total_seconds(): each.state_told
        for batch in disk.committed
        for each in batch.deliveries
        if each.context["rule"] == "it"
    }
    return seen


# ---------------------------------------------------------------------------------------------------------------- replay


def replayed(folder: Path, tests: model.RuleTests) -> Seen:
    told = replay(Database(folder / "state" / DATABASE), [tests.rules], lambda _done: None)
    firings = told.outcomes[0].of("it")
    return Seen(
        told={(each.told - START).total_seconds(): "firing" for each in firings if each.told is not None},
        held=[("", each.held_by) for each in firings if each.held_by],
    )


# ------------------------------------------------------------------------------------------------------------------ tests


def everywhere(cell: Cell, folder: Path) -> dict[str, Seen]:
    tests, clock = cell.write(folder), ManualClock(START)
    found = {}
    found["rule test"], found["explain"] = trio.run(
        partial(simulated, cell, folder, clock, tests), clock=clock
    )
    found["daemon"] = trio.run(
        partial(piped, cell, tests), clock=trio.testing.MockClock(autojump_threshold=0)
    )
    if all(gate.get("replay", "route" not in gate) for gate in cell.gates):
        found["replay"] = replayed(folder, tests)
    return found


def short(reason: str) -> str:
    return reason.replace("2026-01-01 ", "").replace(" UTC", "").replace(", by anna", "")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(cell, tmp_path):
    found = everywhere(cell, tmp_path)
    told = {float(at): what for at, what in cell.told.items()}
    firings = {at: what for at, what in told.items() if what == "firing"}
    wanted = {"rule test": told, "daemon": told, "replay": firings}
    assert {where: seen.told for where, seen in found.items() if where in wanted} == {
        where: wanted[where] for where in found if where in wanted
    }
    for gate in cell.gates:
        if "reason" not in gate or (cell.kind == "resolved" and not cell.holds):
            continue  # there is nothing left to hold back
        name, reason = gate["gate"], gate["reason"]
        key, why = found["explain"].held[0]
        if "route" in gate:
            assert (key, why) == ("channel phone", reason)
            continue
        assert (key, short(why).partition("; ")[0]) == (name, reason)
        assert reason in short(found["rule test"].held[0][1])
        waits = [(name, reason)] if cell.holds else []
        assert [(by, short(why)) for by, why in found["daemon"].held] == waits
        if cell.holds and "replay" in found and cell.kind != "resolved":
            assert [short(why) for _, why in found["replay"].held] == [reason]


def named_first(cell: Cell, folder: Path) -> set[str]:
    """The gates that explain, the rule test and the message that waits name first."""
    found = everywhere(cell, folder)
    explained = {found[where].held[0][0] for where in ("explain", "rule test")}
    return explained | {by for by, _ in found["daemon"].held}


@pytest.mark.parametrize("cell", PAIRS, ids=lambda cell: cell.name)
def test_of_two_the_first_is_the_reason(cell, tmp_path):
    assert named_first(cell, tmp_path) == {cell.gates[0]["gate"]}


def test_the_table_has_each_gate_in_its_order():
    assert [gate["gate"] for gate in TABLE["gates"]] == [gate.key for gate in decide.GATES]
    reasons = decide.MuteReasons(**{gate.key: "shut" for gate in decide.GATES})
    assert [gate.key for gate, _ in reasons.shut()] == [gate["gate"] for gate in TABLE["gates"]]


@pytest.mark.parametrize("first", range(len(decide.GATES) - 1), ids=lambda at: decide.GATES[at].key)
def test_two_that_change_places_are_noticed(monkeypatch, tmp_path, first):
    swapped = list(decide.GATES)
    swapped[first : first + 2] = swapped[first + 1], swapped[first]
    monkeypatch.setattr(decide, "GATES", tuple(swapped))
    alike = [cell for cell in PAIRS if cell.gates[0]["gate"] == swapped[first + 1].key]
    if alike:
        assert named_first(alike[0], tmp_path) != {alike[0].gates[0]["gate"]}
    else:  # no message meets both: only the list itself says which is asked first
        with pytest.raises(AssertionError):
            test_the_table_has_each_gate_in_its_order()
