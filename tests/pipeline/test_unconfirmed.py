"""After a gap nobody knows whether what was open still is so: that is said, and such a thing can be dropped."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from support.observing import state_of
from support.story import Story, compiled
from tocsin.alerts.message import body
from tocsin.alerts.wording import Style
from tocsin.engine.api import AlertContext
from tocsin.events import Key, Observation

RED = {"id": "red", "watch": "position", "when": "profit < -50", "repeat": "1h"}
LOSS = {"id": "loss", "watch": "position", "per": ["account"], "when": "sum(profit) < -50", "repeat": "1h"}
OPEN = {"id": "open", "watch": "order", "when": 'status == "open"', "repeat": "1h"}
NEW = {"id": "new", "watch": ["position.opened", "order.created"]}


def position(profit: str = "-60", id_: str = "p") -> Observation:
    fields = {"id": id_, "symbol": "X", "side": "long", "amount": "1", "entry_price": "100", "lot_size": "1"}
    state = state_of("position", {**fields, "profit_price": "1", "profit": profit})
    return Observation(state=state, account="a")


def order(id_: str = "o") -> Observation:
    return Observation(state=state_of("order", {"id": id_, "symbol": "X", "status": "open"}), account="a")


def after_a_gap(rules: list[Any], *said: Observation) -> Story:
    """At 10 s the link is lost, at 70 s it is back."""
    story = Story(compiled(rules))
    story.connect("fx")
    story.say("fx", *said)
    story.run_to(10)
    story.disconnect("fx")
    story.run_to(70)
    story.connect("fx")
    return story


def bodies(story: Story, since: int = 0) -> list[str]:
    """What was told from then on."""
    names = AlertContext.__struct_fields__
    told = [each for each in story.told if each["at_test"] >= since]
    contexts = [{name: each[name] for name in names if name in each} for each in told]
    told = [msgspec.convert(context, AlertContext) for context in contexts]
    return [body(each, Style(), each.at) for each in told]


SAYS = "not confirmed since 00:00:10 UTC"


@pytest.mark.parametrize(("rule", "said"), [(RED, position()), (OPEN, order()), (LOSS, position())])
def test_a_reminder_says_since_when_nobody_knows(rule, said):
    story = after_a_gap([rule], said)
    story.run_to(3600)
    assert [SAYS in body for body in bodies(story)] == [False, True]
    story.restart(60)
    story.connect("fx")
    story.run_to(7201)
    assert SAYS in bodies(story)[-1]  # as long as before, for it wasn't mentioned since
    story.say("fx", said)
    story.run_to(10_802)
    assert [SAYS in body for body in bodies(story)] == [False, True, True, False]


def test_so_does_what_prices_bring_about_and_what_is_told_while_the_link_is_down():
    story = Story(compiled([RED]))
    story.connect("fx")
    story.say("fx", position("5"))
    story.run_to(10)
    story.disconnect("fx")
    ticker = state_of("ticker", {"id": "X", "symbol": "X", "bid": "40", "ask": "41"})
    story.say("fx", Observation(state=ticker))
    (body,) = bodies(story)
    assert SAYS in body


def test_what_is_forgotten_ends_its_alerts_and_is_new_when_it_is_mentioned_again():
    story = after_a_gap([RED, NEW], position(), order())
    key = Key("fx", "position", "a", "p")
    batch = story.turn.forget([key], story.clock.now())
    story.commit(batch)
    assert batch.gone == [key]
    assert story.entities.get(key) is None
    last = story.told[-1]
    assert (last["rule"], last["told"], last["reason"]) == ("red", "resolved", "forgotten")
    assert [change.state.unconfirmed for change in batch.entities if change.kind == "venue"] == [1]
    told = len(story.told)
    story.say("fx", position())
    assert [(each["rule"], each["told"]) for each in story.told[told:]] == [
        ("red", "firing"),
        ("new", "firing"),
    ]


def test_the_account_is_counted_without_it():
    story = Story(compiled([]))
    story.connect("fx")
    account = Observation(
        state=state_of("account", {"id": "a", "balance": "100", "currency": "USD"}), account="a"
    )
    story.say("fx", account, position("-60"), position("-10", "q"))
    of_account = Key("fx", "account", "a", "a")
    assert story.entities.get(of_account).state.equity == 30
    batch = story.turn.forget([Key("fx", "position", "a", "p")], story.clock.now())
    assert [change.state.equity for change in batch.entities] == [90]
    assert story.entities.get(of_account).state.equity == 90


def test_what_has_been_unconfirmed_for_long_is_found():
    story = after_a_gap([], order("1"), order("2"))
    now = story.clock.now().wall
    story.say("fx", order("2"))
    assert [change.key.id for change in story.entities.unconfirmed("fx")] == ["1"]
    assert story.entities.unconfirmed_before(now - timedelta(seconds=60)) == []
    assert [key.id for key in story.entities.unconfirmed_before(now)] == ["1"]
    assert story.entities.named("fx", "order", "1") == [Key("fx", "order", "a", "1")]
    assert story.entities.named("fx", "position", "1") == []
