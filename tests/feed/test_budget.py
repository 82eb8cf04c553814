"""What one socket may take of the loop, by its frames and lines; and what one venue may, by the clock."""

import math

import pytest

from support.fault_server import BINARY, CLOSE, PING, PONG, TEXT, frame
from tocsin.feed.budget import PeerFlood, ReadBudget, venue_budget
from tocsin.feed.tap import MOST_FRAGMENTS, Frames

WHOLE = [
    frame(TEXT, b"{}"),
    frame(BINARY, b"x" * 200),
    frame(TEXT, b"y" * 70_000),
    frame(PING, b"p"),
    frame(PONG),
    frame(TEXT, b"a", fin=False),
    frame(0, b"", fin=False),
    frame(0, b"b"),
    frame(CLOSE, b"\x03\xe8"),
]


def sliced(data: bytes, *, read: int) -> list[bytes]:
    """What is handed on of `data`, which comes in reads of so many bytes."""
    budget = ReadBudget(0.0, "frames")
    frames, slices = Frames(budget), []
    for begin in range(0, len(data), read):
        chunk, at = data[begin : begin + read], 0
        while at < len(chunk):
            budget.begin()
            end = frames.slice_end(chunk, at, 0.0)
            assert end > at
            slices.append(chunk[at:end])
            at = end
    return slices


@pytest.mark.parametrize("read", [1, 2, 3, 7, 1000, 65536])
def test_every_byte_is_handed_on_however_it_comes(read):
    data = b"".join(WHOLE) * 3
    assert b"".join(sliced(data, read=read)) == data


@pytest.mark.parametrize("one", [frame(TEXT, b"{}"), frame(PING, b"12345678"), frame(0, b"x" * 126)])
def test_a_slice_ends_between_two_frames_after_a_few(one):
    slices = sliced(one * 500, read=65536)
    assert {len(each) % len(one) for each in slices} == {0}
    assert max(len(each) // len(one) for each in slices) <= 50
    assert len(slices) >= 10


def poured(one: bytes, number: int, *, between: bytes = b"", per_second: float = math.inf) -> str | None:
    """Why a peer that sends one such frame after the other is left, if it is; each `between` brings data."""
    budget = ReadBudget(0.0, "frames")
    frames = Frames(budget)
    try:
        for sent in range(number):
            budget.begin()
            frames.slice_end(one + between, 0, sent / per_second)
    except PeerFlood as why:
        return str(why)
    return None


EMPTY = [frame(PING), frame(PING, b"x" * 125), frame(PONG), frame(TEXT), frame(BINARY)]


@pytest.mark.parametrize("one", EMPTY)
def test_what_brings_nothing_is_borne_for_a_while_and_for_data(one):
    assert poured(one, 1_000) is None
    assert "bring nothing" in poured(one, 3_000)
    assert "bring nothing" in poured(one, 30_000, per_second=1_000)
    assert poured(one, 30_000, per_second=10) is None
    assert poured(one, 30_000, between=frame(TEXT, b"{}")) is None


def test_empty_continuations_bring_nothing_too():
    with pytest.raises(PeerFlood, match="bring nothing"):
        sliced(frame(TEXT, b"{", fin=False) + frame(0, fin=False) * 3_000, read=65536)


def test_fragments_have_a_bound_of_their_own_in_each_message():
    piece = frame(0, b"x", fin=False)
    whole = frame(TEXT, b"x", fin=False) + piece * (MOST_FRAGMENTS - 2) + frame(0, b"x")
    sliced(whole * 2, read=65536)
    with pytest.raises(PeerFlood, match="10,000 fragments"):
        sliced(frame(TEXT, b"x", fin=False) + piece * MOST_FRAGMENTS, read=65536)


def test_a_burst_costs_no_wait_and_what_goes_on_gets_half_of_the_time():
    used, now, busy = venue_budget(0.0), 0.0, 0.0
    while now < 1.5:  # a burst
        used.spent(0.01)
        now += 0.01
        assert used.owed(now) == 0
    begin = now
    while now < begin + 100:
        used.spent(0.01)
        busy += 0.01
        now += 0.01
        now += used.owed(now)
    assert busy / (now - begin) == pytest.approx(0.5, abs=0.02)


def test_a_venue_with_less_than_half_is_never_made_to_wait():
    used, now = venue_budget(0.0), 0.0
    for _ in range(10_000):
        used.spent(0.004)
        now += 0.01
        assert used.owed(now) == 0
