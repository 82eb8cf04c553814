"""The table of what can hold a message back (`tests/gates.yaml`), each cell in the daemon's pipeline and its channel, a rule test, a
replay and explain (with a daemon and without).

What is told is the same in all of them, and so is the reason. Two neighbours that are shut at once: the first is the reason.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
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
from support.outboxes import START, MemoryOutbox, TrioClock
from tocsin.alerts import channel_gates, decide
from tocsin.alerts.decide import Routing
from tocsin.alerts.wording import Style
from tocsin.cli.replay import known_channels
from tocsin.cli.stored import explain_stored
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.config.settings import routes_of
from tocsin.delivery.channel_state import Notes
from tocsin.delivery.model import Message
from tocsin.delivery.stand_ins import FAKE_URL, FakeChannel, channel_task, shared_parts
from tocsin.delivery.timing import Wake
from tocsin.engine.rule import Rule
from tocsin.events import Occurrence
from tocsin.events.synthetic import link
from tocsin.explain.explanation import Answer
from tocsin.feed.model import Received
from tocsin.meters import PipelineMeters
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
    """`gates` are shut for what is told of `kind`; the first of them is the reason. `holds`: until it opens something waits there;
    `until` (seconds) it is looked at.
    """

    kind: str
    gates: Sequence[dict[str, Any]]
    told: dict[float, str] = field(default_factory=dict)
    holds: bool = False
    severity: str = "warning"
    until: float = END

    @property
    def name(self) -> str:
        return f"{self.severity} {self.kind} {' and '.join(gate['gate'] for gate in self.gates)}"

    @property
    def whole(self) -> dict[str, Any]:
        return TABLE["kinds"][self.kind]

    @property
    def entity(self) -> str:
        return "o1" if self.kind == "event" else "p1"

    @property
    def is_disabled(self) -> bool:
        return any(gate.get("disabled") for gate in self.gates)

    def write(self, folder: Path) -> model.RuleTests:
        """A file of tests, and a config with the same rules and channel."""
        rule = {"id": "it", "severity": self.severity, **self.whole["rule"]}
        channel = {"storm": "off"}
        for gate in self.gates:
            rule |= gate.get("rule", {})
            channel |= gate.get("route", {}) | gate.get("channel", {})
        beside = [each for gate in self.gates for each in gate.get("beside", [])]
        own = [step for gate in self.gates for step in gate.get("steps", [])]
        steps = sorted(
            [*self.whole["steps"], *own, TABLE["last"]], key=lambda step: float(step["at"].rstrip("s"))
        )
        test = {"name": "it", "start": "2026-01-01T00:00:00Z", "steps": steps}
        rules = {"rules": [rule, *beside]}
        _write(folder / "rules.yaml", rules)
        _write(folder / "it.yaml", {**rules, "channels": {"phone": channel}, "tests": [test]})
        venue = {"type": "yourfintech", "url": "wss://x.example/ws", "secret_key": "k"}
        config = {"venues": {"fx": venue}, "channels": {"phone": {"urls": [FAKE_URL], **channel}}}
        _write(folder / "config.yaml", {**config, "rules": ["rules.yaml"], "state_dir": "state"})
        return read_tests(folder / "it.yaml")


def _write(path: Path, what: Any) -> None:
    path.write_text(json.dumps(what, default=str))
    path.chmod(0o600)


def cells() -> Iterator[Cell]:
    for kind, whole in TABLE["kinds"].items():
        yield Cell(kind, (), whole["told"], until=whole.get("until", END))
    for gate in [*TABLE["gates"], *TABLE["channel_gates"]]:
        for kind, cell in gate["cells"].items():
            yield Cell(kind, (gate,), cell["told"], cell.get("holds", False))
    for gate in TABLE["gathering"]:
        for severity, kinds in gate["cells"].items():
            for kind, cell in kinds.items():
                yield Cell(
                    kind, (gate,), cell["told"], cell.get("held", False), severity, cell.get("until", END)
                )


def pairs() -> Iterator[Cell]:
    """Neighbours that meet the same kind, both shut."""
    for first, second in pairwise(TABLE["gates"]):
        for kind in first["cells"]:
            if kind in second["cells"] and kind != "resolved":  # of those only one gate holds any
                yield Cell(kind, (first, second))


def pairs_across() -> Iterator[Cell]:
    """A gate of an alert, and behind it one of a route or a channel."""
    by = {gate["gate"]: gate for gate in (*TABLE["gates"], *TABLE["channel_gates"], *TABLE["gathering"])}
    for first, second, kind in (
        ("silence", "min_severity", "firing"),
        ("notify_during", "quiet", "event"),
        ("acknowledged", "quiet", "reminder"),
    ):
        yield Cell(kind, (by[first], by[second]), holds=kind != "reminder")


def channel_pairs() -> Iterator[Cell]:
    ordinary = [gate for gate in TABLE["gathering"] if "sent" not in gate]
    for first, second in pairwise(ordinary):
        for kind in ("firing", "reminder", "event"):
            yield Cell(kind, (first, second))


CELLS, PAIRS, CHANNEL_PAIRS = list(cells()), list(pairs()), list(channel_pairs())
ACROSS = list(pairs_across())


@dataclass
class Seen:
    """What arrived of `it` (seconds: what), and what stood in its way when it was asked: gate and reason, the first first. `muted`: the
    notification that waited until nothing muted it.
    """

    told: dict[float, str] = field(default_factory=dict)
    held: list[tuple[str, str]] = field(default_factory=list)
    muted: list[tuple[str, str]] = field(default_factory=list)
    counted: frozenset[str] = frozenset()


_GATHERED = re.compile(r"\b(quiet|storm|digest): (.*)")


def gathered(found: Iterable[str]) -> list[tuple[str, str]]:
    """What of these reasons a channel's gate gave."""
    return [match.group(1, 2) for why in found if (match := _GATHERED.search(why))]


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
) -> tuple[Seen, Seen, Seen]:
    """As a rule test sees it (what its trace says where it fails), as explain does, and as that does where no daemon runs."""
    tested, explained, stored = Seen(), Seen(), Seen()
    settings = load_settings(folder / "config.yaml", validate_url=None)
    async with trio.open_nursery() as nursery:
        simulation = Simulation(
            rules=tests.rules,
            channels=tests.channels,
            clock=clock,
            state_dir=folder / "state",
            nursery=nursery,
            style=Style(),
        )
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
                    it = next(rule for rule in simulation.rules if rule.id == "it")
                    explained.held = barriers(await simulation.explain(it, cell.entity, 5))
                    now = simulation.clock.now()
                    there = replace(settings, rules=simulation.rules)
                    stored.held = barriers(
                        await trio.to_thread.run_sync(explain_stored, there, "it", cell.entity, 5, now)
                    )
                    lines = [
                        line.text for line in await traces(simulation, [{"rule": "it", "id": cell.entity}])
                    ]
                    tested.held = [
                        (gate["gate"], line)
                        for line in lines
                        for gate in TABLE["gates"]
                        if f"{gate['gate']}: " in line
                    ] + gathered(lines)
                case _:
                    await simulation.reload(what)
        await simulation.run_until(cell.until)
        await simulation.settle()
        await simulation.stop()
    tested.told = {
        each.at: part.state_told
        for each in simulation.told
        for part in each.parts or (each.delivery,)
        if part.context.get("rule") == "it"
    }
    return tested, explained, stored


