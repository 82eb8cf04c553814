"""What several alerts say in one message: digest, quiet hours, storm and pace, as a person reads it and as the rows tell."""

from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, permutations, repeat
from pathlib import Path

import msgspec
import pytest
import trio
import yaml

from support.channel_world import World
from support.outboxes import FAILED, REFUSED, SENT, START, MemoryOutbox, ScriptedSender, delivery
from tocsin.alerts.channel_gates import ChannelGates, ChannelState, Gate, gate
from tocsin.alerts.digest import DigestContext
from tocsin.alerts.message import Edit
from tocsin.calendars import Calendar, Window
from tocsin.delivery.edits import remark_edits
from tocsin.delivery.model import Outcome
from tocsin.quantities import parse_duration
from tocsin.store.model import Attempt

NIGHT = Calendar("UTC", (Window.parse("00:00-07:00"),))  # the tests' clock begins at midnight
DIGEST = ChannelGates(digest=timedelta(seconds=30))
QUIET = ChannelGates(quiet=NIGHT)
STORM = ChannelGates(storm=30)


class Outbox(MemoryOutbox):
    async def put(self, *new):
        self.add(*new)


def world(gates, *script, outbox=None, **more):
    return World(outbox or Outbox(), ScriptedSender(*script), gates=gates, **more)


def titles(of):
    return [message.title for _, message in of.sender.told]


async def put(of, *events):
    """Each (alert, state, severity, says) at once, now."""
    now = trio.current_time()
    for n, (alert, state, severity, says) in enumerate(events):
        number = len(of.outbox.rows)
        await of.put(
            delivery(
                f"d{number}-{n}",
                state,
                at=now,
                alert=alert,
                severity=severity,
                says={"entity": alert, **says},
            )
        )


def firing(alert, severity="warning", **says):
    return alert, "firing", severity, says


def resolved(alert, severity="warning", **says):
    return alert, "resolved", severity, says


def reminder(alert):
    return alert, "reminder", "warning", {}


# ------------------------------------------------------------------------------------------------------------- gates

TABLE = yaml.safe_load((Path(__file__).parents[1] / "gates.yaml").read_text())["gathering"]


SHUT = timedelta(seconds=75)  # after the start; by then each gate of the table is shut


def short(reason):
    return reason.replace("2026-01-01 ", "")


def state_of(*gates):
    """A channel with all of these."""
    keys = {key: value for each in gates for key, value in each["channel"].items()}
    return ChannelState(
        gates=ChannelGates(
            quiet=Calendar("UTC", tuple(map(Window.parse, keys["quiet"]))) if "quiet" in keys else None,
            storm=int(keys["storm"].removesuffix("/min")) if "storm" in keys else None,
            digest=parse_duration(keys.get("digest", timedelta(0))),
        ),
        now=START + SHUT,
        in_storm=any(each.get("storm") for each in gates),
        critical_sent=max(each.get("sent", 0) for each in gates),
    )


CELLS = [
    pytest.param(
        gates, severity, told, id=f"{severity} {told}, {' and '.join(each['gate'] for each in gates)}"
    )
    for gates in [*((each,) for each in TABLE), *permutations(TABLE, 2)]
    for severity in ("warning", "critical")
    for told in ("firing", "reminder", "resolved")
    if all(severity in each["does"] for each in gates)
]


@pytest.mark.parametrize(("gates", "severity", "told"), CELLS)
def test_the_first_gate_that_is_shut_holds(gates, severity, told):
    found = gate(told, severity, state_of(*gates))
    in_order = sorted(gates, key=TABLE.index)
    if any(each.get("sent") for each in gates):
        in_order = [each for each in in_order if each["gate"] != "storm" or each.get("sent")]
    shut = [each for each in in_order if each["does"][severity][told] != "open"]
    if not shut:
        assert found == Gate()
        return
    assert (found.outcome, found.by) == (shut[0]["does"][severity][told], shut[0]["gate"])
    assert short(found.reason).startswith(shut[0]["reason"])


@pytest.mark.parametrize("told", ["digest", "edit"])
@pytest.mark.parametrize("severity", ["info", "critical"])
def test_what_else_is_told_is_not_held(told, severity):
    assert gate(told, severity, state_of(*TABLE)) == Gate()


