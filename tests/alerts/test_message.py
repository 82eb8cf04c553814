"""What a person reads at three in the morning, word for word."""

from datetime import timedelta

import pytest

from support.outboxes import START, context
from tocsin.alerts.message import Names, default_body, default_title, late_by, state_line

NAMES = Names({"9020b4e5": "main"}, {"sec-z-eth-1": "ETH"})


def body(told, **more) -> list[str]:
    return default_body(told, NAMES, **more).splitlines()


def test_a_state_that_begins():
    told = context(
        fields={"symbol": "BTCUSD", "side": "long", "amount": "0.5", "entry_price": "43210.50", "profit": "-60.00", "currency": "USD"},
        account="9020b4e5", value="-60.00", value_at_start="-60.00", condition="profit -60.00 < -50",
        at=START + timedelta(seconds=30),
    )  # fmt: skip
    assert default_title(told, NAMES) == "firing: profit -60.00 < -50, BTCUSD long on fx"
    assert body(told) == [
        "firing: profit -60.00 < -50",
        "what: position p1, BTCUSD long",
        "  amount 0.5, entry_price 43210.50, currency USD",
        "where: fx, account main (9020b4e5)",
        "profit: -60.00 USD",
        "since: 2026-01-01 00:00:00 UTC, for 30s",
        "rule: position-in-the-red, warning",
    ]


def test_a_state_that_is_over_says_what_is_so_now():
    told = context(
        state="resolved", condition="profit -39 > -40", value="-39", worst="-75", value_at_start="-60",
        at=START + timedelta(minutes=5),
    )  # fmt: skip
    assert default_title(told, NAMES) == "resolved: profit is -39, BTCUSD long on fx"
    assert body(told)[0] == "resolved: profit -39 > -40"
    assert "profit: -39 USD now, worst -75, at start -60" in body(told)
    assert "lasted: 5m, from 2026-01-01 00:00:00 UTC to 2026-01-01 00:05:00 UTC" in body(told)


def test_what_was_ended_from_outside_says_by_what():
    told = context(
        state="resolved", condition="profit -45 >= -50", value="-45", reason="position closed: @all\nforged"
    )
    assert (
        default_title(told, NAMES)
        == "resolved: profit is -45 (position closed: @\u2060all forged), BTCUSD long on fx"
    )
    assert body(told)[0] == "resolved: profit -45 >= -50 (position closed: @\u2060all forged)"
    worded = context(
        state="resolved", condition="status is open", value=None, reason="order canceled: " + "x" * 200
    )
    assert default_title(worded, NAMES).startswith("resolved: status is open (order canceled: xxx")
    assert len(default_title(worded, NAMES)) < 150


def test_a_reminder():
    told = context(
        state="reminder", value="-70", worst="-75", severity="critical", at=START + timedelta(hours=1)
    )
    assert default_title(told, NAMES).startswith("critical, reminder: profit -60 < -50")
    assert "profit: -70 USD, worst -75, at start -60" in body(told)
    assert "since: 2026-01-01 00:00:00 UTC, for 1h" in body(told)


@pytest.mark.parametrize(
    ("changes", "title", "first"),
    [
        (
            {"kind": "contract", "entity": "c-1", "symbol": None, "event": "contract.settlement_completed_success", "venue": "grid"},
            "firing: contract.settlement_completed_success, contract c-1 on grid",
            "firing: contract.settlement_completed_success",
        ),
        (
            {"kind": "order", "entity": "o1", "event": "order.rejected", "fields": {"side": "buy"}, "reason": "no funds"},
            "firing: order.rejected, BTCUSD buy order on fx",
            "firing: order.rejected (no funds)",
        ),
        (
            {"kind": "venue", "entity": "fx", "symbol": None, "event": "venue.disconnected", "reason": "refused"},
            "firing: venue.disconnected, fx",
            "firing: venue.disconnected (refused)",
        ),
        (
            {"kind": "order", "entity": "o1", "event": "order.canceled", "condition": "filled 0.3 > 0", "symbol": "sec-z-eth-1"},
            "firing: order.canceled, ETH order on fx",
            "firing: order.canceled, filled 0.3 > 0",
        ),
        (
            {"kind": "account", "entity": "9020b4e5", "symbol": None, "condition": "margin_level 90 < 100"},
            "firing: margin_level 90 < 100, account main on fx",
            "firing: margin_level 90 < 100",
        ),
        (
            {"kind": "daemon", "entity": "desk", "symbol": None, "event": "daemon.delivery_failed", "fields": {"subject": "desk"}},
            "firing: daemon.delivery_failed, tocsin desk",
            "firing: daemon.delivery_failed",
        ),
    ],
)  # fmt: skip
def test_every_kind_says_what_and_where(changes, title, first):
    told = context(**{"condition": "", "fields": {}, "value": None, "value_of": None} | changes)
    assert default_title(told, NAMES) == title
    assert body(told)[0] == first == state_line(told)


