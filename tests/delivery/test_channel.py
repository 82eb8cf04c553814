"""The way of a delivery: in order, until it is told, on the memory outbox and on the real store."""

import re
from datetime import timedelta

import msgspec
import pytest
import trio
from structlog.testing import capture_logs

from support.both_outboxes import InMemory
from support.channel_world import World
from support.outboxes import (
    FAILED,
    REFUSED,
    SENT,
    ScriptedSender,
    delivery,
    handed_id,
)
from tocsin.alerts.wording import Style
from tocsin.delivery.channel_events import CHAT
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.delivery.model import Channel, Message, Outcome
from tocsin.delivery.pace import Paces
from tocsin.delivery.timing import Wake


async def test_what_waits_at_the_start_goes_out_oldest_first(outbox, autojump_clock):
    world = World(outbox, ScriptedSender())
    await outbox.put(
        delivery("d1", alert="a1"), delivery("d2", alert="a2"), delivery("d3", "resolved", alert="a3")
    )
    async with world.running():
        await trio.sleep(0.01)
    assert world.sender.ids() == ["d1", "d2", "d3"]
    assert set((await outbox.statuses()).values()) == {"sent"}


async def test_what_comes_in_wakes_it_at_once(outbox, autojump_clock):
    world = World(outbox, ScriptedSender())
    async with world.running():
        await trio.sleep(7)
        await world.put(delivery("d1", at=7))
        await trio.sleep(0.01)
    assert world.sender.times() == [7.0]


async def test_other_channels_and_targets_are_left_alone(outbox, autojump_clock):
    world = World(outbox, ScriptedSender())
    await outbox.put(delivery("d1", channel="phone"), delivery("d2", target=1), delivery("d3", alert="a2"))
    async with world.running():
        await trio.sleep(100)
    assert world.sender.ids() == ["d3"]


async def test_the_message_is_the_context_s(outbox, autojump_clock):
    world = World(outbox, ScriptedSender())
    await outbox.put(delivery("d1"))
    async with world.running():
        await trio.sleep(0.01)
    ((_, message),) = world.sender.told
    assert message.title == "🟠 -60 USD BTCUSD long: profit -60 < -50 · fx"
    assert message.severity == "warning"
    assert "late" not in message.body


class TestRetry:
    async def test_one_second_doubling_to_five_minutes(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=FAILED))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(1500)
        gaps = [b - a for a, b in zip(world.sender.times(), world.sender.times()[1:], strict=False)]
        assert gaps == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300], abs=0.01)
        assert await outbox.statuses() == {"d1": "pending"}
        assert await outbox.error("d1") == "Slack: 500 oops"

    async def test_jitter_spreads_it(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(FAILED, FAILED), jitter=0.5)
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(10)
        assert world.sender.times() == pytest.approx([0, 0.5, 1.5], abs=0.01)

    async def test_retry_after_is_obeyed(self, outbox, autojump_clock):
        too_fast = Outcome(sent=False, answer="Slack: 429 rate_limited", retry_after=90.0)
        world = World(outbox, ScriptedSender(too_fast))
        await outbox.put(delivery("d1"), delivery("d2", alert="a2"))
        async with world.running():
            await trio.sleep(200)
        assert world.sender.times()[0] == 0
        assert min(world.sender.times()[1:]) >= 90  # and nothing else meanwhile
        assert sorted(world.sender.ids()) == ["d1", "d2"]

    async def test_a_sender_that_hangs_counts_as_failed(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender("hang"))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(60)
        assert world.sender.ids() == ["d1"]
        assert world.sender.times() == pytest.approx([0, 46], abs=0.01)

    async def test_what_goes_out_late_says_by_how_much(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(*[FAILED] * 7))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(300)
        assert "late by 2 min" in world.sender.told[0][1].body

    async def test_one_message_that_the_service_chokes_on_blocks_no_other(self, outbox, autojump_clock):
        class Choking(ScriptedSender):
            async def send(self, message):
                self.always = FAILED if message.delivery_id == "poison" else SENT
                return await super().send(message)

        world = World(outbox, Choking())
        await outbox.put(delivery("poison", alert="p"), *(delivery(f"d{n}", alert=f"a{n}") for n in range(5)))
        async with world.running():
            await trio.sleep(60)
        assert sorted(world.sender.ids()) == ["d0", "d1", "d2", "d3", "d4"]
        assert (await outbox.statuses())["poison"] == "pending"

    async def test_a_clock_set_back_puts_nothing_off(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(FAILED))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(0.5)
            world.clock.wall_jump = timedelta(days=-1)
            await trio.sleep(5)
        assert world.sender.ids() == ["d1"]