@pytest.mark.parametrize(
    "which", [each for each in TABLE if not each.get("sent")], ids=lambda each: each["gate"]
)
@pytest.mark.parametrize("severity", ["warning", "critical"])
@pytest.mark.parametrize("told", ["firing", "reminder", "resolved"])
async def test_the_channel_does_so_and_says_why(autojump_clock, which, severity, told):
    of = world(state_of(which).gates)
    await trio.sleep(SHUT.total_seconds())
    async with of.running():
        if which.get("storm"):
            await put(of, *(firing(f"b{n}") for n in range(31)))
            await trio.sleep(1)
        await put(of, ("it", told, severity, {"symbol": "IT"}))
        await trio.sleep(1)
        is_told = any("IT" in title for title in titles(of))
        held = of.task.holds(told, severity)
    expected = which["does"][severity][told]
    assert is_told is (expected == "open")
    assert held.partition(": ")[0] == ("" if expected == "open" else which["gate"])


# ------------------------------------------------------------------------------------------------------------ digest


async def test_what_comes_within_the_time_goes_as_one_and_critical_at_once(autojump_clock):
    of = world(DIGEST)
    async with of.running():
        await put(of, firing("a1", symbol="BTCUSD"), firing("a2", rule="order-canceled", symbol="ETHUSD"))
        await trio.sleep(10)
        await put(of, firing("c1", "critical", symbol="XAUUSD"), firing("a3", symbol="SOLUSD"))
        await trio.sleep(5)
        await put(of, resolved("a3", symbol="SOLUSD", started_at=START + timedelta(seconds=3), worst="-71.8"))
        await trio.sleep(30)
        await put(of, resolved("a1", symbol="BTCUSD"))
        await trio.sleep(60)
    assert of.sender.times() == [10.0, 30.0, 75.0]
    assert titles(of) == [
        "🔴 -60 USD XAUUSD long: profit -60 < -50 · fx",
        "🟠 3 alerts in 30 s: 2 × position-in-the-red, 1 × order-canceled",
        "🟢 resolved: BTCUSD long -60 USD after 45 s · fx",
    ]
    (_, digest) = of.sender.told[1]
    assert digest.body.splitlines() == [
        "🟠 -60 USD BTCUSD long: profit -60 < -50 · fx",
        "🟠 -60 USD ETHUSD long: profit -60 < -50 · fx",
        "🟢 SOLUSD long: profit -60 < -50, was firing for 12 s, worst -71.8 · fx",
    ]
    rows = of.outbox.rows.values()
    assert Counter((row.status, row.digest == digest.delivery_id, row.reason) for row in rows) == {
        ("sent", True, "digest"): 4,
        ("sent", False, None): 3,
    }


async def test_one_alert_alone_goes_as_itself_and_is_not_late(autojump_clock):
    of = world(DIGEST)
    async with of.running():
        await put(of, firing("a1"))
        await trio.sleep(60)
    assert (titles(of), of.sender.times()) == (["🟠 -60 USD BTCUSD long: profit -60 < -50 · fx"], [30.0])


async def test_twenty_lines_and_how_many_more(autojump_clock):
    of = world(DIGEST)
    async with of.running():
        await put(of, *(firing(f"a{n}", symbol=f"S{n:02}") for n in range(32)))
        await trio.sleep(60)
    ((_, digest),) = of.sender.told
    lines = digest.body.splitlines()
    assert (len(lines), lines[-1]) == (21, "and 12 more")
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}


async def test_a_digest_that_fails_keeps_its_parts_and_its_id_and_goes_to_the_fallback(autojump_clock):
    of = world(DIGEST, FAILED, FAILED, REFUSED, fallback=("mail", 1))
    async with of.running():
        await put(of, firing("a1"), firing("a2"))
        await trio.sleep(31)
        await put(of, resolved("a1"), firing("a3"))
        await trio.sleep(700)
    tried = [message.delivery_id for _, message in of.sender.tries]
    assert len(set(tried[:3])) == 1
    digest = of.outbox.rows[tried[0]]
    assert [row.id for row in of.outbox.rows.values() if row.digest == digest.id] == ["d0-0", "d1-1"]
    assert [row.state_told for row in of.outbox.rows.values() if row.channel == "mail"] == [
        "digest",
        "resolved",
    ]
    states = [of.outbox.rows[each].state_told for each in dict.fromkeys(tried)]
    assert states == ["digest", "firing", "resolved"], "never resolved before firing"
    assert of.sender.times()[3] == 61.0, "one that is refused keeps no other"
    assert {row.status for row in of.outbox.rows.values() if row.channel == "desk"} == {"sent"}