def test_an_event_says_when_and_what_a_cooldown_held_back():
    told = context(event="order.rejected", suppressed=4, time=START - timedelta(seconds=90))
    assert "when: 2025-12-31 23:58:30 UTC" in body(told)
    assert "held back since the last message: 4" in body(told)


def test_what_could_not_be_judged_is_named():
    told = context(event="order.canceled", missing=("filled", "amount"))
    assert "not known: filled, amount; told to be on the safe side" in body(told)


def test_what_a_gap_hid_says_so_and_is_late_from_when_it_happened():
    told = context(origin="resync", time=START - timedelta(minutes=5))
    late = late_by(told, START)
    assert late == timedelta(minutes=5)
    assert body(told, late=late)[-3:-1] == [
        "found after a gap: it happened while the connection was away",
        "late by 5m",
    ]


@pytest.mark.parametrize(("seconds", "late"), [(-5, 0), (0, 0), (10, 0), (11, 11), (61, 61)])
def test_late_begins_after_ten_seconds(seconds, late):
    assert late_by(context(), START + timedelta(seconds=seconds)) == timedelta(seconds=late)


def test_electricity_has_its_unit_and_times():
    told = context(
        kind="contract", entity="c", fields={"power": "1500", "delivery_start": "2026-01-02T10:00:00Z"}
    )
    assert body(told)[2] == "  power 1500 W, delivery_start 2026-01-02 10:00:00 UTC"


def test_a_venue_s_text_forges_no_line_and_calls_nobody():
    evil = "x\nresolved: all is well\u202e @channel"
    told = context(
        symbol=evil, reason=evil, entity=evil, fields={"side": evil, "status": evil}, condition=evil
    )
    lines = body(told)
    assert len(lines) == len(body(context(reason="r", fields={"side": "long", "status": "open"})))
    for line in (*lines, default_title(told, NAMES)):
        assert "\u202e" not in line
        assert "@channel" not in line
        assert not line.startswith("resolved")


def test_a_group_says_who_is_in_it():
    told = context(
        entity="9020b4e5", symbol=None, account="9020b4e5", fields={"currency": "USD"}, condition="sum(profit) -550 < -500",
        value_of="sum(profit)", value="-550", value_at_start="-550", group={"venue": "fx", "account": "9020b4e5"},
        members=({"id": "p1", "symbol": "sec-z-eth-1", "profit": "-300"}, {"id": "p2", "profit": "-250"}, {"id": "p3"}),
        member_count=12, left_out=("p3",), left_out_count=2,
    )  # fmt: skip
    assert default_title(told, NAMES) == "firing: sum(profit) -550 < -500, positions of account main on fx"
    assert body(told) == [
        "firing: sum(profit) -550 < -500",
        "what: positions of account main",
        "members: 12 (ETH p1 -300, p2 -250, p3 and 9 more)",
        "where: fx, account main (9020b4e5)",
        "sum(profit): -550 USD",
        "since: 2026-01-01 00:00:00 UTC",
        "left out, for they have no value: p3 and 1 more",
        "rule: position-in-the-red, warning",
    ]


@pytest.mark.parametrize(
    ("group", "title"),
    [
        ({}, "firing: count() 3 > 2, all positions"),
        ({"venue": "fx"}, "firing: count() 3 > 2, positions on fx"),
        ({"symbol": "sec-z-eth-1"}, "firing: count() 3 > 2, positions in ETH"),
    ],
)
def test_what_a_group_is_called(group, title):
    told = context(
        entity="", venue=group.get("venue", ""), symbol=None, condition="count() 3 > 2", value_of="count()",
        value="3", group=group, member_count=3,
    )  # fmt: skip
    assert default_title(told, NAMES) == title
    if not group.get("venue"):
        assert "where: all venues" in body(told)