class TestGivingUp:
    async def test_dead_after_expire_told_once_and_on_the_fallback(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=FAILED), fallback=("mail", 2))
        await outbox.put(delivery("d1", expire=3600.0), delivery("d2", alert="a2", expire=3600.0))
        async with world.running():
            await trio.sleep(4000)
        assert await outbox.statuses() == {"d1": "dead", "d2": "dead"}
        assert await outbox.statuses("mail") == dict.fromkeys(
            [handed_id(alert, target=target) for alert in ("a1", "a2") for target in (0, 1)], "pending"
        )
        (told,) = world.occurrences
        assert (told.event, told.state.subject) == ("daemon.delivery_failed", "desk")
        assert told.state.reason == "Slack: 500 oops"

    async def test_after_a_long_time_down_it_is_tried_once_before_it_is_given_up(
        self, outbox, autojump_clock
    ):
        world = World(outbox, ScriptedSender())
        await trio.sleep(10_000)
        await outbox.put(delivery("d1", expire=3600.0))
        async with world.running():
            await trio.sleep(1)
        assert world.sender.ids() == ["d1"]
        assert "late by 2 h 46 min" in world.sender.told[0][1].body

    async def test_what_was_refused_is_tried_again_when_another_is_taken(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(REFUSED, REFUSED))
        await outbox.put(delivery("d1"), delivery("d2", alert="a2"))
        async with world.running():
            await trio.sleep(60)
            await world.put(delivery("d3", alert="a3", at=60))
            await trio.sleep(1)
        assert world.sender.ids() == ["d3", "d1", "d2"]
        assert world.sender.times() == pytest.approx([0, 0, 60, 60, 60], abs=0.5)

    async def test_what_is_refused_for_its_own_sake_is_tried_twice_in_ten_minutes(
        self, outbox, autojump_clock
    ):
        class Picky(ScriptedSender):
            async def send(self, message):
                self.always = REFUSED if message.delivery_id == "bad" else SENT
                return await super().send(message)

        world = World(outbox, Picky())
        await outbox.put(delivery("bad", alert="bad"))
        async with world.running():
            for number in range(110):
                await trio.sleep(10)
                await world.put(delivery(f"d{number}", alert=f"a{number}", at=10.0 * number))
        tried = [at for at, message in world.sender.tries if message.delivery_id == "bad"]
        assert tried == pytest.approx([0, 10, 610, 615], abs=6)

    async def test_told_again_after_the_channel_had_worked_in_between(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(REFUSED, SENT, REFUSED, REFUSED))
        await outbox.put(delivery("d1"), delivery("d2", alert="a2"), delivery("d3", alert="a3"))
        async with world.running():
            await trio.sleep(1)
        assert [told.event for told in world.occurrences] == [
            "daemon.delivery_failed", "daemon.delivery_recovered", "daemon.delivery_failed",
        ]  # fmt: skip

    async def test_a_failure_to_tell_of_a_failure_is_not_told(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=REFUSED))
        says = {"kind": "daemon", "event": "daemon.delivery_failed"}
        await outbox.put(delivery("d1", says=says))
        async with world.running():
            await trio.sleep(10)
        assert world.occurrences == []


