"""What is so now, made of 10,000 entities: what a look costs the loop, and the longest slice that sampling takes of it."""

import time

import pytest
import trio

from support.snapshots import World

COUNT, CHANGED = 10_000, 250  # entities; what changes in a quarter of a second at 1,000 events a second
RULES = [
    {"id": "loss", "watch": "position", "when": "profit < -50"},
    {"id": "lever", "watch": "position", "when": "leverage > 20", "for": "5m"},
    {"id": "old", "watch": "order", "when": "age() > 24h"},
]


@pytest.fixture(scope="module")
def world():
    """Half of it positions of ten accounts, half of it orders; 100 positions fire, and what rules watch was sampled."""
    world = World(*RULES)
    for number in range(COUNT // 2):
        account, symbol = f"a{number % 10}", f"S{number * 7919 % COUNT}"
        profit = -60 if number < 100 else number % 40
        world.say(
            "position", id=f"p{number}", account=account, symbol=symbol, profit=f"{profit}", leverage="5"
        )
        world.say("order", id=f"o{number}", account=account, symbol=symbol, status="open", price="1.5")
    trio.run(world.sample, 60.0, 5.0)
    return world


def _some_change(world, turn):
    for number in range(CHANGED):
        id_ = 100 + (turn * CHANGED + number) % (COUNT // 2 - 100)
        world.say("position", id=f"p{id_}", account=f"a{id_ % 10}", profit=f"{turn % 40}.5")
    world.clock.advance(1.0)


def bench_snapshot(measure, world):
    turns = iter(range(1000))

    def setup():
        _some_change(world, next(turns))
        return (), {}

    measure("snapshot", world.snapshots.snapshot, 1, rounds=40, setup=setup)


def bench_live(measure, world):
    """What there is, made anew, as it would be without what is kept of the last look."""
    measure(
        "live", lambda: [world.runtime.entities.live(kind) for kind in ("position", "order")], 1, rounds=10
    )


def bench_sampling(figures, world):
    """The longest time for which others don't get their turn, while all is sampled."""

    async def run():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            for _ in range(10):
                world.clock.advance(5.0)
                await world.sampling.step()
            nursery.cancel_scope.cancel()

    longest = []

    async def watch():
        before = time.thread_time()
        while True:
            await trio.lowlevel.checkpoint()
            longest.append(time.thread_time() - before)
            before = time.thread_time()

    trio.run(run)
    figures["slice"] = sorted(longest)[-max(len(longest) // 100, 1)]
