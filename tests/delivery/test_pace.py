import pytest

from tocsin.delivery.pace import Paces
from tocsin.delivery.service_limits import Limit, limits_of, parse_rate


@pytest.mark.parametrize(
    ("rate", "limit"), [("1/s", Limit(1, 1)), ("20/min", Limit(20, 60)), ("100/h", Limit(100, 3600))]
)
def test_rates(rate, limit):
    assert parse_rate(rate) == limit


@pytest.mark.parametrize("rate", ["", "0/s", "20", "20/minute", "-1/s", "1.5/s"])
def test_no_rates(rate):
    with pytest.raises(ValueError, match="write it like"):
        parse_rate(rate)


@pytest.mark.parametrize(
    ("url", "limits"),
    [
        ("tgram://123:abc/456/", [(30, 1), (1, 1)]),
        ("tgram://123:abc/-100456/", [(30, 1), (1, 1), (20, 60)]),
        ("tgram://123:abc/%2D100456/?x=y", [(30, 1), (1, 1), (20, 60)]),
        ("tgram://123:abc/@club", [(30, 1), (1, 1), (20, 60)]),
        ("slack://a/b/c/#desk", [(1, 1)]),
        ("discord://id/token", [(5, 2), (30, 60)]),
        ("ntfy://topic", [(60, 300)]),
        ("ntfys://me@ntfy.example.org/topic", []),
        ("MAILTO://u:p@h", [(30, 60)]),
        ("twilio://a:b@1/2", [(10, 3600)]),
        ("pover://a@b", [(1, 1)]),
        ("json://localhost", []),
    ],
)
def test_what_services_are_known_to_take(url, limits):
    assert [limit for found in limits_of(url).values() for limit in found] == limits


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [
        (
            "tgram://123:abc/456",
            "tgram://bot123:abc/456/",
            {("tgram", "123:abc"), ("tgram", "123:abc", "456")},
        ),
        ("tgram://123:abc/456", "tgram://123:abc/-789", {("tgram", "123:abc")}),
        ("tgram://123:abc/456", "tgram://124:abc/456", set()),
        ("slack://xoxb-1/#desk", "slack://xoxb-1/#desk", {("slack", "xoxb-1", "#desk")}),
        ("slack://xoxb-1/#desk", "slack://xoxb-1/#floor", set()),
        ("mailtos://a:b@h?smtp=s", "mailtos://c:d@H2?smtp=S", {("mail", "s")}),
    ],
)
def test_what_two_urls_share(one, other, share):
    assert set(limits_of(one)) & set(limits_of(other)) == share


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def sent_at(clock, pace, count):
    found = []
    for _ in range(count):
        clock.now += pace.wait()
        assert pace.wait() == 0.0
        found.append(round(clock.now - 1000, 3))
        with pace.sending():
            pass
    return found


@pytest.mark.parametrize(
    ("url", "rate", "times"),
    [
        ("json://x", "3/min", [0, 0, 0, 60, 60, 60, 120]),
        ("slack://a/b/c/#d", "2/min", [0, 1, 60, 61, 120]),
        ("json://x", None, [0, 0, 0]),
    ],
)
def test_in_no_window_are_there_more_than_the_strictest_limit_allows(url, rate, times):
    clock = Clock()
    pace = Paces(clock).of(limits_of(url, rate))
    assert sent_at(clock, pace, len(times)) == times


def test_two_channels_on_one_bot_share_its_pace_and_the_more_urgent_goes_first():
    clock = Clock()
    paces = Paces(clock)
    calm, urgent = (paces.of(limits_of("tgram://123:abc/456", rate)) for rate in (None, "100/s"))
    with calm.sending():
        pass
    assert calm.wait((True, 5.0)) == urgent.wait((False, 9.0)) == 1.0
    clock.now += 1.0
    assert urgent.wait((False, 9.0)) == 0.0
    assert calm.wait((True, 5.0)) > 0.0, "a critical one waits there"
    urgent.withdraw()
    assert calm.wait((True, 5.0)) == 0.0


def test_what_is_on_its_way_counts_until_a_second_after_its_end():
    clock = Clock()
    paces = Paces(clock)
    one, other = (paces.of(limits_of("tgram://123:abc/456")) for _ in range(2))
    with one.sending():
        clock.now += 5.0
        assert other.wait() == 1.0
    assert other.wait() == 1.0


def test_what_was_sent_waits_no_more():
    clock = Clock()
    paces = Paces(clock)
    calm, urgent = (paces.of(limits_of("tgram://123:abc/456")) for _ in range(2))
    assert urgent.wait((False, 9.0)) == 0.0
    with urgent.sending():
        pass
    clock.now += 1.0
    assert calm.wait((True, 5.0)) == 0.0


def test_a_place_without_limits_is_none():
    assert not Paces(Clock()).of({("json", "x"): ()})


def test_whether_it_is_full():
    clock = Clock()
    pace = Paces(clock).of(limits_of("json://x", "2/min"))
    full = []
    for _ in range(2):
        full.append(pace.is_full())
        with pace.sending():
            pass
    full.append(pace.is_full())
    clock.now += 60.0
    assert [*full, pace.is_full()] == [False, False, True, False]


def test_another_limit_in_the_config_counts_from_then_on():
    clock = Clock()
    paces = Paces(clock)
    slow = paces.of({("json", "x"): (Limit(1, 3600.0),)})
    with slow.sending():
        pass
    assert slow.wait() == 3600.0
    assert paces.of({("json", "x"): (Limit(1, 3600.0),)}).wait() == 3600.0
    assert paces.of({("json", "x"): (Limit(1, 1.0),)}).wait() == 0.0


def test_what_went_out_before_a_restart_counts():
    clock = Clock()
    paces = Paces(clock)
    limits = limits_of("tgram://123:abc/-456")
    paces.restore([(limits, clock.now - age) for age in range(50, 30, -1)])
    assert paces.of(limits).wait() == pytest.approx(10.0)


def test_how_much_of_a_rate_is_used():
    clock = Clock()
    pace = Paces(clock).of(limits_of("tgram://123:abc/-100456"))
    sent_at(clock, pace, 2)
    with pace.sending():
        assert [tuple(used) for used in pace.used] == [(2, 30, 1.0), (2, 1, 1.0), (3, 20, 60.0)]
    clock.now += 61
    assert {used.used for used in pace.used} == {0}