def barriers(answer: Answer) -> list[tuple[str, str]]:
    found = [(each.what, each.why) for found in answer.explained for each in found.held_back_by]
    return [gathered([why])[0] if gathered([why]) else (what, why) for what, why in found]


# ------------------------------------------------------------------------------------------------- the daemon's pipeline


class Disk:
    """Takes all, and has it sent."""

    def __init__(self, outbox: MemoryOutbox) -> None:
        self.committed: list[Batch] = []
        self._outbox = outbox

    async def commit(self, batch: Batch) -> None:
        await trio.lowlevel.checkpoint()
        self.committed.append(batch)
        self._outbox.add(*batch.deliveries)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


async def piped(cell: Cell, tests: model.RuleTests) -> Seen:
    outbox, wake, meters = MemoryOutbox(), Wake(), PipelineMeters()
    seen, disk, clock, inbox = Seen(), Disk(outbox), TrioClock(), Inbox()
    phone = tests.channels["phone"]
    routing = Routing(channels=routes_of({"phone": phone.settings}, {"phone": phone.gates}))
    options = Options(routing=routing, targets={"phone": Targets(1, timedelta(hours=24))}, style=Style())

    def accepted(message: Message) -> None:
        carrier = outbox.rows[message.delivery_id]
        parts = [row for row in outbox.rows.values() if row.digest == carrier.id] or [carrier]
        seen.told |= {
            round(trio.current_time(), 3): row.state_told for row in parts if row.context.get("rule") == "it"
        }

    async def unheard(_occurrence: Occurrence) -> None:
        await trio.lowlevel.checkpoint()

    shared = shared_parts(outbox, clock, unheard, Notes({}), Lines())
    channel = channel_task(phone, FakeChannel("phone", accepted), shared, style=Style(), wake=wake)
    ids = (f"{number:09d}" for number in range(10_000))
    runtime = Runtime(tests.rules, options, ids.__next__, meters=meters)
    acts = Acts(runtime.turn)
    async with trio.open_nursery() as nursery:
        journal = Journal(disk, clock, Lines())
        pipeline = Pipeline(
            inbox=inbox,
            turn=runtime.turn,
            journal=journal,
            clock=clock,
            wake=lambda _channels: wake.ring(),
            log=Lines(),
        )
        nursery.start_soon(channel.run)
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
                    became = await pipeline.ask(
                        partial(acts.acknowledge, Target(id=alert, lasts=True), BY, now)
                    )
                    assert became == "done"
                case "ask":
                    seen.muted = [
                        (row.data["by"], row.reason)
                        for batch in disk.committed
                        for row in batch.held
                        if row.data is not None and row.rule == "it"
                    ]
                    seen.held = gathered(
                        channel.holds(row.state_told, row.severity)
                        for row in outbox.rows.values()
                        if row.context.get("rule") == "it" and row.status == "pending"
                    )
                    seen.counted = frozenset(+meters.held)
                case _:
                    await pipeline.ask(partial(runtime.turn.reload, what, options, now))
        await trio.sleep_until(cell.until)
        nursery.cancel_scope.cancel()
    return seen