class TestFallback:
    async def test_one_that_is_told_anyway_gets_no_second_copy(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=REFUSED), fallback=("mail", 1))
        told_both = delivery("d1", expire=3600.0, severity="critical")
        told_both = msgspec.structs.replace(
            told_both, context={**told_both.context, "channels": ["desk", "mail"]}
        )
        await outbox.put(told_both, delivery("d2", alert="a2"))
        async with world.running():
            await trio.sleep(4000)
        assert set(await outbox.statuses("mail")) == {handed_id("a2")}

    async def test_a_refusal_goes_there_at_once_and_is_tried_again_slowly(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(REFUSED, REFUSED), fallback=("mail", 1))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(1)
            assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}
            await trio.sleep(2000)
        assert world.sender.times() == pytest.approx([0, 600, 1200], abs=0.01)
        assert await outbox.statuses() == {"d1": "sent"}
        assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}  # once
        (handed,) = await outbox.waiting("a1", "mail", 0)
        assert handed.context["notes"] == ["sent here because desk did not take it: Slack: 403 invalid_token"]

    async def test_the_error_says_who_has_it(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=REFUSED), fallback=("mail", 1))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(1)
        assert await outbox.error("d1") == "Slack: 403 invalid_token"
        assert await outbox.handed_to("d1") == "mail"

    async def test_what_is_said_there_says_why(self, outbox, autojump_clock):
        desk = World(outbox, ScriptedSender(always=REFUSED), fallback=("mail", 1))
        await outbox.put(delivery("d1"))
        async with desk.running():
            await trio.sleep(1)
        mail = World(outbox, ScriptedSender())
        mail.channel = Channel(name="mail", target=0, settings=mail.channel.settings, style=Style())
        async with mail.running():
            await trio.sleep(1)
        ((_, message),) = mail.sender.told
        assert message.title == "🟠 -60 USD BTCUSD long: profit -60 < -50 · fx"
        assert "sent here because desk did not take it: Slack: 403 invalid_token" in message.body

    @pytest.mark.parametrize("always", [FAILED, "hang"])
    async def test_a_critical_one_goes_there_after_a_minute_once(self, outbox, always, autojump_clock):
        world = World(outbox, ScriptedSender(always=always), fallback=("mail", 1))
        await outbox.put(
            delivery("d0", alert="a0"), delivery("d1", severity="critical"), delivery("d2", alert="a2")
        )
        async with world.running():
            await trio.sleep(59.9)
            assert await outbox.statuses("mail") == {}
            await trio.sleep(0.2)
            assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}
            await trio.sleep(600)
        assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}
        assert len(world.occurrences) == 1

    async def test_what_is_being_handed_over_when_the_channel_ends_is_handed_over(
        self, outbox, autojump_clock
    ):
        record = outbox.record

        async def slow(attempts):
            await trio.sleep(1)
            return await record(attempts)

        outbox.record = slow
        world = World(outbox, ScriptedSender(always="hang"), fallback=("mail", 1))
        await outbox.put(delivery("d1", severity="critical"))
        with trio.move_on_after(60.5):  # as a reload ends it
            async with world.running():
                await trio.sleep_forever()
        assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}

    @pytest.mark.parametrize("severity", ["warning", "critical"])
    async def test_a_critical_one_goes_there_however_much_waits_before_it(
        self, outbox, severity, autojump_clock
    ):
        world = World(outbox, ScriptedSender(always="hang"), fallback=("mail", 1))
        waits = [delivery(f"w{n}", alert=f"w{n}", severity=severity) for n in range(600)]
        await outbox.put(*waits, delivery("last", alert="last", severity="critical"))
        async with world.running():
            await trio.sleep(61)
            (handed,) = await outbox.waiting("last", "mail", 0)
        assert handed.severity == "critical"
        assert len(await outbox.statuses("mail")) == (601 if severity == "critical" else 1)

    @pytest.mark.parametrize("answer", [SENT, REFUSED, FAILED])
    @pytest.mark.parametrize("expire", [65.0, 86400.0])
    async def test_handed_over_while_it_is_being_sent(self, outbox, answer, expire, autojump_clock):
        world = World(outbox, ScriptedSender(always=answer, takes=40.0), fallback=("mail", 1))
        async with world.running():
            await trio.sleep(30)
            await world.put(
                delivery("d0", alert="a0", severity="critical", at=30),
                delivery("d1", severity="critical", at=30, expire=expire),
            )
            await trio.sleep(1000)
        handed = [id_ for id_ in await outbox.statuses("mail") if id_.startswith("a1")]
        assert handed == [handed_id("a1", at=30)]
        if answer is SENT:
            assert await outbox.statuses() == {"d0": "sent", "d1": "sent"}

    @pytest.mark.parametrize("words", ["; handed to queue", "x; handed to mail", "; handed to "])
    @pytest.mark.parametrize("severity", ["warning", "critical"])
    async def test_a_service_s_own_words_are_not_taken_for_a_hand_over(
        self, outbox, words, severity, autojump_clock
    ):
        """As mail servers have them: `451 deferred; handed to queue`."""
        said = Outcome(sent=False, answer=f"SMTP: 451 deferred{words}")
        world = World(outbox, ScriptedSender(always=said), fallback=("mail", 1))
        await outbox.put(delivery("d1", severity=severity, expire=300.0))
        async with world.running():
            await trio.sleep(1000)
        assert await outbox.statuses() == {"d1": "dead"}
        assert await outbox.error("d1") == said.answer
        assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}

    async def test_once_across_a_restart_too(self, outbox, autojump_clock):
        await outbox.put(delivery("d1", severity="critical"))
        for _ in range(3):
            async with World(outbox, ScriptedSender(always=FAILED), fallback=("mail", 1)).running():
                await trio.sleep(100)
        assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}

    async def test_a_critical_one_that_waited_while_the_daemon_was_down_is_tried_here_first(
        self, outbox, autojump_clock
    ):
        await trio.sleep(3600)
        await outbox.put(delivery("d1", severity="critical"))
        async with World(outbox, ScriptedSender(takes=1.0), fallback=("mail", 1)).running():
            await trio.sleep(100)
        assert await outbox.statuses() == {"d1": "sent"}
        assert await outbox.statuses("mail") == {}

    async def test_a_critical_one_that_arrives_in_time_stays_here(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(FAILED, FAILED, FAILED), fallback=("mail", 1))
        await outbox.put(delivery("d1", severity="critical"))
        async with world.running():
            await trio.sleep(300)
        assert await outbox.statuses("mail") == {}

    async def test_whoever_heard_of_the_firing_hears_of_the_end(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(REFUSED), fallback=("mail", 1))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(700)  # refused, handed over, and taken after ten minutes after all
            await world.put(delivery("d2", "resolved", at=700))
            await trio.sleep(1)
        assert world.sender.ids() == ["d1", "d2"]
        assert list(await outbox.statuses("mail")) == [handed_id("a1"), handed_id("a1", "resolved", at=700)]

    @pytest.mark.parametrize("severity", ["warning", "critical"])
    async def test_two_urls_that_fail_hand_it_over_once(self, outbox, severity, autojump_clock):
        answer = REFUSED if severity == "warning" else FAILED
        first = World(outbox, ScriptedSender(always=answer), fallback=("mail", 2))
        second = World(outbox, ScriptedSender(always=answer), fallback=("mail", 2), target=1)
        await outbox.put(*(delivery(f"d{n}", target=n, severity=severity) for n in (0, 1)))
        async with first.running(), second.running():
            await trio.sleep(100)
            await outbox.put(
                *(delivery(f"e{n}", "resolved", at=100, target=n, severity=severity) for n in (0, 1))
            )
            first.wake.ring()
            second.wake.ring()
            await trio.sleep(1000)
        assert list(await outbox.statuses("mail")) == [
            handed_id("a1"),
            handed_id("a1", target=1),
            handed_id("a1", "resolved", at=100),
            handed_id("a1", "resolved", at=100, target=1),
        ]
        for each in ("e0", "e1"):  # both know that it has them
            assert await outbox.handed_to(each) == "mail"

    async def test_two_channels_with_one_fallback_hand_it_over_once(self, outbox, autojump_clock):
        desk = World(outbox, ScriptedSender(always=REFUSED), fallback=("mail", 1))
        phone = World(outbox, ScriptedSender(always=REFUSED), fallback=("mail", 1), name="phone")
        await outbox.put(delivery("d1"), delivery("d2", channel="phone"))
        async with desk.running(), phone.running():
            await trio.sleep(1)
        assert list(await outbox.statuses("mail")) == [handed_id("a1")]

    async def test_each_reminder_is_handed_over_by_itself(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(SENT, REFUSED, SENT, REFUSED), fallback=("mail", 1))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(5)
            for n in (5, 1000):
                await world.put(delivery(f"r{n}", "reminder", at=n))
                await trio.sleep(995)
        assert list(await outbox.statuses("mail")) == [
            handed_id("a1", "reminder", at=5),
            handed_id("a1", "reminder", at=1000),
        ]

    async def test_whoever_heard_of_the_firing_hears_of_the_end_after_a_restart(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(REFUSED), fallback=("mail", 1))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(700)
        assert await outbox.statuses() == {"d1": "sent"}
        again = World(outbox, ScriptedSender(), fallback=("mail", 1))
        await outbox.put(delivery("d2", "resolved", at=700))
        async with again.running():
            await trio.sleep(1)
        assert again.sender.ids() == ["d2"]
        assert list(await outbox.statuses("mail")) == [
            handed_id("a1"),
            handed_id("a1", "resolved", at=700),
        ]

    async def test_whoever_heard_of_it_by_another_url_hears_of_the_end(self, outbox, autojump_clock):
        first = World(outbox, ScriptedSender(), fallback=("mail", 1))
        second = World(outbox, ScriptedSender(REFUSED, always="hang"), fallback=("mail", 1), target=1)
        await outbox.put(delivery("d0"), delivery("d1", target=1))
        async with first.running(), second.running():
            await trio.sleep(700)
            await first.put(delivery("e0", "resolved", at=700))
            await trio.sleep(1)
        assert handed_id("a1", "resolved", at=700) in await outbox.statuses("mail")

    async def test_who_was_told_of_the_firing_itself_is_handed_no_end(self, outbox, autojump_clock):
        """A fallback may want no resolutions."""
        world = World(outbox, ScriptedSender(), fallback=("mail", 1))
        firing = delivery("d1", channel="mail")
        firing = msgspec.structs.replace(firing, context={**firing.context, "channels": ["desk", "mail"]})
        await outbox.put(firing, delivery("d2", "resolved", at=1))
        async with world.running():
            await trio.sleep(10)
        assert world.sender.ids() == ["d2"]
        assert set(await outbox.statuses("mail")) == {"d1"}

    async def test_a_resolution_that_waits_with_its_handed_firing_is_handed_too(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=FAILED), fallback=("mail", 1))
        await outbox.put(delivery("d1", severity="critical"))
        async with world.running():
            await trio.sleep(100)
            await world.put(delivery("d2", "resolved", at=100, severity="critical"))
            await trio.sleep(100)
        assert list(await outbox.statuses("mail")) == [handed_id("a1"), handed_id("a1", "resolved", at=100)]
        handed = (await outbox.waiting("a1", "mail", 0))[1]
        assert not any("not told before" in note for note in handed.context["notes"])


