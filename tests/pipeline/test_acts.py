"""What several people do at once about one alert, of which each has read the database before: judged by what is so when it is done."""

import pytest

from support.run_life import Life, at
from tocsin.events import Observation, Position, number
from tocsin.feed.model import Received
from tocsin.pipeline.acts import Acts, By, Target


@pytest.mark.parametrize(
    ("acked", "done", "became", "has_it"),
    [
        (False, ["anna acks", "ben acks"], ["done", "already"], "anna"),
        (True, ["ben unacks", "anna acks"], [True, "done"], "anna"),
        (True, ["ben unacks", "anna unacks"], [True, False], ""),
        (False, ["anna acks", "ben unacks", "anna unacks"], ["done", True, False], ""),
        (True, ["anna acks", "ben acks"], ["already", "already"], None),
    ],
)
def test_of_two_at_once_the_second_finds_what_the_first_did(acked, done, became, has_it):
    life = Life()
    acts, read_before = Acts(life.turn), Target(id="a1", lasts=False, acked=acked)
    found, signed, last = [], [], None
    for second, (name, _, does) in enumerate(each.partition(" ") for each in done):
        act = acts.acknowledge if does == "acks" else acts.unacknowledge
        batch, said = act(read_before, By(name, "page"), at(second))
        found.append(said)
        signed += [(each.by, each.does) for each in batch.acts]
        last = batch.acked[-1] if batch.acked else last
    assert found == became
    assert len(signed) == sum(each in ("done", True) for each in became)
    assert (last.by if last is not None else None) == has_it
    assert acts.acknowledged().get("a1") == last


def test_an_acknowledgement_for_a_time_that_is_over_is_none():
    life = Life(repeat="10s", escalate=[{"after": "1m", "notify": ["phone"]}])
    said = Observation(state=Position(id="p1", profit=number("-60")), account="a1")
    (row,) = life.turn.messages([Received(venue="fx", observed=(said,), at=at(1))], at(1)).alerts
    acts, read_before = Acts(life.turn), Target(id=row.id, lasts=True)
    assert acts.acknowledge(read_before, By("anna", "page"), at(2), at(5).wall)[1] == "done"
    life.turn.messages((), at(6))
    assert acts.unacknowledge(read_before, By("anna", "page"), at(7))[1] is False
