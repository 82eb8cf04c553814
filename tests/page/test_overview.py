"""`/`: what was told last, orders, venues, what stands above all."""

from datetime import timedelta
from typing import Any

import pytest

from support.conditions import change
from support.looked import HOSTILE, ROOT, asked, refuse_unsound, snapshot, text_of
from support.measured import NOW
from support.stored import alert, attempt, delivery, opened
from tocsin.control.measures import VenueMeasures
from tocsin.control.snapshot import Watched
from tocsin.engine.api import Distance
from tocsin.events import iso
from tocsin.page.rendering import Renderer
from tocsin.page.screens import overview
from tocsin.page.screens.overview import OVERVIEW
from tocsin.store.model import Batch


def ago(**length: float) -> Any:
    return NOW - timedelta(**length)


@pytest.fixture
def kept(tmp_path):
    """An alert's message, a digest that was refused, a report that waits, and 30 edits of the first."""
    store = opened(tmp_path)
    rows = [
        delivery("d1", channel="phone", created_at=ago(minutes=9)),
        delivery("d2", alert="digest-1", state_told="digest", created_at=ago(minutes=8)),
        delivery("d3", alert="daily", state_told="report", created_at=ago(minutes=7)),
        *(
            delivery(f"e{n}", channel="phone", created_at=ago(minutes=5), state_told="edit")
            for n in range(30)
        ),
    ]
    store.commit(Batch(at=NOW, alerts=[alert("a1", title=HOSTILE)], deliveries=rows))
    store.outbox.record(
        [
            attempt("d1", "sent", ago(minutes=9) + timedelta(seconds=0.4)),
            attempt("d2", "dead", ago(minutes=8), error=f"400 {HOSTILE}"),
            *(attempt(f"e{n}", "sent", ago(minutes=5)) for n in range(30)),
        ]
    )
    store.close()
    return tmp_path


async def part(name: str, of: Any) -> str:
    """It as HTML."""
    html = (await Renderer(ROOT).parts(OVERVIEW, [name], of, "/")).html.decode()
    refuse_unsound(html)
    return html


async def told(folder: Any, **host: Any) -> str:
    return await part("told", asked(folder, **host))


async def test_what_was_told_last_is_there_however_often_it_was_edited(kept):
    found = await overview.told(asked(kept))
    assert [each["id"] for each in found["messages"]] == ["d3", "d2", "d1"]
    assert [each["alert"] for each in found["messages"]] == [None, None, "a1"]
    assert "context" not in found["messages"][0]
    text = text_of(await told(kept))
    assert "phone · sent &nbsp;·&nbsp; taken after 0.4 s" in text
    assert "desk · given up &nbsp;·&nbsp; 1 try &nbsp;·&nbsp; 400" in text
    assert "desk · waits &nbsp;·&nbsp; about to go" in text


async def test_what_can_not_go_says_what_it_waits_for(kept):
    async def preview(rows: Any) -> None:
        for row in rows:
            if row["status"] == "pending":
                row |= {"refuses": True, "next_try": iso(NOW + timedelta(minutes=3))}

    text = text_of(await told(kept, preview=preview))
    assert "desk · waits &nbsp;·&nbsp; desk refuses &nbsp;·&nbsp; next try 11:03:00" in text
    assert "about to go" not in text


async def test_what_is_about_no_one_alert_leads_nowhere(kept):
    html = await told(kept)
    assert html.count(f'href="{ROOT}/a/') == 1
    assert f'href="{ROOT}/a/a1"' in html
    assert "report" in text_of(html)


async def test_nothing_was_told_yet(tmp_path):
    opened(tmp_path).close()
    assert (await overview.told(asked(tmp_path))) == {"messages": []}
    assert "Nothing was told yet." in text_of(await told(tmp_path))


@pytest.mark.parametrize(
    ("filled", "amount", "done"), [("0.5", "2", 0.25), ("1E+200", "1E-200", 1.0), ("3", "2", 1.0), ("1", "0", None)]
)  # fmt: skip
async def test_an_order_tells_how_much_of_it_is_filled_and_which_rule_is_nearest(
    tmp_path, filled, amount, done
):
    order = change(
        "order", {"id": "o1", "symbol": HOSTILE, "status": "open", "filled": filled, "amount": amount}
    )
    limit = Distance(value="1 h", limit="24 h", gap="23 h", relative=0.9, met=False)
    near = Watched(
        rule="open-too-long", severity="info", instance="o1", key=order.key, symbol=None, state="inactive", distance=limit
    )  # fmt: skip
    opened(tmp_path).close()
    of = asked(tmp_path, snapshot(entities={"order": [order]}, nearest={order.key: near}))
    (found,) = (await overview.orders(of))["orders"]
    assert found["done"] == done
    assert found["nearest"]["rule"] == "open-too-long"
    html = await part("orders", of)
    assert f'href="{ROOT}/r/open-too-long"' in html
    assert "open-too-long 24 h" in text_of(html)


async def test_orders_stand_by_how_long_they_are_open(tmp_path):
    opened(tmp_path).close()
    given = {"a": ago(hours=1), "b": ago(days=3), "c": ago(minutes=1), "d": ago(hours=9)}
    orders = [
        change("order", {"id": id_, "symbol": id_, "created": iso(created)}) for id_, created in given.items()
    ]
    found = await overview.orders(asked(tmp_path, snapshot(entities={"order": orders})))
    assert [each["id"] for each in found["orders"]] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("currency", "said"), [({"currency": "USD"}, "-0.0026 USD"), ({}, "-0.0026 without currency")]
)
async def test_a_figure_says_what_it_is_of(tmp_path, currency, said):
    opened(tmp_path).close()
    held = change("position", {"id": "p1", "symbol": "XAU", "profit": "-0.0026", **currency})
    assert said in text_of(await part("tiles", asked(tmp_path, snapshot(entities={"position": [held]}))))


