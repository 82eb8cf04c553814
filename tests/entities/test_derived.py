"""Derived numbers, worked out by hand from the numbers in the venues' own documents."""

import pytest
from msgspec import UNSET

from support.observing import Scene, line
from tocsin.entities.derive import rounded
from tocsin.events import Key, number, number_text

ACCOUNT = {"id": "a", "currency": "USD", "balance": "6401.125104675008", "leverage": "10"}
POSITION = {
    "id": "p", "symbol": "BTCUSD", "side": "long", "status": "open", "amount": "0.01", "entry_price": "89788.01",
    "currency": "USD", "margin_price": "89788.01", "lot_size": "1", "profit_price": "1", "account": "a",
}  # fmt: skip
VENUES_PROFIT = "-0.00009999999997489795"


@pytest.fixture
def scene():
    return Scene()


def tick(scene, bid, ask):
    return scene.say("ticker", id="BTCUSD", symbol="BTCUSD", bid=bid, ask=ask)


def text(value):
    return number_text(value) if value is not UNSET and value is not None else None


def account(scene):
    state = scene.state("account", "a", "a")
    return text(state.equity), text(state.margin), text(state.margin_level)


@pytest.mark.parametrize(
    ("side", "bid", "ask", "mark", "profit"),
    [
        ("long", "89788", "89788.01", "89788", "-0.0001"),  # (89788 - 89788.01) x 0.01
        ("long", "89709.74", "89709.75", "89709.74", "-0.7827"),  # (89709.74 - 89788.01) x 0.01
        ("long", "89788.01", "89788.02", "89788.01", "0"),
        ("short", "89788", "89788.01", "89788.01", "0"),
        ("short", "89709.74", "89709.75", "89709.75", "0.7826"),  # (89788.01 - 89709.75) x 0.01
        ("short", "100000", "100000.5", "100000.5", "-102.1249"),  # (89788.01 - 100000.5) x 0.01
    ],
)
def test_profit_between_the_venues_own_messages(scene, side, bid, ask, mark, profit):  # noqa: PLR0917  # a row of the table
    scene.say("position", **POSITION | {"side": side, "profit": VENUES_PROFIT})
    if profit == "0":
        tick(scene, "1", "2")
    ticked, moved = tick(scene, bid, ask)
    assert line(ticked) == "ticker BTCUSD live: ticker.updated"
    assert line(moved) == "position p synthetic: position.updated"
    assert (text(moved.state.mark_price), text(moved.state.profit)) == (mark, profit)
    assert moved.previous.profit != moved.state.profit
    assert moved.raw is None


def test_profit_in_lots_and_in_the_accounts_currency(scene):
    position = POSITION | {
        "amount": "0.5",
        "lot_size": "100000",
        "entry_price": "1.08",
        "profit_price": "0.925",
    }
    scene.say("position", **position)
    moved = tick(scene, "1.0812", "1.0813")[1]
    assert text(moved.state.profit) == "55.5"  # 0.0012 x 0.5 x 100000 x 0.925


@pytest.mark.parametrize("missing", ["lot_size", "profit_price", "entry_price", "amount", "side", "symbol"])
def test_nothing_is_counted_where_a_number_for_it_is_missing(scene, missing):
    scene.say("position", **{name: value for name, value in POSITION.items() if name != missing})
    assert len(tick(scene, "1", "2")) == 1


def test_a_side_of_the_market_without_a_price(scene):
    scene.say("position", **POSITION)
    assert len(tick(scene, "~", "2")) == 1


def test_a_message_that_leaves_the_profit_out_gets_it_from_the_current_price(scene):
    tick(scene, "89709.74", "89709.75")
    (opened,) = scene.say("position", **POSITION)
    assert line(opened) == "position p live: position.opened"
    assert (text(opened.state.mark_price), text(opened.state.profit)) == ("89709.74", "-0.7827")
    (more,) = scene.say("position", id="p", account="a", amount="0.02")
    assert text(more.state.profit) == "-1.5654"
    assert scene.say("position", **POSITION | {"amount": "0.02", "mark_price": "~"}) == []