class TestOrder:
    async def test_never_resolved_before_firing(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender())
        await outbox.put(delivery("d1"), delivery("d2", "resolved"))
        async with world.running():
            await trio.sleep(1)
        assert world.sender.ids() == ["d1", "d2"]

    async def test_what_waited_in_vain_is_one_message(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(*[FAILED] * 6))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(40)
            await world.put(delivery("d2", "reminder", at=40), delivery("d3", "resolved", at=40))
            await trio.sleep(100)
        ((_, message),) = world.sender.told
        assert message.delivery_id == "d3"
        assert message.title.startswith("🟢 resolved: ")
        assert "was firing from 00:00:00 UTC to 00:00:40" in message.body
        assert await outbox.statuses() == {"d1": "superseded", "d2": "superseded", "d3": "sent"}

    async def test_what_waited_while_the_daemon_was_down_is_one_message_too(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender())
        await outbox.put(delivery("d1"), delivery("d2", "resolved", at=3))
        await trio.sleep(30)
        async with world.running():
            await trio.sleep(1)
        assert world.sender.ids() == ["d2"]
        assert await outbox.statuses() == {"d1": "superseded", "d2": "sent"}

    async def test_that_message_failing_loses_nothing(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(always=FAILED))
        await outbox.put(delivery("d1"), delivery("d2", "resolved", at=1))
        async with world.running():
            await trio.sleep(200)
        assert await outbox.statuses() == {"d1": "pending", "d2": "pending"}
        again = World(outbox, ScriptedSender())
        async with again.running():
            await trio.sleep(400)
        assert again.sender.ids() == ["d2"]
        assert await outbox.statuses() == {"d1": "superseded", "d2": "sent"}

    async def test_a_firing_that_is_acknowledged_while_it_waits_is_told_as_that(self, outbox, autojump_clock):
        """Not as one that nobody has acknowledged; the fallback, which has the firing, hears of the ack."""
        world = World(outbox, ScriptedSender(*[REFUSED] * 2), fallback=("mail", 1))
        await outbox.put(delivery("d1", says={"unacknowledged": 600.0}))
        async with world.running():
            await trio.sleep(40)
            await world.put(
                delivery("d2", "reminder", at=40),
                delivery("d3", "reminder", at=50, says={"acked_by": "anna"}),
            )
            await trio.sleep(1300)
        ((_, message),) = world.sender.told
        assert message.delivery_id == "d3"
        assert message.title.startswith("🟠 acknowledged by anna: late 19 min: ")
        assert "firing since 00:00:00 UTC; not told before" in message.body
        assert await outbox.statuses() == {"d1": "superseded", "d2": "superseded", "d3": "sent"}
        assert set(await outbox.statuses("mail")) == {handed_id("a1"), handed_id("a1", "reminder", at=50)}

    async def test_one_that_is_acknowledged_at_once_is_told_before_that(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender())
        await outbox.put(delivery("d1"), delivery("d2", "reminder", at=1, says={"acked_by": "anna"}))
        async with world.running():
            await trio.sleep(2)
        assert world.sender.ids() == ["d1", "d2"]

    async def test_an_acknowledgement_that_is_over_by_then_is_not_told(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(*[FAILED] * 6))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(40)
            await world.put(
                delivery("d2", "reminder", at=40, says={"acked_by": "anna"}),
                delivery("d3", "reminder", at=45),
            )
            await trio.sleep(100)
        assert world.sender.ids() == ["d1"]
        assert await outbox.statuses() == {"d1": "sent", "d2": "superseded", "d3": "superseded"}

    async def test_reminders_give_way_to_the_newest(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender())
        await outbox.put(delivery("d1", "reminder"), delivery("d2", "reminder", at=0.001))
        async with world.running():
            await trio.sleep(1)
        assert world.sender.ids() == ["d2"]
        assert await outbox.statuses() == {"d1": "superseded", "d2": "sent"}


