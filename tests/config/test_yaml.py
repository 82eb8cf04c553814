"""The YAML loader: what scalars mean, where things stand, what is refused."""

from decimal import Decimal
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.config import yaml
from tocsin.document import Mapping, Node, Scalar, Sequence
from tocsin.errors import Place, Problem


def good(text: str) -> Node:
    node, problems = yaml.load(dedent(text), "c.yaml")
    assert problems == []
    assert node is not None
    return node


def bad(text: str) -> list[Problem]:
    _, problems = yaml.load(dedent(text), "c.yaml")
    assert problems
    return problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("NO", "NO"), ("y", "y"),
        ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"),
        ("null", None), ("~", None), ("", None), ("nULL", "nULL"),
        ("22:00", "22:00"), ("1:30:00", "1:30:00"), ("2026-12-25", "2026-12-25"),
        ("1e5", Decimal("1E+5")), ("0123", 123), ("0x1F", "0x1F"), ("0o17", "0o17"), ("1_000", "1_000"),
        ("-50", -50), ("+7", 7), ("0.08132", Decimal("0.08132")), ("-.5", Decimal("-0.5")), ("1.", Decimal(1)),
        ("-0.49939999999990503", Decimal("-0.49939999999990503")), ("9007199254740993", 9007199254740993),
        (".inf", ".inf"), (".nan", ".nan"), ("NaN", "NaN"), ("Infinity", "Infinity"), ("٣", "٣"),
        ("'5'", "5"), ('"true"', "true"), ("5m", "5m"), ("#x", None), ("a#b", "a#b"), ("=", "="), ("<<x", "<<x"),
    ],
)  # fmt: skip
def test_a_scalar_means_what_it_looks_like(written, value):
    found = good(f"k: {written}").plain()
    assert found == {"k": value}
    assert type(found["k"]) is type(value)


def test_numbers_keep_the_digits_as_written():
    assert str(good("k: 1.2300").plain()["k"]) == "1.2300"


@pytest.mark.parametrize("number", ["1e999999999", "-1e-400", "9" * 101, "1" + "0" * 5000, "0." + "1" * 200])
def test_a_number_that_would_make_arithmetic_slow_is_refused(number):
    assert bad(f"k: {number}")[0].message == "a number too long to be one"


def test_keys_are_texts_as_written():
    assert good("{0123: a, 1e5: b, true: c, null: d}").plain() == {
        "0123": "a",
        "1e5": "b",
        "true": "c",
        "null": "d",
    }


@pytest.mark.parametrize(
    ("text", "lead", "exact", "shows"),
    [
        ("when: profit < -50", 0, True, "profit < -50"),
        ("when:   'profit < -50'", 1, True, "profit < -50"),
        ('when: "profit < -50"  # why', 1, True, "profit < -50"),
        ("when: 'it''s'", 1, False, None),
        ('when: "a\\tb"', 1, False, None),
        ("žluť: 'čaj < 5' ", 1, True, "čaj < 5"),
        ("k: '🙂 < 5'", 1, True, "🙂 < 5"),
    ],
)
def test_offsets_into_a_scalar_are_offsets_into_its_line(text, lead, exact, shows):
    node = good(text)
    assert isinstance(node, Mapping)
    (entry,) = node
    scalar = entry.value
    assert isinstance(scalar, Scalar)
    assert (scalar.exact, scalar.lead if exact else lead) == (exact, lead)
    place = scalar.within(0, len(scalar.text))
    assert place.line == 1
    if shows is not None:
        assert place.source[place.column - 1 : place.column - 1 + place.length] == shows == scalar.text


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("when: profit\n  < WORD", "c.yaml:2:5"),
        ("when: >\n  profit < WORD", "c.yaml:2:12"),
        ("when: |-  # why\n  profit\n\n     < WORD\n  and 5", "c.yaml:4:8"),
        ("when: |\n  # of the text\n  WORD", "c.yaml:3:3"),
        ("when: >-\n\n  a\n   b\n  WORD\n\nnext: 1", "c.yaml:5:3"),
        ("when: 'one\n  WORD'", "c.yaml:2:3"),
        ('when: "one\n\n  two WORD"', "c.yaml:3:7"),
        ('when: "one\\n\n  WORD"', "c.yaml:1:7"),  # with an escape only the text's own place is known
        ("when: 'it''s\n  WORD'", "c.yaml:1:7"),
    ],
)
def test_a_word_in_a_text_of_several_lines_is_found(text, at):
    node = good(text)
    assert isinstance(node, Mapping)
    scalar = node.get("when")
    assert isinstance(scalar, Scalar)
    place = scalar.within(scalar.text.index("WORD"), 4)
    assert str(place) == at
    assert not scalar.rows or place.source[place.column - 1 :][: place.length] == "WORD"


def test_every_node_knows_its_place():
    node = good("""\
        rules:
          - id: one
            notify: [phone, desk]
    """)
    rules = node.get("rules")
    assert isinstance(rules, Sequence)
    (rule,) = rules
    assert isinstance(rule, Mapping)
    assert str(rules.place) == "c.yaml:2:3"
    assert str(rule.place) == "c.yaml:2:5"
    notify = rule.entries["notify"]
    assert (str(notify.key.place), notify.key.place.length) == ("c.yaml:3:5", 6)
    assert (str(notify.value.place), notify.value.place.length) == ("c.yaml:3:13", 13)
    assert notify.value.place.source == "    notify: [phone, desk]"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_lines_are_counted_whatever_ends_them(line_break):
    problem = bad(f"a: 1{line_break}b: 2{line_break}b: 3{line_break}")[0]
    assert str(problem.place) == "c.yaml:3:1"
    assert problem.place.source == "b: 3"