@pytest.mark.parametrize("jitter", [1.0, 0.5])
async def test_what_is_gathered_goes_on_after_one_passing_failure(autojump_clock, jitter):
    of = world(DIGEST, FAILED)
    of.jitter = repeat(jitter)
    async with of.running():
        await put(of, firing("a1"))
        await trio.sleep(40)
        await put(of, firing("a2"), firing("a3"))
        await trio.sleep(60)
    assert of.sender.times() == [30.0, 30.0 + jitter, 70.0]
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}


async def test_what_failed_once_and_went_in_a_digest_is_no_outage(autojump_clock):
    of = world(DIGEST, FAILED)
    async with of.running():
        await put(of, firing("a1"))
        await trio.sleep(30.2)
        await put(of, firing("c1", "critical"))
        await trio.sleep(0.2)
        await put(of, firing("a2"))
        await trio.sleep(200)
    assert [row.digest is not None for row in of.outbox.rows.values() if row.state_told == "firing"] == [
        True,
        False,
        True,
    ]
    assert (of.occurrences, of.outages.attention({"desk": 1})) == ([], [])


async def test_what_failed_once_and_is_closed_otherwise_is_no_outage(autojump_clock):
    of = world(QUIET, FAILED)
    async with of.running():
        await put(of, firing("c1", "critical"))
        await trio.sleep(0.5)
        await of.outbox.record([Attempt(delivery="d0-0", status="superseded", at=START)])
        await trio.sleep(200)
    assert (of.occurrences, of.outages.attention({"desk": 1})) == ([], [])


@pytest.mark.parametrize("passes_after", [20, 75])
async def test_an_outage_that_goes_on_in_a_digest_is_told_a_minute_after_it_began(
    autojump_clock, passes_after
):
    of = world(DIGEST)
    of.sender.always = FAILED
    async with of.running():
        await put(of, firing("a1"))
        await trio.sleep(30.5)
        await put(of, firing("a2"))
        await trio.sleep(passes_after)
        of.sender.always = SENT
        await trio.sleep(200)
    events = [occurrence.event for occurrence in of.occurrences]
    told = ["daemon.delivery_failed", "daemon.delivery_recovered"]
    assert events == (told if passes_after > 60 else [])
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}


async def test_a_storm_is_told_though_something_had_failed_before_it(autojump_clock):
    of = world(STORM, FAILED)
    async with of.running():
        await put(of, firing("a1"))
        await trio.sleep(0.3)
        for minute in range(5):
            await put(of, *(firing(f"b{minute}-{n}", symbol=f"S{n}") for n in range(35)))
            await trio.sleep(60)
        assert 4 <= len([title for title in titles(of) if title.startswith("🟠 storm: ")]) <= 6
        await trio.sleep(300)
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}


@pytest.mark.parametrize("severity", ["warning", "critical"])
async def test_an_outage_piles_up_no_digests(autojump_clock, severity):
    of = world(ChannelGates(digest=timedelta(seconds=30), storm=30))
    of.sender.always = FAILED
    async with of.running():
        await trio.sleep(0.01)
        of.jitter = cycle([1.0, 0.01])
        for n in range(30):
            await put(of, firing(f"a{n}", severity), firing(f"w{n}"))
            await trio.sleep(60)
        formed = [row for row in of.outbox.rows.values() if row.state_told == "digest"]
        assert len(formed) <= 2
        of.sender.always = SENT
        await trio.sleep(1200)
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}


@pytest.mark.parametrize("after", ["gathered", "sent"])
async def test_a_crash_repeats_it_with_the_same_id_and_parts(autojump_clock, after, monkeypatch):
    outbox = Outbox()
    first = world(DIGEST, outbox=outbox)

    async def crash(_attempts):
        raise RuntimeError("kill -9")

    async def life():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.run)
            await put(first, firing("a1"), firing("a2"))

    if after == "gathered":
        first.sender.send = trio.sleep_forever
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "record", crash)
        with pytest.raises(BaseExceptionGroup):
            await life()
    again = world(DIGEST, outbox=outbox)
    async with again.running():
        await put(again, firing("a3"))
        await trio.sleep(60)
    ids = [row.id for row in outbox.rows.values() if row.state_told == "digest"]
    assert again.sender.ids()[0] == ids[0]
    assert [row.alert for row in outbox.rows.values() if row.digest == ids[0]] == ["a1", "a2"]


