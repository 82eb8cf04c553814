"""A day as the database has it at its end, which reports are made of."""

import pickle
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from support.outboxes import context
from support.stored import T0, alert, attempt, commit, delivery, opened, run
from tocsin.alerts.wording import Names, Style
from tocsin.calendars import Schedule
from tocsin.delivery.model import Message
from tocsin.events import Account, Change, Key, Order, Position, Venue, number
from tocsin.reports.facts import gather
from tocsin.reports.model import Report
from tocsin.reports.render import kinds_of, render
from tocsin.store.model import Acked
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

NOW = T0 + timedelta(hours=8)  # 2026-03-01 18:00 UTC, a Sunday


def ago(**span) -> datetime:
    return NOW - timedelta(**span)


def entity(state, *, venue="fx", account="9020b4e5-dade", ended=False, **more) -> Change:
    return Change(
        key=Key(venue, state.kind, account, state.id), events=(), state=state, previous=None, origin="live", time=T0,
        received=T0, known_since=T0, symbol=getattr(state, "symbol", None) or None, ended=ended, **more,
    )  # fmt: skip


def position(id_: str, symbol: str, profit: str | None, currency: str | None = "USD", **more) -> Change:
    said = {"profit": number(profit)} if profit is not None else {}
    said |= {"currency": currency} if currency is not None else {}
    state = Position(id=id_, symbol=symbol, side="short", amount=number("1.5"), status="open", **said)
    return entity(state, **more)


def fired(id_: str, rule: str, *, at: datetime, severity="warning", **says):
    said = context(rule=rule, severity=severity, started_at=at, fired_at=at, at=at, time=at, **says)
    return alert(
        id_, rule=rule, severity=severity, started_at=at, fired_at=at, title=f"{rule} of {id_}", data=msgspec.to_builtins(said)
    )  # fmt: skip


def a_day() -> dict:
    """What there is in the evening of a day on which things happened."""
    return {
        "entities": [
            position("p1", "XAUUSD", "-612.4"),
            position("p2", "BTCUSD", "12.05", unconfirmed_since=ago(minutes=5)),
            position("p3", "TSX", "19.44", "CAD", venue="broker", account="tfsa-1"),
            position("p4", "GONE", "7", ended=True),
            entity(Account(id="9020b4e5-dade", currency="USD", equity=number("10230.1"), margin=number("50"), margin_level=number("20460.2"))),
            entity(Order(id="o1", symbol="ETH/BTC", status="open", amount=number("1")), venue="topone", account=""),
            entity(Venue(id="fx", status="connected"), account=""),
            entity(Venue(id="topone", status="disconnected", since=ago(hours=1), reason="closed by the other side"), venue="topone", account=""),
        ],
        "alerts": [
            fired("a1", "position-in-the-red", at=ago(hours=2)),
            fired("a2", "position-deep-in-the-red", at=ago(minutes=30), severity="critical", value="-612.4"),
            alert("a3", rule="order-canceled", state="event", severity="info", fired_at=ago(hours=3), title="canceled"),
            alert("a4", rule="order-canceled", state="event", severity="info", fired_at=ago(hours=4), title="canceled"),
            alert("a5", rule="order-rejected", state="event", fired_at=ago(days=3), title="rejected"),
        ],
        "deliveries": [
            delivery("d1", alert="a1", channel="desk", created_at=ago(minutes=40)),
            delivery("d2", alert="a3", channel="desk", created_at=ago(hours=3)),
            delivery("d3", alert="a2", channel="mail", created_at=ago(minutes=30)),
        ],
        "acked": [Acked(alert="a1", at=ago(hours=1), by="anna", until=NOW + timedelta(hours=14))],
        "runs": [
            run(id="r1", action="hedge", created_at=ago(hours=1)),
            run("failed", id="r2", action="hedge", created_at=ago(minutes=30), reason="it answered 503"),
            run(id="r3", action="hedge", created_at=ago(days=2)),
        ],
    }  # fmt: skip


def reported(folder: Path, rows=None, *, style=None, tz="Europe/Prague", damage=(), **said) -> Message:
    """The report of what these rows say, kept in a database in that folder."""
    evening = Report(
        id="evening", schedule=Schedule.parse(["18:00"], tz), tz=ZoneInfo(tz), notify=("mail",), **said
    )
    store = opened(folder)
    commit(store, **(rows or {}))
    if rows and "deliveries" in rows:
        store.outbox.record(
            [attempt("d1", "pending", error="503", next_at=NOW), attempt("d2", "dead", error="no")]
        )
    store.close()
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for statement in damage:
            db.execute(statement)
        db.commit()
    style = style or Style(names=Names(accounts={"9020b4e5-dade": "Main"}), tz=evening.tz)
    facts = gather(Reader(folder / DATABASE), evening, ago(days=1), NOW, kinds_of(evening))
    draft = partial(render, facts, style, delivery_id="d")
    made: Message = pickle.loads(pickle.dumps(draft))()  # as the process does that renders users' templates
    return made
