"""Each part is made once a version, for all who look; and never shown for a newer one than it was made of."""

import gzip
import re
from typing import Any

import pytest
import trio
import trio.testing

from support.looked import asked_now, snapshot
from support.measured import NOW
from tocsin.page import render_cache
from tocsin.page.live import Versions
from tocsin.page.rendering import Rendered, Renderer
from tocsin.page.screen import Asked, Part, Screen
from tocsin.page.screens.overview import OVERVIEW, closest

HERE = "/"


class World:
    """A screen of one part, which shows how many things are watched; each time it is made waits until it may go on."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.now = snapshot(watched=1)
        self.versions = Versions(lambda: self.now)
        self.renderer = Renderer("")
        self.made = 0
        self.may_go_on = trio.Event()
        self.may_go_on.set()
        self.screen = Screen(
            "overview", HERE, "overview", "/api/overview", {"closest": Part(("rules",), self._data)}
        )

    async def _data(self, asked: Asked) -> dict[str, Any]:
        self.made += 1
        found = await closest(asked)
        await self.may_go_on.wait()
        return found

    def look(self) -> Asked:
        return asked_now(self.folder, self.versions)

    async def seen(self, asked: Asked | None = None) -> str:
        """What somebody is shown who asks now, or asked then."""
        rendered = await self.renderer.parts(self.screen, ["closest"], asked or self.look(), HERE)
        return rendered.html.decode().partition(" watched")[0].rpartition("of ")[2]

    def change(self, watched: int) -> None:
        self.now = snapshot(watched=watched, alerts=[watched])


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


async def test_who_looks_at_the_same_version_is_shown_the_same(world):
    assert [await world.seen(), await world.seen()] == ["1", "1"]
    assert world.made == 1
    world.change(2)
    assert [await world.seen(), await world.seen()] == ["2", "2"]
    assert world.made == 2


async def test_a_reload_makes_every_part_anew(world):
    assert await world.seen() == "1"
    world.now = snapshot(watched=2, measures={"reloaded_at": NOW})
    assert await world.seen() == "2"
    shown = (await world.renderer.parts(world.screen, ["closest"], world.look(), HERE)).html.decode()
    assert 'data-topics="rules config"' in shown  # an open page is told, too


async def test_several_parts_are_answered_in_one_piece_made_once(world):
    world.screen = world.screen._replace(parts={**world.screen.parts, "banner": OVERVIEW.parts["banner"]})

    async def parts(*names: str) -> Rendered:
        return await world.renderer.parts(world.screen, names, world.look(), HERE)

    both = await parts("closest", "banner")
    assert re.findall(r'id="part-(\w+)"', both.html.decode()) == ["closest", "banner"]
    assert gzip.decompress(both.zipped) == both.html
    assert await parts("closest", "banner") is both
    assert (await parts("closest")).html in both.html
    world.change(2)
    assert (await parts("closest", "banner")).html != both.html


async def test_many_who_ask_at_once_wait_for_one(world, nursery):
    shown: list[str] = []

    async def look() -> None:
        shown.append(await world.seen())

    world.may_go_on = trio.Event()
    for _ in range(20):
        nursery.start_soon(look)
    await trio.testing.wait_all_tasks_blocked()
    world.may_go_on.set()
    await trio.testing.wait_all_tasks_blocked()
    assert (shown, world.made) == (["1"] * 20, 1)


async def test_what_was_asked_before_a_change_is_not_shown_after_it(world):
    before = world.look()
    world.change(2)
    world.look()  # somebody's stream, which tells of the change
    assert await world.seen(before) == "1"
    assert await world.seen() == "2"


async def test_what_is_newer_is_shown_to_who_asked_before(world):
    before = world.look()
    world.change(2)
    assert await world.seen() == "2"
    assert await world.seen(before) == "2"
    assert world.made == 1


async def test_what_is_kept_of_many_addresses_is_bounded_by_its_size(world, monkeypatch):
    monkeypatch.setattr(render_cache, "MOST_BYTES", 100_000)
    for number in range(200):
        here = f"/?x={number}" + "x" * 1000
        await world.renderer.parts(world.screen, ["closest"], world.look(), here)
        assert 0 < world.renderer._cache.bytes <= 100_000
    made = world.made
    await world.renderer.parts(world.screen, ["closest"], world.look(), here)
    assert world.made == made, "the last is kept"


async def test_what_is_old_makes_room_and_what_is_large_is_not_kept(world, monkeypatch, autojump_clock):
    await world.renderer.parts(world.screen, ["closest"], world.look(), "/?x=1")
    both = world.renderer._cache.bytes
    assert len(world.renderer._cache) == 2, "the fragment, and the answer made of it"
    await trio.sleep(render_cache.FRESH + 1)
    await world.renderer.parts(world.screen, ["closest"], world.look(), "/?x=2")
    assert (len(world.renderer._cache), world.renderer._cache.bytes) == (2, both)
    monkeypatch.setattr(render_cache, "LARGEST", 10)
    for _ in range(2):
        await world.renderer.parts(world.screen, ["closest"], world.look(), "/?x=3")
    assert len(world.renderer._cache) == 2
    assert world.made == 4
