"""The stream: says what changed, and holds nothing for who doesn't read."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from support.measured import NOW, measured
from tocsin import __version__
from tocsin.page.admission import Admission
from tocsin.page.live import (
    LOOK_EVERY,
    MOST_OF_PERSON,
    MOST_OF_SESSION,
    MOST_STREAMS,
    VERSION_EVERY,
    Live,
    Versions,
)
from tocsin.page.screens.rule import RULE
from tocsin.page.screens.silences import SILENCES
from tocsin.store.model import Silence


def so(**news: Any) -> Any:
    """As much of a snapshot as versions are made of."""
    measures = SimpleNamespace(
        wrong=(),
        attention=(),
        alerts={},
        venues=(),
        rules=(),
        channels=(),
        actions=(),
        actions_paused=False,
        reloaded_at=None,
        reload_success=True,
    )
    nothing = {
        "measures": measures,
        "entities": {},
        "away": {},
        "outages": {},
        "alerts": (),
        "closest": (),
        "nearest": {},
        "trails": {},
        "rates": {},
        "changes": {},
        "silences": (),
        "shut": frozenset(),
        "acknowledged": {},
    }
    return SimpleNamespace(**nothing | news)


class World:
    def __init__(self) -> None:
        self.now = so()
        self.looked = 0

    def look(self) -> Any:
        self.looked += 1
        return self.now


class Browser:
    """Reads the stream, as long as it wants to."""

    def __init__(self, live: Live, session: str = "s", person: str = "") -> None:
        self._live = live
        self.scope = {
            "type": "http",
            "method": "GET",
            "path": "/live",
            "headers": [],
            "whose": (person or session, session),
        }
        self.status = 0
        self.text = ""
        self.reads = True
        self.gone = trio.Event()
        self.over = trio.Event()

    async def run(self) -> None:
        await self._live(self.scope, self._receive, self._send)
        self.over.set()

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if not self.reads:
            await trio.sleep_forever()
        self.status = message.get("status", self.status)
        self.text += message.get("body", b"").decode()
        await trio.lowlevel.checkpoint()

    @property
    def events(self) -> list[str]:
        return [line.removeprefix("event: ") for line in self.text.splitlines() if line.startswith("event: ")]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def live(world) -> Live:
    return live_of(Versions(world.look))


def live_of(versions: Versions, may: Callable[[Any], bool] = lambda _scope: True) -> Live:
    return Live(versions, lambda scope: scope["whose"], may, Admission())


async def test_only_what_changed_is_said_and_nothing_while_nothing_does(world, live, nursery, autojump_clock):
    browser = Browser(live)
    nursery.start_soon(browser.run)
    await trio.sleep(5)
    assert browser.text == f"retry: 2000\nevent: hello\ndata: {__version__}\n\n"
    world.now = so(entities={"position": [1]})
    await trio.sleep(2 * LOOK_EVERY)
    assert browser.events == ["hello", "positions"]
    world.now = so(entities={"position": [1]}, changes={"deliveries": 1})
    await trio.sleep(2 * LOOK_EVERY)
    assert browser.events == ["hello", "positions", "told"]
    await trio.sleep(16)
    assert browser.text.endswith("event: beat\ndata:\n\n")  # pages hear of events, not of comments
    browser.gone.set()
    await browser.over.wait()


async def test_what_changes_all_the_time_is_told_twice_a_second_and_at_last_as_it_is(
    world, live, nursery, autojump_clock
):
    browser = Browser(live)
    nursery.start_soon(browser.run)
    await trio.sleep(1)
    for number in range(100):
        world.now = so(entities={"position": [number]})
        await trio.sleep(0.1)
    told = browser.events.count("positions")
    assert 10 / VERSION_EVERY - 1 <= told <= 10 / VERSION_EVERY
    await trio.sleep(2 * VERSION_EVERY)
    assert browser.events.count("positions") == told + 1  # the last of them
    await trio.sleep(5)
    assert browser.events.count("positions") == told + 1
    browser.gone.set()


async def test_who_asks_for_a_screen_sees_what_has_just_changed(world, autojump_clock):
    versions = Versions(world.look)
    versions.refresh()
    first = versions.newer({})
    world.now = so(entities={"position": [1]})
    versions.refresh()
    assert versions.newer(first) == {}
    versions.refresh(at_once=True)
    assert versions.newer(first) == {"positions": first["positions"] + 1}


SILENCE = Silence(
    id="s1", matchers="venue=fx", reason="", created_at=NOW, starts_at=NOW, ends_at=NOW + timedelta(seconds=6)
)
BY_TIME_ALONE = {  # what shows it, and what is so before and after
    "silences": (SILENCES.parts.values(), {"silences": [SILENCE]}, {"silences": [SILENCE]}),
    "hours": (
        [RULE.parts[name] for name in ("heading", "instances", "told")],
        {},
        {"shut": frozenset({("red", "active")})},
    ),
}


@pytest.mark.parametrize("topic", BY_TIME_ALONE)
async def test_what_time_alone_changes_is_told(world, topic, autojump_clock):
    parts, before, after = BY_TIME_ALONE[topic]
    world.now = so(measures=measured(now=NOW), **before)
    versions = Versions(world.look)
    versions.refresh(at_once=True)
    first = versions.newer({})
    world.now = so(measures=measured(now=NOW + timedelta(seconds=6)), **after)
    versions.refresh(at_once=True)
    assert [*versions.newer(first)] == [topic]
    assert all(topic in part.topics for part in parts)


async def test_where_there_is_no_time_what_changes_is_told_two_seconds_later_at_most(
    world, nursery, autojump_clock
):
    versions = Versions(world.look, lambda: False)
    browser = Browser(live_of(versions))
    nursery.start_soon(browser.run)
    await trio.sleep(1)
    before, world.now = world.now, so(entities={"position": [1]})
    await trio.sleep(0.5)
    assert browser.events == ["hello"]
    assert versions.refresh() is before
    assert versions.refresh(at_once=True) is world.now
    await trio.sleep(0.5)
    assert browser.events == ["hello", "positions"]
    for number in range(2, 22):
        world.now = so(entities={"position": [number]})
        await trio.sleep(0.5)
    assert 4 <= browser.events.count("positions") - 1 <= 6
    browser.gone.set()


async def test_who_comes_later_is_told_of_what_changes_from_then_on(world, live, nursery, autojump_clock):
    first = Browser(live)
    nursery.start_soon(first.run)
    await trio.sleep(1)
    world.now = so(away={"fx": None})
    await trio.sleep(1)
    second = Browser(live)
    nursery.start_soon(second.run)
    await trio.sleep(1)
    assert second.events == ["hello"]
    for browser in (first, second):
        browser.gone.set()


async def test_who_reads_nothing_is_let_go(live, nursery, autojump_clock):
    mute = Browser(live)
    mute.reads = False
    nursery.start_soon(mute.run)
    with trio.fail_after(60):
        await mute.over.wait()


async def test_only_so_many_look_at_once_and_who_leaves_makes_room(live, nursery, autojump_clock):
    each = [Browser(live, f"s{number // MOST_OF_SESSION}") for number in range(MOST_STREAMS)]
    for browser in each:
        nursery.start_soon(browser.run)
    await trio.sleep(0.1)
    one_too_many = Browser(live, "another")
    await one_too_many.run()
    assert one_too_many.status == 503
    each[0].gone.set()
    await each[0].over.wait()
    same = Browser(live, "s1")
    await same.run()
    assert same.status == 503  # that session has three
    welcome = Browser(live, "s0")
    nursery.start_soon(welcome.run)
    await trio.sleep(0.1)
    assert welcome.status == 200
    for browser in (*each, welcome):
        browser.gone.set()


async def test_one_person_keeps_no_other_out_however_often_they_sign_in(live, nursery, autojump_clock):
    each = [Browser(live, f"s{number}", "ben") for number in range(MOST_OF_PERSON)]
    for browser in each:
        nursery.start_soon(browser.run)
    await trio.sleep(0.1)
    one_too_many, other = Browser(live, "s99", "ben"), Browser(live, "s100", "anna")
    await one_too_many.run()
    nursery.start_soon(other.run)
    await trio.sleep(0.1)
    assert (one_too_many.status, other.status) == (503, 200)
    for browser in (*each, other):
        browser.gone.set()


async def test_it_ends_and_makes_room_when_who_looks_may_no_longer(world, nursery, autojump_clock):
    out: set[str] = set()
    live = live_of(Versions(world.look), lambda scope: scope["whose"][1] not in out)
    each = [Browser(live, "s1") for _ in range(MOST_OF_SESSION)]
    other = Browser(live, "s2")
    for browser in (*each, other):
        nursery.start_soon(browser.run)
    await trio.sleep(1)
    out.add("s1")
    world.now = so(entities={"position": [1]})
    with trio.fail_after(1):
        for browser in each:
            await browser.over.wait()
    assert [browser.events for browser in each] == [["hello"]] * MOST_OF_SESSION
    await trio.sleep(1)
    assert other.events == ["hello", "positions"]
    other.gone.set()


async def test_nobody_looks_while_nobody_asks(world, live, nursery, autojump_clock):
    browser = Browser(live)
    nursery.start_soon(browser.run)
    await trio.sleep(1)
    browser.gone.set()
    await browser.over.wait()
    before = world.looked
    await trio.sleep(10)
    assert world.looked == before
