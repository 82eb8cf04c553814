"""Commands, order and a disk that refuses: nothing is lost, and nothing is sent that isn't on disk."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from support.daemon_parts import Lines
from support.outboxes import TrioClock
from support.stored import T0, opened, order
from support.story import Story, compiled, options
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Instant, Observation, Position, Venue, number
from tocsin.feed.model import Received
from tocsin.pipeline import Inbox, Pipeline, TurnProcessor
from tocsin.store.errors import StoreUnavailable
from tocsin.store.journal import Journal, merge_without_events
from tocsin.store.model import Attempt, Batch


class Disk:
    """Takes batches, unless it is told to refuse."""

    def __init__(self) -> None:
        self.committed: list[Batch] = []
        self.refuses = 0
        self.log: list[str] = []

    async def commit(self, batch: Batch) -> None:
        await trio.lowlevel.checkpoint()
        if self.refuses:
            self.refuses -= 1
            self.log.append("refused")
            raise StoreUnavailable("the disk is full", full=True)
        self.committed.append(batch)
        self.log.append("committed")

    async def record(self, attempts: Sequence[Attempt]) -> None:
        raise NotImplementedError

    async def free_reserve(self) -> bool:
        self.log.append("freed")
        return True

    @property
    def told(self) -> list[tuple[str, str, str]]:
        return [
            (each.state_told, each.context["entity"], each.channel)
            for batch in self.committed
            for each in batch.deliveries
        ]


class Scene:
    def __init__(self, rules: Any) -> None:
        self.clock, self.disk, self.inbox, self.log = TrioClock(), Disk(), Inbox(), Lines()
        entities = Entities()
        self.engine = Engine(compiled(rules), entities, iter(f"a{n}" for n in range(10_000)).__next__)
        turn = TurnProcessor(entities, self.engine, options(), iter(f"d{n}" for n in range(10_000)).__next__)
        self.journal = Journal(self.disk, self.clock, self.log)
        self.pipeline = Pipeline(
            inbox=self.inbox,
            turn=turn,
            journal=self.journal,
            clock=self.clock,
            wake=self._wake,
            log=self.log,
        )

    def _wake(self, channels: Iterable[str] | None) -> None:
        self.disk.log.append("woken all" if channels is None else f"woken {' '.join(sorted(channels))}")

    def position(self, id_: str, profit: str, at: Instant | None = None, venue: str = "fx") -> Received:
        state = Position(id=id_, profit=number(profit))
        return Received(venue=venue, observed=(Observation(state=state),), at=at or self.clock.now())


@pytest.fixture
async def scene(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> Scene:
    made = Scene([{"id": "red", "watch": "position", "when": "profit < -50", "for": "10s"}])
    nursery.start_soon(made.pipeline.run)
    return made


async def test_a_timer_fires_on_time_without_any_message(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    await scene.inbox.put(scene.position("p1", "-60"))
    await trio.sleep(9.9)
    assert scene.disk.told == []
    await trio.sleep(0.2)
    assert scene.disk.told == [("firing", "p1", "phone"), ("firing", "p1", "desk")]
    assert scene.disk.log[-2:] == ["committed", "woken desk phone"]


async def test_nothing_is_lost_and_nothing_sent_while_the_disk_refuses(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    scene.disk.refuses = 3
    await scene.inbox.put(scene.position("p1", "-60"))
    await trio.sleep(0.3)
    assert scene.pipeline.refused_since is not None
    assert scene.disk.committed == []
    await scene.inbox.put(scene.position("p2", "-70"))
    await trio.sleep(30)
    assert scene.pipeline.refused_since is None
    assert [id_ for _, id_, channel in scene.disk.told if channel == "desk"] == ["p1", "p2"]
    assert scene.disk.log.index("woken desk phone") > scene.disk.log.index("committed")
    assert "error: cannot commit, trying again" in scene.log.lines
    assert "info: committing again" in scene.log.lines


async def test_what_somebody_does_holds_at_once_and_whether_it_is_kept_is_told(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    def command() -> tuple[Batch, str]:
        return scene.pipeline._turn.silence("id=p1", scene.clock.now().later(3600).wall, scene.clock.now())[
            0
        ], "done"

    assert (await scene.pipeline.ask(command), scene.pipeline.keeps) == ("done", True)
    scene.disk.refuses = 10
    assert (await scene.pipeline.ask(command), scene.pipeline.keeps) == ("done", False)
    await trio.sleep(30)
    assert scene.pipeline.keeps
    assert [len(batch.silences) for batch in scene.disk.committed] == [1, 1]


async def test_a_full_disk_gets_its_reserve_back(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    scene.disk.refuses = 1
    await scene.inbox.put(scene.position("p1", "-60"))
    await trio.sleep(1)
    assert scene.disk.log == ["refused", "freed", "committed"]


async def test_commands_run_between_messages_and_return_when_committed(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[int] = []

    def command() -> Batch:
        seen.append(len(scene.disk.committed))
        new = compiled([{"id": "new", "watch": "position", "when": "profit < -50"}])
        return scene.pipeline._turn.reload(new, options(), scene.clock.now())[0]

    await scene.inbox.put(scene.position("p1", "-60"))
    await trio.testing.wait_all_tasks_blocked()
    await scene.pipeline.call(command)
    assert seen == [1]
    assert [told for told in scene.disk.told if told[2] == "desk"] == [("firing", "p1", "desk")]


async def test_several_commands_at_once(scene: Scene, autojump_clock: trio.testing.MockClock) -> None:
    order: list[int] = []

    def command(n: int) -> Batch:
        order.append(n)
        return Batch(at=scene.clock.now().wall)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for n in range(5):
                nursery.start_soon(scene.pipeline.call, lambda n=n: command(n))
    assert sorted(order) == [0, 1, 2, 3, 4]


async def test_a_bug_is_not_swallowed(autojump_clock: trio.testing.MockClock) -> None:
    scene = Scene([])

    def broken() -> Batch:
        raise ZeroDivisionError

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.pipeline.run)
            nursery.start_soon(scene.pipeline.call, broken)

    with pytest.raises(BaseExceptionGroup) as raised:
        await both()
    assert raised.value.split(ZeroDivisionError)[0] is not None


async def test_no_timer_overtakes_a_message_that_still_waits(autojump_clock: trio.testing.MockClock) -> None:
    """A venue's backlog may hold what stops a timer; another venue's newer message mustn't set it off."""
    scene = Scene([{"id": "red", "watch": "position", "when": "profit < -50", "for": "10s"}])
    now = scene.clock.now()
    turn = scene.pipeline._turn
    turn.messages([scene.position("p1", "-60", now), scene.position("p1", "-60", now, venue="px")], now)
    later = [scene.position("q", "0", now.later(12), venue="px")]
    assert not turn.messages(later, now.later(12), earliest=now.later(9).steady).deliveries
    late = turn.messages([scene.position("p1", "0", now.later(9))], now.later(12))
    assert {each.context["venue"] for each in late.deliveries} == {"px"}


