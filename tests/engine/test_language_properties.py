"""What holds for every condition: the two spellings agree, three-valued logic keeps its laws, nothing crashes."""

import ast
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.conditions import NOW, change, condition, node_of, sound, text_node
from support.models import model
from tocsin.engine.language.ast import text
from tocsin.engine.language.parser import Unreadable, parse
from tocsin.events import EXACT

NUMBERS = st.decimals(-1000, 1000, allow_nan=False, places=2)
TEXTS = st.sampled_from(["BTCUSD", "ETHUSD", 'a "quoted" one', "back\\slash", "it's", "", "x: y", "#"])
NUMBER_FIELDS = st.sampled_from(["profit", "leverage", "stop_loss", "account.equity"])
TEXT_FIELDS = st.sampled_from(["symbol", "reason", "currency"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "profit": NUMBERS, "leverage": NUMBERS, "stop_loss": st.none() | NUMBERS,
        "symbol": TEXTS, "reason": st.none() | TEXTS, "currency": TEXTS,
    },
)  # fmt: skip
SEEN = st.builds(
    lambda fields, previous, account: change("position", fields, previous, account),
    FIELDS,
    st.none() | FIELDS,
    st.none() | st.fixed_dictionaries({}, optional={"equity": NUMBERS}),
)

# ------------------------------------------------------------------------------- both spellings of the same condition


