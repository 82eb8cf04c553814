"""What a report says: in our own words, and in a user's."""

import pytest

from support.reporting import a_day, ago, entity, fired, position, reported
from tocsin.alerts.wording import Style
from tocsin.events import Balance, Order, number
from tocsin.reports import facts


def told(message) -> str:
    return f"{message.title}\n{message.body}\n"


EVENING = """\
evening: 2 firing, 4 alerts since Sat 19:00, 1 venue away, 2 undelivered, 3 positions -600.35 USD, 19.44 CAD
🔴 -612.4 USD BTCUSD long: profit -60 < -50 · fx, since 18:30
🟠 -60 USD BTCUSD long: profit -60 < -50 · fx, since 17:00, acknowledged by anna until Mon 09:00
topone is disconnected since 18:00: closed by the other side
not delivered by desk: 1 message since 18:20, 1 given up
action hedge: 1 failed, 1 ok (it answered 503)
3 positions: -600.35 USD, 19.44 CAD
  XAUUSD short 1.5: -612.40 USD · fx Main
  TSX short 1.5: 19.44 CAD · broker tfsa-1
  BTCUSD short 1.5: 12.05 USD, not confirmed · fx Main
fx Main: equity 10230.10 USD, margin level 20460.2 %
1 order open
4 alerts (1 critical): 1 × position-deep-in-the-red, 1 × position-in-the-red, 2 × order-canceled
from Sat 2026-02-28 19:00 to Sun 2026-03-01 19:00 CET
"""
NOTHING = """\
evening: nothing happened since Sat 19:00, nothing open
from Sat 2026-02-28 19:00 to Sun 2026-03-01 19:00 CET
"""


@pytest.mark.parametrize(("rows", "text"), [(a_day(), EVENING), ({}, NOTHING)], ids=["a day", "nothing"])
def test_in_our_own_words(tmp_path, rows, text):
    assert told(reported(tmp_path, rows)) == text


def test_marks_as_the_channel_wants_them(tmp_path):
    body = reported(tmp_path, a_day(), style=Style(marks="text")).body
    assert body.startswith("CRITICAL -612.4 USD BTCUSD long")


def test_however_much_there_is_it_stays_short(tmp_path):
    rows = {
        "entities": [
            position(f"p{n}", f"S{n}", f"{n * 7 % 1000 - 500}.5", f"C{n % 9}" if n < 12 else "USD") for n in range(1000)
        ],
        "alerts": [fired(f"a{n}", f"rule-{n % 7}", at=ago(minutes=n % 600)) for n in range(200)],
    }  # fmt: skip
    text = told(reported(tmp_path, rows))
    assert len(text.splitlines()) < 25
    assert len(text) < 2000
    assert "1,000 positions 5044 USD, -938 C0" in text
    assert ", and 2 more currencies" in text
    assert "  and 995 more\n" in text
    assert "and 192 more firing: 28 × rule-1, 28 × rule-2" in text
    assert "200 alerts: 29 × rule-0" in text


def test_what_is_too_much_to_read_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "MOST", 3)
    orders = [entity(Order(id=f"o{n}", symbol="ETH/BTC", status="open")) for n in range(5)]
    message = reported(tmp_path, {"entities": orders}, message="{{ orders | length }}")
    assert message.title == "evening: nothing happened since Sat 19:00, 5 orders open"
    assert message.body == "of 5 orders only 3 are counted here\n3"


HOSTILE = "x\n\x1b[31m<!channel> @here http://evil.example/ {{ 7*7 }} \u202ey" + "z" * 900


@pytest.mark.parametrize(
    "message", [None, "{% for p in positions %}{{ p.symbol }} {{ p.currency }}{% endfor %}"]
)
def test_a_venue_s_text_is_text(tmp_path, message):
    rows = {
        "entities": [position("p1", HOSTILE, "-1", "US\nD"), entity(Balance(id=HOSTILE, asset=HOSTILE))],
        "alerts": [fired("a1", "red", at=ago(hours=1), symbol=HOSTILE, words=HOSTILE, limit=HOSTILE)],
    }
    text = told(reported(tmp_path, rows, message=message))
    assert "x␤␛[31m<!channel> @\u2060here http:\u2060//evil" in text
    assert not {"\x1b", "\u202e"} & set(text)
    assert "@here" not in text
    assert "US␤D" in text
    assert max(map(len, text.splitlines())) < 700
    assert len(text.splitlines()) < 10


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE alerts SET fired_at = 'yesterday', acked_until = CAST(x'ff' AS TEXT)",
        "UPDATE alerts SET data = '{', severity = 'grave', title = CAST(x'ff00' AS TEXT)",
        "UPDATE alerts SET data = json_set(data, '$.value', 'NaN', '$.fields.profit', '1e9999999')",
        "UPDATE entities SET data = '[]', unconfirmed_since = 'now'",
        "UPDATE actions SET created_at = 'zzz', reason = CAST(x'ff' AS TEXT)",
        "UPDATE deliveries SET created_at = 'then'",
    ],
)
def test_rows_that_a_disk_has_damaged_keep_no_report_from_being_told(tmp_path, damage):
    made = reported(
        tmp_path, a_day(), damage=[damage], message="{{ alerts }} {{ firing }} {{ runs }} {{ undelivered }}"
    )
    plain = reported(tmp_path, damage=[damage])
    assert made.title.startswith("evening: 2 firing, ")
    assert plain.body.endswith("from Sat 2026-02-28 19:00 to Sun 2026-03-01 19:00 CET")


