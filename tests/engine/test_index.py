"""The index tells exactly what a plain loop over all rules tells, and touches only what an event can concern."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from support.conditions import change, node_of, rule
from support.models import model
from tocsin.clock import ManualClock
from tocsin.engine.api import ChangeOutcome
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.engine import Engine
from tocsin.engine.index import Index
from tocsin.engine.rule import Rule
from tocsin.entities import Entities
from tocsin.events import KINDS, Change, Instant, Observation

# Few values, so that they are met often: equal ones, ones on either side of a limit, and none.
NUMBERS = st.sampled_from(["-2", "-1", "0", "0.5", "1.0", "1", "2"])
FIELDS = {
    "profit": NUMBERS, "leverage": NUMBERS, "stop_loss": NUMBERS, "amount": NUMBERS,
    "symbol": st.sampled_from(["A", "a", "B", "C"]), "side": st.sampled_from(["long", "short"]),
    "currency": st.sampled_from(["EUR", "USD"]), "reason": st.sampled_from(["A", "b", "B"]),
}  # fmt: skip
NUMERIC = ("profit", "leverage", "stop_loss", "amount", "account.equity", "abs(profit)", "profit + amount")
TEXTUAL = ("symbol", "currency", "reason", "lower(reason)", "previous(symbol)", "venue")
OWN = ("profit", "leverage", "stop_loss")
_MOST_WAKES = 20  # between two steps: what is looked at each second goes on for ever


def _texts(*parts: Any) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(" ".join)


SIMPLE = st.one_of(
    _texts(st.sampled_from(NUMERIC), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS),
    _texts(NUMBERS, st.sampled_from(["<", "<="]), st.sampled_from(NUMERIC), "<=", NUMBERS),
    _texts(st.sampled_from(NUMERIC), "in [", NUMBERS, ",", NUMBERS, "]"),
    _texts(st.sampled_from(TEXTUAL), st.sampled_from(["==", "!="]), st.sampled_from(['"A"', '"B"', '"EUR"', '"b"'])),
    _texts(st.sampled_from(TEXTUAL), st.sampled_from(["in", "not in"]), '["A", "c", "fx"]'),
    _texts("symbol", st.sampled_from(["==", "!="]), st.sampled_from(["reason", "id", "previous(symbol)"])),
    _texts('side == "long"'),
    _texts("missing(", st.sampled_from(NUMERIC), ")"),
    _texts("changed(", st.sampled_from(OWN), ")"),
    _texts(st.sampled_from(["crosses_above", "crosses_below"]), "(", st.sampled_from(OWN), ",", NUMBERS, ")"),
    _texts("crosses_below( profit , leverage )"),
    _texts("profit < leverage"),
    _texts('matches( symbol , "[AB]" )'),
    _texts("default( stop_loss ,", NUMBERS, ") > 0"),
    _texts("age() > 5s"),
)  # fmt: skip
CONDITIONS = st.recursive(
    SIMPLE,
    lambda parts: st.one_of(
        st.lists(parts, min_size=2, max_size=3).map(lambda found: f"({' and '.join(found)})"),
        st.lists(parts, min_size=2, max_size=3).map(lambda found: f"({' or '.join(found)})"),
        parts.map(lambda part: f"not ({part})"),
    ),
    max_leaves=5,
)
RULES = st.lists(
    st.fixed_dictionaries(
        {"watch": st.sampled_from(["position", "position.updated", "position.*", "[position.opened, position.closed]"]),
         "when": CONDITIONS},
        optional={"where": SIMPLE, "until": SIMPLE, "for": st.just("3s"), "if_unknown": st.just("ignore"),
                  "cooldown": st.just("5s"), "keep_firing_for": st.just("2s"), "on_gap": st.just("resolve")},
    ),
    min_size=1, max_size=12,
)  # fmt: skip

POSITION = st.fixed_dictionaries(
    {"id": st.sampled_from(["p1", "p2"])}, optional={k: st.none() | v for k, v in FIELDS.items()}
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 1.0, 4.0, 4000.0]),
        st.one_of(
            st.tuples(st.just("position"), POSITION),
            st.tuples(st.just("position"), POSITION),
            st.tuples(st.just("position"), POSITION.map(lambda fields: {**fields, "status": "closed"})),
            st.tuples(
                st.just("account"),
                st.fixed_dictionaries({"id": st.just("a1"), "equity": st.none() | NUMBERS}),
            ),
            st.tuples(
                st.just("venue"),
                st.fixed_dictionaries(
                    {"id": st.just("fx"), "status": st.sampled_from(["connected", "disconnected"])}
                ),
            ),
        ),
    ),
    max_size=12,
)


def compiled(written: list[dict[str, str]]) -> list[Rule]:
    """Those of the rules that are sound."""
    text = "\n".join(
        f"- id: r{number}\n" + "".join(f"  {key}: {value}\n" for key, value in each.items())
        for number, each in enumerate(
            {k: repr(v) if k in ("when", "where", "until") else v for k, v in each.items()}
            for each in written
        )
    )
    rules, _ = compile_rules(node_of(text), Environment(frozenset()))  # type: ignore[arg-type]  # it is a list
    return list(rules.values())


class Loop:
    """What an index mustn't differ from: every rule that watches the kind."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules

    def candidates(self, seen: Any, also: Any = ()) -> list[Rule]:
        return [each for each in self.rules if seen.kind in each.kinds]


