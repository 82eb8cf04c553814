"""`/health`: what is wrong and since when, the venues' connections of a day, what runs here; no secret anywhere."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest

from support.looked import HOSTILE, asked, page_of, snapshot, text_of
from support.measured import NOW
from support.stored import opened
from tocsin.control.measures import VenueMeasures
from tocsin.control.snapshot import Refusing
from tocsin.errors import Place, Problem
from tocsin.events import Change, Daemon, Key, Venue, iso
from tocsin.events.vocabulary import OURSELVES
from tocsin.page.connections import spans_of
from tocsin.page.screens import health as screen
from tocsin.page.screens.health import HEALTH
from tocsin.store.model import Batch

FOLDER = "/etc/tocsin"


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


ABOUT: dict[str, Any] = {
    "config": {"sources": ["config.yaml", "rules/own.yaml"], "warnings": []},
    "retention": {"events": "30d", "alerts": "365d", "max_bytes": 2 << 30},
    "listen": None,
    "heartbeats": [],
    "unrecorded_since": None,
}


def of(folder: Any, now: Any = None, **about: Any) -> Any:
    return asked(folder, now, about=lambda: {**ABOUT, **about})


def venue(name: str, status: str = "connected", **shown: Any) -> VenueMeasures:
    return VenueMeasures(name=name, status=status, last_message=NOW, shown={"venue": name, "status": status, **shown}, entities={})  # fmt: skip


def happened(when: datetime, event: str, name: str = "fx", reason: str | None = None) -> Change:
    ours = event.startswith("daemon.")
    state: Any = Daemon(id=OURSELVES) if ours else Venue(id=name, reason=reason)
    key = Key(OURSELVES, "daemon", "", OURSELVES) if ours else Key(name, "venue", "", name)
    return Change(
        key=key, events=(event,), state=state, previous=None, origin="synthetic", time=when, received=when, known_since=when, symbol=None, raw=None,
    )  # fmt: skip


def stored(folder: Any, *changes: Change) -> None:
    store = opened(folder)
    for change in sorted(changes, key=lambda each: each.received):
        store.commit(Batch(at=change.received, events=[change]))
    store.close()


def at(hour: float) -> datetime:
    return datetime(2026, 3, 1, tzinfo=NOW.tzinfo) + timedelta(hours=hour)


def row(hour: float, event: str, **data: Any) -> dict[str, Any]:
    return {"received_at": iso(at(hour)), "event": f"venue.{event}", "data": data}


@pytest.mark.parametrize(
    ("events", "before", "stops", "states"),
    [
        ([], "venue.connected", [], [(0, 24, "connected")]),
        ([], "venue.refused", [], [(0, 24, "away")]),
        ([], None, [], [(0, 24, "off")]),
        (
            [row(3, "disconnected", reason="reset"), row(4, "connected")],
            "venue.connected",
            [],
            [(0, 3, "connected"), (3, 4, "away"), (4, 24, "connected")],
        ),
        # Refused in the midst of being away is still away.
        ([row(3, "disconnected"), row(4, "refused"), row(5, "connected"), row(6, "silent"), row(7, "resumed")], "venue.resumed", [],
            [(0, 3, "connected"), (3, 5, "away"), (5, 6, "connected"), (6, 7, "silent"), (7, 24, "connected")]),
        # Tocsin stood still from 8 to 9; the venue was connected an hour later.
        ([row(10, "connected")], "venue.connected", [(at(8), at(9))],
            [(0, 8, "connected"), (8, 9, "off"), (9, 10, "away"), (10, 24, "connected")]),
        # Connected before the start was told.
        ([row(8.999, "connected")], "venue.connected", [(at(8), at(9))],
            [(0, 8, "connected"), (8, 8.999, "off"), (8.999, 24, "connected")]),
        # A moment after it: the venue was never away.
        ([row(9.001, "connected")], "venue.connected", [(at(8), at(9))],
            [(0, 8, "connected"), (8, 9.001, "off"), (9.001, 24, "connected")]),
        ([row(9.001, "refused"), row(9.5, "connected")], "venue.connected", [(at(8), at(9))],
            [(0, 8, "connected"), (8, 9.001, "off"), (9.001, 9.5, "away"), (9.5, 24, "connected")]),
        # It stopped before the day began.
        ([row(2, "connected")], "venue.connected", [(at(-5), at(1))], [(0, 1, "off"), (1, 2, "away"), (2, 24, "connected")]),
    ],
)  # fmt: skip
def test_links_are_followed_without_holes(events, before, stops, states):
    found = spans_of(events, before, stops, at(0), at(24))
    hours = [((span.begun - at(0)).total_seconds() / 3600, (span.ended - at(0)).total_seconds() / 3600, span.state) for span in found]  # fmt: skip
    assert hours == [(pytest.approx(begun), pytest.approx(ended), state) for begun, ended, state in states]


async def test_connections_come_from_what_is_stored(tmp_path):
    stored(
        tmp_path,
        happened(ago(hours=40), "daemon.started"),
        happened(ago(hours=39), "venue.connected"),
        happened(ago(hours=5), "venue.disconnected", reason=HOSTILE),
        happened(ago(hours=4), "venue.connected"),
        happened(ago(hours=3), "daemon.stopping"),
        happened(ago(hours=2), "daemon.started"),
        happened(ago(hours=2) + timedelta(minutes=1), "venue.connected"),
        happened(ago(hours=1), "venue.clock_skew"),
    )
    now = snapshot(measures={"venues": (venue("fx"), venue("new", "connecting"))})
    fx, new = (await screen.connections(of(tmp_path, now)))["venues"]
    assert [each["state"] for each in fx["spans"]] == [
        "connected", "away", "connected", "off", "away", "connected",
    ]  # fmt: skip
    assert fx["spans"][1]["reason"] == HOSTILE
    assert (fx["times"], fx["away"]) == (2, 3660.0)
    assert fx["connected"] == 22 * 3600 - 60
    assert [each["state"] for each in new["spans"]] == ["off", "away"]
    html = await page_of(HEALTH, of(tmp_path, now))
    assert "fx: connected 21 h 59 min, away 2 times, 61 min" in html
    assert 'class="away"' in html


async def test_a_venue_of_which_a_stream_is_silent_says_so(tmp_path):
    stored(
        tmp_path,
        happened(ago(minutes=30), "daemon.started"),
        happened(ago(minutes=30), "venue.connected"),
        happened(ago(minutes=30), "venue.connected", "px"),
        happened(ago(minutes=20), "venue.silent"),
        happened(ago(minutes=15), "venue.resumed"),
        happened(ago(minutes=5), "venue.silent", reason=HOSTILE),
    )
    known = (venue("fx", "silent", since=iso(ago(minutes=5))), venue("px", since=iso(ago(minutes=30))))
    now = snapshot(measures={"venues": known, "degraded": frozenset({"venue"})})
    html = await page_of(HEALTH, of(tmp_path, now))
    assert "fx: connected 30 min, never away, silent 2 times, 10 min" in html
    assert 'px: connected 30 min, never away"' in html
    text = text_of(html)
    assert "silent since 10:55:00 ; connected 30 min, never away, silent 2 times" in text
    assert "Degraded: a venue brings no data on a stream, since 10:55:00" in text
    assert "isn&#39;t connected" not in text


@pytest.mark.parametrize(
    ("measures", "heading", "tone"),
    [
        ({}, "Healthy", "good"),
        ({"attention": ("config: doubtful",)}, "Healthy, with 1 remark", "warn"),
        ({"attention": ("a", "b"), "degraded": frozenset({"delivery"})}, "Degraded: a channel takes no messages", "warn"),
        ({"degraded": frozenset({"venue"}), "venues": (venue("fx", "refused"), venue("px", "silent"))},
            "Degraded: a venue isn't connected; a venue brings no data on a stream", "warn"),
        ({"degraded": frozenset({"store"})}, "Degraded: the database takes nothing", "warn"),
        ({"dry_run": True}, "Healthy, in a dry run", "warn"),
        ({"wrong": ("no progress",), "degraded": frozenset({"store"})}, "Not healthy", "bad"),
    ],
)  # fmt: skip
async def test_what_stands_first_is_as_bad_as_what_is_below(tmp_path, measures, heading, tone):
    opened(tmp_path).close()
    html = await page_of(HEALTH, of(tmp_path, snapshot(measures=measures)))
    head, body = html[html.index('<h2 id="state-h">') :].split("</h2>", 1)
    assert unescape(text_of(head)) == heading
    assert f'class="dot {tone}"' in head
    marks = re.findall(r'class="dot (\w+)"', body[: body.index("</ul>")])
    assert marks == sorted(marks, key=("bad", "warn", "good").index)
    assert marks[0] == tone


async def test_what_is_well_says_so(tmp_path):
    opened(tmp_path).close()
    text = text_of(await page_of(HEALTH, of(tmp_path)))
    assert "Healthy" in text
    assert "Not healthy" not in text
    assert "Nothing is degraded, and nothing needs attention." in text
    assert "No heartbeat: nobody elsewhere notices" in text
    found = await screen.about(of(tmp_path))
    assert {"Tocsin", "Python", "SQLite", "apprise"} <= set(found["versions"])
    assert found["database"]["bytes"] > 0


async def test_what_is_wrong_says_since_when(tmp_path):
    opened(tmp_path).close()
    now = snapshot(
        measures={
            "wrong": ("the pipeline makes no progress since 2026-03-01 09:59:00 UTC", HOSTILE),
            "attention": (f"venue {HOSTILE}",),
            "degraded": frozenset({"venue", "delivery", "store", "control"}),
            "venues": (
                venue("fx", "disconnected", since=iso(ago(minutes=20))),
                venue("spot", "refused", since=iso(ago(hours=2))),
            ),
            "reload_success": False,
            "dry_run": True,
        },
        outages={"mail": Refusing(ago(minutes=7), HOSTILE)},
    )
    looked = of(tmp_path, now, unrecorded_since=iso(ago(minutes=1)))
    degraded = {each["part"]: each["since"] for each in (await screen.state(looked))["degraded"]}
    assert degraded == {
        "store": iso(ago(minutes=1)),
        "delivery": ago(minutes=7).isoformat(),
        "venue": iso(ago(hours=2)),
        "control": None,
    }
    text = text_of(await page_of(HEALTH, looked))
    for said in (
        "Not healthy",
        "no progress since 2026-03-01 10:59:00 CET",
        "a venue isn't connected , since 09:00:00".replace(" ,", ","),
        "the one on the disk was refused",
        "dry run",
    ):
        assert said.replace("'", "&#39;") in text or said in text


async def test_config_heartbeats_reports_and_who_listens(tmp_path):
    opened(tmp_path).close()
    place = Place(f"{FOLDER}/config.yaml", 3, 5, 4, f"  x: {HOSTILE}")
    warning = Problem(f"doubtful {HOSTILE}", place, "x", "change it", "warning").render()
    beats = [
        {"name": "heartbeat to hc-ping.com", "every": "1min", "taken_at": iso(ago(seconds=30)), "withheld": None, "failing": None},
        {"name": "heartbeat to b.example.org", "every": "5min", "taken_at": None, "withheld": {"since": iso(ago(minutes=3)), "reason": HOSTILE}, "failing": None},
        {"name": "heartbeat to c.example.org", "every": "5min", "taken_at": None, "withheld": None, "failing": {"since": iso(ago(minutes=3)), "reason": "it answered 500"}},
    ]  # fmt: skip
    looked = of(
        tmp_path,
        snapshot(
            measures={"config": f"{FOLDER}/config.yaml", "reports_due": {"evening": NOW + timedelta(hours=7)}}
        ),
        heartbeats=beats,
        config={
            "sources": [f"{FOLDER}/config.yaml", f"{FOLDER}/rules/a.yaml", "/elsewhere/b.yaml"],
            "warnings": [warning],
        },
        listen={"address": "127.0.0.1:8080", "public_url": None, "metrics_for": "who has its token"},
    )
    html = await page_of(HEALTH, looked)
    text = text_of(html)
    assert "heartbeat to hc-ping.com, every 1min: taken 30 s ago" in text
    assert "withheld since 10:57:00" in text
    assert "not taken since 10:57:00 : it answered 500" in text
    assert "report evening is due 18:00:00" in text
    assert "/metrics , for who has its token" in text
    assert "    3 |   x: &lt;/script&gt;" in html
    assert "= change it" in text
    assert "with rules/a.yaml /elsewhere/b.yaml read" in text, "below the config's folder from there on"
    assert "config.yaml:3:5: warning" in text
    assert f"{FOLDER}/config.yaml:3" not in text


async def test_many_venues_that_come_and_go(tmp_path):
    names = [f"venue{number}" for number in range(30)]
    changes = [happened(ago(hours=20), "daemon.started")]
    for name in names:
        for step in range(10):
            event = "venue.connected" if step % 2 else "venue.disconnected"
            changes.append(happened(ago(minutes=1000 - 60 * step), event, name))
    stored(tmp_path, *changes)
    now = snapshot(measures={"venues": tuple(map(venue, names))})
    html = await page_of(HEALTH, of(tmp_path, now))
    assert html.count('class="spans"') == 30