# ------------------------------------------------------------------------------------------------------------ templates

TEMPLATES = {
    '{{ positions | length }} open, {{ sum(positions, "profit") }} in all; {{ alerts_today | length }} alerts today':
        "3 open, -580.91 in all; 4 alerts today",
    '{{ totals(positions, "profit") }}': "-600.35 USD, 19.44 CAD",
    '{{ totals(orders, "cost") }} · {{ totals(balances, "total") }}': "unknown · 0",
    '{{ totals(positions | selectattr("venue", "equalto", "fx"), "profit") }}': "-600.35 USD",
    "{{ length(firing) }} {{ acknowledged[0].rule }} by {{ acknowledged[0].acked_by }} until {{ acknowledged[0].acked_until }}":
        "2 position-in-the-red by anna until 2026-03-02 09:00:00 CET",
    "{{ firing[0].title }}": "🔴 -612.4 USD BTCUSD long: profit -60 < -50 · fx",
    "{% for v in venues_away %}{{ v.venue }}: {{ v.reason }} since {{ v.since }}{% endfor %}":
        "topone: closed by the other side since 18:00:00 CET",
    "{% for r in runs %}{{ r.action }} {{ r.status }} {{ r.reason|default('-') }}; {% endfor %}":
        "hedge failed it answered 503; hedge ok -;",
    "{% for u in undelivered %}{{ u.channel }}: {{ u.waiting }} + {{ u.given_up }}{% endfor %}": "desk: 1 + 1",
    "{% for p in positions | sort(attribute='profit') %}{{ p.symbol }} {{ p.account }} {{ p.profit }}; {% endfor %}":
        "XAUUSD Main -612.4; BTCUSD Main 12.05; TSX tfsa-1 19.44;",
    "{% if (positions|first).profit > 19 %}deep{% endif %} {{ since.strftime('%H:%M') }} {{ until|strftime('%H:%M') }} {{ report }}":
        "deep 19:00 19:00 evening",
    "{{ accounts[0].equity }} {{ venues | length }} {{ trades | length }}": "10230.1 2 0",
}  # fmt: skip


@pytest.mark.parametrize(("template", "text"), TEMPLATES.items())
def test_in_a_user_s_words(tmp_path, template, text):
    made = reported(tmp_path, a_day(), title=template, message=f"the beginning\n{template}")
    assert made.title == text
    assert made.body == f"the beginning\n{text}"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ trades[0].price }}", "list object has no element 0"),
        ('{{ sum(positions, "symbol") }}', "symbol is no number"),
        ("{{ totals(since, 'profit') }}", "TypeError: 'datetime.datetime' object is not iterable"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "more than 10000 steps in a template"),
    ],
)  # fmt: skip
def test_where_a_template_fails_it_is_in_our_words_and_says_so(tmp_path, template, why):
    made = reported(tmp_path, a_day(), message=template)
    assert told(made) == EVENING.replace("\n", f"\n(the report's message template failed: {why})\n", 1)


def test_a_sum_leaves_nothing_out_unsaid(tmp_path):
    rows = {
        "entities": [
            position("p1", "A", "0.1"), position("p2", "B", "0.2"), position("p3", "C", None), position("p4", "D", "-7", None),
            entity(Balance(id="BTC", asset="BTC", total=number("0.00012345"))),
        ]
    }  # fmt: skip
    made = reported(
        tmp_path, rows, message='{{ totals(positions, "profit") }}; {{ totals(balances, "total") }}'
    )
    assert made.body == "0.30 USD, -7 without a currency (1 of 4 without a value); 0.00012345 BTC"
