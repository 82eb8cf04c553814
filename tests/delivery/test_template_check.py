"""What is wrong with a template is told before it runs: all of it, each with its place."""

import pytest

from tocsin.delivery.template_check import check_template
from tocsin.engine.rule_keys import usable

POSITION = usable(("position",))
GROUP = usable(("position",), ("venue", "account"))


def found(template, of=POSITION):
    return [
        (template[flaw.offset : flaw.offset + flaw.length], flaw.message, flaw.hint)
        for flaw in check_template(template, of)
    ]


@pytest.mark.parametrize(
    ("template", "wrong"),
    [
        ("{{ proft }}", [("proft", "unknown field `proft`", "did you mean `profit`?")]),
        (
            "simbol {{ simbol }}\n  {% if proft > 3 %}\n{{ simbol }} {{ x.proft }}{% endif %}",
            [
                ("simbol", "unknown field `simbol`", "did you mean `symbol`?"),
                ("proft", "unknown field `proft`", "did you mean `profit`?"),
                ("x", "unknown field `x`", ""),
            ],
        ),
        ("{{ filled }}", [("filled", "unknown field `filled`", "it is a field of order")]),
        ("{{ profit|uper }}", [("uper", "unknown filter `uper`", "did you mean `upper`?")]),
        ("{{ 1 is nonn }}", [("nonn", "unknown test `nonn`", "did you mean `none`?")]),
        (
            "{{ account.equty }} {{ account['currncy'] }}",
            [
                ("equty", "unknown field `equty` of account", "did you mean `equity`?"),
                ("currncy", "unknown field `currncy` of account", "did you mean `currency`?"),
            ],
        ),
        (
            "{{ order.symbol }}",
            [("order", "unknown field `order`", "fields stand by their bare names: {{ symbol }}")],
        ),
        (
            "{{ profit.amount }} {{ symbol.upper() }}",
            [("amount", "`profit` has no field `amount`", "write {{ amount }}")],
        ),
        ("{{ symbol", [("{{ symbol", "not a template: unexpected end of template, expected `}}`.", "")]),
        (
            "ok\n  {% if profit %}",
            [
                (
                    "{% if profit %}",
                    "not a template: Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'.",
                    "",
                )
            ],
        ),
        (
            "{{ proft|uper }}",
            [
                ("proft", "unknown field `proft`", "did you mean `profit`?"),
                ("uper", "unknown filter `uper`", "did you mean `upper`?"),
            ],
        ),
        (
            "\n{% macro a() %}{% endmacro %}",
            [("{% macro a() %}{% endmacro %}", "not a template: macro can't be used here", "")],
        ),
    ],
)
def test_what_check_says(template, wrong):
    assert found(template) == wrong


def test_the_place_is_that_of_the_first_use_outside_of_the_text():
    (flaw,) = check_template("simbol {{ symbol }}\n {{- simbol -}} simbol", POSITION)
    assert flaw.offset == len("simbol {{ symbol }}\n {{- ")


@pytest.mark.parametrize(
    ("template", "wrong"),
    [
        (
            "{% for one in members|sort(attribute='proft') %}{{ one.simbol }}{{ one.profit }}{% endfor %}",
            ["proft", "simbol"],
        ),
        ("{{ members[0].proft }} {{ (members|first).simbol }} {{ members[0].profit }}", ["proft", "simbol"]),
        ("{{ members|map(attribute='proft')|sum }} {{ members|sum(attribute='profit') }}", ["proft"]),
        ("{{ members|selectattr('proft')|list|length }} {{ members|rejectattr('profit')|list }}", ["proft"]),
        ("{% for member in members %}{{ member['proft'] }}{% endfor %}", ["proft"]),
        ("{% for other in [1, 2] %}{{ other.proft }}{% endfor %}", []),
        ("{{ account }} {{ venue }} {{ value }} {{ currency }} {{ members|length }}", []),
    ],
)
def test_the_fields_of_members_are_known(template, wrong):
    flaws = check_template(template, GROUP)
    assert [template[flaw.offset : flaw.offset + flaw.length] for flaw in flaws] == wrong
    assert all("of a member" in flaw.message for flaw in flaws)


def test_a_group_has_no_fields_of_one_entity():
    ((word, message, hint),) = found("{{ profit }}", GROUP)
    assert (word, message) == ("profit", "unknown field `profit`")
    assert hint == (
        "it is of each member: {% for one in members %}{{ one.profit }}{% endfor %}; `value` is the group's"
    )


@pytest.mark.parametrize(
    ("template", "error"),
    [("x" * 20_001, "more than 20000 characters"), ("{{ " + "(" * 5000, "nested too deeply")],
)
def test_what_is_too_large(template, error):
    (flaw,) = check_template(template, POSITION)
    assert error in flaw.message
    assert flaw.length == len(template)


def test_names_of_several_kinds():
    assert {"symbol", "side", "value", "worst", "venue"} <= usable(("order", "position")).names
    assert "profit" not in usable(("order", "position")).names