# ------------------------------------------------------------------------------------------------------------- quiet


async def test_quiet_holds_then_one_message_tells(autojump_clock):
    of = world(QUIET)
    async with of.running():
        await put(of, firing("a1"), firing("c1", "critical"), firing("a2", symbol="ETHUSD"))
        await trio.sleep(3600)
        await put(of, reminder("a1"), resolved("a2", symbol="ETHUSD", started_at=START))
        await trio.sleep(7 * 3600)
    assert of.sender.times() == [0.0, 7 * 3600.0]
    assert titles(of)[1] == "🟠 2 alerts while it was quiet: 2 × position-in-the-red"
    (_, digest) = of.sender.told[1]
    assert digest.body.splitlines() == [
        "🟠 -60 USD BTCUSD long: profit -60 < -50 · fx",
        "🟢 ETHUSD long: profit -60 < -50, was firing for 60 min, worst -60 · fx",
    ]
    (dropped,) = [row for row in of.outbox.rows.values() if row.state_told == "reminder"]
    assert (dropped.status, dropped.error) == ("superseded", "dropped: the channel was quiet")


async def test_nothing_happened_in_the_quiet_so_nothing_is_sent(autojump_clock):
    of = world(QUIET)
    async with of.running():
        await trio.sleep(9 * 3600)
    assert of.sender.tries == []


@pytest.mark.parametrize("expire", [600.0, 3 * 3600.0])
async def test_what_the_quiet_held_longer_than_it_may_live_is_tried_as_long_as_any(autojump_clock, expire):
    of = world(QUIET)
    of.sender.always = FAILED
    await of.put(delivery("d1", expire=expire))
    async with of.running():
        await trio.sleep(7 * 3600 + expire - 1)
        assert of.outbox.statuses() == {"d1": "pending"}
        await trio.sleep(301)
    assert of.outbox.statuses() == {"d1": "dead"}
    assert len(of.sender.tries) > 5


async def test_what_began_to_fail_before_the_quiet_is_tried_on_after_it(autojump_clock):
    of = world(ChannelGates(quiet=Calendar("UTC", (Window.parse("01:00-07:00"),))))
    of.sender.always = FAILED
    await of.put(delivery("d1", expire=2 * 3600.0))
    async with of.running():
        await trio.sleep(7.5 * 3600)
        of.sender.always = SENT
        await trio.sleep(600)
    assert of.outbox.statuses() == {"d1": "sent"}


@pytest.mark.parametrize(
    ("severity", "hours", "held"),
    [("warning", 3, 3), ("warning", 24, 7), ("warning", 49, 15), ("critical", 24, 0)],
)
def test_how_long_the_quiet_held(severity, hours, held):
    until = START + timedelta(hours=hours)
    assert QUIET.held(severity, START, until) == timedelta(hours=held)


async def test_quiet_goes_by_the_clock_on_the_wall_however_it_is_set(autojump_clock):
    of = world(QUIET)
    async with of.running():
        await put(of, firing("a1"), firing("a2"))
        await trio.sleep(6 * 3600)
        of.clock.wall_jump = timedelta(hours=-3)
        await trio.sleep(2 * 3600)
        assert of.sender.tries == []
        await trio.sleep(2 * 3600 + 60)
    assert len(of.sender.told) == 1


# ------------------------------------------------------------------------------------------------------------- storm


async def flood(of, count, within, *, severity="warning", first=0, rule="position-in-the-red"):
    for n in range(count):
        await put(of, firing(f"{severity[0]}{first + n}", severity, symbol=f"S{first + n}", rule=rule))
        await trio.sleep(within / count)


async def test_a_storm_is_told_once_gathered_by_the_minute_and_told_to_be_over(autojump_clock):
    of = world(STORM)
    async with of.running():
        await flood(of, 200, 150)
        await trio.sleep(400)
    events = [occurrence.event for occurrence in of.occurrences]
    assert events == ["daemon.storm"]
    singles = [title for title in titles(of) if "alert" not in title]
    digests = [(at, message.title) for at, message in of.sender.told if "alert" in message.title]
    assert len(singles) == 30
    assert [round(at) for at, _ in digests[:4]] == pytest.approx([22, 82, 142, 202], abs=2)
    assert digests[-1][1].startswith("🔵 storm over: 200 alerts of 1 rule in ")
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}
    assert of.notes.under("storm ") == {}


