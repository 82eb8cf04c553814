"""What a silence's matchers match, and which silence holds a notification."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.outboxes import context
from tocsin.alerts.silences import Silences, end_of, matchers_of, parse_matchers, quoted, refuse_unmet
from tocsin.store.model import Silence

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def silence(matchers: str, *, id_: str = "s1", lasts: float = 60) -> Silence:
    return Silence(
        id=id_,
        matchers=matchers,
        reason="",
        created_at=T0,
        starts_at=T0,
        ends_at=T0 + timedelta(seconds=lasts),
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
        (r'venue="\u0066x"', True),
        (r'venue="\\u0066x"', False),
        ("venue=FX", False),
    ],
)
def test_what_matches(text, holds):
    assert all(matcher.matches(context()) for matcher in parse_matchers(text)) is holds


@given(st.text())
@example("nl\nid")  # a form's field drops line ends, and a page's reader takes NUL for another character
@example("\x00nul")
@example("a\r\n1 \u2028 \u202e")
@example('\\u000a "\\"')
def test_what_is_quoted_is_meant_whatever_a_form_makes_of_it(value):
    text = f"id={quoted(value)}"
    assert not set(text) & {"\n", "\r", "\0", "\u2028", "\u202e"}
    (matcher,) = parse_matchers(text)
    assert matcher.value == value


@pytest.mark.parametrize("value", ["nl\nid", "\x00nul", 'a "b\\'])
def test_what_was_kept_with_raw_characters_still_means_them(value):
    escaped = re.sub(r'(["\\])', r"\\\1", value)
    (matcher,) = parse_matchers(f'id="{escaped}"')
    assert matcher.value == value


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


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("account=9020b4e5-dade", True),
        ("account=Main", True),
        ('account="Main"', True),
        ("account=main", False),
        ("account=~M.*", True),
        ("account!=Main", False),
        ("account!~Ma.*", False),
        ("account!=Other", True),
        ("account=9020b4e5", False),  # ids are whole
    ],
)
def test_an_account_is_called_by_its_name_too(text, holds):
    of = context(account="9020b4e5-dade")
    (matcher,) = parse_matchers(text)
    assert matcher.matches(of, {"9020b4e5-dade": "Main"}) is holds


PRAGUE = ZoneInfo("Europe/Prague")


@pytest.mark.parametrize(
    ("lasts", "until", "now", "ends"),
    [
        ("2h", None, "2026-01-01T12:00:00Z", "2026-01-01T14:00:00Z"),
        ("30d", None, "2026-01-01T12:00:00Z", "2026-01-31T12:00:00Z"),
        (None, "13:30", "2026-01-01T12:00:00Z", "2026-01-01T12:30:00Z"),
        (None, "13:00", "2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"),
        (None, "8:00", "2026-01-01T12:00:00Z", "2026-01-02T07:00:00Z"),
        (None, "00:30", "2026-01-01T23:10:00Z", "2026-01-01T23:30:00Z"),  # the day there has begun already
        (None, "02:30", "2026-03-29T00:10:00Z", "2026-03-29T01:30:00Z"),  # an hour that there isn't
        (None, "02:30", "2026-03-29T01:10:00Z", "2026-03-30T00:30:00Z"),  # it is over
        (None, "02:30", "2026-10-25T00:20:00Z", "2026-10-25T00:30:00Z"),  # one that there is twice
        (None, "02:30", "2026-10-25T00:40:00Z", "2026-10-25T01:30:00Z"),  # its first is over
        (None, "2026-10-25 02:30", "2026-10-25T00:40:00Z", "2026-10-25T01:30:00Z"),
        (None, "02:30", "2026-10-25T01:40:00Z", "2026-10-26T01:30:00Z"),  # and its second
        (None, "2026-01-05 08:00", "2026-01-01T12:00:00Z", "2026-01-05T07:00:00Z"),
        (None, "2026-01-05T08:00+00:00", "2026-01-01T12:00:00Z", "2026-01-05T08:00:00Z"),
    ],
)
def test_when_it_ends(lasts, until, now, ends):
    assert end_of(lasts, until, datetime.fromisoformat(now), PRAGUE) == datetime.fromisoformat(ends)


@pytest.mark.parametrize(
    ("lasts", "until", "message"),
    [
        (None, None, "needs an end"),
        ("1h", "08:00", "needs an end, one"),
        ("30d1ms", None, "at most 30 days"),
        (None, "2026-03-01", "at most 30 days"),
        (None, "2025-12-31 08:00", "must lie ahead"),
        (None, "24:00", "not a time: 24:00"),
        (None, "0001-01-01", "not a time: 0001"),
        (None, "9999-12-31T23:59-14:00", "not a time: 9999"),
        ("2 h", None, "not a duration"),
    ],
)
def test_what_is_no_end(lasts, until, message):
    with pytest.raises(ValueError, match=message):
        end_of(lasts, until, T0, PRAGUE)


def test_a_silence_holds_from_when_it_is_made_up_to_its_end():
    """Also where the clock is set back to before it was made."""
    known = Silences()
    known.begin("s1", "venue=fx", T0 + timedelta(seconds=30), T0 + timedelta(seconds=10))

    def holds(at: float) -> bool:
        return known.over(context(), T0 + timedelta(seconds=at)) is not None

    assert [holds(at) for at in (-3600, 10, 29.999, 30)] == [True, True, True, False]


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
    begun = known.begin("s1", "venue=fx", T0 + timedelta(hours=2), T0, reason="maintenance")
    assert (begun.starts_at, begun.ends_at, begun.reason) == (T0, T0 + timedelta(hours=2), "maintenance")
    assert known.over(context(), T0) == begun
    with pytest.raises(ValueError, match="not a matcher"):
        known.begin("s2", "nonsense", T0, T0)


@pytest.mark.parametrize(
    ("changes", "matchers"),
    [
        ({}, "rule=position-in-the-red venue=fx id=p1"),
        ({"account": "a 1"}, 'rule=position-in-the-red venue=fx account="a 1" id=p1'),
        ({"event": "order.canceled", "account": "a1"}, "rule=position-in-the-red venue=fx account=a1 symbol=BTCUSD"),
        ({"event": "daemon.started", "symbol": None}, "rule=position-in-the-red venue=fx"),
        ({"group": {"symbol": "BTCUSD"}}, "rule=position-in-the-red symbol=BTCUSD"),
        ({"group": {}}, "rule=position-in-the-red"),
        ({"event": "order.canceled", "symbol": 'a"b\\c d\n=~'}, 'rule=position-in-the-red venue=fx symbol="a\\"b\\\\c d\\u000a=~"'),
    ],
)  # fmt: skip
def test_what_silences_an_alert_and_its_like(changes, matchers):
    told = context(**changes)
    assert matchers_of(told) == matchers
    assert all(matcher.matches(told) for matcher in parse_matchers(matchers))


@pytest.mark.parametrize(
    ("matchers", "refusal"),
    [
        ("rule=red venue=fx severity=critical symbol=NEW id=x", None),
        ("rule=~r.* venue=", None),  # a regex may be meant for what comes, and nothing is nothing
        ("rule=", "write which rule, like rule=red: none has an empty name"),
        ("venue=fx severity=~", "write which severity, like severity=info"),
        ('rule!=""', "write which rule"),
        ("rule=rde", "no rule is called rde; did you mean red?"),
        ("venue!=fxx", "no venue is called fxx; did you mean fx?"),
        ("severity=high", "no severity is called high; there are info, warning, critical"),
        ("venue=fx, symbol=BTC", "no venue is called fx,; did you mean fx?"),
    ],
)
def test_what_no_alert_can_match_is_refused(matchers, refusal):
    known = {"rule": ["red"], "venue": ["fx"], "severity": ("info", "warning", "critical")}
    if refusal is None:
        refuse_unmet(matchers, known)
    else:
        with pytest.raises(ValueError, match=re.escape(refusal)):
            refuse_unmet(matchers, known)


def test_of_many_names_whole_ones_are_told_and_how_many_more_there_are():
    names = [f"a-rule-of-many-{number:03}" for number in range(100)]
    with pytest.raises(ValueError, match="no rule is called zzz") as caught:
        refuse_unmet("rule=zzz", {"rule": names})
    told, _, more = str(caught.value).partition("there are ")[2].partition(" and ")
    assert more == f"{100 - len(told.split(', '))} more"
    assert told.split(", ") == names[: len(told.split(", "))]
