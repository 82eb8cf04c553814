"""Questions about runs on their way: not asked when nobody is asked any more, and the next button before all else."""

from datetime import timedelta

import pytest
import trio
from msgspec import structs

from support.both_outboxes import InMemory
from support.channel_world import World
from support.outboxes import FAILED, START, ScriptedSender, delivery
from tocsin.alerts.message import Edit
from tocsin.delivery.edits import awaits_press, edit_row
from tocsin.delivery.gatherer import _urgency
from tocsin.delivery.model import Button

ASKED = ((Button("Run hedge", "0" * 32),),)


class Chat(ScriptedSender):
    can = frozenset({"edit", "reply", "buttons"})


def question(id_="q1", **more):
    made = delivery(id_, alert="run1", **more)
    return structs.replace(made, state_told="question")


def asked_until(seconds: float):
    """What can be pressed below the question, up to then."""

    async def buttons(alert, delivery, told):
        assert (alert, told) == ("run1", "question")
        return ASKED if trio.current_time() < seconds else ()

    return buttons


async def test_it_goes_out_with_its_button(autojump_clock):
    outbox = InMemory()
    world = World(outbox, Chat(), buttons=asked_until(60))
    async with world.running():
        await world.put(question())
        await trio.sleep(1)
    ((_, message),) = world.sender.told
    assert message.buttons == ASKED


async def test_what_nobody_is_asked_any_more_is_not_asked_late(autojump_clock):
    outbox = InMemory()
    world = World(outbox, Chat(FAILED, FAILED, FAILED), buttons=asked_until(2))
    async with world.running():
        await world.put(question())
        await trio.sleep(600)
    assert world.sender.told == []
    assert (await outbox.statuses())["q1"] == "superseded"


async def test_where_nobody_can_press_it_is_not_asked(autojump_clock):
    outbox = InMemory()
    world = World(outbox, Chat(), buttons=None)
    async with world.running():
        await world.put(question())
        await trio.sleep(1)
    assert world.sender.tries == []


async def test_it_goes_to_no_fallback(autojump_clock):
    outbox = InMemory()
    world = World(outbox, Chat(always=FAILED), buttons=asked_until(1e9), fallback=("mail", 1))
    async with world.running():
        await world.put(question(severity="critical", expire=120.0))
        await trio.sleep(600)
    assert await outbox.statuses() == {"q1": "dead"}


def pressed(became="firing"):
    edit = Edit(at=START + timedelta(hours=1), words="anna wants it", became=became)
    return edit_row(question(), edit, edit.at)


@pytest.mark.parametrize(("became", "awaits"), [("firing", True), ("ended", False)])
def test_somebody_waits_for_the_next_button(became, awaits):
    assert awaits_press(pressed(became)) is awaits


def test_that_button_goes_before_all_else():
    critical, asked = delivery("d1", alert="a2", severity="critical"), question()
    answer, over = pressed(), pressed("ended")
    waiting = [over, asked, critical, answer]
    assert sorted(waiting, key=_urgency) == [answer, critical, asked, over]