def test_a_price_from_before_the_gap_is_no_price(scene):
    scene.link("connected")
    tick(scene, "89709.74", "89709.75")
    scene.clock.advance(1)
    scene.link("disconnected")
    scene.clock.advance(60)
    scene.link("connected")
    (opened,) = scene.say("position", **POSITION)
    assert opened.state.profit is UNSET


def test_the_venues_own_profit_wins(scene):
    scene.say("position", **POSITION, profit=VENUES_PROFIT)
    tick(scene, "89709.74", "89709.75")
    (told,) = scene.say("position", id="p", account="a", profit=VENUES_PROFIT)
    assert (told.origin, text(told.state.profit)) == ("live", VENUES_PROFIT)
    (closed,) = scene.say(
        "position", id="p", account="a", profit="-0.7826999999998634", event="position.closed"
    )
    assert text(closed.state.profit) == "-0.7826999999998634"
    assert len(tick(scene, "1", "2")) == 1  # a closed position moves no more


def test_equity_margin_and_margin_level(scene):
    scene.say("account", **ACCOUNT)
    assert account(scene) == (None, None, None)  # no position was ever told of: what it holds isn't known
    opened, settled = scene.say("position", **POSITION, profit=VENUES_PROFIT, leverage="0")
    assert line(settled) == "account a synthetic: account.updated"
    # 6401.125104675008 - 0.00009999999997489795; 89788.01 x 0.01 x 1 / 10; equity / 89.78801 x 100
    assert account(scene) == ("6401.12500467500802510205", "89.78801", "7129.153441172165")
    assert opened.linked["account"].state == settled.state  # one moment, one truth


def test_a_tick_moves_position_and_account_together(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION)
    _, moved, settled = tick(scene, "89709.74", "89709.75")
    assert line(settled) == "account a synthetic: account.updated"
    assert account(scene)[0] == "6400.342404675008"  # 6401.125104675008 - 0.7827
    assert moved.linked["account"].state == settled.state


