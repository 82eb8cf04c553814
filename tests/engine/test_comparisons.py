"""The normal form of conditions: what it is of each spelling, and that it means the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.conditions import change, sound, text_node
from tocsin.engine.language.ast import Listing, text
from tocsin.engine.language.bounds import Comparison, Joined, Normal, Stated, normal


def spelled(found: Normal) -> str:
    match found:
        case Comparison():
            operator = (
                {"==": "in", "!=": "not in"}[found.operator]
                if isinstance(found.other, Listing)
                else found.operator
            )
            return f"{text(found.subject)} {operator} {text(found.other)}"
        case Joined():
            return f"({f' {found.word} '.join(map(spelled, found.parts))})"
        case Stated():
            return f"{'not ' if found.negated else ''}{text(found.node)}"


@pytest.mark.parametrize(
    ("written", "is_"),
    [
        ("profit < 5", "profit < 5"),
        ("5 > profit", "profit < 5"),
        ("not profit < 5", "profit >= 5"),
        ("not not profit < 5", "profit < 5"),
        ("1 <= profit < 5", "(profit >= 1 and profit < 5)"),
        ("not 1 <= profit < 5", "(profit < 1 or profit >= 5)"),
        ("profit < leverage", "profit < leverage"),
        ('symbol in ["A", "B"]', 'symbol in ["A", "B"]'),
        ('not symbol in ["A", "B"]', 'symbol not in ["A", "B"]'),
        ('symbol not in ["A"]', 'symbol not in ["A"]'),
        ("not (profit < 5 or missing(swap))", "(profit >= 5 and not missing(swap))"),
        ("not (profit < 5 and not missing(swap))", "(profit >= 5 or missing(swap))"),
        ("profit < 5 or profit > 9 and swap != 1", "(profit < 5 or (profit > 9 and swap != 1))"),
    ],
)  # fmt: skip
def test_each_spelling_has_one(written, is_):
    assert spelled(normal(sound(text_node(written), "position").tree)) == is_


NUMBERS = st.sampled_from(["0", "1", "2", "-1"])
SIMPLE = st.one_of(
    st.tuples(st.sampled_from(["profit", "leverage"]), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map(" ".join),
    st.tuples(NUMBERS, st.just("<"), st.just("profit"), st.just("<="), st.sampled_from(["2", "leverage"])).map(" ".join),
    st.sampled_from(["profit in [0, 1]", "profit not in [1, 2]", "missing(profit)"]),
)  # fmt: skip
CONDITIONS = st.recursive(
    SIMPLE,
    lambda parts: st.one_of(
        st.lists(parts, min_size=2, max_size=3).map(lambda found: f"({' and '.join(found)})"),
        st.lists(parts, min_size=2, max_size=3).map(lambda found: f"({' or '.join(found)})"),
        parts.map(lambda part: f"not ({part})"),
    ),
    max_leaves=6,
)


@given(CONDITIONS, NUMBERS, NUMBERS)
def test_it_means_the_same(written, profit, leverage):
    there = change("position", {"profit": profit, "leverage": leverage})
    found = sound(text_node(spelled(normal(sound(text_node(written), "position").tree))), "position")
    assert found.holds(there, there.received) is sound(text_node(written), "position").holds(
        there, there.received
    )