async def test_what_was_due_before_a_message_is_told_though_the_message_ends_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene([{"id": "red", "watch": "position", "when": "profit < -50", "for": "10s"}])
    now, turn = scene.clock.now(), scene.pipeline._turn
    turn.messages([scene.position("p1", "-60", now)], now)
    batch = turn.messages([scene.position("p1", "0", now.later(12))], now.later(12), earliest=now.steady)
    told = [(each.state_told, each.context["condition"]) for each in batch.deliveries[::2]]
    assert told == [("firing", "profit -60 < -50"), ("resolved", "profit 0 >= -50")]


def test_one_transaction_holds_all_that_one_turn_changed() -> None:
    story = Story(compiled([{"id": "red", "watch": "position", "when": "profit < -50"}]))
    now = story.clock.now()
    up = Observation(state=Venue(id="fx", status="connected"), event="venue.connected", origin="synthetic")
    loss = Observation(state=Position(id="p1", profit=number("-60")))
    batch = story.turn.messages([Received(venue="fx", observed=(up, loss), at=now, raw="{}")], now)
    assert [change.key.kind for change in batch.entities] == ["venue", "position"]
    assert [change.events for change in batch.events] == [("venue.connected",), ("position.opened",)]
    assert [change.raw for change in batch.events] == ["{}", "{}"]
    assert [(row.state, row.entity, row.rule) for row in batch.alerts] == [("firing", "p1", "red")]
    assert [(each.channel, each.target, each.state_told) for each in batch.deliveries] == [
        ("phone", 0, "firing"),
        ("desk", 0, "firing"),
    ]
    (instance,) = batch.instances
    assert instance.record is not None
    assert instance.record["told"] == ["phone", "desk"]
    assert len({each.id for each in batch.deliveries}) == 2


async def test_after_five_seconds_alerts_go_out_unrecorded_and_are_committed_later(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    scene, reasons = Scene([{"id": "red", "watch": "position", "when": "profit < -50"}]), []

    async def degraded(reason: str) -> None:
        reasons.append(reason)
        await trio.lowlevel.checkpoint()

    scene.pipeline._degraded = degraded
    nursery.start_soon(scene.pipeline.run)
    scene.disk.refuses = 10**9
    await scene.inbox.put(scene.position("p1", "-60"))
    await trio.sleep(4.9)
    assert not scene.journal.overdue
    assert "woken" not in " ".join(scene.disk.log)
    await trio.sleep(0.2)
    assert scene.journal.overdue
    assert (scene.disk.log.count("woken all"), reasons) == (1, ["the disk is full"])
    scene.disk.log.clear()
    await scene.inbox.put(scene.position("p2", "-70"))
    await trio.testing.wait_all_tasks_blocked()
    assert scene.disk.log == ["woken desk phone"], "nobody waits for the disk"
    scene.disk.refuses = 0
    await trio.sleep(1.1)
    assert [entity for _, entity, channel in scene.disk.told if channel == "desk"] == ["p1", "p2"]
    assert (scene.journal.overdue, scene.pipeline.refused_since, len(reasons)) == (False, None, 1)
    assert scene.disk.log[-1] == "woken all"


@pytest.mark.parametrize("seen_again", [False, True])
def test_what_is_put_together_comes_to_what_came_one_after_the_other(
    tmp_path: Path, seen_again: bool
) -> None:
    first = Batch(at=T0, entities=[order("stays"), order("goes")], events=[order("goes")])
    then = Batch(
        at=T0, gone=[order("goes").key], entities=[order("goes", symbol="ETH")] if seen_again else []
    )
    kept = {}
    for name in ("apart", "together"):
        store = opened(tmp_path / name)
        batches = copy.deepcopy([first, then])
        if name == "together":
            merge_without_events(*batches)
            del batches[1]
        for batch in batches:
            store.commit(batch)
        kept[name] = {change.key.id: change.symbol for change in store.load().entities}
        store.close()
    assert kept["together"] == kept["apart"]
    assert kept["apart"] == {"stays": "BTC-EUR"} | ({"goes": "ETH"} if seen_again else {})