def test_the_account_after_its_last_position(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3")
    scene.say("position", id="p", account="a", event="position.closed")
    assert account(scene) == ("6401.125104675008", "0", None)


def test_an_accounts_own_message_is_one_change(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3", leverage="20")
    (told,) = scene.say("account", id="a", balance="100")
    assert told.events == ("account.updated",)
    assert told.origin == "live"
    assert account(scene)[:2] == ("103", "44.894005")  # 89788.01 x 0.01 / 20
    assert scene.say("account", **ACCOUNT | {"balance": "100", "equity": "~"}) == []


@pytest.mark.parametrize(
    ("changed", "equity", "margin"),
    [
        ({"profit": "~"}, None, "89.78801"),
        ({"currency": "EUR"}, None, "89.78801"),  # can't be added to dollars
        ({"margin_price": "~"}, "6404.125104675008", None),
    ],
)
def test_what_can_no_longer_be_counted_is_missing(scene, changed, equity, margin):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3")
    scene.say("position", id="p", account="a", **changed)
    assert account(scene) == (equity, margin, None)


def test_equity_that_the_venue_sends_is_the_venues(scene):
    scene.say("account", **ACCOUNT, equity="7000")
    scene.say("position", **POSITION, profit="3")
    tick(scene, "89709.74", "89709.75")
    assert account(scene)[0] == "7000"
    assert account(scene)[2] == "7796.14115514978"  # 7000 / 89.78801 x 100


@pytest.mark.parametrize(
    "before", [{}, {"id": "other", "symbol": "ETHUSD", "profit": "1"}], ids=["none", "another"]
)
@pytest.mark.parametrize(
    "sent",
    [
        {"margin_level": "50"},
        {"equity": "7000"},
        {"equity": "7000", "margin": "100", "margin_level": "7000"},
        {"balance": "~", "equity": "6401.1", "margin_level": "40"},
    ],
)
def test_what_the_venue_sends_is_the_venues_after_a_restart_too(scene, sent, before):
    if before:
        scene.say("position", **POSITION | before)
    scene.say("account", **ACCOUNT | sent)
    kept = scene.restarted()
    for each in (scene, kept):
        each.say("position", **POSITION, profit="3")
        tick(each, "89709.74", "89709.75")
    assert account(kept) == account(scene)
    state = kept.state("account", "a", "a")
    assert {name: text(getattr(state, name)) for name in sent if name != "balance"} == {
        name: value for name, value in sent.items() if name != "balance"
    }


def test_what_is_counted_is_counted_after_a_restart_too(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3")
    scene = scene.restarted()
    tick(scene, "89709.74", "89709.75")
    assert account(scene)[0] == "6400.342404675008"


def test_what_is_counted_goes_on_when_all_positions_were_forgotten(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3")
    scene.say("position", id="p", account="a", event="position.closed")
    scene.forget(Key("fx", "position", "a", "p"))
    scene = scene.restarted()
    scene.say("account", id="a", balance="100")
    assert account(scene)[:2] == ("100", "0")
    scene.say("position", **POSITION, profit="-50")
    assert account(scene)[0] == "50"


def test_what_the_venue_sends_is_the_venues_after_a_restart_though_it_is_what_would_be_counted(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3")
    counted, _, _ = account(scene)
    (told,) = scene.say("account", id="a", equity=counted)
    assert told.events == ()  # nothing happened, but it is to be known in another run
    assert scene.say("account", id="a", equity=counted) == []
    scene = scene.restarted()
    scene.say("position", id="p", account="a", profit="-50")
    assert account(scene)[0] == counted


def test_what_another_account_of_the_venue_was_sent_is_the_venues_after_a_restart_too(scene):
    scene.say("account", **ACCOUNT)
    scene.say("position", **POSITION, profit="3")
    scene.say("account", id="b", equity="7000")
    counted, _, _ = account(scene)
    scene = scene.restarted()
    scene.say("position", id="p", account="a", profit="-50")
    assert account(scene)[0] == counted


def test_a_broker_that_tells_of_no_positions_has_no_equity_counted(scene):
    scene.say("account", id="tfsa-abcabc", balance="0", currency="USD")
    (change,) = scene.say("account", id="tfsa-abcabc", balance="5")
    assert change.state.equity is UNSET


@pytest.mark.parametrize(
    ("said", "price", "spread"),
    [
        # The numbers of a quote in a venue's document.
        (
            {"bid": "2320.4235842069015", "ask": "2347.823601361888", "last": "2334.106495274"},
            "2334.106495274", "27.4000171549865",
        ),
        ({"bid": "89788", "ask": "89788.01"}, "89788.005", "0.01"),
        ({"bid": "10", "ask": "8"}, "9", "-2"),  # crossed, as books of electricity are
        ({"bid": "10"}, None, None),
        ({"last": "0"}, "0", None),
        ({"bid": "1", "ask": "2", "price": "7", "spread": "5"}, "7", "5"),
    ],
)  # fmt: skip
def test_price_and_spread_of_a_ticker(scene, said, price, spread):
    (change,) = scene.say("ticker", id="X", symbol="X", **said)
    assert (text(change.state.price), text(change.state.spread)) == (price, spread)
    assert scene.say("ticker", id="X", symbol="X", **said) == []


def test_price_and_spread_follow_their_parts(scene):
    tick(scene, "1", "2")
    (change,) = scene.say("ticker", id="BTCUSD", bid="1.5")
    assert (text(change.state.price), text(change.state.spread)) == ("1.75", "0.5")
    (change,) = scene.say("ticker", id="BTCUSD", ask="~")
    assert (text(change.state.price), text(change.state.spread)) == (None, None)


def test_a_book_and_its_trades_keep_a_ticker(scene):
    book, ticker = scene.say(
        "book",
        id="btc_usdt",
        symbol="btc_usdt",
        bid="3990.67",
        bid_size="0.21",
        ask="3990.69",
        ask_size="0.07",
    )
    assert text(book.state.spread) == "0.02"
    assert (text(ticker.state.price), text(ticker.state.bid_size)) == ("3990.68", "0.21")
    _, ticker = scene.say(
        "trade", id="btc_usdt", symbol="btc_usdt", price="4003.9000000000", amount="0.01510000"
    )
    assert (text(ticker.state.last), text(ticker.state.price)) == ("4003.9000000000", "4003.9000000000")
    assert ticker.origin == "synthetic"
    assert ticker.symbol == "btc_usdt"


def test_a_ticker_kept_from_books_moves_positions(scene):
    scene.say("position", **POSITION)
    changes = scene.say("book", id="BTCUSD", symbol="BTCUSD", bid="89709.74", ask="89709.75")
    assert [line(change) for change in changes] == [
        "book BTCUSD live: book.updated",
        "ticker BTCUSD synthetic: ticker.updated",
        "position p synthetic: position.updated",
    ]


def test_the_venues_own_ticker_starts_clean(scene):
    scene.say("trade", id="X", symbol="X", price="5")
    (change,) = scene.say("ticker", id="X", symbol="X", bid="1", ask="2")
    assert (text(change.state.price), change.state.last) == ("1.5", None)


def test_a_tick_concerns_its_own_venue_and_symbol(scene):
    scene.say("position", **POSITION)
    scene.say("position", **POSITION | {"id": "q", "symbol": "ETHUSD"})
    assert len(scene.say("ticker", id="BTCUSD", symbol="BTCUSD", bid="1", ask="2", venue="other")) == 1
    scene.say("position", id="q", account="a", symbol="BTCUSD")
    assert {change.key.id for change in tick(scene, "1", "2")[1:]} == {"p", "q"}
    scene.say("position", id="p", account="a", symbol="ETHUSD")
    assert [change.key.id for change in tick(scene, "2", "3")[1:]] == ["q"]


@pytest.mark.parametrize(
    ("value", "text_"),
    [
        ("1.0000000000005", "1"),
        ("0.6666666666666667", "0.666666666667"),
        ("-0.00", "0"),
        ("1E+90", "1" + "0" * 90),
    ],
)
def test_divisions_end_at_twelve_digits(value, text_):
    assert number_text(rounded(number(value))) == text_


def test_absurd_numbers_of_a_hostile_venue_break_nothing(scene):
    scene.say("account", **ACCOUNT | {"balance": "1E+400", "leverage": "1E-400"})
    scene.say("position", **POSITION | {"amount": "1E+400", "lot_size": "9" * 200, "margin_price": "1E+400"})
    _, moved = tick(scene, "1E+400", "1E-400")  # what it comes to is out of all range
    assert (moved.key.kind, moved.state.profit) == ("position", None)


def test_what_an_account_says_of_one_message_a_price_does_not_say_again(scene):
    scene.say("account", **ACCOUNT, cause="deposit")
    scene.say("position", **POSITION)
    assert scene.state("account", "a", "a").cause is UNSET, "its position has moved it since"
    scene.say("account", id="a", balance="1", cause="withdrawal")
    tick(scene, "1", "2")
    assert scene.state("account", "a", "a").cause is UNSET


def test_prices_find_their_positions_in_either_case(scene):
    scene.say("position", **POSITION)
    ticked, moved = scene.say("ticker", id="btcusd", symbol="btcusd", bid="89788", ask="89788.01")
    assert (ticked.key.id, moved.key.id, text(moved.state.profit)) == ("btcusd", "p", "-0.0001")
    (late,) = scene.say("position", **POSITION | {"id": "q", "symbol": "BtcUsd"})
    assert text(late.state.profit) == "-0.0001", "by the price as it stands"


def test_a_book_keeps_no_ticker_beside_the_venues_own_of_another_case(scene):
    scene.say("ticker", id="BTC_USDT", symbol="BTC_USDT", bid="1", ask="2")
    changes = scene.say("book", id="btc_usdt", symbol="btc_usdt", bid="3", ask="4")
    assert [change.kind for change in changes] == ["book"]