class TestPace:
    async def test_our_rate_holds_in_every_minute(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(), rate="20/min")
        await outbox.put(*(delivery(f"d{n}", alert=f"a{n}") for n in range(50)))
        async with world.running():
            await trio.sleep(200)
        times = world.sender.times()
        assert len(times) == 21, "what waits too long for the pace is one message"
        assert all(later - earlier >= 60 for earlier, later in zip(times, times[20:], strict=False))

    async def test_the_service_s_own_limit(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(), url="slack://T1JJ3T3L2/A1BRTD4JD/x/#desk")
        await outbox.put(*(delivery(f"d{n}", alert=f"a{n}") for n in range(4)))
        async with world.running():
            await trio.sleep(10)
        assert world.sender.times() == pytest.approx([0, 1, 2, 3], abs=0.01)


class TestCrash:
    async def test_between_send_and_record_it_is_sent_again_with_the_same_id(
        self, outbox, monkeypatch, autojump_clock
    ):
        world = World(outbox, ScriptedSender())
        await outbox.put(delivery("d1"))

        async def crash(_attempts):
            raise RuntimeError("kill -9")

        with monkeypatch.context() as patch:
            patch.setattr(outbox, "record", crash)
            with pytest.raises(BaseExceptionGroup):
                await world.run()
        again = World(outbox, ScriptedSender())
        async with again.running():
            await trio.sleep(1)
        assert world.sender.ids() == again.sender.ids() == ["d1"]
        assert await outbox.statuses() == {"d1": "sent"}

    async def test_stopped_while_a_message_is_on_its_way_it_is_recorded(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(takes=2.0))
        await outbox.put(delivery("d1"), delivery("d2", alert="a2"))
        async with world.running():
            await trio.sleep(1)
        assert trio.current_time() == pytest.approx(2.0, abs=0.01)
        assert await outbox.statuses() == {"d1": "sent", "d2": "pending"}

    async def test_stopping_waits_no_longer_than_four_seconds(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(takes=30.0))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(1)
        assert trio.current_time() == pytest.approx(5.0, abs=0.01)
        assert await outbox.statuses() == {"d1": "pending"}

    async def test_a_bug_is_loud_and_holds_up_no_other_message(self, outbox, autojump_clock):
        class Buggy(ScriptedSender):
            async def send(self, message):
                if message.delivery_id == "d1":
                    raise ZeroDivisionError
                return await super().send(message)

        world = World(outbox, Buggy())
        await outbox.put(delivery("d1"), delivery("d2", alert="a2"))
        with capture_logs() as logs:
            async with world.running():
                await trio.sleep(100)
        assert world.sender.ids() == ["d2"]
        assert await outbox.error("d1") == "desk: internal error (ZeroDivisionError)"
        assert {entry["log_level"] for entry in logs if entry.get("exc_info")} == {"error"}
        assert [told.event for told in world.occurrences] == ["daemon.delivery_failed"]


