"""Nothing that a user writes is too deep, too long or too large to be refused calmly."""

import pytest

from support.conditions import condition, node_of, text_node


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("(" * 5000 + "profit" + ")" * 5000, "more than 30 brackets inside each other"),
        ("abs(" * 31 + "profit" + ")" * 31, "more than 30 brackets inside each other"),
        ("[" * 31, "more than 30 brackets inside each other"),
        ("not " * 3000 + "profit < 5", "too much arithmetic for one expression"),
        ("profit < " + "-" * 3000 + "5", "too much arithmetic for one expression"),
        ("profit < 1" + " + 1" * 3000, "too much arithmetic for one expression"),
        ("profit < 5" + " or profit < 5" * 3000, "an expression of more than 20000 characters"),
        ("profit < 1e999999", "`1e999999`: not a number: '1e999999'"),
        (f"profit < {'9' * 300}", f"`{'9' * 40}`: a number of too many digits"),
        ("age() > 999999999d", "`999999999d`: too long: a duration is at most a hundred years, 36500d"),
        (
            "age() > 99999999999999999999d",
            "`99999999999999999999d`: too long: a duration is at most a hundred years, 36500d",
        ),
        ('matches(symbol, "(a{1000}){1000}")', "not a regex: invalid repetition size: {1000}"),
        ('matches(symbol, "\ud800")', "not a regex: it holds half a character"),
        ("profit < \x07", "a character that has no meaning here"),
    ],
    ids=lambda value: value[:20].encode("ascii", "replace").decode(),
)
def test_refused(written: str, message: str) -> None:
    compiled, problems = condition(text_node(written), "position")
    assert compiled is None
    assert [problem.message for problem in problems] == [message]


@pytest.mark.parametrize("word", ["any: [", "not: "])
def test_a_mapping_nested_too_deep(word: str) -> None:
    depth = 31
    closing = "]}" if "[" in word else "}"
    node = node_of(f"{{{word}" * depth + "{profit: 5}" + closing * depth)
    compiled, problems = condition(node, "position")
    assert compiled is None
    assert [problem.message for problem in problems] == ["conditions nested more than 30 deep"]


def test_what_is_as_deep_and_as_long_as_can_be() -> None:
    deep = "(" * 29 + "profit" + ")" * 29
    long = " + ".join(["profit"] * 90)
    listed = ", ".join(f'"SYMBOL{number}"' for number in range(1000))
    for written in (f"{deep} < 5", f"{long} < 5", f"symbol in [{listed}]"):
        compiled, problems = condition(text_node(written), "position")
        assert not problems
        assert compiled is not None
        again, _ = condition(text_node(compiled.source), "position")
        assert again is not None
        assert again.tree == compiled.tree