async def test_critical_ones_in_a_storm_ten_a_minute_at_once_the_rest_named_first(autojump_clock):
    of = world(STORM)
    async with of.running():
        await flood(of, 60, 10)
        await flood(of, 25, 5, severity="critical", rule="deep")
        await trio.sleep(120)
    at_once = [message for _, message in of.sender.told if message.title.startswith("🔴 -60")]
    digests = [message for _, message in of.sender.told if "storm: " in message.title]
    assert len(at_once) == 10
    named = [line for message in digests for line in message.body.splitlines() if line.startswith("🔴")]
    assert len(named) == 15
    assert digests[1].body.splitlines()[:15] == named
    assert digests[1].severity == "critical"


async def test_a_person_reads_count_and_worst_of_each_rule(autojump_clock):
    of = world(STORM)
    async with of.running():
        await flood(of, 40, 1)
        for n in range(10):
            says = {"rule": "deep", "worst": str(-100 - n), "value": str(-100 - n), "bounds": ("-50",)}
            await put(of, firing(f"x{n}", symbol=f"X{n}", **says))
        for rule in ("c1", "c2", "c3"):
            await put(of, firing(rule, rule=rule, symbol=rule))
        await trio.sleep(100)
    digest = [message for _, message in of.sender.told if "storm: " in message.title][1]
    assert (
        digest.title.split(": ", 2)[2].endswith("10 × deep, 1 × c1, 3 of 3 other rules")
        or "10 × deep" in digest.title
    )
    assert any("X9 long" in line for line in digest.body.splitlines())
    for rule in ("c1", "c2", "c3"):
        assert any(f"{rule} long" in line for line in digest.body.splitlines())


async def test_a_storm_outlasts_a_restart(autojump_clock):
    outbox = Outbox()
    of = world(STORM, outbox=outbox)
    async with of.running():
        await flood(of, 50, 20)
    again = world(STORM, outbox=outbox)
    again.notes = of.notes
    async with again.running():
        await flood(again, 10, 10, first=100)
        assert again.sender.tries == []
        await trio.sleep(300)
    assert again.occurrences == []
    assert titles(again)[0].startswith("🟠 storm: ")
    assert titles(again)[-1].startswith("🔵 storm over: 60 alerts of 1 rule in ")


async def test_without_a_storm_each_goes_by_itself(autojump_clock):
    of = world(ChannelGates(storm=None))
    async with of.running():
        await flood(of, 100, 10)
        await trio.sleep(60)
    assert len(of.sender.told) == 100


# -------------------------------------------------------------------------------------------------------------- pace


async def test_what_waits_for_the_pace_too_long_is_gathered_and_critical_first(autojump_clock):
    of = world(ChannelGates(), url="tgram://123:abc/-456")
    async with of.running():
        await put(
            of, *(firing(f"a{n}", symbol=f"S{n}") for n in range(40)), firing("c1", "critical", symbol="C1")
        )
        await trio.sleep(60)
    assert "C1" in titles(of)[0]
    assert len(of.sender.told) == 7
    assert titles(of)[-1] == "🟠 35 alerts in 6 s: 35 × position-in-the-red"


async def test_many_critical_ones_are_gathered_after_half_a_minute_in_one_of_their_own(autojump_clock):
    of = world(ChannelGates(), rate="20/min")
    async with of.running():
        await put(of, *(firing(f"c{n}", "critical", symbol=f"C{n}") for n in range(40)), firing("a1"))
        await trio.sleep(130)
    assert [len(message.body.splitlines()) for _, message in of.sender.told][20:] == [20, 7]
    assert of.sender.told[20][1].severity == "critical"


async def test_a_digest_s_time_within_the_pace(autojump_clock):
    of = world(DIGEST, rate="1/min")
    async with of.running():
        for n in range(60):
            await put(of, firing(f"a{n}"))
            await trio.sleep(2)
        await trio.sleep(120)
    assert all(
        later - one >= 60 for one, later in zip(of.sender.times(), of.sender.times()[1:], strict=False)
    )
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}


def test_the_rows_keep_what_a_digest_says():
    """What is kept of a digest is JSON, as all contexts are."""
    context = DigestContext(at=START, severity="info", over=True, words="2 alerts")
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(context)), DigestContext) == context


