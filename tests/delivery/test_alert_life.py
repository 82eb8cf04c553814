"""What of an alert stands in a chat: its message edited and replied to, on the memory outbox and on the real store."""

from pathlib import Path
from typing import Any

import pytest
import trio
import yaml

from support.channel_world import channel_task
from support.outboxes import TrioClock, delivery
from tocsin.alerts.message import Edit
from tocsin.alerts.wording import Style
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.chat_sender import ChatSender, Posted
from tocsin.delivery.edits import remark_edits
from tocsin.delivery.model import Channel, ChannelSettings
from tocsin.delivery.service_responses import ServiceResponse
from tocsin.delivery.timing import Wake
from tocsin.delivery.web_api import Answer
from tocsin.secrets import Secret

CASES = yaml.safe_load(Path(__file__).with_name("alert_life.yaml").read_text())
TAKEN = Answer(ServiceResponse(how="http", status=200, text="ok"))
FAILED = Answer(ServiceResponse(how="http", status=500, text="oops"))
GONE = Answer(ServiceResponse(how="http", status=400, text="message to edit not found", means="refused"))


class FakeChat:
    """A chat that remembers. `chat` holds [title, body, what it replies to, silent] by number."""

    service = "Telegram"

    def __init__(self, can, script) -> None:
        self.can = frozenset(can)
        self.script = [
            name
            for each in script
            for name in ([*each] * next(iter(each.values())) if isinstance(each, dict) else [each])
        ]
        self.chat: dict[str, list[Any]] = {}
        self.calls: list[str] = []

    async def prepare(self) -> None:
        pass

    async def post(self, recipient, message, reply_to) -> Posted:
        self.calls.append("post")
        await trio.lowlevel.checkpoint()
        does = self.script.pop(0) if self.script else "take"
        if does == "fail":
            return Posted(FAILED)
        id_ = str(len(self.chat) + 1)
        self.chat[id_] = [message.title, message.body, int(reply_to[1]) if reply_to else None, message.silent]
        return Posted(TAKEN, None if does.endswith("without an id") or not self.can else (recipient, id_))

    async def update(self, at, message) -> Posted:
        self.calls.append("update")
        await trio.lowlevel.checkpoint()
        does = self.script.pop(0) if self.script else "take"
        if does in ("fail", "gone"):
            return Posted(FAILED if does == "fail" else GONE, gone=does == "gone")
        self.chat[at[1]][:2] = [message.title, message.body]
        return Posted(TAKEN, at)


def task(outbox, chat, wake, settings) -> ChannelTask:
    made = ChannelSettings(urls=(Secret("json://x"),), **settings)

    async def tell(occurrence):
        raise AssertionError(f"nobody is to be told {occurrence}")

    channel = Channel(name="desk", target=0, settings=made, style=Style())
    sender = ChatSender(chat, ("me",), name="desk", mask=str)
    return channel_task(channel, sender, outbox, wake, clock=TrioClock(), tell=tell)


def told(words: str, at: float):
    if words == "ended":
        return delivery("resolved", "resolved", at=at, says={"reason": "position closed: stop_loss"})
    if words == "ack":
        return delivery(words, "reminder", at=at, says={"acked_by": "anna"})
    return delivery(words, words, at=at)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_the_life_of_one_alert_in_a_chat(outbox, case, autojump_clock):
    chat, wake = FakeChat(case.get("can", ["edit", "reply"]), case.get("script", ())), Wake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task(outbox, chat, wake, case.get("settings", {})).run)
        for each in case["tells"]:
            words, at = each.rsplit("@", 1)
            await trio.sleep_until(float(at))
            if words in ("firing", "reminder", "resolved", "ended", "ack"):
                await outbox.put(told(words, float(at)))
            else:
                await outbox.put(
                    *remark_edits([delivery("firing")], Edit(at=TrioClock().now().wall, words=words))
                )
            wake.ring()
            await trio.sleep(0.01)
        await trio.sleep_until(case.get("until", 3000.0))
        nursery.cancel_scope.cancel()
    shown = [[title, reply, silent] for title, _, reply, silent in chat.chat.values()]
    assert shown == case.get("chat", shown)
    assert chat.calls == case.get("calls", chat.calls)
    assert case.get("says", "") in next(iter(chat.chat.values()))[1]
    assert outbox.by_state() | case.get("rows", {}) == outbox.by_state()


async def test_a_handle_that_can_t_be_read_is_none(outbox, autojump_clock):
    chat, wake = FakeChat(["edit", "reply"], ()), Wake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task(outbox, chat, wake, {}).run)
        await outbox.put(delivery("firing"))
        wake.ring()
        await trio.sleep(1)
        outbox.set_handle("firing", "{")
        await outbox.put(delivery("resolved", "resolved", at=1))
        wake.ring()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert chat.calls == ["post", "post"]
