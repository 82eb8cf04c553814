"""`/delivery`: which channels take messages, what waits and why, what was given up, and what actions did."""

import sqlite3
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from support.looked import HOSTILE, ROOT, asked, page_of, snapshot, text_of
from support.measured import NOW
from support.outboxes import context
from support.stored import alert, attempt, delivery, opened, run
from tocsin.control.measures import ChannelMeasures
from tocsin.control.snapshot import Refusing
from tocsin.delivery.backoff import next_try
from tocsin.events import iso
from tocsin.page.connections import STATES
from tocsin.page.screens import delivery as screen
from tocsin.page.screens.delivery import DELIVERY
from tocsin.store import lists
from tocsin.store.model import Batch
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE


def ago(**length: float) -> Any:
    return NOW - timedelta(**length)


def url(name: str, service: str = "Telegram", **more: Any) -> dict[str, Any]:
    return {"url": name, "service": service, "rates": [], "answered": None, "rests_until": None, **more}


def channel(name: str, *urls: dict[str, Any], fallback: str | None = None) -> dict[str, Any]:
    return {"channel": name, "fallback": fallback, "urls": list(urls) or [url(name)]}


def known_actions(**more: Any) -> dict[str, Any]:
    hedge = {"action": "hedge", "does": "POST https://127.0.0.1:9000", "rate": "5/h", "max_age": "30s", "confirm": None, "dry_run": False, "paused": "", "circuit": ""}  # fmt: skip
    return {"paused": "", "actions": [{**hedge, **more}]}


async def nothing_to_add(rows: Any) -> None:
    """Of `preview`: no daemon knows more of what waits than its row says."""
    for row in rows:
        row["next_try"] = next_try(row, NOW)


def of(folder: Any, now: Any = None, **more: Any) -> Any:
    host: dict[str, Any] = {
        "channels": list,
        "preview": nothing_to_add,
    }
    query = more.pop("query", None)
    return asked(folder, now, query=query, **{**host, **more})


@pytest.fixture
def kept(tmp_path):
    """Of today: two that phone took, one that mail refuses and phone got, one given up; runs."""
    store = opened(tmp_path)
    rows = [
        delivery("d1", channel="phone", created_at=ago(minutes=9)),
        delivery("d2", channel="phone", created_at=ago(minutes=8)),
        delivery("d3", channel="mail", created_at=ago(minutes=7), context=msgspec.to_builtins(context())),
        delivery("d4", channel="desk", created_at=ago(minutes=6), alert="gone"),
        delivery("d5", channel="phone", created_at=ago(minutes=5), state_told="edit"),
        delivery("d6", channel="phone", created_at=ago(days=2)),
    ]
    runs = [
        run("ok", result="200", output=HOSTILE * 40, started_at=ago(minutes=4), ended_at=ago(minutes=4) + timedelta(milliseconds=84)),
        run("dry_run", command=f'["{HOSTILE}"]', created_at=ago(minutes=3)),
        run("failed", result="exit 1", reason=HOSTILE, alert="gone", started_at=ago(minutes=2)),
    ]  # fmt: skip
    store.commit(Batch(at=NOW, alerts=[alert("a1", title=HOSTILE)], deliveries=rows, runs=runs))
    store.outbox.record(
        [
            attempt("d1", "sent", ago(minutes=9) + timedelta(seconds=0.4)),
            attempt("d2", "sent", ago(minutes=8) + timedelta(seconds=4.1)),
            attempt("d3", "pending", ago(minutes=7), error=f"535 {HOSTILE}", next_at=NOW + timedelta(minutes=3), handed_to="phone"),
            attempt("d4", "dead", ago(minutes=6), error="chat not found"),
            attempt("d5", "sent", ago(minutes=5)),
            attempt("d6", "sent", ago(days=2)),
        ]
    )  # fmt: skip
    store.close()
    return tmp_path


def refused() -> Any:
    measures = {
        "channels": (
            ChannelMeasures(name="phone", up=True, in_storm=False, quiet=True),
            ChannelMeasures(name="mail", up=False, in_storm=True, quiet=False),
            ChannelMeasures(name="desk", up=True, in_storm=True, quiet=False),
        )
    }
    return snapshot(measures=measures, outages={"mail": Refusing(ago(minutes=7), f"535 {HOSTILE}")})


async def test_a_channel_that_refuses_says_since_when_what_waits_and_where_it_went(kept):
    (found,) = (await screen.refusing(of(kept, refused())))["refusing"]
    assert (found["channel"], found["waiting"]) == ("mail", 1)
    assert found["handed"] == [{"channel": "phone", "count": 1}]
    text = text_of(await page_of(DELIVERY, of(kept, refused())))
    assert "mail takes no messages since 10:53:00 : 535" in text
    assert "1 message waits; 1 went to phone instead." in text