def observation(kind: str, fields: dict[str, Any]) -> Observation:
    numbers = {*NUMERIC, "equity"}
    state = KINDS[kind](
        **{name: Decimal(value) if name in numbers and value else value for name, value in fields.items()}
    )
    return Observation(
        state=state,
        account="a1" if kind == "position" else None,
        event=f"venue.{fields['status']}" if kind == "venue" else None,
    )


def processed(engine: Engine, changes: Sequence[Change], now: Any) -> list[ChangeOutcome]:
    """What came of it, with the records that are written later made now."""
    taken = engine.process(changes, now)
    for each in taken:
        each.transitions = [
            structs.replace(moved, record=moved.record()) if callable(moved.record) else moved
            for moved in each.transitions
        ]
    return taken


def woken(engines: Sequence[Engine], clock: ManualClock, seconds: float) -> Iterator[Instant]:
    """The clock at each of their deadlines, then `seconds` from now. What the index leaves out has no deadline of its own:
    they need not be the same ones, but what each does at all of them is.
    """
    until = clock.now().steady + seconds
    for _ in range(_MOST_WAKES):
        due = min((at for engine in engines if (at := engine.deadline()) is not None), default=until)
        if due >= until:
            break
        yield clock.advance(max(0.0, due - clock.now().steady))
    yield clock.advance(until - clock.now().steady)


@given(RULES, STEPS)
@model(suite=300, many=20_000)
def test_the_index_tells_what_a_loop_tells(written, steps):
    rules, clock, entities = compiled(written), ManualClock(), Entities()
    indexed, plain = (Engine(rules, entities, map("a{}".format, count()).__next__) for _ in range(2))
    plain._rules.index = Loop(rules)
    for after, (kind, fields) in steps:
        for now in woken((indexed, plain), clock, after):
            assert indexed.advance(now) == plain.advance(now)
        changes = entities.apply("fx", observation(kind, fields), now, None)
        assert processed(indexed, changes, now) == processed(plain, changes, now)
        assert indexed.blind(now) == plain.blind(now)


@given(RULES, STEPS, RULES)
@model(suite=100, many=20_000)
def test_so_it_does_at_a_restart_and_a_reload(written, steps, others):
    rules, clock, entities = compiled(written), ManualClock(), Entities()
    for after, (kind, fields) in steps:
        entities.apply("fx", observation(kind, fields), clock.advance(after), None)
    now = clock.now()
    indexed, plain = (Engine(rules, entities, map("a{}".format, count()).__next__) for _ in range(2))
    plain._rules.index = Loop(rules)
    assert indexed.restore([], None, now) == plain.restore([], None, now)
    edited = compiled(others)
    loop = Loop(edited)
    told = indexed.reload(edited, now)
    judged: list[Any] = []

    def reloading(engine: Engine) -> Any:
        """As `reload`, but with the loop in the new rulebook's place before anything is judged."""
        real = engine._states.reevaluate_entities

        def judge(*asked):
            engine._rules.index = loop
            return real(*asked)

        engine._states.reevaluate_entities = judge
        return engine.reload(edited, now)

    judged = reloading(plain)
    assert told == judged


