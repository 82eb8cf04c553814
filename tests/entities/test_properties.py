"""What holds whatever is said, in whatever order."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from support.observing import Scene
from support.recount import recounted
from tocsin.events import (
    KINDS,
    Account,
    Balance,
    Book,
    Key,
    Observation,
    Order,
    Position,
    Ticker,
    Trade,
    from_iso,
    number,
)

NUMBERS = st.sampled_from(
    ["0", "1", "1.0", "-2.5", "89788.01", "0.01", "1E-8", "7", "0E-16", "3333333.333"]
).map(number)
TIMES = st.integers(0, 9).map(lambda second: from_iso(f"2026-01-01T00:00:0{second}Z"))


def field(values):
    return st.one_of(st.just(UNSET), st.none(), values)


def entity(kind, ids, **values):
    return st.builds(
        kind, id=st.sampled_from(ids), **{name: field(strategy) for name, strategy in values.items()}
    )


SYMBOLS = st.sampled_from(["X", "Y"])
ORDERS = entity(
    Order, ["1", "2"], symbol=SYMBOLS, price=NUMBERS, filled=NUMBERS, remaining=NUMBERS, updated=TIMES,
    status=st.sampled_from(["pending", "open", "partially_filled", "filled", "canceled", "cancelled", "unknown"]),
    venue_status=st.sampled_from(["a", "b"]),
)  # fmt: skip
POSITIONS = entity(
    Position, ["p", "q"], symbol=SYMBOLS, side=st.sampled_from(["long", "short"]), amount=NUMBERS, entry_price=NUMBERS,
    profit=NUMBERS, lot_size=NUMBERS, profit_price=NUMBERS, margin_price=NUMBERS, leverage=NUMBERS, mark_price=NUMBERS,
    status=st.sampled_from(["open", "closed"]), updated=TIMES,
)  # fmt: skip
ACCOUNTS = entity(Account, ["a"], balance=NUMBERS, leverage=NUMBERS)
TICKERS = entity(Ticker, ["X", "Y"], bid=NUMBERS, ask=NUMBERS, last=NUMBERS)
BOOKS = entity(Book, ["X", "Y"], bid=NUMBERS, ask=NUMBERS)
BALANCES = entity(Balance, ["B"], total=NUMBERS)
EVENTS = {
    Order: ["order.created", "order.canceled", "order.updated"],
    Position: ["position.opened", "position.updated", "position.closed"],
    Account: ["account.added", "account.updated"],
}


def observations(states):
    return states.flatmap(
        lambda state: st.builds(
            Observation,
            state=st.just(state),
            account=st.just("a"),
            event=st.sampled_from([None, *EVENTS.get(type(state), ())]),
            origin=st.sampled_from(["live", "live", "snapshot"]),
            time=st.one_of(st.none(), TIMES),
        )
    )


ANY = observations(st.one_of(ORDERS, POSITIONS, ACCOUNTS, TICKERS, BOOKS, BALANCES))
SEQUENCES = st.lists(ANY, max_size=8)


def plainly(change):
    """Without what a restart changes: it is a gap, in which what is open is unconfirmed."""
    return structs.replace(change, origin="live", unconfirmed_since=None)


def everything(scene):
    known = {}
    for key in scene.latest:
        found = scene.entities.get(key)
        known[key] = plainly(found)
    return known


@settings(max_examples=60, deadline=None)
@given(SEQUENCES, ANY)
def test_the_same_again_is_no_event(before, last):
    scene = Scene()
    for observation in [*before, last]:
        scene.apply(observation)
    assert scene.apply(last) == []


@settings(max_examples=60, deadline=None)
@given(SEQUENCES)
def test_what_stands_said_again_is_no_event(before):
    scene = Scene()
    for observation in before:
        scene.apply(observation)
    for key in list(scene.latest):
        state = scene.entities.get(key).state
        if key.kind == "ticker" and scene.entities.get(key).origin == "synthetic":
            continue  # said by the venue itself, it becomes the venue's own
        changes = scene.apply(Observation(state=state, account=key.account or None))
        # That a venue now sends what was counted is noted, and no event.
        assert not [change for change in changes if change.events or key.kind != "account"]


@settings(max_examples=60, deadline=None)
@given(SEQUENCES, SEQUENCES)
def test_a_restart_changes_nothing(before, after):
    one = Scene()
    for observation in before:
        one.apply(observation)
    other = one.restarted()
    assert everything(other) == everything(one)
    for observation in after:
        # Origins may differ: what is an opening state to one is a difference to the other.
        live = structs.replace(observation, origin="live")
        told = [plainly(change) for change in one.apply(live)]
        assert [plainly(change) for change in other.apply(live)] == told
    assert everything(other) == everything(one)


@settings(max_examples=60, deadline=None)
@given(SEQUENCES)
def test_what_is_told_fits_together(said):
    scene = Scene()
    known = {}
    for observation in said:
        for change in scene.apply(observation):
            assert change.previous == known.get(change.key)
            assert change.state != change.previous or "trade.executed" in change.events
            known[change.key] = change.state
            status = getattr(change.state, "status", None)
            assert status != "cancelled"
            assert "order.cancelled" not in change.events
            assert change.ended == (status in KINDS[change.kind].ended)
            statuses = [name for name in change.events if name.partition(".")[2] in (status, "closed")]
            before = getattr(change.previous, "status", None)
            if change.kind in ("order", "position") and status == before:
                assert statuses in ([], ["order.partially_filled"], ["order.unknown"])
    for key, state in known.items():
        assert scene.entities.get(key).state == state


@settings(max_examples=60, deadline=None)
@given(SEQUENCES)
def test_an_order_only_goes_on(said):
    """Without the venue's word that it is newer, nothing ended lives again and nothing filled is unfilled."""
    scene = Scene()
    for observation in said:
        state = observation.state
        if hasattr(state, "updated"):
            state = structs.replace(state, updated=UNSET)
        for change in scene.apply(structs.replace(observation, state=state, time=None)):
            if change.kind in ("order", "position") and change.previous is not None:
                assert change.ended or change.previous.status not in KINDS[change.kind].ended