async def test_channels_say_what_they_took_today_how_fast_and_how_much_of_their_rate_is_used(kept):
    channels = [
        channel(
            "phone",
            url("phone/0", rates=[{"used": 1, "most": 1, "seconds": 1.0}, {"used": 2, "most": 20, "seconds": 60.0}],
                answered={"at": iso(ago(minutes=8)), "text": HOSTILE, "taken": True}),
            url("phone/1", "Slack", rests_until=iso(NOW + timedelta(seconds=9))),
            fallback="desk",
        ),
        channel("mail", url("mail", "smtp.example.org"), fallback="phone"),
        channel("desk"),
    ]  # fmt: skip
    looked = of(kept, refused(), channels=lambda: channels)
    found = await screen.channels(looked)
    phone, mail, desk = found["channels"]
    assert (phone["today"], phone["median"], phone["p95"], phone["waiting"]) == (2, 0.4, 4.1, 0)
    assert phone["rate"] == {"used": 2, "most": 20, "seconds": 60.0}
    assert phone["services"] == ["Telegram", "Slack"]
    assert (mail["waiting"], mail["next_try"], mail["today"]) == (1, iso(NOW + timedelta(minutes=3)), 0)
    assert [each["state"] for each in (phone, mail, desk)] == ["quiet hours", "refuses", "storm"]
    assert found["today"] == {"sent": 2, "more": False, "waiting": 1, "lost": 1}
    html = await page_of(DELIVERY, looked)
    assert "2 of 20 /min" in text_of(html)
    assert "0.4 s, 4.1 s" in text_of(html)
    assert "its messages go to phone" in text_of(html)
    assert f'action="{ROOT}/channels/mail/test"' in html


@pytest.mark.parametrize(
    ("later", "rests", "said"),
    [(180 - 1, None, 180), (180, None, None), (200, None, None), (200, 209, 209), (0, 209, 209), (0, 9, 180), (200, 190, None)],
)  # fmt: skip
async def test_a_channels_next_try_is_never_past(kept, later, rests, said):
    """What mail refused waits for 180 s."""
    until = iso(NOW + timedelta(seconds=rests)) if rests is not None else None
    now = snapshot(measures={"now": NOW + timedelta(seconds=later)})
    looked = of(kept, now, channels=lambda: [channel("mail", url("mail", rests_until=until))])
    ((mail,), _) = (await screen.channels(looked)).values()
    assert mail["next_try"] == (iso(NOW + timedelta(seconds=said)) if said is not None else None)


@pytest.mark.parametrize(
    ("status", "ids"),
    [("", ["d6", "d4", "d3", "d2", "d1"]), ("waiting", ["d3"]), ("given-up", ["d4"]), ("nonsense", ["d6", "d4", "d3", "d2", "d1"])],
)  # fmt: skip
async def test_messages_are_listed_by_status(kept, status, ids):
    looked = of(kept, query={"status": status})
    found = await screen.messages(looked)
    assert [each["id"] for each in found["messages"]] == ids
    assert found["counts"] == {"waiting": 1, "given-up": 1}
    text = text_of(await page_of(DELIVERY, looked, f"/delivery?status={status}"))
    assert ("chat not found" in text) == ("d4" in ids)


async def test_a_message_says_why_it_waits(kept):
    async def preview(rows):
        await nothing_to_add(rows)
        for row in rows:
            if row["status"] == "pending":
                assert row.pop("context")
                row["title"], row["reason"] = (
                    "as it would be sent",
                    "quiet hours until 2026-03-01 11:30:00 UTC",
                )

    found = await screen.messages(of(kept, preview=preview, query={"status": "waiting"}))
    (waits,) = found["messages"]
    assert waits["title"] == "as it would be sent"
    assert (waits["status"], waits["tries"], waits["handed_to"]) == ("waits", 1, "phone")
    text = text_of(await page_of(DELIVERY, of(kept, preview=preview)))
    assert "held by quiet hours until 2026-03-01 12:30:00 CET" in text
    assert "next try 11:03:00" in text
    assert "handed to phone" in text