@pytest.mark.parametrize(
    ("severity", "state", "tone"),
    [("critical", "firing", "bad"), ("warning", "firing", "warn"), ("critical", "pending", "warn")],
)
async def test_how_near_a_position_is_has_the_colour_of_the_severity(tmp_path, severity, state, tone):
    held = change("position", {"id": "p1", "status": "open", "amount": "1"})
    near = Watched(rule="red", severity=severity, instance="p1", key=held.key, symbol=None, state=state)
    opened(tmp_path).close()
    html = await part(
        "positions", asked(tmp_path, snapshot(entities={"position": [held]}, nearest={held.key: near}))
    )
    assert f'class="meter {tone}"' in html


def action(name: str, paused: str = "", circuit: str = "") -> dict[str, str]:
    return {"action": name, "paused": paused, "circuit": circuit}


AT_NINE = "since 2026-03-01T09:00:00.000000Z"


@pytest.mark.parametrize(
    ("paused", "actions", "said"),
    [
        ("", [action("hedge")], []),
        (f"by anna {AT_NINE}", [], []),
        (f"by anna {AT_NINE}", [action("hedge", f"by anna {AT_NINE}")],
            ["All actions are paused by anna since 10:00:00: what fires runs nothing."]),
        ("", [action("hedge", f"by {HOSTILE} {AT_NINE}"), action("page")], ["Action hedge is paused by ", "since 10:00:00."]),
        (f"by anna {AT_NINE}", [action("bad", f"by anna {AT_NINE}", f"{AT_NINE}, after 5 failures in a row")],
            ["All actions are paused", "Action bad runs no more, since 10:00:00, after 5 failures in a row."]),
    ],
)  # fmt: skip
async def test_actions_that_are_paused_or_stopped_are_told(tmp_path, paused, actions, said):
    opened(tmp_path).close()
    of = asked(tmp_path, actions=lambda: {"paused": paused, "actions": actions})
    html = await part("banner", of)
    assert [each for each in said if each not in times_plain(text_of(html))] == []
    assert html.count(f'href="{ROOT}/delivery"') == html.count('class="banner"')
    assert ('class="banner"' in html) is bool(said)


def times_plain(text: str) -> str:
    """Without the day, which stands before a time in words."""
    return text.replace("2026-03-01 ", "").replace(" CET", "")


async def test_a_venue_of_which_a_stream_is_silent_is_not_fresh(tmp_path):
    opened(tmp_path).close()
    known = tuple(
        VenueMeasures(name=name, status=status, last_message=NOW, shown={"venue": name, "status": status}, entities={})
        for name, status in (("fx", "connected"), ("px", "silent"), ("tp", "refused"))
    )  # fmt: skip
    html = await part("venues", asked(tmp_path, snapshot(measures={"venues": known}, away={"tp": None})))
    assert "1 of 3 fresh" in text_of(html)


@pytest.mark.parametrize(
    ("remarks", "said"),
    [
        (("no data for long: fx",), "no data for long: fx"),
        (("no data for long: fx", "blind, for want of a value: red"), "no data for long: fx , 1 more"),
    ],
)
async def test_a_remark_above_every_screen_says_what_it_is_about(tmp_path, remarks, said):
    opened(tmp_path).close()
    html = await part("status", asked(tmp_path, snapshot(measures={"attention": remarks})))
    assert text_of(html).endswith(said)
    assert f'class="state" href="{ROOT}/health"' in html


@pytest.mark.parametrize(("attempts", "said"), [(0, "next try 11:00:05"), (3, "try 3, next 11:00:05")])
async def test_a_venue_that_is_away_says_when_it_is_tried_next(tmp_path, attempts, said):
    opened(tmp_path).close()
    shown = {
        "venue": "fx",
        "status": "disconnected",
        "attempts": str(attempts),
        "next_attempt": iso(NOW + timedelta(seconds=5)),
    }
    known = VenueMeasures(name="fx", status="disconnected", last_message=NOW, shown=shown, entities={})
    html = await part("venues", asked(tmp_path, snapshot(measures={"venues": (known,)}, away={"fx": None})))
    assert said in text_of(html)


@pytest.mark.parametrize(
    ("so", "said", "leads"),
    [
        (((), (), 0), "all told", "/health"),
        (((), (), 1), "1 message waits", "/delivery"),
        ((("fx",), (), 1), "1 venue away", "/health"),
        ((("fx", "px"), ("no progress",), 1), "not healthy", "/health"),
    ],
)
async def test_what_stands_above_every_screen_names_the_worst(tmp_path, so, said, leads):
    away, wrong, waits = so
    store = opened(tmp_path)
    store.commit(Batch(at=NOW, deliveries=[delivery(f"d{n}") for n in range(waits)]))
    store.close()
    now = snapshot(away=dict.fromkeys(away), measures={"wrong": wrong})
    html = await part("status", asked(tmp_path, now))
    assert text_of(html).endswith(said)
    assert f'class="state" href="{ROOT}{leads}"' in html