class TestOutage:
    """Whoever isn't told must be told that: once an outage, on the other channels, and of its end."""

    def told(self, world):
        return [(told.event.removeprefix("daemon."), told.state.reason) for told in world.occurrences]

    @pytest.mark.parametrize("answer", [FAILED, "hang"])
    @pytest.mark.parametrize("severity", ["info", "critical"])
    async def test_what_is_refused_or_unanswered_for_a_minute_is_told_once(
        self, outbox, answer, severity, autojump_clock
    ):
        world = World(outbox, ScriptedSender(always=answer))
        await outbox.put(*(delivery(f"d{n}", alert=f"a{n}", severity=severity) for n in range(3)))
        async with world.running():
            await trio.sleep(59.9)
            assert world.occurrences == []
            await trio.sleep(0.2)
            reason = "Slack: 500 oops" if answer is FAILED else "desk: no answer within 45 s"
            assert self.told(world) == [("delivery_failed", reason)]
            assert "channel desk does not take messages" in world.outages.attention({"desk": 1})[0]
            await trio.sleep(3600)
            assert len(world.occurrences) == 1
            world.sender.always = SENT
            await trio.sleep(400)
        assert [event for event, _ in self.told(world)] == ["delivery_failed", "delivery_recovered"]
        assert world.occurrences[1].state.subject == "desk"
        assert reason in world.occurrences[1].state.reason
        assert world.outages.attention({"desk": 1}) == []

    async def test_what_arrives_within_the_minute_is_not_told(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(*[FAILED] * 5))
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(300)
        assert world.sender.ids() == ["d1"]
        assert world.occurrences == []

    async def test_what_waits_for_its_turn_is_not_told(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(), rate="1/min", fallback=("mail", 1))
        await outbox.put(*(delivery(f"d{n}", alert=f"a{n}", severity="critical") for n in range(5)))
        async with world.running():
            await trio.sleep(600)
        assert set((await outbox.statuses()).values()) == {"sent"}
        assert world.occurrences == []

    async def test_one_that_is_never_taken_is_told_once_while_others_arrive(self, outbox, autojump_clock):
        class Choking(ScriptedSender):
            async def send(self, message):
                self.always = FAILED if message.delivery_id == "poison" else SENT
                return await super().send(message)

        world = World(outbox, Choking())
        await outbox.put(delivery("poison", alert="p"))
        async with world.running():
            for n in range(5):
                await world.put(delivery(f"d{n}", alert=f"a{n}", at=30.0 * n))
                await trio.sleep(30)
            await trio.sleep(3000)
        assert [event for event, _ in self.told(world)] == ["delivery_failed", "delivery_recovered"]
        assert world.occurrences[1].state.reason.endswith("; 1 not delivered yet")

    async def test_across_a_restart_it_is_the_same_outage(self, outbox, autojump_clock):
        first = World(outbox, ScriptedSender(always=FAILED))
        await outbox.put(delivery("d1"))
        async with first.running():
            await trio.sleep(100)
        again = World(outbox, ScriptedSender(FAILED))
        again.outages = Outages(Notes(first.notes.under("")))
        async with again.running():
            await trio.sleep(1000)
        assert [event for event, _ in self.told(first)] == ["delivery_failed"]
        assert [event for event, _ in self.told(again)] == ["delivery_recovered"]

    async def test_two_urls_of_a_channel_are_one_outage(self, outbox, autojump_clock):
        first = World(outbox, ScriptedSender(always=FAILED))
        second = World(outbox, ScriptedSender(always=REFUSED), target=1)
        second.outages, second.occurrences = first.outages, first.occurrences
        await outbox.put(delivery("d0"), delivery("d1", target=1))
        async with first.running(), second.running():
            await trio.sleep(100)
            second.sender.always = SENT
            await trio.sleep(700)
            assert len(first.occurrences) == 1
            first.sender.always = SENT
            await trio.sleep(700)
        assert [event for event, _ in self.told(first)] == ["delivery_failed", "delivery_recovered"]

    async def test_failing_to_tell_of_a_failure_shows_and_hides_no_failure_after_it(
        self, outbox, autojump_clock
    ):
        world = World(outbox, ScriptedSender(always=FAILED))
        await outbox.put(delivery("d1", says={"kind": "daemon", "event": "daemon.delivery_failed"}))
        async with world.running():
            await trio.sleep(100)
            assert world.occurrences == []
            assert world.outages.attention({"desk": 1})
            await world.put(delivery("d2", alert="a2", at=100))
            await trio.sleep(400)
        assert self.told(world) == [("delivery_failed", "Slack: 500 oops")]