# ---------------------------------------------------------------------------------------------------------------- replay


def replayed(cell: Cell, folder: Path, tests: model.RuleTests) -> Seen:
    settings = load_settings(folder / "config.yaml", validate_url=None)
    told = replay(
        Database(folder / "state" / DATABASE), [tests.rules], lambda _done: None, known_channels(settings)
    )
    outcome = told.outcomes[0]
    return Seen(
        told={
            (sent.at - START).total_seconds(): each.state_told
            for sent in outcome.sent
            for each in sent.told
            if each.context["rule"] == "it"
        },
        held=gathered(firing.held_by for firing in outcome.of("it")),
        muted=[("", firing.held_by) for firing in outcome.of("it") if firing.held_by],
        counted=frozenset(outcome.held_back) | {each.reason for each in outcome.dropped},
    )


# ------------------------------------------------------------------------------------------------------------------ tests


def everywhere(cell: Cell, folder: Path) -> dict[str, Seen]:
    tests, clock = cell.write(folder), ManualClock(START)
    found = {}
    found["rule test"], found["explain"], found["explain without a daemon"] = trio.run(
        partial(simulated, cell, folder, clock, tests), clock=clock
    )
    found["daemon"] = trio.run(
        partial(piped, cell, tests), clock=trio.testing.MockClock(autojump_threshold=0)
    )
    if all(gate.get("replay", True) for gate in cell.gates):
        found["replay"] = replayed(cell, folder, tests)
    return found


