"""Windows against a naive recomputation over everything that was ever added."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tocsin.engine.windows import Window

steps = st.lists(
    st.tuples(st.integers(0, 40), st.decimals(-5, 5, places=1)), min_size=1, max_size=60
)  # seconds since the last sample, value


@given(steps, st.integers(1, 60), st.integers(0, 100))
def test_the_same_as_computed_anew_each_time(taken, length, later):
    window = Window(length)
    history: list[tuple[int, Decimal]] = []
    now = 0
    for wait, value in taken:
        now += wait
        history.append((now, value))
        window.add(now, value)
        assert_like_naive(window, history, now, length)
    window.move(now + later)
    assert_like_naive(window, history, now + later, length)
    restored = Window.restored(length, window)
    restored.move(now + later)
    assert_like_naive(restored, history, now + later, length)


def assert_like_naive(window, history, now, length):
    inside = [value for at, value in history if at > now - length]
    before = [value for at, value in history if at <= now - length]
    assert window.lowest() == min(inside, default=None)
    assert window.highest() == max(inside, default=None)
    assert window.total() == (sum(inside) if inside else None)
    assert window.at_start() == (before[-1] if before else None)
    assert len(window) == len(inside)
    if inside:
        assert abs(window.average() - sum(inside) / len(inside)) < Decimal("1e-20")


def test_a_late_sample_counts_as_of_the_latest_time():
    window = Window(10)
    window.add(100, Decimal(1))
    window.add(95, Decimal(2))
    assert list(window) == [(100, Decimal(1)), (100, Decimal(2))]


def test_the_oldest_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr("tocsin.engine.windows.MOST_SAMPLES", 3)
    window = Window(10**9)
    for number in range(5):
        window.add(number, Decimal(number))
    assert (len(window), window.lowest(), window.total()) == (3, Decimal(2), Decimal(9))
