import pytest

from tocsin.delivery.rate_limiter import Limit, RateLimiter, parse_rate
from tocsin.delivery.services import rate_limiter_for, service_limits
from tocsin.events import Instant, from_iso

NOW = Instant(from_iso("2026-01-01T00:00:00Z"), 1000.0)


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
        ("tgram://123:abc/456/", [(1, 1)]),
        ("tgram://123:abc/-100456/", [(1, 1), (20, 60)]),
        ("tgram://123:abc/%2D100456/?x=y", [(1, 1), (20, 60)]),
        ("tgram://123:abc/@club", [(1, 1), (20, 60)]),
        ("slack://a/b/c/#desk", [(1, 1)]),
        ("MAILTO://u:p@h", [(30, 60)]),
        ("json://localhost", []),
    ],
)
def test_what_services_are_known_to_take(url, limits):
    assert list(service_limits(url)) == limits


def test_in_no_window_are_there_more_than_the_limit_allows():
    pace, sent, now = RateLimiter((Limit(3, 10.0),)), [], NOW
    for _ in range(12):
        now = now.later(pace.wait(now))
        assert pace.wait(now) == 0.0
        sent.append(now.steady)
        pace = pace.after(now)
    assert [round(at - 1000) for at in sent] == [0, 0, 0, 10, 10, 10, 20, 20, 20, 30, 30, 30]


def test_the_strictest_limit_counts():
    pace = rate_limiter_for("slack://a/b/c", "2/min").after(NOW)
    assert pace.wait(NOW) == pytest.approx(1.0)
    pace = pace.after(NOW.later(1))
    assert pace.wait(NOW.later(2)) == pytest.approx(58.0)


def test_without_limits_there_is_no_wait():
    pace = rate_limiter_for("json://localhost", None).after(NOW)
    assert pace.wait(NOW) == 0.0
    assert pace.sent == ()
