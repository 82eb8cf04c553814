"""The long poll of one bot: what goes wrong with it is told once, and keeps no press from being answered."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from support.daemon_parts import Lines
from support.outboxes import TrioClock
from tocsin.app.answers import OFFSET, BotAnswers
from tocsin.config.settings import Person
from tocsin.delivery.channel_state import Notes
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.service_responses import ServiceResponse
from tocsin.delivery.web_api import Answer
from tocsin.secrets import Masker, Secret
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import ButtonRow

TOKEN, CHAT, ANNA = "123456789:abcdefg_hijklmnop", "42", 7


def came(*updates: dict[str, Any]) -> Answer:
    return Answer(ServiceResponse(how="http", status=200, text="ok"), {"ok": True, "result": list(updates)})


def failed(status: int | None, text: str = "oops") -> Answer:
    return Answer(ServiceResponse(how="http", status=status, text=text))


def press(update: int, data: str = "b1", user: int = ANNA, **more: Any) -> dict[str, Any]:
    message = {"message_id": 5, "chat": {"id": int(CHAT)}}
    return {
        "update_id": update,
        "callback_query": {
            "id": f"q{update}",
            "from": {"id": user},
            "message": message,
            "data": data,
            **more,
        },
    }


class FakeUpdates:
    """Telegram, as it is scripted; then nothing happens any more."""

    def __init__(self, *answers: Answer) -> None:
        self.script, self.polls, self.said = list(answers), [], []

    async def poll(self, offset: int) -> Answer:
        self.polls.append((trio.current_time(), offset))
        await trio.lowlevel.checkpoint()
        if not self.script:
            await trio.sleep_forever()
        return self.script.pop(0)

    async def answer(self, query: str, text: str) -> Answer:
        self.said.append((trio.current_time(), query, text))
        return came()


class FakeDatabase:
    path = Path("none")

    def __init__(self, button) -> None:
        self.button = button


async def no_button(_id):
    return None


class World:
    def __init__(self, *answers: Answer, button=no_button, notes=None, acts=None) -> None:
        url = Secret(f"tgram://{TOKEN}/{CHAT}")
        masker = Masker()
        masker.add("hijklmnop")
        self.settings = SimpleNamespace(
            channels={"phone": ChannelSettings(urls=(url,), answers=("anna",))},
            people={"anna": Person(telegram=ANNA)},
            masker=masker,
        )
        self.updates, self.log, self.told = FakeUpdates(*answers), Lines(), []
        self.notes = Notes(notes or {})

        async def tell(event, reason, subject):
            self.told.append((event, reason, subject))

        self.committed = []

        async def commit(batch):
            self.committed.append(batch)

        self.answers = BotAnswers(
            "123456789", self.updates, settings=lambda: self.settings, database=FakeDatabase(button), acts=acts, commit=commit,
            notes=self.notes, moved={}, status=dict, tell=tell, clock=TrioClock(), log=self.log,
        )  # fmt: skip

    async def run(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.answers.run()


async def test_another_poller_is_told_of_once(autojump_clock):
    world = World(*[failed(409, "Conflict: hijklmnop")] * 4, came(), failed(409))
    await world.run(120)
    assert [event for event, *_ in world.told] == ["daemon.degraded", "daemon.degraded"]
    assert "another program asks for its updates" in world.told[0][1]
    assert "hijklmnop" not in world.told[0][1]
    assert [round(at) for at, _ in world.updates.polls] == [0, 1, 3, 7, 15, 15, 16]


@pytest.mark.parametrize(
    ("status", "gaps"), [(502, [1, 2, 4, 8]), (None, [1, 2, 4, 8]), (401, [60] * 4), (404, [60] * 4)]
)
async def test_a_poll_that_fails_waits_longer_each_time(autojump_clock, status, gaps):
    world = World(*[failed(status)] * 4)
    await world.run(1000)
    times = [at for at, _ in world.updates.polls]
    assert [round(b - a) for a, b in pairwise(times)] == gaps
    assert world.told == []
    assert world.log.lines == ["warning: answers are not heard"]


async def test_what_is_not_heard_for_a_minute_needs_attention(autojump_clock):
    world = World(*[failed(502)] * 30, came())
    await world.run(59)
    assert world.answers.attention is None
    await world.run(61)
    assert world.answers.attention.startswith(
        "buttons of Telegram's bot 123456789 do nothing, since 2026-01-01 00:00:00"
    )
    await world.run(3600)
    assert world.answers.attention is None


async def test_it_goes_on_where_it_left_off(autojump_clock):
    world = World(came(press(41), press(42)), notes={f"{OFFSET}123456789": "41"})
    await world.run(10)
    assert [offset for _, offset in world.updates.polls] == [41, 43]
    assert world.notes.under(OFFSET) == {"123456789": "43"}


async def test_a_press_is_answered_soon_whatever_the_disk_does(autojump_clock):
    async def slow(_id):
        await trio.sleep(20)

    world = World(came(press(1)), button=slow)
    await world.run(60)
    assert world.updates.said == [(1.5, "q1", "that takes a moment; the message will say so")]


async def test_a_disk_that_refuses_is_said(autojump_clock):
    async def refused(_id):
        raise StoreUnavailable("full")

    world = World(came(press(1)), button=refused)
    await world.run(60)
    assert [text for *_, text in world.updates.said] == ["not done: the disk doesn't answer"]


ODD = [
    {"update_id": 1},
    {"update_id": 1, "callback_query": 5},
    {"update_id": 1, "callback_query": {"id": "q1", "from": {"id": "me"}, "data": 5}},
    {"update_id": 1, "message": {"message_id": 1, "chat": {"id": 42}}},
    {"update_id": 1, "message": {"message_id": 1, "chat": {"id": 42}, "from": {"id": ANNA}, "text": "  "}},
    press(1, message=None),
    press(1, data=None),
]


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
async def test_nothing_odd_keeps_the_next_from_being_heard(autojump_clock, odd):
    world = World(came(odd, press(2)), came(press(3)))
    await world.run(60)
    assert [query for _, query, _ in world.updates.said][-2:] == ["q2", "q3"]
    assert not [line for line in world.log.lines if line.startswith("exception")]


async def test_neither_does_a_bug(autojump_clock):
    async def broken(id_):
        if id_ == "b1":
            raise KeyError("a bug")

    world = World(came(press(1), press(2, "b2")), button=broken)
    await world.run(60)
    assert [query for _, query, _ in world.updates.said] == ["q2"]
    assert "exception: an answer can't be taken" in world.log.lines


async def test_each_stranger_is_logged_once(autojump_clock):
    world = World(came(*(press(number, user=number % 3 + 100) for number in range(9))))
    await world.run(60)
    assert [text for *_, text in world.updates.said] == ["not allowed"] * 9
    assert world.log.lines == ["warning: somebody who may not answer tried to"] * 3
    assert sorted(fields["user"] for fields in world.log.fields) == [100, 101, 102]
    assert {fields["chat"] for fields in world.log.fields} == {CHAT}  # by which it can be found


class Asked:
    """A run that phone is asked about."""

    def __init__(self, on="phone") -> None:
        self.on, self.wishes = on, []

    def asked_on(self, run):
        return self.on

    async def answer(self, run, wish, by) -> str:
        self.wishes.append((wish, by.name))
        return ""


def asks(does: str):
    async def button(id_):
        expires_at = datetime(2030, 1, 1, tzinfo=UTC)
        return ButtonRow(id=id_, alert="run1", chat=CHAT, does=does, expires_at=expires_at)

    return button


LATE = "not run: that was pressed while nobody listened; press it again"


@pytest.mark.parametrize(("does", "said"), [("want", LATE), ("yes", LATE), ("no", "it isn't run")])
async def test_what_was_pressed_while_nobody_listened_runs_nothing(autojump_clock, does, said):
    acts = Asked()
    world = World(came(), *[failed(502)] * 6, came(press(1)), button=asks(does), acts=acts)
    await world.run(120)
    assert [text for *_, text in world.updates.said] == [said]
    assert acts.wishes == ([("no", "anna")] if does == "no" else [])


@pytest.mark.parametrize("before", [[came()], [came(), failed(502)]], ids=["heard", "one poll failed"])
async def test_what_is_pressed_while_somebody_listens_counts(autojump_clock, before):
    acts = Asked()
    world = World(*before, came(press(1)), button=asks("yes"), acts=acts)
    await world.run(120)
    assert ([text for *_, text in world.updates.said], acts.wishes) == (["confirmed"], [("yes", "anna")])


async def test_where_the_next_buttons_cannot_be_shown_the_first_stays(autojump_clock):
    acts = Asked()

    async def refuses(run, wish, by) -> str:
        raise StoreUnavailable("full")

    acts.answer = refuses
    world = World(came(), came(press(1)), button=asks("want"), acts=acts)
    await world.run(10)
    assert [text for *_, text in world.updates.said] == ["not done: the disk doesn't answer"]
    assert world.committed == []


async def test_only_those_of_the_channel_that_is_asked_decide(autojump_clock):
    acts = Asked(on="team")
    world = World(came(), came(press(1)), button=asks("no"), acts=acts)
    world.settings.channels["team"] = ChannelSettings(
        urls=(Secret(f"tgram://{TOKEN}/{CHAT}"),), answers=("bob",)
    )
    await world.run(10)
    assert ([text for *_, text in world.updates.said], acts.wishes) == (["not allowed"], [])
