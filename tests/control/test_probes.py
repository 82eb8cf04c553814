"""Health is answered at once, and never so often that alerts wait for it."""

import pytest
import trio

from tocsin.control.probes import Probes


class Daemon:
    ready = True

    def health(self):
        return []


class World:
    def __init__(self):
        self.probes = Probes(self.rest, Daemon(), reasons=lambda _scope: True)
        self.statuses = []

    async def rest(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 404})

    async def ask(self, path="/healthz", method="GET"):
        async def send(message):
            await trio.lowlevel.checkpoint()
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])

        await self.probes({"type": "http", "method": method, "path": path}, None, send)


async def test_one_who_asks_without_a_pause_is_answered_200_times_a_second(autojump_clock):
    world, begun = World(), trio.current_time()
    for _ in range(1020):
        await world.ask()
    assert world.statuses == [200] * 1020
    assert trio.current_time() - begun == pytest.approx(5, abs=0.1)


async def test_many_at_once_wait_a_second_at_most(autojump_clock):
    world, begun = World(), trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(world.ask)
    assert trio.current_time() - begun <= 1.01
    assert sorted(set(world.statuses)) == [200, 503]
    assert 195 <= world.statuses.count(200) <= 225
    await trio.sleep(2)
    await world.ask("/readyz")
    assert world.statuses[-1] == 200


@pytest.mark.parametrize(("path", "method", "status"), [("/healthz", "POST", 405), ("/metrics", "GET", 404)])
async def test_the_rest_is_left_to_others(path, method, status):
    world = World()
    await world.ask(path, method)
    assert world.statuses == [status]
