"""How long a stream may be without data: what the user says, else what it did before."""

import pytest
import trio
from trio.testing import MockClock

from tocsin.feed.silence import Silence, SilenceTimeout

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
BY_PAUSES = SilenceTimeout(MINUTE, by_pauses=True)


class Link:
    """As much of a venue's link as it takes; keeps when what was told silent, and why."""

    is_up = True

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []

    def lacks(self, stream: str) -> bool:
        return False

    async def silent(self, stream: str, reason: str) -> None:
        self.told.append((trio.current_time(), reason))


def every(pause: float, until: float) -> list[float]:
    return [pause] * int(until / pause)


# What the user says (None: nothing), the pauses between data of the stream, and what is then told until a day later.
CASES = {
    "as the user says, from the first": (MINUTE, [30, 59], [(149, "no data for 1m")]),
    "as the user says, whatever it did before": (
        MINUTE,
        [300, 30],
        [(60, "no data for 1m"), (390, "no data for 1m")],
    ),
    "a stream that isn't known yet": (None, every(1, 60), [(120, "no data for 1m")]),
    "a lively stream, soon": (None, every(1, HOUR), [(HOUR + 60, "no data for 1m")]),
    "one that never brought anything": (None, [], [(60, "no data for 1m")]),
    "a thin market's trades, after several times the longest pause": (
        None,
        [120, 700, 300, 20, 500],
        [
            (60, "no data for 1m"),
            (120 + 480, "no data for 8m; its longest pause before was 2m"),
            (1640 + 2800, "no data for 46m 40s; its longest pause before was 11m 40s"),
        ],
    ),
    "a market that is closed at night, later each night until that is known": (
        None,
        [*every(10, 8 * HOUR), 16 * HOUR] * 4 + every(10, 8 * HOUR),
        [
            (8 * HOUR + 60, "no data for 1m"),
            (DAY + 8 * HOUR + 960, "no data for 16m 1s; its longest pause before was 4m"),
            (2 * DAY + 8 * HOUR + 15360, "no data for 4h 16m; its longest pause before was 1h 4m"),
        ],
    ),
    "an outage is no custom of a lively stream's": (
        None,
        [*every(5, HOUR), 2 * HOUR, *every(5, HOUR)],
        [(HOUR + 60, "no data for 1m"), (4 * HOUR + 960, "no data for 16m; its longest pause before was 4m")],
    ),
    "a long pause is forgotten after two days": (
        None,
        [2 * HOUR, *every(10, 2 * DAY)],
        [(60, "no data for 1m"), (2 * HOUR + 2 * DAY + 60, "no data for 1m")],
    ),
}


@pytest.mark.parametrize(("said", "pauses", "told"), CASES.values(), ids=CASES)
def test_a_stream_is_silent_by_what_it_did_before(said, pauses, told):
    link = Link()

    async def play():
        silence = Silence(link, BY_PAUSES if said is None else SilenceTimeout(said))
        silence.expect("deals", "main")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(silence.watch)
            for pause in pauses:
                await trio.sleep(pause - 0.001)
                await trio.sleep(0.001)
                silence.heard("main", "deals")
            await trio.sleep(10 * HOUR)
            nursery.cancel_scope.cancel()

    trio.run(play, clock=MockClock(autojump_threshold=0))
    found = [(round(at), reason) for at, reason in link.told]
    assert [at for at, _ in found] == pytest.approx([at for at, _ in told], abs=2)
    assert [reason.removeprefix("deals: ") for _, reason in found] == [reason for _, reason in told]


def test_data_of_one_stream_says_nothing_of_another():
    link = Link()

    async def play():
        silence = Silence(link, SilenceTimeout(MINUTE))
        for stream in ("deals", "depth"):
            silence.expect(stream, "main")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(silence.watch)
            for _ in range(100):
                await trio.sleep(1)
                silence.heard("main", "depth")
            nursery.cancel_scope.cancel()

    trio.run(play, clock=MockClock(autojump_threshold=0))
    assert [reason for _, reason in link.told] == ["deals: no data for 1m"]
