"""What people did about alerts gets into the messages that can be edited, and only into those of alerts that it is about."""

from datetime import timedelta

import structlog

from support.outboxes import START, TrioClock, delivery
from tocsin.alerts.silences import Silences
from tocsin.app.chat_remarks import ChatRemarks
from tocsin.delivery.edits import edit_of
from tocsin.store.errors import StoreUnavailable


class FakePipeline:
    def __init__(self) -> None:
        self.rows = []

    async def ask(self, command):
        batch, answer = command()
        self.rows += batch.deliveries
        return answer


TOLD = [
    delivery("d1", alert="a1", channel="phone"),
    delivery("d2", alert="a2", channel="desk", says={"venue": "top"}),
    delivery("d3", alert="a3", context={"of": "another version"}),
]


def remarks(pipeline, told=TOLD):
    async def editable(alert):
        if isinstance(told, Exception):
            raise told
        return [each for each in told if alert in (None, each.alert)]

    return ChatRemarks(editable, pipeline, TrioClock(), structlog.get_logger())


async def test_an_acknowledgement_is_put_into_its_alert_s_messages(autojump_clock):
    pipeline = FakePipeline()
    await remarks(pipeline).on_alert("a1", "acknowledged by anna")
    (row,) = pipeline.rows
    assert (row.state_told, row.alert, row.channel, row.severity) == ("edit", "a1", "phone", "info")
    assert edit_of(row).words == "acknowledged by anna"


async def test_who_told_of_an_alert_twice_has_its_last_message_edited(autojump_clock):
    """Of its own, as a step of the escalation, and for a channel that it is the fallback of."""
    twice = [delivery("own", alert="a1"), delivery("handed", alert="a1", says={"unacknowledged": 600.0})]
    pipeline = FakePipeline()
    await remarks(pipeline, twice).on_alert("a1", "acknowledged by anna")
    (row,) = pipeline.rows
    assert row.context["unacknowledged"] == 600.0


async def test_a_silence_is_put_into_the_messages_of_what_it_holds(autojump_clock):
    pipeline, until = FakePipeline(), START + timedelta(hours=1)
    silences = Silences()
    silences.begin("s1", "venue=top", until, START)
    await remarks(pipeline).on_silence(silences, "silenced by anna: venue=top", until)
    assert [(row.alert, edit_of(row).until) for row in pipeline.rows] == [("a2", until)]


async def test_a_disk_that_refuses_keeps_no_act_from_being_done(autojump_clock):
    pipeline = FakePipeline()
    await remarks(pipeline, StoreUnavailable("full")).on_alert("a1", "acknowledged by anna")
    assert pipeline.rows == []