def short(reason: str) -> str:
    return reason.replace("2026-01-01 ", "").replace(" UTC", "").replace(", by anna", "")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(cell, tmp_path):
    found = everywhere(cell, tmp_path)
    told = {float(at): what for at, what in cell.told.items()}
    came = {
        where: {at: what for at, what in seen.told.items() if at <= cell.until}
        for where, seen in found.items()
        if "explain" not in where
    }
    assert came == dict.fromkeys(came, told)
    for gate in cell.gates:
        if gate in TABLE["gathering"]:
            says_what_gathers(cell, gate, found)
        elif "reason" in gate and (
            cell.kind != "resolved" or cell.holds
        ):  # else there is nothing left to hold back
            says_what_mutes(cell, gate, found)


def says_what_mutes(cell: Cell, gate: dict[str, Any], found: dict[str, Seen]) -> None:
    """A gate of an alert or of a route."""
    name, reason = gate["gate"], gate["reason"]
    for explained in (found["explain"], found["explain without a daemon"]):
        key, why = explained.held[0]
        where = "channel phone" if "route" in gate else name
        assert (key, short(why).partition("; ")[0]) == (where, reason)
    if "route" in gate:
        if cell.kind in ("firing", "event"):
            assert found["replay"].muted == [("", f"channel phone: {reason}")]
        return
    assert reason in short(found["rule test"].held[0][1])
    waits = [(name, reason)] if cell.holds else []
    assert [(by, short(why)) for by, why in found["daemon"].muted] == waits
    if cell.holds and "replay" in found and cell.kind != "resolved":
        assert [short(why) for _, why in found["replay"].muted] == [reason]
    if counted := gate.get("counted"):  # a reminder that was dropped, too
        assert counted in found["daemon"].counted
        assert counted in found["replay"].counted


def says_what_gathers(cell: Cell, gate: dict[str, Any], found: dict[str, Seen]) -> None:
    """A gate of a channel: what waits there says so, or nothing does."""
    name, reason = gate["gate"], gate["reason"]
    places = ["rule test", "explain", "daemon"]
    if not cell.holds:
        assert found["daemon"].held == []
        return
    if cell.kind in ("firing", "event"):
        places.append("replay")
    for where in places:
        by, why = found[where].held[0]
        assert (where, by) == (where, name)
        assert short(why).startswith(reason)
    by, why = found["explain without a daemon"].held[0]
    assert (by, short(why).startswith(reason)) == (name, True)
    assert name in " ".join(found["replay"].counted)


def named_first(found: dict[str, Seen]) -> set[str]:
    """The gates that explain, the rule test and the message that waits name first."""
    explained = {found[where].held[0][0] for where in ("explain", "explain without a daemon", "rule test")}
    return explained | {by for by, _ in (*found["daemon"].muted, *found["daemon"].held)}


@pytest.mark.parametrize("cell", [*PAIRS, *ACROSS, *CHANNEL_PAIRS], ids=lambda cell: cell.name)
def test_of_two_the_first_is_the_reason(cell, tmp_path):
    found, first = everywhere(cell, tmp_path), cell.gates[0]["gate"]
    assert named_first(found) == {first}
    if cell.holds:
        assert [by for by, _ in found["daemon"].muted] == [first]


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
        assert named_first(everywhere(alike[0], tmp_path)) != {alike[0].gates[0]["gate"]}
    else:  # no message meets both: only the list itself says which is asked first
        with pytest.raises(AssertionError):
            test_the_table_has_each_gate_in_its_order()


def test_a_channels_gates_are_in_their_order():
    named = list(dict.fromkeys(gate["gate"] for gate in TABLE["gathering"]))
    assert named == list(channel_gates.GATES)


@pytest.mark.parametrize(
    "first", range(len(channel_gates.GATES) - 1), ids=lambda at: list(channel_gates.GATES)[at]
)
def test_two_of_a_channel_that_change_places_are_noticed(monkeypatch, tmp_path, first):
    swapped = list(channel_gates.GATES.items())
    swapped[first : first + 2] = swapped[first + 1], swapped[first]
    monkeypatch.setattr(channel_gates, "GATES", dict(swapped))
    cell = next(cell for cell in CHANNEL_PAIRS if cell.gates[0]["gate"] == swapped[first + 1][0])
    assert named_first(everywhere(cell, tmp_path)) != {cell.gates[0]["gate"]}