class TestRecipients:
    PARTLY = Outcome(
        sent=False, answer="Telegram: 500 Oops (to 111)", refused=("Telegram: 403 blocked (to 222)",)
    )
    BLOCKED = Outcome(sent=False, answer="Telegram: 403 blocked (to 222)", permanent=True)

    async def test_those_who_refuse_are_told_once_and_handed_over_while_the_rest_is_retried(
        self, outbox, autojump_clock
    ):
        world = World(
            outbox, ScriptedSender(self.PARTLY, self.PARTLY, always=self.BLOCKED), fallback=("mail", 1)
        )
        await outbox.put(delivery("d1"))
        async with world.running():
            await trio.sleep(1)
            assert await outbox.statuses("mail") == {handed_id("a1"): "pending"}
            (told,) = world.occurrences
            assert told.state.reason == "Telegram: 403 blocked (to 222)"
            await trio.sleep(1000)
        assert world.sender.times() == pytest.approx([0, 1, 3, 603], abs=0.01)
        assert len(world.occurrences) == 1
        assert list(await outbox.statuses("mail")) == [handed_id("a1")]


async def test_where_a_chat_has_moved_is_kept_and_told_once(outbox, autojump_clock):
    moved = Outcome(sent=True, answer="Telegram: 200", moved={"-42": "-10042"})
    world = World(outbox, ScriptedSender(moved))
    await outbox.put(delivery("d1"), delivery("d2", alert="a2"))
    async with world.running():
        await trio.sleep(1)
    assert world.notes.under(CHAT) == {"-42": "-10042"}
    (told,) = world.occurrences
    assert (told.event, told.state.subject) == ("daemon.degraded", "desk")
    assert "channel desk" in told.state.reason
    assert "tgram://…/-10042" in told.state.reason


