"""What a price moves is market data: of positions and accounts too, whoever says so."""

import pytest

from support.story import Story, compiled, seconds
from tocsin.pipeline.options import Options

POSITION = {
    "account": "a", "id": "p", "symbol": "X", "side": "long", "status": "open", "amount": "1", "entry_price": "100", "lot_size": "1",
    "profit_price": "1", "currency": "USD",
}  # fmt: skip


class Kept(Story):
    """Notes the events that are kept, and the latest state of each entity."""

    def __init__(self, rules=(), market_data="none"):
        self.market_data, self.events, self.left_out = market_data, [], False
        super().__init__(compiled(list(rules)))

    def _start(self):
        super()._start()
        options = self.turn.options
        self.turn.options = Options(
            routing=options.routing,
            targets=options.targets,
            style=options.style,
            market_data=self.market_data,
        )

    def commit(self, batch):
        self.events += [
            f"{change.kind} {change.key.id} {name.split('.')[1]}"
            for change in batch.events
            for name in change.events
        ]
        self.left_out = self.left_out or batch.prices_left_out
        super().commit(batch)

    def told_so(self, at, **step):
        """What is kept of it."""
        self.events.clear()
        self.run_to(seconds(at))
        self.step({"venue": "fx", **step})
        return self.events


def held(story):
    """An account with a position in X."""
    story.told_so("0s", account={"id": "a", "currency": "USD", "balance": "1000"})
    story.told_so("0s", position=POSITION)


def tick(bid):
    return {"ticker": {"id": "X", "symbol": "X", "bid": bid, "ask": "200"}}


PRICED = {
    "a price": tick("90"),
    "the venue's own word on a position": {"position": {"account": "a", "id": "p", "profit": "-10", "mark_price": "90"}},
    "the venue's own word on an account": {"account": {"id": "a", "equity": "990"}},
}  # fmt: skip
NEWS = {
    "a stop loss": ({"position": {"account": "a", "id": "p", "stop_loss": "80", "profit": "-10"}}, "position p updated"),
    "an end": ({"position": {"account": "a", "id": "p", "status": "closed", "profit": "-10"}}, "position p closed"),
    "another position": ({"position": POSITION | {"id": "q", "margin_price": "9"}}, "position q opened"),
    "money": ({"account": {"id": "a", "balance": "900", "equity": "900"}}, "account a updated"),
}  # fmt: skip


@pytest.mark.parametrize("said", PRICED.values(), ids=PRICED)
@pytest.mark.parametrize(("market_data", "kept"), [("none", False), ("changes", True), ("all", True)])
def test_what_prices_move_is_kept_as_the_config_says(said, market_data, kept):
    story = Kept(market_data=market_data)
    held(story)
    story.left_out = False
    events = [event for event in story.told_so("1s", **said) if not event.startswith("ticker")]
    assert bool(events) is kept
    assert story.left_out is not kept
    assert story.entities_stored.keys() >= {
        change.key for kind in ("position", "account") for change in story.entities.live(kind)
    }


@pytest.mark.parametrize(("said", "event"), NEWS.values(), ids=NEWS)
def test_news_of_the_entity_itself_is_kept(said, event):
    story = Kept()
    held(story)
    assert event in story.told_so("1s", **said)


@pytest.mark.parametrize("said", [PRICED["a price"], PRICED["the venue's own word on a position"]])
def test_what_a_rule_told_of_or_waits_for_is_kept(said):
    story = Kept([{"id": "red", "watch": "position", "when": "profit < -5", "for": "10s"}])
    held(story)
    assert story.told_so("1s", **said) == ["position p updated"]  # it begins to wait
    assert story.told_so("2s", **tick("91")) == []
    story.run_to(seconds("12s"))
    assert story.told_so("13s", **tick("88")) == []  # told already
    assert story.told_so("14s", **tick("99")) == ["position p updated"]


def test_the_latest_state_outlives_a_restart():
    story = Kept()
    held(story)
    story.told_so("1s", **tick("90"))
    story.step({"restart": "true"})
    (position,) = story.entities.live("position")
    assert position.state.profit == -10
    (account,) = story.entities.live("account")
    assert (account.state.equity, account.state.performance) == (990, 99)
