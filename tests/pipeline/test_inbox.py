"""The one entrance: order within a venue, fair shares between venues, a flood that holds up only itself."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tocsin.clock import ManualClock
from tocsin.events import ConnectionBegins
from tocsin.feed.model import Received
from tocsin.pipeline import Inbox


def message(venue: str, number: int = 0, observed: int = 0) -> Received:
    of = (ConnectionBegins(),) * observed
    return Received(venue=venue, observed=of, at=ManualClock().now().later(number), raw=str(number))


async def fill(inbox: Inbox, venue: str, count: int) -> None:
    for number in range(count):
        await inbox.put(message(venue, number))


def texts(taken: list[Received]) -> list[str]:
    return [f"{each.venue}{each.raw}" for each in taken]


async def test_a_flood_leaves_room_for_the_others() -> None:
    inbox = Inbox()
    await fill(inbox, "a", 10)
    await fill(inbox, "b", 2)
    await fill(inbox, "c", 1)
    assert texts(inbox.take(6)) == ["a0", "b0", "c0", "a1", "b1", "a2"]
    assert inbox.waiting() == 7
    assert texts(inbox.take(100)) == [f"a{n}" for n in range(3, 10)]
    assert (inbox.waiting(), inbox.take(5), inbox.earliest()) == (0, [], None)


async def test_shares_are_fair_however_few_are_taken() -> None:
    inbox = Inbox()
    for venue in "abc":
        await fill(inbox, venue, 3)
    assert texts([inbox.take(1)[0] for _ in range(6)]) == ["a0", "b0", "c0", "a1", "b1", "c1"]


async def test_a_message_counts_for_all_that_it_observed() -> None:
    inbox = Inbox()
    for number in range(3):
        await inbox.put(message("a", number, observed=150))
    await fill(inbox, "b", 2)
    assert [texts(inbox.take(10)) for _ in range(4)] == [["a0"], ["b0", "a1"], ["b1", "a2"], []]


async def test_the_earliest_that_waits() -> None:
    inbox = Inbox()
    await inbox.put(message("a", 5))
    await inbox.put(message("b", 3))
    assert inbox.earliest() == 3.0
    inbox.take(2)
    assert inbox.earliest() is None


async def test_a_full_queue_makes_its_own_venue_wait(autojump_clock: trio.testing.MockClock) -> None:
    inbox = Inbox(most_waiting=3)
    done: list[str] = []

    async def put(venue: str, count: int) -> None:
        await fill(inbox, venue, count)
        done.append(venue)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, "a", 5)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(put, "b", 3)
            await trio.testing.wait_all_tasks_blocked()
            assert (done, inbox.waiting()) == (["b"], 6)
            taken = texts(inbox.take(2))
            await trio.testing.wait_all_tasks_blocked()
            assert (done, inbox.waiting()) == (["b"], 5)
            taken += texts(inbox.take(4))
            await trio.testing.wait_all_tasks_blocked()
            assert done == ["b", "a"]
            taken += texts(inbox.take(100))
    assert [text for text in taken if text[0] == "a"] == ["a0", "a1", "a2", "a3", "a4"]


async def test_a_queue_is_full_of_what_was_observed(autojump_clock: trio.testing.MockClock) -> None:
    inbox = Inbox(most_waiting=2000)
    with trio.move_on_after(5) as waited:
        for number in range(3):
            await inbox.put(message("a", number, observed=1500))
    assert (waited.cancelled_caught, inbox.waiting()) == (True, 2)
    inbox.drop("a")
    with trio.fail_after(5):
        await fill(inbox, "a", 2000)


async def test_whoever_waits_is_woken_by_each_arrival(autojump_clock: trio.testing.MockClock) -> None:
    inbox = Inbox()
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inbox.wait)
            await trio.testing.wait_all_tasks_blocked()
            await inbox.put(message("a"))
        assert len(inbox.take(1)) == 1
    await fill(inbox, "a", 2)
    inbox.take(1)
    with trio.fail_after(1):
        await inbox.wait()  # something is still there
    inbox.take(1)
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(1):
            await inbox.wait()


async def test_who_is_roused_waits_no_longer_and_waits_again_after_a_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    inbox = Inbox()
    inbox.rouse()
    with trio.fail_after(1):
        await inbox.wait()
    assert inbox.take(1) == []
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(1):
            await inbox.wait()


async def test_a_venue_that_is_gone_holds_up_nobody(autojump_clock: trio.testing.MockClock) -> None:
    inbox = Inbox(most_waiting=1)
    await inbox.put(message("a"))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inbox.put, message("a", 1))
            await trio.testing.wait_all_tasks_blocked()
            inbox.drop("a")
    assert texts(inbox.take(5)) == ["a1"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4))), st.integers(1, 5))
def test_nothing_is_lost_doubled_or_out_of_order(puts: list[tuple[str, int]], most: int) -> None:
    async def main() -> None:
        inbox, came = Inbox(), []
        for number, (venue, take) in enumerate(puts):
            await inbox.put(message(venue, number))
            if take == 1:
                came += inbox.take(most)
        while inbox.waiting():
            came += inbox.take(most)
        for venue in "abc":
            put = [n for n, (name, _) in enumerate(puts) if name == venue]
            assert [int(each.raw) for each in came if each.venue == venue] == put

    trio.run(main)