async def test_actions_are_listed_with_what_they_did_and_what_stops_them(kept):
    stopped = known_actions(circuit="since 2026-03-01T09:00:00.000000Z, after 5 failures in a row")
    looked = of(kept, actions=lambda: stopped)
    found = await screen.actions(looked)
    assert [each["status"] for each in found["runs"]] == ["failed", "dry run", "ok"]
    assert (found["runs"][2]["took"], len(found["runs"][2]["output"]), found["runs"][2]["cut"]) == (
        0.084,
        500,
        True,
    )
    assert found["today"] == 2
    html = await page_of(DELIVERY, looked)
    assert "stopped since 2026-03-01 10:00:00 CET, after 5 failures in a row" in text_of(html)
    assert f'action="{ROOT}/actions/hedge/resume"' in html
    assert f'action="{ROOT}/actions/%2A/pause"' in html or f'action="{ROOT}/actions/*/pause"' in html


@pytest.mark.parametrize(
    ("known", "buttons"),
    [
        (known_actions(), ["hedge/pause", "*/pause"]),
        (known_actions(paused="by Anna since 2026-03-01T09:00:00.000000Z"), ["hedge/resume", "*/pause"]),
        ({**known_actions(paused="by Anna"), "paused": f"by {HOSTILE}"}, ["*/resume"]),
    ],
)
async def test_what_is_paused_can_be_resumed_and_the_other_way_round(kept, known, buttons):
    html = (await page_of(DELIVERY, of(kept, actions=lambda: known))).replace("%2A", "*")
    there = [each for each in ("hedge/pause", "hedge/resume", "*/pause", "*/resume") if f'/actions/{each}" hx' in html]  # fmt: skip
    assert there == sorted(buttons, key=["hedge/pause", "hedge/resume", "*/pause", "*/resume"].index)


async def test_nothing_was_told_and_nothing_is_configured(tmp_path):
    opened(tmp_path).close()
    text = text_of(await page_of(DELIVERY, of(tmp_path)))
    for said in ("The config has no channel", "Nothing was told yet.", "The config has no actions."):
        assert said in text


async def test_many_are_shown_a_page_at_a_time(tmp_path):
    store = opened(tmp_path)
    runs = [run("ok", id=f"r{number}") for number in range(70)]
    store.commit(
        Batch(at=NOW, alerts=[alert("a1")], deliveries=[delivery(f"d{n}") for n in range(120)], runs=runs)
    )
    store.close()
    seen, query = [], {}
    while True:
        found = await screen.messages(of(tmp_path, query=query))
        seen += [each["id"] for each in found["messages"]]
        if found["older"] is None:
            break
        query = {"before": str(found["older"])}
    assert seen == [f"d{number}" for number in reversed(range(120))]
    first = await screen.actions(of(tmp_path))
    assert len(first["runs"]) == 50
    second = await screen.actions(of(tmp_path, query={"runs_before": str(first["older"])}))
    assert (len(second["runs"]), second["older"]) == (20, None)
    html = await page_of(DELIVERY, of(tmp_path, query={"before": "71", "status": "waiting"}), "/delivery?before=71&status=waiting")  # fmt: skip
    assert "status=waiting&amp;before=21" in html


# -------------------------------------------------------------------------------------------------------- the database

QUERIES = {
    "all": lambda reader: lists.deliveries(reader, None, limit=51),
    "further": lambda reader: lists.deliveries(reader, None, before=900_000, limit=51),
    "waiting": lambda reader: lists.deliveries(reader, "pending", limit=51),
    "given up": lambda reader: lists.deliveries(reader, "dead", limit=51),
    "sent": lambda reader: lists.sent_since(reader, NOW),
    "told": lambda reader: lists.told_since(reader, NOW),
    "lost": lambda reader: lists.lost_since(reader, NOW),
    "handed": lambda reader: lists.handed_over(reader, "mail", NOW),
    "runs": lambda reader: lists.runs(reader, limit=51),
    "links": lambda reader: lists.link_events(reader, NOW, STATES),
    "links before": lambda reader: lists.links_before(reader, NOW, STATES),
    "stops": lambda reader: lists.stops(reader, NOW),
    "runs today": lambda reader: lists.count_runs(reader, NOW),
}


@pytest.mark.parametrize("name", QUERIES)
def test_every_list_goes_by_an_index(tmp_path, monkeypatch, name):
    opened(tmp_path).close()
    asked_for: list[tuple[str, tuple[Any, ...]]] = []
    monkeypatch.setattr(
        Reader,
        "rows",
        lambda _self, query, *values: (
            asked_for.append((query, values)) or [{"lost": 0, "count": 0, "stopped": None}]
        ),
    )
    QUERIES[name](Reader(tmp_path / DATABASE))
    ((query, values),) = asked_for
    with sqlite3.connect(tmp_path / DATABASE) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    db.close()
    scans = [
        step for step in plan if step.startswith("SCAN") and "INDEX" not in step and "(subquery" not in step
    ]
    assert [step for step in scans if step.split()[1] not in ("took", "ranked")] == [], plan
