"""What a silence's matchers match, and which silence holds a notification."""

from datetime import UTC, datetime, timedelta

import pytest

from support.outboxes import context
from tocsin.alerts.silences import Silences, parse_matchers
from tocsin.store.model import Silence

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def silence(matchers: str, *, id_: str = "s1", lasts: float = 60, begins: float = 0) -> Silence:
    return Silence(
        id=id_,
        matchers=matchers,
        reason="",
        created_at=T0,
        starts_at=T0 + timedelta(seconds=begins),
        ends_at=T0 + timedelta(seconds=begins + lasts),
    )


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("rule=position-in-the-red", True),
        ("rule=position", False),  # equal, not contained
        ("rule=~position-.*", True),
        ("symbol=~BTC", False),  # the whole value
        ("symbol=~BTC.*", True),
        ("symbol!~BTC.*", False),
        ("symbol=btcUSD", True),  # of symbols case tells nothing
        ("symbol!=btcusd", False),
        ("symbol=~btc.*", True),
        ("id=P1", False),  # of ids it does
        ("venue=fx symbol=~BTC.*", True),
        ("venue=fx symbol=ETHUSD", False),  # all of them
        ("venue!=px", True),
        ("venue!=fx", False),
        ("id=p1 kind=position severity=warning", True),
        ("account=", True),  # it has none
        ("account!=a1", True),
        ('symbol="BTCUSD"', True),
        ('symbol="BTC USD"', False),
        ('  venue="fx"   id=p1 ', True),
        (r'venue="f\x"', True),
        ("venue=FX", False),
    ],
)
def test_what_matches(text, holds):
    assert all(matcher.matches(context()) for matcher in parse_matchers(text)) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a matcher"),
        ("   ", "needs a matcher"),
        ("fx", "not a matcher: fx"),
        ("venue:fx", "not a matcher"),
        ("venue=fx,id=p1 and", "not a matcher: and"),
        ("profit=1", "there is no profit to match"),
        ("symbol=~(", r"not a regex: missing \)"),
        ('venue="fx', "not a matcher"),
        ('venue="fx"id=p1', "not a matcher"),
    ],
)
def test_what_is_no_matcher(text, message):
    with pytest.raises(ValueError, match=message):
        parse_matchers(text)


def test_a_silence_holds_from_its_start_up_to_its_end():
    known = Silences([silence("venue=fx", begins=10, lasts=20)])

    def holds(at: float) -> bool:
        return known.over(context(), T0 + timedelta(seconds=at)) is not None

    assert [holds(at) for at in (9.999, 10, 29.999, 30)] == [False, True, True, False]


def test_of_several_the_one_that_lasts_longest_holds():
    known = Silences([silence("venue=fx", id_="a", lasts=60), silence("id=p1", id_="b", lasts=90)])
    found = known.over(context(), T0)
    assert found is not None
    assert found.id == "b"


def test_one_taken_back_holds_no_more():
    known = Silences([silence("venue=fx")])
    ended = known.end("s1", T0 + timedelta(seconds=5))
    assert ended is not None
    assert ended.ended_at == T0 + timedelta(seconds=5)
    assert known.over(context(), T0 + timedelta(seconds=6)) is None
    assert known.end("s1", T0) is None


def test_what_is_over_is_let_go():
    known = Silences([silence("venue=fx")])
    known.forget(T0 + timedelta(seconds=59))
    assert known
    known.forget(T0 + timedelta(seconds=60))
    assert not known


def test_a_new_one_holds_from_now_on():
    known = Silences()
    begun = known.begin("s1", "venue=fx", T0 + timedelta(hours=2), T0, "maintenance")
    assert (begun.starts_at, begun.ends_at, begun.reason) == (T0, T0 + timedelta(hours=2), "maintenance")
    assert known.over(context(), T0) == begun
    with pytest.raises(ValueError, match="not a matcher"):
        known.begin("s2", "nonsense", T0, T0)