# --------------------------------------------------------------------------------------------------- what it touches

SEEN = change(
    "position",
    {"symbol": "BTCUSD", "side": "long", "profit": "-60", "leverage": "10", "reason": None},
    {"symbol": "BTCUSD", "side": "long", "profit": "-40", "leverage": "10"},
    {"equity": "100"},
    symbol="BTCUSD",
)


@pytest.mark.parametrize(
    ("when", "reached"),
    [
        ('symbol == "BTCUSD"', True),
        ('symbol == "ETHUSD"', False),
        ('symbol in ["ETHUSD", "BTCUSD"]', True),
        ('symbol in ["ETHUSD", "LTCUSD"]', False),
        ('not symbol not in ["ETHUSD"]', False),
        ('side == "short" and profit < -50', False),
        ("profit < -50", True),
        ("profit < -70", False),
        ("-70 <= profit <= -50", True),
        ("-50 <= profit <= 0", False),
        ("not profit > -70", False),
        ("not (profit < -50 or leverage < 5)", False),
        ("crosses_below(profit, -50)", True),
        ("crosses_below(profit, -30)", False),
        ("crosses_below(profit, -60)", True),  # on the limit: evaluated, and found not to be beyond
        ("crosses_above(profit, -50)", False),
        ("changed(leverage)", False),
        ("changed(profit)", True),
        ("missing(profit)", False),
        ("not missing(stop_loss)", False),
        ("stop_loss < 5", True),  # missing: unknown, not false
        ('reason == "x"', True),
        ('reason == "x" and symbol == "ETHUSD"', False),
        ("account.equity < 50", False),
        ("account.margin < 50", True),
        ("abs(profit) < 50", False),
        ("profit + leverage > 0", False),
        ("leverage > 50 or profit > 0", False),
        ("leverage > 50 or profit < 0", True),
        ('venue == "px"', False),
        ("profit > leverage", True),  # not against a constant: evaluated plainly
        ('matches(symbol, "ETH")', True),
    ],
)
def test_what_is_reached(when, reached):
    one = rule(f"id: one\nwatch: position\nwhen: {when!r}")
    assert list(Index([one]).candidates(SEEN)) == ([one] if reached else [])


def test_what_lives_is_reached_whatever_its_condition():
    one = rule("id: one\nwatch: position\nwhen: profit > 0")
    other = rule("id: other\nwatch: ticker\nwhen: last > 0")
    assert list(Index([other, one]).candidates(SEEN, ["one", "other", "unknown"])) == [one]


@pytest.mark.parametrize(
    "watch", ["position.closed", "order.updated", "[order.canceled, position.opened]", "order", "account"]
)
def test_other_events_and_kinds_are_not_reached(watch):
    when = "" if "." in watch else "\nwhen: id == 'x1'"
    assert not Index([rule(f"id: one\nwatch: {watch}{when}")]).candidates(SEEN)


def test_of_many_rules_only_those_that_concern_it_in_the_order_of_the_files():
    spread = [
        f"id: r{number}\nwatch: {'position.opened' if number % 2 else 'position'}\n"
        f"when: symbol in ['S{number % 50}', 'T{number}'] and {-number} <= profit < {5 - number}"
        for number in range(400)
    ]
    rules = [rule(text) for text in spread]
    seen = change("position", {"symbol": "S7", "profit": "-54"}, symbol="S7", events=("position.opened",))
    assert [each.id for each in Index(rules).candidates(seen)] == ["r57"]
    seen = change("position", {"symbol": "S7", "profit": None}, symbol="S7", events=("position.opened",))
    assert [each.id for each in Index(rules).candidates(seen)] == [f"r{n}" for n in range(7, 400, 50)]
