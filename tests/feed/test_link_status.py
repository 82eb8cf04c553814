"""What is told of how a venue's connection stands, on a clock moved by hand."""

from datetime import timedelta

import trio

from tocsin.clock import ManualClock
from tocsin.feed.link_status import LinkStatus
from tocsin.secrets import Masker


class Sink:
    def __init__(self):
        self.told = []

    async def put(self, received):
        self.told += [observed.state for observed in received.observed]


class Nothing:
    """A log of which nothing is read."""

    def info(self, *_: object, **__: object) -> None: ...

    warning = error = debug = info


async def _messages(link, clock, *seconds, handed_on):
    for passed in seconds:
        link.last_message = clock.advance(passed)
        await link.heard(link.last_message, handed_on=handed_on)


def test_a_venue_that_speaks_of_nothing_has_spoken_all_the_same():
    clock, sink = ManualClock(), Sink()
    link = LinkStatus("fx", sink=sink, clock=clock, masker=Masker(), log=Nothing())

    async def run():
        await _messages(link, clock, 1.0, 1.0, 7.0, handed_on=False)
        assert not sink.told
        await _messages(link, clock, 1.0, 1.0, 8.0, handed_on=False)
        assert [state.last_message for state in sink.told] == [clock.now().wall.replace(second=10)]
        await _messages(link, clock, 9.0, handed_on=True)
        await _messages(link, clock, 9.0, handed_on=False)
        assert len(sink.told) == 1, "what was handed on has said it"

    trio.run(run)


def test_the_first_message_of_a_connection_is_told_at_once():
    """A venue may greet, and then say nothing for hours."""
    clock, sink = ManualClock(), Sink()
    link = LinkStatus("fx", sink=sink, clock=clock, masker=Masker(), log=Nothing())

    async def run():
        for _ in range(2):
            clock.advance(1)
            await link.connected(())
            before = len(sink.told)
            await _messages(link, clock, 0.5, 0.5, 0.5, handed_on=False)
            (greeted,) = sink.told[before:]
            assert greeted.last_message == clock.now().wall - timedelta(seconds=1)
            await link.lost("reset", attempt=False, next_in=1.0)

    trio.run(run)


def test_connections_and_outages_are_counted_once_each():
    clock = ManualClock()
    link = LinkStatus("fx", sink=Sink(), clock=clock, masker=Masker(), log=Nothing())

    async def run():
        await link.lost("no route", attempt=True, next_in=1.0)  # never connected: no gap yet
        for _ in range(2):
            clock.advance(3)
            await link.connected(())
            clock.advance(10)
            await link.silent("ticker", "ticker: no data for 10 s")
            await link.lost("reset", attempt=False, next_in=1.0)
            await link.lost("no route", attempt=True, next_in=1.0)
            await link.auth_failed("no such key", next_in=300.0)
            clock.advance(7)
        await link.connected(())

    trio.run(run)
    found = link.meters
    assert (found.connects, found.disconnects, found.gap_seconds) == (3, 2, 17.0)
