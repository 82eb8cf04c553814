"""What a channel counts: requests by their outcome, how long its messages took, what was given up or handed over."""

import pytest
import trio

from support.channel_world import World
from support.outboxes import FAILED, REFUSED, SENT, ScriptedSender, delivery


@pytest.mark.parametrize(
    ("answers", "sends", "up"),
    [
        ((SENT,), {"sent": 1}, True),
        ((FAILED, FAILED, SENT), {"failed": 2, "sent": 1}, True),
        ((REFUSED,), {"refused": 1}, False),
    ],
)
async def test_requests_are_counted_by_their_outcome(outbox, autojump_clock, answers, sends, up):
    world = World(outbox, ScriptedSender(*answers), fallback=("mail", 1))
    await outbox.put(delivery("d1"))
    async with world.running():
        await trio.sleep(8)
    assert dict(world.meters.sends) == sends
    assert world.meters.up == {0: up}
    assert world.meters.send_seconds.cumulative[-1] == sum(sends.values())
    assert world.meters.delay["warning"].cumulative[-1] == sends.get("sent", 0)
    assert world.meters.fallbacks == sends.get("refused", 0)
    assert world.meters.dead == 0


@pytest.mark.parametrize(
    ("severity", "counted"), [("critical", "critical"), ("cr\ufffdtical", "warning"), ("", "warning")]
)
async def test_a_severity_that_a_disk_has_damaged_is_sent_and_counted(
    outbox, autojump_clock, severity, counted
):
    world = World(outbox, ScriptedSender())
    await outbox.put(delivery("d1", severity=severity), delivery("d2", alert="a2"))
    async with world.running():
        await trio.sleep(1)
    assert world.sender.ids() == ["d1", "d2"]
    assert world.meters.delay[counted].cumulative[-1] == (2 if counted == "warning" else 1)