def _yaml(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "'" + value.replace("'", "''") + "'"


def _literal(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(write: Any, values: list[Any]) -> str:
    return f"[{', '.join(map(write, values))}]"


def _compared(word: str, operator: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(NUMBER_FIELDS, NUMBERS).map(
        lambda it: (f"{{{it[0]}: {{{word}: {_yaml(it[1])}}}}}", f"{it[0]} {operator} {_literal(it[1])}")
    )


def _alternatives(field: st.SearchStrategy[str], value: st.SearchStrategy[Any]) -> list[Any]:
    several = st.tuples(field, st.lists(value, min_size=1, max_size=3))
    return [
        st.tuples(field, value).map(
            lambda it: (f"{{{it[0]}: {_yaml(it[1])}}}", f"{it[0]} == {_literal(it[1])}")
        ),
        st.tuples(field, value).map(
            lambda it: (f"{{{it[0]}: {{not: {_yaml(it[1])}}}}}", f"{it[0]} != {_literal(it[1])}")
        ),
        several.map(
            lambda it: (f"{{{it[0]}: {_listed(_yaml, it[1])}}}", f"{it[0]} in {_listed(_literal, it[1])}")
        ),
        several.map(
            lambda it: (
                f"{{{it[0]}: {{not: {_listed(_yaml, it[1])}}}}}",
                f"{it[0]} not in {_listed(_literal, it[1])}",
            )
        ),
    ]


SIMPLE = st.one_of(
    *(_compared(*pair) for pair in (("below", "<"), ("above", ">"), ("at_least", ">="), ("at_most", "<="))),
    *_alternatives(NUMBER_FIELDS, NUMBERS),
    *_alternatives(TEXT_FIELDS, TEXTS),
    st.tuples(NUMBER_FIELDS, NUMBERS, NUMBERS).map(
        lambda it: (
            f"{{{it[0]}: {{between: [{_yaml(it[1])}, {_yaml(it[2])}]}}}}",
            f"{_literal(it[1])} <= {it[0]} <= {_literal(it[2])}",
        )
    ),
    NUMBER_FIELDS.map(lambda field: (f"{{{field}: {{missing: true}}}}", f"missing({field})")),
    NUMBER_FIELDS.map(lambda field: (f"{{{field}: {{missing: false}}}}", f"not missing({field})")),
    st.just(("{symbol: {matches: '^B'}}", 'matches(symbol, "^B")')),
    st.just(("{profit: {crosses_below: -5}}", "crosses_below(profit, -5)")),
    st.just(("{stop_loss: {changed: true}}", "changed(stop_loss)")),
)


def _joined(parts: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    several = st.lists(parts, min_size=1, max_size=3)

    def join(word: str, by: str) -> Any:
        return several.map(
            lambda found: (
                f"{{{word}: [{', '.join(mapping for mapping, _ in found)}]}}",
                f" {by} ".join(f"({expression})" for _, expression in found),
            )
        )

    negated = parts.map(lambda part: (f"{{not: {part[0]}}}", f"not ({part[1]})"))
    return st.one_of(join("all", "and"), join("any", "or"), negated)


BOTH = st.recursive(SIMPLE, _joined, max_leaves=6)


@given(BOTH, SEEN)
@model(suite=100, many=20_000)
def test_the_mapping_is_the_expression(both: tuple[str, str], seen: Any) -> None:
    mapping, expression = (sound(node, "position") for node in (node_of(both[0]), text_node(both[1])))
    assert mapping.tree == expression.tree
    assert mapping.source == expression.source
    assert mapping.holds(seen, NOW) is expression.holds(seen, NOW)
    assert mapping.describe(seen, NOW) == expression.describe(seen, NOW)


@given(BOTH, SEEN)
@model(suite=100, many=20_000)
def test_what_is_told_and_what_is_missing(both: tuple[str, str], seen: Any) -> None:
    found = sound(text_node(both[1]), "position")
    truth = found.holds(seen, NOW)
    assert found.describe(seen, NOW)
    assert bool(found.missing(seen, NOW)) is (truth is None)


# ---------------------------------------------------------------------------------------------- three-valued logic


@given(st.tuples(BOTH, BOTH, BOTH).map(lambda three: [f"({both[1]})" for both in three]), SEEN)
@model(suite=100, many=20_000)
def test_the_laws_of_three_valued_logic(three: list[str], seen: Any) -> None:
    a, b, c = three

    def truth(expression: str) -> bool | None:
        return sound(text_node(expression), "position").holds(seen, NOW)

    assert truth(f"not not {a}") is truth(a)
    assert truth(f"not ({a} and {b})") is truth(f"not {a} or not {b}")
    assert truth(f"not ({a} or {b})") is truth(f"not {a} and not {b}")
    assert truth(f"{a} and {b}") is truth(f"{b} and {a}")
    assert truth(f"{a} or {b}") is truth(f"{b} or {a}")
    assert truth(f"{a} and ({b} or {c})") is truth(f"{a} and {b} or {a} and {c}")
    assert truth(f"{a} and {a}") is truth(a)
    assert truth(f"{a} or not {a}") is (None if truth(a) is None else True)
    assert truth(f"{a} and {b}") is _all(truth(a), truth(b))


def _all(left: bool | None, right: bool | None) -> bool | None:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


# --------------------------------------------------------------------------------------------------- any text at all

WORDS = st.sampled_from(
    [
        "profit",
        "symbol",
        "account.equity",
        "previous",
        "changed",
        "matches",
        "default",
        "age",
        "and",
        "or",
        "not",
        "in",
        "is",
        "true",
        "(",
        ")",
        "[",
        "]",
        ",",
        "<",
        "<=",
        "==",
        "!=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "-50",
        "0.5",
        "1e6",
        "5m",
        "1h30m",
        "12x",
        '"BTC"',
        "'ETH'",
        '"',
        "'",
        "=",
        "&&",
        ".",
        "..",
        "\\",
        "{{",
        "\u2212",
        "\u0660",
        "é",
        "\x00",
        "\n",
    ]
)


@given(st.text(max_size=60) | st.lists(WORDS, max_size=25).map(" ".join))
@model(suite=400, many=20_000)
def test_any_text_is_a_condition_or_a_problem(written: str) -> None:
    node = text_node(written)
    compiled, problems = condition(node, "position")
    assert (compiled is None) == any(problem.level == "error" for problem in problems)
    for problem in problems:
        assert problem.place is not None
        assert problem.message
        assert 1 <= problem.place.column <= len(written) + 1
        problem.render()


@given(st.lists(WORDS, max_size=25).map(" ".join) | BOTH.map(lambda both: both[1]))
@model(suite=400, many=20_000)
def test_the_canonical_spelling_parses_to_the_same_tree(written: str) -> None:
    try:
        tree = parse(text_node(written))
    except Unreadable:
        return
    assert parse(text_node(text(tree))) == tree
    assert text(parse(text_node(text(tree)))) == text(tree)


OPERANDS = st.sampled_from(["profit", "leverage", "3", "-2.50", "previous(profit)", "(profit)", "-profit"])
SUMS = st.recursive(
    OPERANDS,
    lambda parts: (
        st.tuples(parts, st.sampled_from("+-*/%"), parts).map(lambda it: f"({it[0]} {it[1]} {it[2]})")
        | st.tuples(parts, st.sampled_from("+-*/%"), parts).map(" ".join)
    ),
    max_leaves=8,
)


@given(SUMS, SEEN)
@model(suite=100, many=20_000)
def test_sums_bind_as_everyone_knows(written: str, seen: Any) -> None:
    """Read by Python's parser and reckoned exactly, a sum comes to the same."""
    found, problems = condition(text_node(f"{written} > 0"), "position")
    if found is None:  # a division by a written zero, a sum without a field
        assert problems
        return
    try:
        value = _reckoned(ast.parse(written, mode="eval").body, written, seen)
        expected = None if value is None else value > 0
    except ArithmeticError:
        expected = None
    assert found.holds(seen, NOW) is expected


def _reckoned(node: ast.expr, written: str, seen: Any) -> Decimal | None:
    match node:
        case ast.Constant():
            return Decimal(ast.get_source_segment(written, node) or "")
        case ast.Name(name):
            value = getattr(seen.state, name)
            return value if isinstance(value, Decimal) else None
        case ast.Call():
            value = getattr(seen.previous, "profit", None)
            return value if isinstance(value, Decimal) else None
        case ast.UnaryOp():
            value = _reckoned(node.operand, written, seen)
            return None if value is None else EXACT.minus(value)
        case ast.BinOp():
            left, right = _reckoned(node.left, written, seen), _reckoned(node.right, written, seen)
            names = {"Add": "add", "Sub": "subtract", "Mult": "multiply", "Div": "divide", "Mod": "remainder"}
            return (
                None
                if left is None or right is None
                else getattr(EXACT, names[type(node.op).__name__])(left, right)
            )
    raise AssertionError(node)
