"""`/`: whether all is well, what is wrong, since when, and who has it.

Positions, orders and sums come from memory (`Snapshot`); alerts' words and what was told, from the database.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from msgspec import UNSET

from tocsin.control.snapshot import Snapshot
from tocsin.events import EXACT, Change, iso, rounded_text
from tocsin.events.vocabulary import value_to_plain
from tocsin.page.alert_rows import alert_rows, trail_of
from tocsin.page.message_rows import message_row
from tocsin.page.rows import count_waiting, limit, today, watched_row
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.store import alert_history, lists

_TOLD_LAST = 6
_GLANCE = 30  # rows of a list: what is seen at a glance, and made quickly
_CLOSEST = 6
_EQUITY = timedelta(hours=24)
_NONE = Decimal(0)


async def banner(asked: Asked) -> Json:
    """`away`: venues that aren't connected, when they were heard last (`since`) and why; `silent`: those of which a stream brings no data, since when and which; `refusing`: channels that don't take messages;
    `paused`: by whom all actions are ("": they aren't), `stopped`: of single ones what stands in their way, `paused` or a `circuit`, in words.
    """
    measures, known = asked.snapshot.measures, asked.host.actions()
    paused = known["paused"] if known["actions"] else ""
    return {
        "away": [
            {
                "venue": venue.name,
                "status": venue.status,
                "since": iso(since) if (since := asked.snapshot.away[venue.name]) else None,
                "reason": str(venue.shown.get("reason", "")),
            }
            for venue in measures.venues
            if venue.name in asked.snapshot.away
        ],
        "silent": [
            {
                "venue": venue.name,
                "since": venue.shown.get("since"),
                "reason": str(venue.shown.get("reason", "")),
            }
            for venue in measures.venues
            if venue.status == "silent"
        ],
        "refusing": [
            {"channel": name, "since": iso(each.since), "reason": each.reason}
            for name, each in asked.snapshot.outages.items()
        ],
        "paused": paused,
        "stopped": [
            {"action": each["action"], "paused": "" if paused else each["paused"], "circuit": each["circuit"]}
            for each in known["actions"]
            if each["circuit"] or (each["paused"] and not paused)
        ],
        "wrong": [*measures.wrong],
    }


async def tiles(asked: Asked) -> Json:
    """Figures: `firing`, `equity` and `profit` (one a currency, never added), `told`."""
    snapshot = asked.snapshot
    begun = today(asked)
    told = await asked.in_thread(partial(lists.told_since, asked.reader, begun))
    firing = await asked.in_thread(asked.reader.firing)
    return {
        "firing": _firing(snapshot, firing),
        "equity": await asked.in_thread(lambda: _sums(snapshot, "account", ("equity", "balance"))),
        "profit": await asked.in_thread(lambda: _sums(snapshot, "position", ("profit",))),
        "positions": len(snapshot.entities.get("position", ())),
        "told": {**told, "waiting": await count_waiting(asked)},
    }


async def firing(asked: Asked) -> Json:
    """`alerts`: what fires (rows of `alert_rows`), the worst first; `count` of how many."""
    rows = await asked.in_thread(partial(alert_history.firing, asked.reader, limit=limit(asked, _GLANCE)))
    shown_rows = await asked.in_thread(lambda: alert_rows(rows, asked.snapshot, asked.style))
    return {"alerts": shown_rows, "count": asked.snapshot.measures.firing}


async def positions(asked: Asked) -> Json:
    """`positions`: what is held, each with the rule that is nearest; `venues`: at how many."""
    return await asked.in_thread(lambda: _listed(asked, "position", _position))


async def orders(asked: Asked) -> Json:
    """`orders`: what works, what is open for longest first; `filled` of `amount`, and `done`, the part of it (0 to 1)."""
    return await asked.in_thread(lambda: _listed(asked, "order", _order, by=_open_since))


async def equity(asked: Asked) -> Json:
    """`accounts` that there are, and of the one that is asked for (`account=VENUE ID`, else the first) `points` of 24 hours."""
    found, account = await asked.in_thread(lambda: _accounts(asked))
    if account is not None:
        points = asked.host.equity(account.venue, account.key.id)
        since = asked.now - _EQUITY
        found["points"] = trail_of([point for point in points if point.at >= since])
    return found


async def venues(asked: Asked) -> Json:
    """`venues` in the order of the config, with how fresh and how busy they are; `fresh`: how many are connected, and all their streams bring data."""
    snapshot = asked.snapshot
    rows = [
        {
            "venue": venue.name,
            "type": str(venue.shown.get("type", "")),
            "status": venue.status,
            "away": venue.name in snapshot.away,
            "since": venue.shown.get("since"),
            "reason": str(venue.shown.get("reason", "")),
            "attempts": str(venue.shown.get("attempts", "0")),
            "next_attempt": venue.shown.get("next_attempt"),
            "last_message": iso(venue.last_message) if venue.last_message else None,
            "unconfirmed": str(venue.shown.get("unconfirmed", "0")),
            "rate": snapshot.rates.get(venue.name, 0.0),
            "entities": {kind: count for kind, count in venue.entities.items() if count},
        }
        for venue in snapshot.measures.venues
    ]
    return {"venues": rows, "fresh": sum(row["status"] == "connected" for row in rows)}


async def closest(asked: Asked) -> Json:
    """`closest` to firing (`watched_row`), of how many that are `watched`."""
    snapshot = asked.snapshot
    return {
        "closest": [watched_row(each) for each in snapshot.closest[:_CLOSEST]],
        "watched": max(snapshot.watched, len(snapshot.closest)),
    }


async def told(asked: Asked) -> Json:
    """`messages`: what was told last (rows of `message_row`), and how it was taken."""
    read = partial(lists.deliveries, asked.reader, None, limit=_TOLD_LAST)
    rows = await asked.in_thread(read)
    await asked.host.preview(rows)
    return {"messages": [message_row(row) for row in rows]}


# ------------------------------------------------------------------------------------------------------------- parts


def _firing(snapshot: Snapshot, rows: Iterable[Mapping[str, Any]]) -> Json:
    counts = snapshot.measures.alerts
    return {
        "count": snapshot.measures.firing,
        "critical": sum(
            n for (severity, state), n in counts.items() if severity == "critical" and state != "pending"
        ),
        "pending": snapshot.measures.pending,
        "acknowledged": sum(row["count"] for row in rows if row["acked"]),
        "silences": snapshot.measures.silences_active,
    }


def _sums(snapshot: Snapshot, kind: str, names: Sequence[str]) -> list[Json]:
    """Of the first of these fields that each has one figure a currency, the fresh ones first: `as_of` where the oldest of what it holds
    is of a venue that is away.
    """
    of_venues: dict[tuple[Any, str], tuple[Decimal, int]] = {}
    for change in snapshot.entities.get(kind, ()):
        state = change.state
        for name in names:
            number = getattr(state, name, None)
            if isinstance(number, Decimal):
                of = getattr(state, "currency", None), change.key.venue
                total, count = of_venues.get(of, (_NONE, 0))
                of_venues[of] = EXACT.add(total, number), count + 1
                break
    sums: dict[tuple[str, bool], tuple[Decimal, int, datetime | None]] = {}
    for (currency, venue), (part, parts) in of_venues.items():
        away, since = venue in snapshot.away, snapshot.away.get(venue)
        named = "" if currency is UNSET else str(currency or "")
        total, count, as_of = sums.get((named, away), (_NONE, 0, None))
        oldest = min(filter(None, (as_of, since)), default=None)
        sums[named, away] = EXACT.add(total, part), count + parts, oldest
    ordered = sorted(sums.items(), key=lambda item: (item[0][1], -item[1][1]))
    return [
        {
            "currency": currency,
            "value": rounded_text(total, "money"),
            "count": count,
            "away": away,
            "as_of": iso(as_of) if as_of else None,
        }
        for (currency, away), (total, count, as_of) in ordered
    ]


def _listed(
    asked: Asked,
    kind: str,
    row: Callable[[Change, Snapshot], Json],
    *,
    by: Callable[[Change], datetime] | None = None,
) -> Json:
    known = asked.snapshot.entities.get(kind, ())
    found = known if by is None else sorted(known, key=by)
    return {
        f"{kind}s": [row(each, asked.snapshot) for each in found[: limit(asked, _GLANCE)]],
        "count": len(found),
        "venues": len({each.venue for each in found}),
    }


def _accounts(asked: Asked) -> tuple[Json, Change | None]:
    """What is told of them, without points, and the one that is chosen."""
    accounts = asked.snapshot.entities.get("account", ())
    names = [f"{each.venue} {each.key.id}" for each in accounts]
    chosen = asked.query.get("account", "")
    place = names.index(chosen) if chosen in names else 0
    account = accounts[place] if names else None
    found: Json = {
        "accounts": [
            {"name": name, "venue": each.venue, "account": each.key.id}
            for name, each in zip(names, accounts, strict=True)
        ],
        "chosen": names[place] if names else None,
        "currency": _text(account, "currency") if account is not None else None,
        "points": [],
    }
    return found, account


def _stale(change: Change, snapshot: Snapshot) -> Json:
    """`away`: its venue isn't connected; `as_of`: since then it is as it was."""
    since = snapshot.away.get(change.venue)
    return {"away": change.venue in snapshot.away, "as_of": iso(since) if since else None}


def _position(change: Change, snapshot: Snapshot) -> Json:
    near = snapshot.nearest.get(change.key)
    return {
        "venue": change.venue,
        "account": change.account,
        "id": change.key.id,
        "symbol": change.symbol,
        **{
            name: _text(change, name)
            for name in ("side", "amount", "entry_price", "mark_price", "profit", "currency")
        },
        "nearest": watched_row(near) if near is not None else None,
        **_stale(change, snapshot),
    }


def _order(change: Change, snapshot: Snapshot) -> Json:
    amount, filled = _decimal(change, "amount"), _decimal(change, "filled")
    near = snapshot.nearest.get(change.key)
    done = min(float(filled / amount), 1.0) if amount and filled is not None else None
    names = ("side", "order_type", "status", "amount", "filled", "price", "stop_price")
    return {
        "venue": change.venue,
        "account": change.account,
        "id": change.key.id,
        "symbol": change.symbol,
        **{name: _text(change, name) for name in names},
        "done": done,
        "nearest": watched_row(near) if near is not None else None,
        "open_since": iso(_open_since(change)),
        **_stale(change, snapshot),
    }


def _open_since(change: Change) -> datetime:
    created = getattr(change.state, "created", None)
    return created if isinstance(created, datetime) else change.known_since


def _decimal(change: Change, name: str) -> Decimal | None:
    value = getattr(change.state, name, None)
    return value if isinstance(value, Decimal) else None


def _text(change: Change, name: str) -> str | None:
    value = getattr(change.state, name, None)
    return None if value is None or value is UNSET else str(value_to_plain(value))


OVERVIEW = Screen(
    name="overview",
    path="/",
    nav="overview",
    api="/api/overview",
    parts={
        "banner": Part(("status", "venues", "channels"), banner),
        "tiles": Part(("alerts", "history", "accounts", "positions", "told", "silences"), tiles),
        "firing": Part(("alerts", "history", "told", "silences"), firing),
        "positions": Part(("positions",), positions),
        "equity": Part(("accounts",), equity),
        "orders": Part(("orders",), orders),
        "venues": Part(("venues",), venues),
        "closest": Part(("rules",), closest),
        "told": Part(("told", "channels"), told),
    },
)
