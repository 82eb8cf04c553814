"""Result and performance of accounts: what was earned, whatever flows in or out.

Hummingbot 1145 (a kill switch on "losses" without a trade) and freqtrade 7170 (drawdown protection on no loss) are where
money that flows was taken for a result.
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from support.observing import Scene
from tocsin.entities import Entities
from tocsin.events import Key, number, number_text

POSITION = {
    "id": "p", "account": "a", "symbol": "X", "side": "long", "status": "open", "amount": "1", "entry_price": "100",
    "lot_size": "1", "profit_price": "1", "currency": "USD",
}  # fmt: skip


@pytest.fixture
def scene():
    return Scene()


def returns(scene, account="a"):
    state = scene.state("account", account, account)
    shown = (
        None if value in (UNSET, None) else number_text(value) for value in (state.result, state.performance)
    )
    return tuple(shown)


def say(scene, text, account="a"):
    """`800 withdrawal -200`: the balance, and where given its cause and change."""
    balance, cause, change = (*text.split(), None, None)[:3]
    beside = {"cause": cause} if cause else {}
    return scene.say(
        "account", id=account, balance=balance, **beside, **({"change": change} if change else {})
    )


@pytest.mark.parametrize(
    ("said", "result", "performance"),
    [
        ("1000", "1000", "100"),
        ("1000, 1100", "1100", "110"),
        ("1000, 800 withdrawal -200", "1000", "100"),
        ("1000, 1500 deposit 500", "1000", "100"),
        ("1000, 900 transfer -100", "1000", "100"),
        ("1000, 900 Withdrawal -100", "1000", "100"),  # in whichever case it comes
        ("1000, 800 withdrawal 200", "1000", "100"),  # told without its sign
        ("1000, 800 withdrawal", "1000", "100"),  # told without its amount
        ("1000, 800 withdrawal -100", "900", "90"),  # and a loss of 100 that nobody explains
        ("1000, 990 commission -10", "990", "99"),
        ("1000, 900 correction -100", "900", "90"),
        ("1000, 900 trading -100, 1800 deposit 900, 1980", "1080", "99"),  # 0.9 x 1.1
        ("1000, 0 withdrawal -1000, 500 deposit 500, 550 trading 50", "1050", "110"),
        ("0, 500 deposit 500, 450", "-50", "90"),
        ("0, 500, 450", "450", "90"),  # of nothing there is no return, though there is a result
        ("1000, 0, 500 deposit 500, 400", "-100", "80"),  # all was lost: new money begins anew
        ("1000, -50, 1000 deposit 1050", "-50", "100"),
        ("1000, 800 withdrawal -200, 800 withdrawal -200", "1000", "100"),  # the same again is nothing new
        ("-20, 80 deposit 100, 40", "-60", "50"),
    ],
)
@pytest.mark.parametrize("restarts", [False, True])
def test_of_money_that_flows_nothing_is_earned(scene, said, result, performance, restarts):
    for text in said.split(", "):
        say(scene, text)
        if restarts:
            scene = scene.restarted()
    assert returns(scene) == (result, performance)


@pytest.mark.parametrize(
    ("before", "after", "result", "performance"),
    [
        ({"net_deposits": "900"}, {"balance": "400", "net_deposits": "300"}, "1000", "100"),
        ({"net_deposits": "900"}, {"balance": "350", "net_deposits": "300"}, "950", "95"),
        ({"net_deposits": "900"}, {"balance": "950"}, "950", "95"),
        ({}, {"balance": "950", "net_deposits": "300"}, "950", "95"),  # known from now on
    ],
)
def test_a_brokers_own_count_of_deposits(scene, before, after, result, performance):
    scene.say("account", id="a", balance="1000", **before)
    scene.say("account", id="a", **after)
    assert returns(scene) == (result, performance)


def test_open_positions_belong_to_it(scene):
    say(scene, "1000")
    scene.say("position", **POSITION)
    scene.say("ticker", id="X", symbol="X", bid="50", ask="51")
    assert returns(scene) == ("950", "95")
    say(scene, "500 withdrawal -500")
    assert returns(scene) == ("950", "95")
    scene.say("ticker", id="X", symbol="X", bid="95", ask="96")
    assert returns(scene) == (
        "995",
        "104.5",
    )  # 95 x 495 / 450: what is left earned 10 %


@pytest.mark.parametrize("profit", ["300", "-300"])
@pytest.mark.parametrize("first", ["closed", "booked"])
def test_between_its_closing_and_its_booking_a_position_is_not_lost(scene, profit, first):
    say(scene, "1000")
    scene.say("position", **POSITION, profit=profit)
    scene.say("position", **POSITION | {"id": "q"}, profit="10")
    known = returns(scene)
    balance = str(1000 + int(profit))
    steps = {
        "closed": lambda: scene.say("position", id="p", account="a", status="closed", profit=profit),
        "booked": lambda: say(scene, f"{balance} trading {profit}"),
    }
    steps.pop(first)()
    if first == "closed":
        assert returns(scene) == known
        scene = scene.restarted()
        steps = {"booked": lambda: say(scene, f"{balance} trading {profit}")}
    next(iter(steps.values()))()
    assert returns(scene) == known
    say(scene, str(int(balance) + 1))
    assert returns(scene)[0] == str(int(profit) + 1011)


def test_several_closings_are_booked_one_by_one(scene):
    say(scene, "1000")
    for name in ("p", "q", "r"):
        scene.say("position", **POSITION | {"id": name}, profit="300")
    for name in ("p", "q", "r"):
        scene.say("position", id=name, account="a", status="closed")
    for balance in ("1300", "1600", "1900"):
        assert returns(scene) == ("1900", "190")
        say(scene, f"{balance} trading 300")
    assert returns(scene) == ("1900", "190")


def test_a_balance_without_a_cause_holds_what_was_closed(scene):
    say(scene, "1000")
    scene.say("position", **POSITION, profit="300")
    scene.say("position", id="p", account="a", status="closed")
    say(scene, "1299.5")
    assert returns(scene) == ("1299.5", "129.95")


def test_equity_that_the_venue_sends_is_not_added_to(scene):
    scene.say("account", id="a", balance="1000", equity="1300")
    scene.say("position", **POSITION, profit="300")
    scene.say("position", id="p", account="a", status="closed")
    assert returns(scene) == ("1300", "100")


def test_while_equity_is_missing_it_stays(scene):
    """The balance would be another measure: a loss of 30 % that comes and goes."""
    say(scene, "1000")
    scene.say("position", **POSITION, profit="-300")
    scene.say("position", id="p", account="a", profit="~")
    assert scene.state("account", "a", "a").equity is None
    assert returns(scene) == ("700", "70")
    say(scene, "1350 deposit 350")
    assert returns(scene) == ("700", "70")
    scene = scene.restarted()
    scene.say("position", id="p", account="a", profit="-300")
    assert returns(scene) == ("700", "70")


@pytest.mark.parametrize("how", ["opened before", "told as an opening state"])
def test_a_position_that_was_open_before_the_account_was_seen_is_no_result(scene, how):
    scene.clock.advance(60)
    say(scene, "1000")
    beside = {"opened": "2020-01-01T00:00:00Z"} if how == "opened before" else {"origin": "snapshot"}
    scene.say("position", **POSITION, profit="-300", **beside)
    assert returns(scene) == ("700", "100")
    scene.say("position", **POSITION | {"id": "q"}, profit="~", **beside)
    scene.say("position", id="q", account="a", profit="-350")
    assert returns(scene) == ("350", "100")
    scene.say("position", id="q", account="a", profit="-315")
    assert returns(scene) == ("385", "110")


def test_what_is_forgotten_was_not_lost(scene):
    say(scene, "1000")
    scene.say("position", **POSITION, profit="1000")
    scene.forget(Key("fx", "position", "a", "p"))
    assert returns(scene)[1] == "200"
    say(scene, "1001")
    assert returns(scene)[1] == "200.2"


def test_the_first_equity_of_an_account_is_no_result(scene):
    say(scene, "1000")
    scene.say("account", id="a", equity="400")
    assert returns(scene) == ("400", "100")
    scene.say("account", id="a", equity="440")
    assert returns(scene) == ("440", "110")


def test_accounts_that_an_older_version_left_begin_where_they_stand():
    scene = Scene()
    say(scene, "1000")
    before = {
        key: structs.replace(
            change,
            state=structs.replace(change.state, result=UNSET, performance=UNSET, units=UNSET, net_flows=UNSET, by_equity=UNSET),
        )
        for key, change in scene.latest.items()
    }  # fmt: skip
    scene = Scene(Entities(before.values()))
    say(scene, "900")
    assert returns(scene) == ("900", "90")


AMOUNTS = st.integers(1, 10**6).map(lambda cents: number(str(Decimal(cents) / 100)))
MOVES = st.lists(st.tuples(AMOUNTS, st.one_of(st.none(), AMOUNTS), st.booleans()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(AMOUNTS, MOVES)
def test_performance_is_the_time_weighted_return(first, moves):
    scene = Scene()
    scene.say("account", id="a", balance=first)
    index, flows, before = Fraction(100), Decimal(0), first
    for balance, paid_in, restarts in moves:
        told = {}
        if paid_in is not None:
            told = {"cause": "deposit", "change": paid_in}
            balance += paid_in  # noqa: PLW2901 - the worth before it flowed, then after
            flows += paid_in
        assume(balance != before)  # the same again would be no change
        scene.say("account", id="a", balance=balance, **told)
        index *= Fraction(balance - (paid_in or 0)) / Fraction(before)
        before = balance
        if restarts:
            scene = scene.restarted()
    state = scene.state("account", "a", "a")
    assert state.result == before - flows
    assert abs(Fraction(state.performance) - index) <= Fraction(1, 10**12)
