"""Windows against a naive recomputation over everything that was ever added."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from tocsin.calendars import Since
from tocsin.engine.samples import SampleLog
from tocsin.engine.windows import SampleWindow, TimeWindow, window_of
from tocsin.events import EXACT, SamplesDropped, microseconds, moment

steps = st.lists(
    st.tuples(st.integers(0, 40), st.none() | st.decimals(-3, 3, places=0)), min_size=1, max_size=60
)  # time since the last sample, value; None: it is missing


@given(steps, st.integers(1, 60), st.integers(0, 100), st.booleans())
def test_the_same_as_computed_anew_each_time(taken, length, later, each):
    window = TimeWindow(length, each=each)
    history: list[tuple[int, Decimal]] = []
    stored: list[tuple[int, Decimal]] = []
    now = 0
    for wait, value in taken:
        now += wait
        if value is None:
            stored += window.ends()
            window.move(now)
        else:
            history.append((now, value))
            stored += window.add(now, value)
        assert_like_naive(window, history, now, length, each=each)
    restored = TimeWindow(length, each=each)
    for at, value in stored:
        restored.restore(at, value)
    if (value := taken[-1][1]) is not None:
        restored.lasts(now, value)
    restored.move(now)
    assert_like_naive(restored, history, now, length, each=each)
    assert (restored.total(), restored.average()) == (window.total(), window.average())
    for one in (window, restored):
        one.move(now + later)
        assert_like_naive(one, history, now + later, length, each=each)


def assert_like_naive(window, history, now, length, *, each):
    inside = [value for at, value in history if at > now - length]
    before = [value for at, value in history if at <= now - length]
    assert window.lowest() == min(inside, default=None)
    assert window.highest() == max(inside, default=None)
    assert window.at_start() == (before[-1] if before else None)
    if not each:
        return
    assert len(window) == len(inside)
    assert window.total() == (sum(inside) if inside else None)
    if inside:
        assert abs(window.average() - sum(inside) / len(inside)) < Decimal("1e-20")


def test_a_value_that_stays_the_same_is_held_and_stored_once():
    window = TimeWindow(100)
    stored = [window.add(at, Decimal(5)) for at in range(50)]
    assert (stored[0], set(stored[1:]), len(window)) == (((0, Decimal(5)),), {()}, 1)
    assert window.add(50, Decimal(6)) == ((49, Decimal(5)), (50, Decimal(6)))


def test_a_late_sample_counts_as_of_the_latest_time():
    window = TimeWindow(10)
    window.add(100, Decimal(1))
    assert window.add(95, Decimal(2)) == ((100, Decimal(2)),)


def test_a_clock_that_is_set_back_does_not_stop_the_window():
    second = 1_000_000
    window = TimeWindow(60 * second)
    for at in (1000, 1010, 1020):
        window.add(at * second, Decimal(at))
    window.add(500 * second, Decimal(1))  # nobody knows how long that took: nothing at all
    window.add(545 * second, Decimal(2))
    assert (window.lowest(), window.highest(), len(window)) == (Decimal(1), Decimal(1020), 4)
    window.add(565 * second, Decimal(3))
    assert (window.lowest(), window.highest(), len(window)) == (Decimal(2), Decimal(3), 2)


def test_the_oldest_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr("tocsin.engine.windows.MOST_SAMPLES", 3)
    window = TimeWindow(10**9)
    for number in range(5):
        window.add(number, Decimal(number))
    assert (len(window), window.lowest(), window.total()) == (3, Decimal(2), Decimal(9))


@given(steps, st.integers(1, 6))
def test_a_number_of_samples_is_the_latest_of_them(taken, number):
    window = SampleWindow(number)
    known: list[Decimal] = []
    stored: list[tuple[int, Decimal]] = []
    now = 0
    for wait, value in taken:
        now += wait
        if value is None:
            stored += window.ends()
            window.move(now)
        else:
            known.append(value)
            stored += window.add(now, value)
    restored = SampleWindow(number)
    for at, value in stored[-number - 1 :]:
        restored.restore(at, value)
    inside = known[-number:]
    for one in (window, restored):
        one.move(now + 1000)
        assert (one.lowest(), one.highest()) == (min(inside, default=None), max(inside, default=None))
        assert one.total() == (sum(inside) if inside else None)
        assert one.at_start() == (known[-number - 1] if len(known) > number else None)


HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
SINCE = Since.parse("00:00", "UTC")
hours = st.lists(
    st.tuples(st.sampled_from([0, 1, 5, 9, 24, 50]), st.sampled_from([None, "restart", 1, 2, 3, 4])),
    min_size=1,
    max_size=60,
)


class Kept:
    """What is stored of a window, and another one made of that."""

    def __init__(self, each):
        self.each, self.log, self.rows = each, SampleLog(), []
        self.window = window_of(SINCE, each=each)

    def sample(self, at, value):
        self.log.sample("s", "i", self.window, at, value)
        for row in self.log.drain():
            if isinstance(row, SamplesDropped):
                self.rows = [each for each in self.rows if row.before is not None and each.at >= row.before]
            else:
                self.rows.append(row)

    def restart(self, at, in_force):
        self.window = window_of(SINCE, each=self.each)
        for row in self.rows:
            self.window.restore(microseconds(row.at), row.value)
        if in_force is not None:
            self.window.lasts(at, in_force)
        self.window.move(at)


@model(suite=200, many=20_000)
@given(hours, st.booleans())
def test_since_a_time_of_day(taken, each):
    kept, known, at = Kept(each), [], 30 * DAY + 7 * HOUR
    for wait, what in taken:
        if what == "restart":
            if known:
                kept.restart(known[-1][0], known[-1][1])
        else:
            at += wait * HOUR
            value = None if what is None else Decimal(what)
            known.append((at, value))
            kept.sample(at, value)
        assert len(kept.rows) < 40
        for now in (at, at + 30 * HOUR):
            begins = now - now % DAY
            window = kept.window.as_of(moment(now))
            inside = [value for then, value in known if then >= begins and value is not None]
            if each:
                assert window.total() == (sum(inside) if inside else None)
                assert window.average() == (
                    EXACT.divide(sum(inside), Decimal(len(inside))) if inside else None
                )
                continue
            before = [value for then, value in known if then <= begins]
            base = before[-1] if before else None
            later = [value for then, value in known if then > begins and value is not None]
            seen = [*later, *([] if base is None else [base])]
            assert window.at_start() == base
            assert (window.lowest(), window.highest()) == ((min(seen), max(seen)) if seen else (None, None))


def test_a_clock_that_is_set_back_begins_anew():
    window = window_of(SINCE, each=False)
    for at, value in ((40 * DAY, 1), (40 * DAY + HOUR, 2), (30 * DAY + HOUR, 3)):
        window.add(at, Decimal(value))
    assert (window.at_start(), window.lowest(), window.highest()) == (None, 3, 3)