async def test_hundreds_in_a_minute_on_a_telegram_group(autojump_clock):
    """The small version of `fault_storm`: at most twenty requests in any minute, each alert is in a row, and a person reads what counts."""
    of = world(STORM, url="tgram://123:abc/-456")
    async with of.running():
        for n in range(240):
            rule, severity = (("deep", "critical"), ("red", "warning"), ("gone", "info"))[
                n % 50 > 1 or n % 50
            ]
            says = {"value": str(-n - 60), "worst": str(-n - 60), "bounds": ("-50",)}
            await put(
                of, firing(f"a{n}", severity, symbol=f"S{n:04}", rule=rule if n % 3 else "gone", **says)
            )
            await trio.sleep(0.06)
        await trio.sleep(600)
    times = [at for at, _ in of.sender.tries]
    assert all(later - one >= 60 for one, later in zip(times, times[20:], strict=False))
    rows = [row for row in of.outbox.rows.values() if row.state_told == "firing"]
    assert {row.status for row in rows} == {"sent"}
    told = {message.delivery_id: message for _, message in of.sender.told}
    assert all((row.digest or row.id) in told for row in rows)
    for row in rows:
        if row.severity == "critical":
            carrier = told[row.digest or row.id]
            assert row.context["symbol"] in f"{carrier.title}\n{carrier.body}"
    for digest in (message for message in told.values() if "storm: " in message.title):
        parts = [row for row in rows if row.digest == digest.delivery_id]
        for rule, count in Counter(row.context["rule"] for row in parts).items():
            assert f"{count} × {rule}" in digest.title
            worst = max(
                (row for row in parts if row.context["rule"] == rule),
                key=lambda row: (
                    row.severity == "critical",
                    row.severity == "warning",
                    float(row.context["worst"]) * -1,
                ),
            )
            assert worst.context["symbol"] in digest.body


async def test_no_edit_takes_the_pace_from_a_message(autojump_clock):
    of = world(ChannelGates(storm=None), rate="1/s")
    of.sender.can = frozenset({"edit"})
    edited = []

    async def edit(_handle, message):
        edited.append((trio.current_time(), message.alert))
        return SENT

    of.sender.edit = edit
    handle = '{"1": ["1", "7"]}'
    for n in range(3):
        await of.put(delivery(f"told{n}", alert=f"a{n}"))
        of.outbox.rows[f"told{n}"] = msgspec.structs.replace(
            of.outbox.rows[f"told{n}"], status="sent", sent_at=START, handle=handle
        )
    told = [of.outbox.rows[f"told{n}"] for n in range(3)]
    await of.put(*remark_edits(told, Edit(at=START, words="acknowledged by anna")))
    async with of.running():
        await put(of, firing("b1", "info"), firing("b2", "info"))
        await trio.sleep(10)
    assert of.sender.times() == [0.0, 1.0]
    assert [round(at) for at, _ in edited] == [2, 3, 4]


GONE = Outcome(sent=False, answer="Telegram: 400 message to edit not found", permanent=True, gone=True)


@pytest.mark.parametrize(
    ("answer", "told_at"), [(SENT, []), (GONE, [60.0]), (FAILED, [660.0])], ids=["taken", "gone", "away"]
)
async def test_an_end_that_no_edit_can_tell_is_told_by_a_message(autojump_clock, answer, told_at):
    of = world(DIGEST)
    settings = of.channel.settings.model_copy(update={"resolved": "edit"})
    of.channel = replace(of.channel, settings=settings)
    of.sender.can = frozenset({"edit"})

    async def edit(_handle, _message):
        return answer

    of.sender.edit = edit
    for n in range(2):
        await of.put(delivery(f"told{n}", alert=f"a{n}"))
        of.outbox.rows[f"told{n}"] = msgspec.structs.replace(
            of.outbox.rows[f"told{n}"], status="sent", sent_at=START, handle='{"1": ["1", "7"]}'
        )
    async with of.running():
        await put(of, resolved("a0", symbol="S0"), resolved("a1", symbol="S1"))
        await trio.sleep(3600)
    assert of.sender.times() == pytest.approx(told_at, abs=60)
    lines = [line for _, message in of.sender.told for line in message.body.splitlines()]
    assert [sum(name in line for line in lines) for name in ("S0", "S1")] == [len(told_at)] * 2
    assert "pending" not in {row.status for row in of.outbox.rows.values()}


