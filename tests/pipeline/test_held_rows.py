"""What was held back by the last run and can't be told any more is left out and named; the rest is told."""

import pytest

from support.outboxes import context
from support.stored import T0
from tocsin.alerts.decide import Routing
from tocsin.alerts.muted import MutedNotification, to_record
from tocsin.alerts.wording import Style
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Instant
from tocsin.pipeline import Options
from tocsin.pipeline.notifier import Notifier
from tocsin.pipeline.runtime import Runtime
from tocsin.store.model import HeldRow, InstanceRow, Loaded, Silence


def held(alert, **changes):
    record = to_record(
        MutedNotification(
            alert=alert,
            rule="red",
            context=context(),
            lasting=True,
            goes_on=True,
            by="silence",
            reason="quiet",
        )
    )
    record["context"] |= changes
    return HeldRow(alert=alert, rule="red", data=record)


@pytest.mark.parametrize(
    "damage",
    [
        {"value": "sixty"},
        {"started_at": None},
        {"started_at": "yesterday"},
        {"fields": []},
        {"worst": "NaN?"},
    ],
)
def test_a_held_alert_that_no_message_can_be_made_of(damage):
    options = Options(routing=Routing(channels={}), targets={}, style=Style())
    notifier = Notifier(Engine((), Entities(()), str), lambda: options, str)
    rows = [held("a1"), held("bad", **damage), held("a2")]
    unreadable = notifier.restore((), rows)
    kept = [each.alert for each in notifier._held]
    # Some damage our own words can be made of all the same.
    assert kept == (["a1", "a2"] if unreadable else ["a1", "bad", "a2"])
    assert all(str(each).startswith("held alert bad: of rule red: ") for each in unreadable)
    if "value" not in damage and "worst" not in damage:
        assert unreadable


def test_what_makes_no_sense_is_set_aside_with_the_first_batch():
    options = Options(routing=Routing(channels={}), targets={}, style=Style())
    silence = Silence(id="s1", matchers="?", reason="", created_at=T0, starts_at=T0, ends_at=T0)
    loaded = Loaded(
        entities=(),
        instances=[
            InstanceRow(rule="red", instance="i1", record={"of another": "version"}),
            InstanceRow(rule="red", instance="i2", record={"kind": "of another version"}),
        ],
        alive=None,
        held=[held("bad", fields=[]), held("good")],
        silences=[silence],
    )
    batch, named = Runtime((), options, str).turn.restore(loaded, Instant(T0, 0.0))
    assert {(row.table, row.key) for row in batch.unreadable} == {
        ("instances", ("red", "i1")),
        ("instances", ("red", "i2")),
        ("held", ("bad",)),
        ("silences", ("s1",)),
    }
    assert named == [str(row) for row in batch.unreadable]
    assert "instance i1 of rule red: KeyError" in " ".join(named)