class TestClock:
    """However the machine's clock is set: what waits is as old as the time that went by."""

    @pytest.mark.parametrize(
        "jump", [timedelta(hours=-2), timedelta(days=-3), timedelta(hours=2), timedelta(days=3)]
    )
    async def test_a_clock_that_is_set_neither_ages_nor_renews(self, outbox, jump, autojump_clock):
        world = World(outbox, ScriptedSender(*[FAILED] * 4))
        expire = 3600.0
        async with world.running():
            await trio.sleep(5000)
            await world.put(delivery("before", at=5000, expire=expire))
            await trio.sleep(0.5)
            world.clock.wall_jump = jump
            after = 5000.5 + jump.total_seconds()
            await world.put(delivery("after", alert="a2", at=after, expire=expire))
            await trio.sleep(60)
        assert sorted(world.sender.ids()) == ["after", "before"]
        late = [re.search(r"late by (.*)", message.body) for _, message in world.sender.told]
        assert [found[1] for found in late if found and not re.match(r"1?[0-9] s", found[1])] == []

    @pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(hours=2)])
    async def test_it_expires_when_its_time_is_up(self, outbox, jump, autojump_clock):
        world = World(outbox, ScriptedSender(always=FAILED), fallback=("mail", 1))
        async with world.running():
            await trio.sleep(10_000)
            world.clock.wall_jump = jump
            await world.put(
                delivery("d1", at=10_000 + jump.total_seconds(), expire=600.0, severity="critical")
            )
            await trio.sleep(59)
            assert await outbox.statuses("mail") == {}
            await trio.sleep(2)
            assert len(await outbox.statuses("mail")) == 1
            await trio.sleep(400)
            assert await outbox.statuses() == {"d1": "pending"}
            await trio.sleep(600)
        assert await outbox.statuses() == {"d1": "dead"}

    async def test_what_is_late_says_by_how_much_it_really_is(self, outbox, autojump_clock):
        world = World(outbox, ScriptedSender(*[FAILED] * 7))
        async with world.running():
            await trio.sleep(10_000)
            await world.put(delivery("d1", at=10_000))
            await trio.sleep(10)
            world.clock.wall_jump = timedelta(hours=-1)
            await trio.sleep(300)
        assert "late by 2 min" in world.sender.told[0][1].body


async def test_a_slow_channel_delays_no_other(outbox, autojump_clock):
    slow, fast = World(outbox, ScriptedSender(always="hang")), World(outbox, ScriptedSender())
    fast.channel = Channel(name="phone", target=0, settings=fast.channel.settings, style=Style())
    await outbox.put(delivery("d1"), delivery("d2", channel="phone"))
    async with slow.running(), fast.running():
        await trio.sleep(1)
    assert fast.sender.ids() == ["d2"]


async def test_a_context_that_another_version_kept_is_still_told(outbox, autojump_clock):
    world = World(outbox, ScriptedSender())
    strange = delivery("d1", severity="critical")
    await outbox.put(
        type(strange)(
            **{
                **{name: getattr(strange, name) for name in strange.__struct_fields__},
                "context": {"rule": "red", "profit": "-60"},
            }
        )
    )
    async with world.running():
        await trio.sleep(1)
    ((_, message),) = world.sender.told
    assert message.title == "🔴 firing: alert a1"
    assert '"profit": "-60"' in message.body
    assert message.severity == "critical"


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "sixty"},
        {"kind": "no kind of ours"},
        {"started_at": None},
        {"fields": {"profit": ["-60"]}},
        {"worst": "NaN?"},
    ],
)
async def test_a_context_that_no_message_can_be_made_of_is_told_and_holds_up_nothing(
    outbox, changes, autojump_clock
):
    world = World(outbox, ScriptedSender())
    strange = delivery("d1")
    context = {**strange.context, "title": "{{ profit }}", **changes}
    await outbox.put(msgspec.structs.replace(strange, context=context), delivery("d2", alert="a2"))
    async with world.running():
        await trio.sleep(1)
    assert world.sender.ids() == ["d1", "d2"]


async def test_every_ring_is_heard(autojump_clock):
    wake = Wake()
    seen = wake.count
    wake.ring()
    with trio.fail_after(1):
        await wake.after(seen)
    with trio.move_on_after(1) as scope:
        await wake.after(wake.count)
    assert scope.cancelled_caught


async def test_a_trial_message_goes_behind_all_alerts_and_leaves_no_claim(autojump_clock):
    paces = Paces(trio.current_time)
    of, other = (
        World(InMemory(), ScriptedSender(), url="tgram://1:a/-100", name=name, paces=paces)
        for name in ("desk", "phone")
    )
    trial = Message(title="a trial", body="", severity="info", delivery_id="trial")
    async with of.running(), other.running():
        await of.put(*(delivery(f"d{n}", alert=f"a{n}", severity="critical") for n in range(20)))
        await trio.sleep(19.5)  # the minute's twenty are gone
        with trio.move_on_after(20) as given_up:
            await of.task.send_aside(trial)
        assert given_up.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(of.task.send_aside, trial)
            await trio.sleep(1)
            await other.put(delivery("c1", alert="c1", severity="critical", channel="phone"))
            await trio.sleep(60)
    assert [at for at, _ in other.sender.tries] == pytest.approx([60.0], abs=0.2)
    assert [at for at, made in of.sender.tries if made.delivery_id == "trial"] == pytest.approx(
        [61.0], abs=0.2
    )