@pytest.mark.parametrize("gates", [DIGEST, QUIET], ids=["digest", "quiet"])
async def test_the_fallback_hears_the_end_of_what_it_heard_though_a_digest_tells_it_here(
    autojump_clock, gates
):
    of = world(gates, fallback=("mail", 1))
    handed = delivery("handed", alert="a0", channel="mail")
    await of.put(handed)
    async with of.running():
        await put(of, resolved("a0", symbol="S0"), resolved("a1", symbol="S1"))
        await trio.sleep(8 * 3600)
    assert [message.title[:10] for _, message in of.sender.told] == ["🟢 2 alerts"]
    there = [(row.alert, row.state_told) for row in of.outbox.rows.values() if row.channel == "mail"]
    assert there == [("a0", "firing"), ("a0", "resolved")]


# ------------------------------------------------------------------------------------------- what a fallback hears of it


def told_on_mail(of) -> Counter:
    """How often each symbol's alert was told there, by its state."""
    told = Counter()
    for row in of.outbox.rows.values():
        lines = row.context["lines"] if row.state_told == "digest" else ()
        if row.channel == "mail":
            told.update(_of_line(line) for line in lines)
            told.update([] if lines else [(row.context["symbol"], row.state_told)])
    return told


def _of_line(line: str) -> tuple[str, str]:
    state = "resolved" if line.startswith("🟢") else "firing"
    return next(word for word in line.replace(":", "").split() if word[0] == "S"), state


@pytest.mark.parametrize("every", [10, 20, 45, 60, 100])
async def test_a_fallback_is_told_of_each_alert_once(autojump_clock, every):
    """However it was told here, alone, in a digest, or again with others."""
    of = world(DIGEST, fallback=("mail", 1))
    of.sender.always = REFUSED
    async with of.running():
        for n in range(40):
            await put(of, firing(f"a{n}", symbol=f"S{n}"))
            await trio.sleep(every)
        await trio.sleep(4 * 3600)
    assert told_on_mail(of) == {(f"S{n}", "firing"): 1 for n in range(40)}


async def test_what_the_fallback_knows_of_is_not_in_its_digest(autojump_clock):
    """Neither what is told there anyway."""
    of = world(DIGEST, fallback=("mail", 1))
    of.sender.always = REFUSED
    async with of.running():
        await put(of, firing("a0", symbol="S0"))
        await trio.sleep(615)  # refused, and soon tried again
        both = delivery("both", at=615, alert="a1", says={"symbol": "S1"})
        await of.put(msgspec.structs.replace(both, context={**both.context, "channels": ["desk", "mail"]}))
        await put(of, firing("a2", symbol="S2"))
        await trio.sleep(100)
    assert "3 alerts in" in of.sender.tries[-1][1].title
    assert told_on_mail(of) == {("S0", "firing"): 1, ("S2", "firing"): 1}


@pytest.mark.parametrize("taken_after", [700, 1400, None])
async def test_an_end_behind_a_digest_that_is_refused_is_told_by_the_fallback(autojump_clock, taken_after):
    """And here, if the digest is taken after all."""
    of = world(DIGEST, fallback=("mail", 1))
    of.sender.always = REFUSED
    async with of.running():
        await put(of, firing("a0", symbol="S0"), firing("a1", symbol="S1"))
        await trio.sleep(100)
        await put(of, resolved("a0", symbol="S0"))
        await trio.sleep(taken_after or 1400)
        told = {("S0", "firing"): 1, ("S1", "firing"): 1, ("S0", "resolved"): 1}
        assert told_on_mail(of) == told
        of.sender.always = SENT if taken_after else REFUSED
        await trio.sleep(1400)
    assert told_on_mail(of) == told
    assert [message.title[0] for _, message in of.sender.told] == (["🟠", "🟢"] if taken_after else [])


async def test_so_it_is_with_either_outbox(outbox, autojump_clock):
    of = world(DIGEST, outbox=outbox, fallback=("mail", 1))
    of.sender.always = REFUSED
    async with of.running():
        await of.put(delivery("d0", alert="a0"), delivery("d1", alert="a1"), delivery("d2", alert="a2"))
        await trio.sleep(100)
        assert len(await outbox.statuses("mail")) == 1
        await of.put(
            delivery("end", "resolved", at=100, alert="a0"), delivery("again", "reminder", at=100, alert="a1")
        )
        await trio.sleep(1400)
    assert len(await outbox.statuses("mail")) == 2
    assert await outbox.handed_to("end") == "mail"


