"""Templates: what they may use, what they can't do, and that the alert goes whatever they do."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from support.outboxes import START, context
from tocsin.alerts.wording import Names, Style
from tocsin.delivery.render import render
from tocsin.delivery.template_check import check_template
from tocsin.engine.rule_keys import usable

STYLE = Style(names=Names({"9020b4e5": "main"}, {"BTCUSD": "bitcoin"}))
POSITION = context(
    fields={
        "id": "p1", "symbol": "BTCUSD", "side": "long", "profit": "-60.00", "amount": "1e-8", "currency": "USD",
        "opened": "2026-01-01T09:00:00.000000Z", "reason": "stop <b>out</b>\n@channel",
    },
    account="9020b4e5", account_fields={"id": "9020b4e5", "equity": "1000.10", "currency": "EUR"},
    value="-60.00", worst="-75", value_at_start="-52", at=START + timedelta(minutes=5),
)  # fmt: skip


def told(template, **changes):
    changed = {name: getattr(POSITION, name) for name in POSITION.__struct_fields__} | changes
    return (
        render(type(POSITION)(**changed), STYLE, delivery_id="d1")
        if not template
        else render(type(POSITION)(**(changed | {"message": template})), STYLE, delivery_id="d1")
    )


def said(template, **changes) -> str:
    """What the template came to: all below the line that is always there."""
    return told(template, **changes).body.split(" · fx main\n", 1)[1]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ symbol }} {{ side }} is down {{ profit }} {{ currency }}", "bitcoin long is down -60.00 USD"),
        ("{{ amount }}", "0.00000001"),
        ("{{ profit - 1 }}", "-61.00"),
        ("{% if profit < -50 %}bad{% endif %}", "bad"),
        ("{{ '%.1f' % profit }} {{ '%.1f'|format(profit) }}", "-60.0 -60.0"),
        ("{{ value }} {{ worst }} {{ value_at_start }}", "-60.00 -75 -52"),
        ("{{ rule }} {{ severity }} {{ state }} {{ kind }}", "position-in-the-red warning firing position"),
        ("{{ duration }}", "5m"),
        ("{{ opened }} {{ as_of }}", "09:00:00 UTC 00:00:00"),
        ("{{ account }} {{ account.equity }} {{ account_name }}", "main 1000.10 main (9020b4e5)"),
        ("{{ symbol_name }}", "bitcoin"),
        ("{% if symbol == 'BTCUSD' and account == '9020b4e5' %}{{ symbol ~ '!' }}{% endif %}", "bitcoin!"),
        ("{{ what }}, {{ where }}", "bitcoin long 0.00000001, fx main"),
        ("{{ opened.strftime('%H:%M') }} {{ opened|strftime('%d.%m.') }} {{ opened.hour }}", "09:00 01.01. 9"),
        ("{{ profit / 7 }}", "-8.5714286"),
        ("{{ stop_loss }}", "missing"),
        ("{{ stop_loss|default('none set') }}", "none set"),
        ("{% if stop_loss is none %}no stop{% endif %}", "no stop"),
        ("{{ members|length }}", "0"),
        ("{{ 'a' ~ profit ~ none }}", "a-60.00missing"),
        ("{% for n in [1, 2] %}{{ loop.index }}:{{ n }} {% endfor %}", "1:1 2:2"),
        ("{{ [profit, amount]|join(' and ') }}", "-60.00 and 0.00000001"),
        ("{{ side.upper() }} {{ side|upper }}", "LONG LONG"),
    ],
)  # fmt: skip
def test_what_a_template_makes(template, text):
    assert said(template) == text
    assert check_template(template, usable(("position",))) == ()


def test_whatever_the_template_the_message_names_state_condition_and_reason():
    message = told("hello", reason="out of hours")
    assert message.body == "firing: profit -60 < -50 (out of hours) · fx main\nhello"


@pytest.mark.parametrize(
    ("state", "title"),
    [("firing", "🟠 red"), ("resolved", "🟢 resolved: red"), ("reminder", "🟠 still: red")],
)
def test_a_title_written_for_the_firing_says_when_it_is_over(state, title):
    message = told(None, title="red", state=state)
    assert message.title == title
    assert message.resolved == (state == "resolved")


def test_a_venue_s_text_is_text_in_a_template_too():
    assert said("{{ reason }}", reason="") == "stop <b>out</b>␤@\u2060channel"
    assert (
        told(None, title="{{ reason }}\n{{ side }}", reason="").title
        == "🟠 stop <b>out</b>␤@\u2060channel long"
    )


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{{ nope }}", "failed: 'nope' is undefined)"),
        ("{{ stop_loss < 3 }}", "failed: a field without a value was compared or calculated with;"),
        ("{{ 'a' + 1 }}", "failed: TypeError: can only concatenate str"),
        ("{{ 1 / 0 }}", "failed: a division by zero)"),
        ("{{ profit / (profit - profit) }}", "failed: a division by zero)"),
        ("{{ 'x' * 10 }}", "failed: * takes numbers only"),
        ("{{ symbol * 100000000 }}", "failed: * takes numbers only"),
        ("{{ 10 ** 10 }}", "failed: ** can't be used"),
        ("{{ 5|round(-99999999) }}", "rounding to more than 30 digits"),
        ("{{ 5|round(99999999, 'floor') }}", "rounding to more than 30 digits"),
        ("{% set p = profit * profit %}" + "{% set p = p * p %}" * 18 + "{{ p|int }}", "a number too large"),
        ("{% set p = 1 / profit %}" + "{% set p = p / profit %}" * 600 + "{{ p }}", "a number too large or too small"),
        ("{% for n in range(3000) %}{% set b = range(10000)|sort %}{% endfor %}", "steps in a template"),
        ("{{ range(10000)" + "|reject('none')" * 100 + "|sum }}", "steps in a template"),
        ("{{ " + "(" * 190 + "1" + ")" * 190 + " }}", "failed: nested too deeply)"),
        ("{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}", "steps in a template"),
        (
            "{% set a = 'x y '|replace(' ', 'z w v ')|replace(' ', 'z w v u t s ')|replace(' ', 'z w v u t s r ') %}{% for n in range(9000) %}{% set b = a.split()|sort %}{% endfor %}",
            "steps in a template",
        ),
        ("{{ range(1000000)|list }}", "a range of more than"),
        ("{{ ''.__class__.__mro__ }}", "is unsafe"),
        ("{{ profit.__init__.__globals__ }}", "is unsafe"),
        ("{{ '%999999999d' % 1 }}", "failed: a width"),
        ("{{ '%*d'|format(999999999, 1) }}", "failed: a width"),
        ("{{ '{:>999999999}'.format(1) }}", "unsafe"),
        ("{{ 'a'.ljust(999999999) }}", "unsafe"),
        ("{{ opened.strftime('%999999999d') }}", "a time's format with a width"),
        ("{{ opened|strftime('%-09999999d') }}", "a time's format with a width"),
        ("{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}", "a text of more than"),
        ("{% set a = 'x' %}" + "{% set a = a + a %}" * 40 + "{{ a }}", "a text of more than"),
        ("{% set a = 'x' %}" + "{% set a = a|replace('x', 'xx') %}" * 40 + "{{ a }}", "a text of more than"),
        ("{% set a = 7 %}" + "{% set a = a * a %}" * 60 + "{{ a }}", "a number too large"),
        ("{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}", "a list in a list"),
        ("{{ 'a'|center(999999999) }}", "No filter named 'center'"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macro can't be used here"),
        ("{% include '/etc/passwd' %}", "include can't be used here"),
    ],
)  # fmt: skip
def test_a_template_that_fails_sends_our_own_words_with_the_error(template, error):
    message = told(template)
    (remark,) = [line for line in message.body.splitlines() if "template failed" in line]
    assert error in remark
    assert "position p1, bitcoin (BTCUSD) long" in message.body
    assert len(message.body) < 1000


def test_a_long_text_is_cut():
    assert len(told("{% for n in range(9000) %}abcdefgh{% endfor %}").body) < 17_000


def test_a_template_sees_the_members_of_a_group():
    template = "{% for one in members %}{{ one.symbol }} {{ one.profit * 2 if one.profit else one.account }}; {% endfor %}"
    members = (
        {"id": "p1", "symbol": "BTCUSD", "profit": "-300.5", "account": "a1"},
        {"id": "p2", "account": "a1"},
    )
    assert said(template, members=members, group={"account": "a1"}) == "bitcoin -601.0; missing a1;"


def test_what_we_worked_out_is_rounded_where_it_is_shown_and_exact_where_it_is_compared():
    template = "{{ profit }} {{ profit > -60.129 }} {{ value }} {{ account.equity }}"
    values = {"profit": "-60.12345678901", "currency": "USD"}
    more = {
        "derived": ("profit",),
        "account_derived": ("equity",),
        "account_fields": {"equity": "1000.125001"},
    }
    assert said(template, fields=values, value="-60.12345678901", **more) == "-60.12 yes -60.12 1000.13"
    values = {"profit": "-60.1234567", "currency": "USD"}
    assert told(None, title="{{ profit }}", fields=values).title == "🟠 -60.1234567"  # the wire's own digits


def test_a_template_can_tell_an_end_from_a_recovery():
    title = "{{ 'back' if state == 'resolved' else state }}"
    assert told(None, title=title, state="resolved").title == "🟢 resolved: back"
    assert (
        told(None, title=title, state="resolved", reason="position closed").title
        == "⚪ ended (position closed): ended"
    )


def test_times_are_the_reader_s():
    style = Style(tz=ZoneInfo("Europe/Prague"))
    changed = {name: getattr(POSITION, name) for name in POSITION.__struct_fields__}
    changed["message"] = "{{ opened }}, {{ time }}; {{ opened.strftime('%H %Z') }}"
    message = render(type(POSITION)(**changed), style, delivery_id="d1")
    assert message.body.endswith("10:00:00 CET, 01:00:00; 10 CET")
