"""What a person reads at three in the morning, word for word."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from support.outboxes import START, context
from tocsin.alerts.message import body, late_by, title
from tocsin.alerts.wording import Names, Style, span_text

ACCOUNT = "9020b4e5-dade-46da-9469-7a58fa25fd56"
STYLE = Style(names=Names({ACCOUNT: "Main"}, {"sec-z-eth-1": "ETH"}))


def titled(told, style=STYLE, **more) -> str:
    return title(told, style, more.pop("now", told.at), **more)


def lines(told, style=STYLE, **more) -> list[str]:
    return body(told, style, more.pop("now", told.at), **more).splitlines()


def test_a_state_that_begins():
    told = context(
        fields={"symbol": "BTCUSD", "side": "long", "amount": "0.5", "entry_price": "43210.50", "profit": "-60.00", "currency": "USD"},
        account=ACCOUNT, value="-60.00", value_at_start="-60.00", worst="-60.00", condition="profit -60.00 < -50", limit="profit < -50",
        at=START + timedelta(seconds=30),
    )  # fmt: skip
    assert titled(told) == "🟠 -60.00 USD BTCUSD long: profit < -50 · fx Main"
    assert lines(told) == [
        "where: fx, account Main (9020b4e5…)",
        "firing: profit -60.00 < -50",
        "since: 00:00:00 UTC, for 30 s",
        "position p1, BTCUSD long",
        "  amount 0.5, entry_price 43210.50, currency USD",
        "rule: position-in-the-red, warning",
    ]


def test_a_state_that_is_over_says_what_is_so_now():
    told = context(
        state="resolved", condition="profit -39 > -40", value="-39", worst="-75", value_at_start="-60",
        at=START + timedelta(minutes=11),
    )  # fmt: skip
    assert titled(told) == "🟢 resolved: BTCUSD long -39 USD after 11 min, worst -75 · fx"
    assert lines(told)[1:4] == [
        "resolved: profit -39 > -40",
        "  profit -39 USD, worst -75, at start -60",
        "lasted: 11 min, from 00:00:00 UTC to 00:11:00",
    ]


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("position closed: @all\nforged", "ended (position closed):"),
        ("rule removed", "ended (rule removed):"),
        ("venue lost", "ended (venue lost):"),
        ("out of hours", "ended (out of hours):"),
        ("no margin in use", "ended (no margin in use):"),
    ],
)
@pytest.mark.parametrize("own", [None, "BTCUSD is back"])
def test_what_was_ended_by_anything_else_is_no_recovery(reason, ended, own):
    told = context(state="resolved", condition="profit -80 < -50", value="-80", reason=reason)
    assert titled(told, own=own).startswith(f"⚪ {ended} ")
    assert titled(told, Style(marks="text"), own=own).startswith(f"ENDED {ended} ")
    text = "\n".join(lines(told, own=own))
    assert "ended: profit -80 < -50 (" in text
    assert "resolved" not in text + titled(told, own=own)
    assert "forged" not in titled(told, own=own)


@pytest.mark.parametrize(
    ("changes", "emoji", "text"),
    [
        ({"severity": "critical"}, "🔴 x", "CRITICAL x"),
        ({"severity": "warning"}, "🟠 x", "WARNING x"),
        ({"severity": "info"}, "🔵 x", "INFO x"),
        ({"severity": "critical", "state": "reminder"}, "🔴 still: x", "CRITICAL still: x"),
        ({"severity": "critical", "state": "resolved"}, "🟢 resolved: x", "OK resolved: x"),
    ],
)
def test_the_mark_stands_before_a_rule_s_own_title_too(changes, emoji, text):
    assert titled(context(**changes), own="x") == emoji
    assert titled(context(**changes), Style(marks="text"), own="x") == text


def test_a_reminder_says_what_still_holds():
    told = context(
        state="reminder", value="-70", worst="-75", severity="critical", limit="profit < -50",
        at=START + timedelta(hours=1),
    )  # fmt: skip
    assert titled(told) == "🔴 still: -70 USD BTCUSD long: profit < -50 · fx"
    assert "  profit -70 USD, worst -75, at start -60" in lines(told)
    assert "since: 00:00:00 UTC, for 60 min" in lines(told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"kind": "contract", "entity": "c-1", "symbol": None, "event": "contract.settlement_completed_success", "venue": "grid",
             "fields": {"side": "sell", "power": "5000", "price": "0.31"}},
            "🟠 settlement completed success: c-1 sell 5000 W at 0.31 · grid",
        ),
        (
            {"kind": "order", "entity": "o1", "event": "order.canceled", "venue": "topone",
             "fields": {"side": "buy", "amount": "1.389", "price": "0.08132", "filled": "0.5"}},
            "🟠 canceled: BTCUSD buy 1.389 at 0.08132, 0.5 filled · topone",
        ),
        (
            {"kind": "order", "entity": "o1", "event": "order.canceled", "fields": {"side": "buy", "filled": "0.000"}},
            "🟠 canceled: BTCUSD buy · fx",
        ),
        (
            {"kind": "order", "entity": "o1", "event": "order.filled", "fields": {"side": "sell", "amount": "0.01", "average": "10"}},
            "🟠 filled: BTCUSD sell 0.01 at 10 · fx",
        ),
        (
            {"kind": "order", "entity": "o1", "event": "order.rejected", "fields": {"side": "buy"}, "reason": "no funds"},
            "🟠 rejected: BTCUSD buy, no funds · fx",
        ),
        (
            {"kind": "position", "event": "position.closed", "symbol": "sec-z-eth-1", "account": "ca-1234567-x",
             "fields": {"side": "long", "profit": "-18.5", "currency": "USD", "status": "closed", "amount": "2", "mark_price": "90"}},
            "🟠 closed: ETH long -18.5 USD, 2 at 90 · fx ca-12345",
        ),
        (
            {"kind": "balance", "entity": "USD", "symbol": None, "event": "balance.withdrawal", "account": ACCOUNT,
             "fields": {"asset": "USD", "change": "-50", "total": "100"}},
            "🟠 withdrawal: -50 USD, 100 left · fx Main",
        ),
        (
            {"kind": "venue", "entity": "fx", "symbol": None, "event": "venue.disconnected", "reason": "refused"},
            "🟠 disconnected: fx, refused",
        ),
        (
            {"kind": "account", "entity": ACCOUNT, "account": ACCOUNT, "symbol": None, "value_of": "margin_level", "value": "90",
             "condition": "margin_level 90 < 100", "limit": "margin_level < 100"},
            "🟠 90 % margin level: margin_level < 100 · fx Main",
        ),
        (
            {"kind": "daemon", "entity": "desk", "symbol": None, "event": "daemon.delivery_failed", "fields": {"subject": "desk"}},
            "🟠 delivery failed: desk",
        ),
        (
            {"kind": "daemon", "entity": "desk", "symbol": None, "event": "daemon.delivery_recovered", "severity": "critical",
             "fields": {"subject": "desk"}},
            "🟢 delivery recovered: desk",
        ),
        (
            {"kind": "venue", "entity": "fx", "symbol": None, "event": "venue.resumed"},
            "🟢 resumed: fx",
        ),
        (
            {"kind": "ticker", "entity": "X", "symbol": "X", "value_of": "price", "value": "3", "limit": "price > 2"},
            "🟠 3 X: price > 2 · fx",
        ),
    ],
)  # fmt: skip
def test_every_kind_says_what_and_where(changes, told):
    assert (
        titled(context(**{"condition": "", "fields": {}, "value": None, "value_of": None} | changes)) == told
    )


def test_an_event_says_when_and_what_a_cooldown_held_back():
    told = context(event="order.rejected", suppressed=4, time=START - timedelta(seconds=90))
    assert "when: 2025-12-31 23:58:30 UTC" in lines(told)
    assert "held back since the last message: 4" in lines(told)


def test_what_could_not_be_judged_is_named():
    told = context(event="order.canceled", missing=("filled", "amount"))
    assert "not known: filled, amount; told to be on the safe side" in lines(told)


def test_what_a_gap_hid_says_so_and_is_late_from_when_it_happened():
    told = context(origin="resync", event="order.canceled", time=START - timedelta(minutes=5))
    assert late_by(told, START) == timedelta(minutes=5)
    assert titled(told, own="x") == "🟠 late 5 min: x"
    assert lines(told)[:2] == [
        "late by 5 min",
        "found after a gap: it happened while the connection was away",
    ]


@pytest.mark.parametrize(("seconds", "late"), [(-5, 0), (0, 0), (10, 0), (11, 11), (61, 61)])
def test_late_begins_after_ten_seconds(seconds, late):
    assert late_by(context(), START + timedelta(seconds=seconds)) == timedelta(seconds=late)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (12000, "3 h 20 min"), (180000, "2 d 2 h")],
)  # fmt: skip
def test_how_long(seconds, text):
    assert span_text(timedelta(seconds=seconds)) == text


def test_times_are_in_the_reader_s_zone_said_once_and_have_a_day_only_where_it_is_another():
    told = context(
        kind="contract", entity="c", at=START + timedelta(hours=1), condition="x",
        fields={"power": "1500", "delivery_start": "2026-01-01T23:30:00Z", "delivery_end": "2026-01-02T00:30:00Z"},
    )  # fmt: skip
    told = lines(told, Style(tz=ZoneInfo("Europe/Prague")))
    assert "since: 01:00:00 CET, for 60 min" in told
    assert "  power 1500 W, delivery_start 2026-01-02 00:30:00, delivery_end 2026-01-02 01:30:00" in told


def test_long_ids_are_cut_where_people_read_and_whole_where_they_are_looked_up():
    told = context(
        kind="contract", entity="contract-1234567", symbol=None, fields={"order_id": "order-12345678"}, account=ACCOUNT,
        value=None, value_of=None,
    )  # fmt: skip
    short = lines(told)
    whole = lines(told, Style(whole_ids=True))
    assert "contract contract…" in short
    assert "  order_id order-12…" in short
    assert "contract contract-1234567" in whole
    assert "  order_id order-12345678" in whole
    assert f"where: fx, account {ACCOUNT}" in whole


@pytest.mark.parametrize(
    ("kind", "name", "exact", "bounds", "shown"),
    [
        ("account", "margin_level", "142.282539728857", (), "142.28 %"),
        ("account", "margin_level", "119.9999", ("120",), "119.9999 %"),
        ("account", "equity", "6879.025", (), "6879.02 USD"),
        ("position", "profit", "-388.1", (), "-388.10 USD"),
        ("position", "profit", "-500.004", ("-500", "-400"), "-500.004 USD"),
        ("position", "profit", "-0.000123456", (), "-0.00012 USD"),
        ("ticker", "price", "60000.12345678", (), "60000.123"),
        ("ticker", "price", "0.000123456789", (), "0.00012345679"),
    ],
)
def test_what_we_worked_out_is_rounded_but_never_so_that_the_limit_reads_wrong(
    kind, name, exact, bounds, shown
):
    values = {"kind": kind, "value_of": name, "value": exact, "value_at_start": exact, "worst": exact}
    told = context(fields={"currency": "USD", name: exact}, bounds=bounds, derived=(name,), **values)
    assert titled(told).startswith(f"🟠 {shown} ")


@pytest.mark.parametrize(
    ("name", "wire", "bounds", "shown"),
    [
        ("profit", "-388.1", (), "-388.1 USD"),
        ("profit", "-0.7826999999998634", (), "-0.78 USD"),
        ("profit", "-49.9999999999998634", ("-50",), "-49.9999999999999 USD"),
        ("profit", "0.12345678", (), "0.12345678 USD"),
        ("margin_level", "142.282539728857", (), "142.28 %"),
        ("price", "60000.50", (), "60000.50"),
        ("price", "7831.1600000000", (), "7831.16"),
        ("price", "0.000123456789", (), "0.00012345679"),
        ("price", "1.00000000", (), "1"),
        ("price", "1e-8", (), "0.00000001"),
        ("price", "0E-16", (), "0"),
        ("price", "1200", (), "1200"),
    ],
)
def test_a_venue_s_own_digits_are_shown_as_far_as_they_say_anything(name, wire, bounds, shown):
    values = {"value_of": name, "value": wire, "value_at_start": wire, "worst": wire}
    kind = {"margin_level": "account", "profit": "position"}.get(name, "ticker")
    told = context(kind=kind, fields={"currency": "USD", name: wire}, bounds=bounds, **values)
    assert titled(told).startswith(f"🟠 {shown} ")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"condition": "abs(profit) 60 > 50", "words": "size of profit 60 > 50"}, "firing: size of profit 60 > 50"),
        ({"condition": "profit -60 < -50", "words": None}, "firing: profit -60 < -50"),
        ({"event": "position.closed", "condition": 'default(reason, "") is ', "words": ""}, "firing: position.closed"),
        ({"event": "position.closed", "words": "reason is sl", "reason": "sl"}, "firing: position.closed, reason is sl"),
        ({"event": "position.closed", "words": "", "reason": "sl"}, "firing: position.closed (sl)"),
    ],
)  # fmt: skip
def test_a_condition_is_said_in_words(changes, line):
    """None: an older version kept it."""
    assert line in lines(context(**changes))


BARE = {"value": None, "value_of": None, "worst": None, "value_at_start": None, "rule": "r"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"kind": "venue", "entity": "fx", "symbol": None, "words": "status is silent", "state": "reminder",
             "fields": {"status": "silent", "since": "2026-01-01T00:00:00Z", "reason": "no data for 1m"}},
            ["where: fx", "reminder: status is silent", "since: 00:00:00 UTC", "  reason no data for 1m", "rule: r, warning"],
        ),
        (
            {"event": "order.canceled", "kind": "order", "entity": "o1", "words": "filled is 0", "value_of": "filled", "value": "0",
             "fields": {"side": "buy", "filled": "0", "amount": "3"}},
            ["where: fx", "firing: order.canceled, filled is 0", "when: 00:00:00 UTC", "order o1, BTCUSD buy", "  amount 3",
             "rule: r, warning"],
        ),
        (
            {"event": "position.closed", "words": "reason is sl", "reason": "sl",
             "fields": {"side": "long", "reason": "sl", "currency": "USD", "status": "closed", "profit": "-3"}},
            ["where: fx", "firing: position.closed, reason is sl", "when: 00:00:00 UTC", "position p1, BTCUSD long",
             "  profit -3, currency USD", "rule: r, warning"],
        ),
        (
            {"event": "account.updated", "kind": "account", "entity": ACCOUNT, "account": ACCOUNT, "symbol": None,
             "words": "balance changed from 100 to 101", "value_of": "balance", "value": "101",
             "fields": {"balance": "101", "currency": "USD"}},
            [f"where: fx, account Main ({ACCOUNT[:8]}…)", "firing: account.updated, balance changed from 100 to 101",
             "when: 00:00:00 UTC", "  currency USD", "rule: r, warning"],
        ),
        (
            {"kind": "position", "words": "profit -40 <= -40", "value_of": "profit", "value": "-40", "worst": "-50",
             "fields": {"side": "long", "profit": "-40", "currency": "USD", "status": "open"}},
            ["where: fx", "firing: profit -40 <= -40", "  profit -40 USD, worst -50", "since: 00:00:00 UTC",
             "position p1, BTCUSD long", "  status open", "rule: r, warning"],
        ),
        (
            {"kind": "contract", "entity": "c1", "symbol": None, "words": "status is failed", "fields": {"status": "failed", "side": "sell"}},
            ["where: fx", "firing: status is failed", "since: 00:00:00 UTC", "contract c1 sell", "rule: r, warning"],
        ),
        (
            {"kind": "daemon", "venue": "tocsin", "entity": "tocsin", "symbol": None, "event": "daemon.degraded", "reason": "full",
             "words": "", "fields": {"reason": "full"}},
            ["where: tocsin", "firing: daemon.degraded (full)", "when: 00:00:00 UTC", "rule: r, warning"],
        ),
    ],
)  # fmt: skip
def test_a_body_says_each_fact_once(changes, told):
    assert lines(context(**BARE | changes)) == told


def test_a_venue_s_text_forges_no_line_and_calls_nobody():
    evil = "x\nresolved: all is well\u202e @channel\x1b[31m"
    told = context(
        symbol=evil,
        reason=evil,
        entity=evil,
        fields={"side": evil, "status": evil},
        condition=evil,
        limit=evil,
        value=None,
    )
    harmless = context(
        reason="r", fields={"side": "long", "status": "open"}, entity="p", limit="c", value=None
    )
    assert len(lines(told)) == len(lines(harmless))
    for line in (*lines(told), titled(told)):
        assert "\u202e" not in line
        assert "\x1b" not in line
        assert "@channel" not in line
        assert not line.startswith("resolved")
    assert "x␤resolved" in titled(told)
    assert "␛[31m" in titled(told)


def test_the_line_that_no_template_can_leave_out_stands_above_the_rule_s_own_text():
    told = context(account=ACCOUNT, reason="out of hours", missing=("filled",))
    assert lines(told, own="hello\nthere", notes=["not recorded"]) == [
        "not recorded",
        "not known: filled; told to be on the safe side",
        "firing: profit -60 < -50 (out of hours) · fx Main",
        "hello",
        "there",
    ]


def test_a_group_says_who_is_in_it():
    told = context(
        entity=ACCOUNT, symbol=None, account=ACCOUNT, fields={"currency": "USD"}, condition="sum(profit) -550 < -500",
        limit="sum(profit) < -500", value_of="sum(profit)", value="-550.5", value_at_start="-550.5", worst="-550.5",
        derived=("sum(profit)",), group={"venue": "fx", "account": ACCOUNT},
        members=({"id": "p1", "symbol": "sec-z-eth-1", "profit": "-300.128", "derived": ["profit"]}, {"id": "p2", "profit": "-250"}, {"id": "p3"}),
        member_count=12, left_out=("p3",), left_out_count=2,
    )  # fmt: skip
    assert titled(told) == "🟠 -550.50 USD positions: sum(profit) < -500 · fx Main"
    assert lines(told) == [
        "left out, for they have no value: p3 and 1 more",
        "where: fx, account Main (9020b4e5…)",
        "firing: sum(profit) -550 < -500",
        "  sum(profit) -550.5 USD",
        "since: 00:00:00 UTC",
        "positions",
        "members: 12 (ETH p1 -300.13, p2 -250, p3 and 9 more)",
        "rule: position-in-the-red, warning",
    ]


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ({}, "🟠 3 all positions: count() > 2 · all venues"),
        ({"venue": "fx"}, "🟠 3 positions: count() > 2 · fx"),
        ({"symbol": "sec-z-eth-1"}, "🟠 3 positions in ETH: count() > 2 · all venues"),
    ],
)
def test_what_a_group_is_called(group, told):
    group = context(
        entity="", venue=group.get("venue", ""), symbol=None, limit="count() > 2", value_of="count()",
        value="3", group=group, member_count=3,
    )  # fmt: skip
    assert titled(group) == told


@pytest.mark.parametrize(
    ("symbols", "written"),
    [
        ({"btcusd": "bitcoin"}, "bitcoin"),
        ({"BtcUsd": "coin", "BTCUSD": "bitcoin"}, "bitcoin"),
        ({"BTCUSD": "bitcoin", "BtcUsd": "coin"}, "bitcoin"),
        ({"BTC-USD": "bitcoin"}, "BTCUSD"),
    ],
)
def test_a_symbols_name_is_found_in_any_case(symbols, written):
    style = Style(names=Names(symbols=symbols))
    assert style.symbol("BTCUSD") == written


def test_an_accounts_id_is_exact():
    assert Style(names=Names(accounts={"ab": "Main"})).account("AB") == "AB"