def test_all_refusals_are_told_at_once():
    problems = bad("""\
        a: !!str 1
        b: &x {c: 2}
        d: *x
        b: 3
        e: {<<: 4, '<<': 5}
        [f]: 6
        g: *x
    """)
    assert [(p.place.line, p.place.column, p.message) for p in problems] == [
        (1, 4, "YAML tags (!…) are not supported"),
        (2, 4, "the anchor &x is not supported"),
        (3, 4, "the alias *x is not supported"),
        (4, 1, "the key `b` stands here twice; the first is on line 2"),
        (5, 5, "the merge key << is not supported"),
        (6, 1, "a key must be a plain text"),
        (7, 4, "the alias *x is not supported"),
    ]


CUT = "the comma ends the text here, inside its `(`"


@pytest.mark.parametrize(
    ("text", "columns", "plain"),
    [
        ("{when: change(price, 1m) > 5, for: 1m}", [20], {"when": "change(price, 1m) > 5", "for": "1m"}),
        ("{when: f(a,g(b), 1m) and h(c, 2)}", [11], {"when": "f(a,g(b), 1m) and h(c, 2)"}),
        ("{when: f(a, 1m), until: f(b, 1m)}", [11, 28], {"when": "f(a, 1m)", "until": "f(b, 1m)"}),
        ("{all: [f(a, 1m) > 5, b < 2]}", [11], {"all": ["f(a, 1m) > 5", "b < 2"]}),
        (
            "{when: f(a, b) > 5, until: f(a) < g(b, 1m)}",
            [11, 38],
            {"when": "f(a, b) > 5", "until": "f(a) < g(b, 1m)"},
        ),
    ],
)
def test_a_text_that_a_comma_cuts_within_its_bracket_is_told_of_once(text, columns, plain):
    node, problems = yaml.load(text, "c.yaml")
    assert [(p.message, p.place.column, p.place.source[p.place.column - 1]) for p in problems] == [
        (CUT, column, ",") for column in columns
    ]
    assert problems[0].hint in ('put the text in quotes: when: "…"', 'put the text in quotes: "…"')
    assert node is not None
    assert node.plain() == plain  # as it was meant: what else is wrong with it is told too


@pytest.mark.parametrize(
    "text", ["{a: (b, c: d)}", "[a (b), (c)]", "{a: f(b), c}", "['f(a', b)]", "{a: (b}", "{a: (b, c}"]
)
def test_a_comma_behind_a_bracket_that_is_closed_cuts_nothing(text):
    good(text)


def test_a_bomb_of_aliases_goes_off_nowhere():
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert len(bad("\n".join(lines))) == 60 + 59 * 2


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_capped(opening):
    problems = bad(opening * 5000)
    assert problems[-1].message == "nested more than 64 deep"
    assert problems[-1].place is not None
    assert problems[-1].place.line == 1


def test_size_is_capped():
    assert bad("a" * (yaml.MAX_SIZE + 1))[0].message == "c.yaml is larger than 16 MiB"


@pytest.mark.parametrize("empty", ["", "\n", "# nothing\n", "---\n", "\ufeff"])
def test_an_empty_document_is_null(empty):
    assert good(empty).plain() is None


def test_a_byte_order_mark_shifts_no_column(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes("\ufeffa: 1\na: 2\n".encode())
    node, problems = yaml.load(path)
    assert node is not None
    assert [str(problem.place) for problem in problems] == [f"{path}:2:1"]


def test_a_file_that_is_not_utf_8_is_told_where(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes("a: 1\nb: žluť\n".encode("cp1250"))
    node, problems = yaml.load(path, "shown.yaml")
    assert node is None
    assert [problem.render() for problem in problems] == [
        "shown.yaml:2:4: error: not UTF-8 text\n      = save the file as UTF-8"
    ]


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    node, problems = yaml.load(tmp_path / "none.yaml", "none.yaml")
    assert node is None
    assert problems[0].render() == "error: can't read none.yaml: No such file or directory"


@given(st.text(max_size=200))
def test_any_text_gives_a_node_or_problems(text):
    node, problems = yaml.load(text)
    assert node is not None or problems


# Pieces that YAML's syntax is made of reach deeper than arbitrary characters do.
@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["a", "b: ", "- ", "\n", "  ", "\t", "[", "]", "{", "}", ", ", '"', "'", "|\n", ">\n", "&x ", "*x", "!t ",
             "# c", "---\n", "...\n", "%YAML 1.2\n", "1e9", "\x85", "\u2028", "? ", ": ", "<<: ", "\\", "${cred:x}",
             "token: ", "http://u:p@h/", "\ufeff"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_any_mix_of_yaml_gives_a_node_or_problems_that_render(pieces):
    text = "".join(pieces)
    node, problems = yaml.load(text)
    assert node is not None or problems
    for problem in problems:
        assert problem.place is not None
        assert 1 <= problem.place.line <= text.count("\n") + text.count("\x85") + text.count("\u2028") + 2
        problem.render()


def test_what_a_terminal_would_act_on_is_spelled_out():
    told = Problem(
        "no map is called `\x1b[31mRED\u202e`", Place("a.yaml", 1, 2, 1, "a\tb"), hint="two\nlines"
    ).render()
    assert "no map is called `\\x1b[31mRED\\u202e`" in told
    assert "a\tb" in told
    assert "two\nlines" in told