@pytest.mark.parametrize("refused", [True, False])
async def test_an_end_is_told_by_the_fallback_once_though_its_digest_goes_there_too(autojump_clock, refused):
    of = world(DIGEST, fallback=("mail", 1))
    of.sender.always = REFUSED if refused else SENT
    await of.put(delivery("handed", alert="a0", channel="mail", says={"symbol": "S0"}))
    async with of.running():
        await put(of, resolved("a0", symbol="S0"), firing("a1", symbol="S1"))
        await trio.sleep(3600)
    told = {("S0", "firing"): 1, ("S0", "resolved"): 1} | ({("S1", "firing"): 1} if refused else {})
    assert told_on_mail(of) == told


def ack(alert, severity="warning"):
    """As who was escalated to is told of it."""
    return alert, "reminder", severity, {"acked_by": "anna"}


@pytest.mark.parametrize("gates", [QUIET, STORM], ids=["quiet", "storm"])
async def test_an_ack_is_no_reminder_that_may_be_dropped(autojump_clock, gates):
    of = world(gates)
    async with of.running():
        await put(of, *(firing(f"b{n}", symbol=f"S{n}") for n in range(31 if gates is STORM else 1)))
        await trio.sleep(10)
        await put(of, ack("a1"), reminder("b2"))
        await trio.sleep(8 * 3600)
    told = [line for _, message in of.sender.told for line in (message.title, *message.body.splitlines())]
    assert sum("acknowledged by anna: -60 USD" in line for line in told) == 1
    assert not any("still:" in line for line in told)


@pytest.mark.parametrize("urls", [1, 2])
async def test_what_several_urls_hand_over_of_the_same_is_told_once(autojump_clock, urls):
    """Both of a channel, whose token is no good any more."""
    outbox = Outbox()
    worlds = [
        World(outbox, ScriptedSender(always=REFUSED), gates=DIGEST, fallback=("mail", 1), target=target)
        for target in range(urls)
    ]
    async with worlds[0].running(), AsyncExitStack() as stack:
        for each in worlds[1:]:
            await stack.enter_async_context(each.running())
        for n in range(2):
            new = [
                delivery(f"d{n}-{target}", alert=f"a{n}", target=target, says={"symbol": f"S{n}"})
                for target in range(urls)
            ]
            await outbox.put(*new)
        for each in worlds:
            each.wake.ring()
        await trio.sleep(1400)
    assert told_on_mail(worlds[0]) == {("S0", "firing"): 1, ("S1", "firing"): 1}


@pytest.mark.parametrize("gates", [DIGEST, QUIET], ids=["digest", "quiet"])
@pytest.mark.parametrize("state", ["firing", "reminder", "resolved"])
async def test_a_fallback_passes_by_its_own_quiet_and_digest(autojump_clock, state, gates):
    of = world(gates, name="mail")
    made = [
        delivery(f"d{n}", state, alert=f"a{n}", channel="mail", says={"symbol": f"S{n}"}) for n in range(2)
    ]
    for row, told in zip(made, ("desk", "mail"), strict=True):
        await of.put(msgspec.structs.replace(row, context={**row.context, "channels": [told]}))
    async with of.running():
        await trio.sleep(1)
        assert len(titles(of)) == 1
        assert "S0" in titles(of)[0]


async def test_no_fallback_passes_by_a_storm(autojump_clock):
    of = world(STORM, name="mail")
    for n in range(40):
        row = delivery(f"d{n}", alert=f"a{n}", channel="mail")
        await of.put(msgspec.structs.replace(row, context={**row.context, "channels": ["desk"]}))
    async with of.running():
        await trio.sleep(30)
    assert titles(of) == ["🟠 storm: 40 alerts in 0 s: 40 × position-in-the-red"]


async def test_what_was_refused_waits_for_the_quiet_hours_end_though_another_is_taken(autojump_clock):
    of = world(ChannelGates(quiet=Calendar("UTC", (Window.parse("01:00-07:00"),))))
    of.sender.always = REFUSED
    async with of.running():
        await put(of, firing("a1", symbol="S1"), firing("a2", symbol="S2"))
        await trio.sleep(4500)
        of.sender.always = SENT
        await put(of, firing("c1", "critical", symbol="C1"))
        await trio.sleep(3600)
        assert ["C1" in title for title in titles(of)] == [True]
        await trio.sleep(6 * 3600)
    read = "\n".join(f"{message.title}\n{message.body}" for _, message in of.sender.told[1:])
    assert [read.count(f"-60 USD {symbol} long: ") for symbol in ("S1", "S2")] == [1, 1]
    assert {row.status for row in of.outbox.rows.values()} == {"sent"}