@settings(max_examples=60, deadline=None)
@given(SEQUENCES)
def test_accounts_are_always_in_step_with_their_positions(said):
    scene = Scene()
    for observation in said:
        scene.apply(observation)
    if not any(key.kind == "position" for key in scene.latest):
        return
    assert_in_step(scene)


def assert_in_step(scene):
    """Equity, margin and margin level of each account are what its positions come to."""
    positions = scene.entities.live("position")
    for change in scene.entities.live("account"):
        held = [position.state for position in positions if position.key[:3:2] == change.key[:3:2]]
        for name, value in recounted(change.state, held).items():
            known = getattr(change.state, name)
            assert (known if isinstance(known, Decimal) else None) == value, name


def mostly(*usual):
    """Seldom missing or not mentioned, or most sums would be unknown."""
    return st.sampled_from([*map(number, usual), *map(number, usual), None, UNSET])


MANY = st.sampled_from(["p", "q", "r"])
CURRENCIES = st.sampled_from(["USD", "USD", "EUR", None, UNSET])
HELD = st.builds(
    Position, id=MANY, symbol=SYMBOLS, side=st.sampled_from(["long", "short"]), currency=CURRENCIES,
    status=st.sampled_from(["open", "open", "open", "closed"]), updated=field(TIMES), entry_price=NUMBERS,
    profit=mostly("-2.5", "0.01", "1E-8"), amount=mostly("1", "0.1", "1E+20"), lot_size=mostly("1", "100000"),
    profit_price=mostly("1", "0.925"), margin_price=mostly("89788.01", "7"), leverage=mostly("0", "3", "7"),
)  # fmt: skip
OWNERS = st.builds(
    Account, id=st.sampled_from(["a", "b"]), balance=mostly("100", "0", "3333333.333"), leverage=mostly("3", "10"),
    currency=CURRENCIES,
)  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("position"), HELD, st.sampled_from(["a", "b"])),
    st.tuples(st.just("position"), HELD, st.just("a")),
    st.tuples(st.just("account"), OWNERS),
    st.tuples(st.just("ticker"), TICKERS),
    st.tuples(st.just("forget"), MANY, st.sampled_from(["a", "b"])),
    st.sampled_from([("restart",), ("gap",), ("snapshot",), ("venue removed",)]),
)


def take(scene, step):
    """The scene after that step."""
    what, *said = step
    if what == "position":
        scene.apply(Observation(state=said[0], account=said[1]))
    elif what in ("account", "ticker"):
        scene.apply(Observation(state=said[0]))
    elif what == "forget":
        scene.latest.pop(key := Key(scene.venue, "position", said[1], said[0]), None)
        scene.entities.forget([key], scene.clock.now())
    elif what == "restart":
        return scene.restarted()
    elif what == "gap":
        scene.link("disconnected")
        scene.link("connected")
    elif what == "snapshot":  # without any of the positions: they are unconfirmed
        scene.snapshot("position")
        scene.end()
    else:
        scene.entities.venues_removed(scene.venue)
        scene.latest.clear()
    return scene


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=20))
def test_running_sums_are_what_counting_anew_comes_to(steps):
    scene = Scene()
    scene.link("connected")
    scene.apply(Observation(state=Position(id="z"), account="c"))  # a venue that tells of positions
    for number_of, step in enumerate(steps):
        scene = take(scene, step)
        if step[0] == "forget":
            for account in scene.entities.live("account"):  # what is forgotten is told with the next message
                balance = number(f"{number_of}.5")
                scene.apply(Observation(state=Account(id=account.key.id, balance=balance)))
        if step[0] == "venue removed":
            scene.apply(Observation(state=Position(id="z"), account="c"))
        assert_in_step(scene)


@settings(max_examples=30, deadline=None)
@given(st.lists(observations(entity(Trade, ["X", "77"], symbol=SYMBOLS, price=NUMBERS)), max_size=8))
def test_a_trade_without_an_id_always_happens(said):
    scene = Scene()
    for observation in said:
        plain = structs.replace(
            observation, origin="live", state=structs.replace(observation.state, id="X", symbol="X")
        )
        assert scene.apply(plain)[0].events == ("trade.executed",)
