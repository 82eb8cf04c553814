"""`/a/ID`: an alert. How its value went, what became of it and what comes next, why, what was told of it, and what it is about."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from tocsin.alerts.entity_wording import where
from tocsin.alerts.wording import value_and_unit, without_mark
from tocsin.config.settings import UnknownRule
from tocsin.control.acts import alerts_meant, as_acknowledged
from tocsin.control.snapshot import Point, Watched
from tocsin.engine.api import AlertContext
from tocsin.events import from_iso, iso
from tocsin.page import alert_life, entity_fields
from tocsin.page.alert_chart import chart_of, value_at, worst_at
from tocsin.page.alert_rows import alert_row, alert_rows, context_of, worst_of
from tocsin.page.message_rows import message_row
from tocsin.page.screen import Asked, Elsewhere, Json, NoSuch, Part, Screen, Several
from tocsin.pipeline.acts import FIRING
from tocsin.store import alert_history, lists
from tocsin.store.reader import Row

_MOST_TOLD, _MOST_RUNS, _MOST_SILENCES = 100, 50, 100
_MOST_ALIKE = 20  # of the same entity
_MOST_EXPLAINED = 100  # instances among which the alert's is looked for


class _Alert:
    """The alert that is asked about: its row, the context of what was last told of it, and what the engine knows of it now."""

    def __init__(self, asked: Asked, row: Row) -> None:
        self.row, self.context = as_acknowledged(row, asked.snapshot.acknowledged), context_of(row)
        self.lives = row["state"] in FIRING
        watched = (each for each in asked.snapshot.alerts if each.alert == row["id"])
        self.watched: Watched | None = next(watched, None) if self.lives else None

    @property
    def worst(self) -> str | None:
        return worst_of(self.context, self.watched)


async def _alert(asked: Asked) -> _Alert:
    row = await asked.in_thread(partial(alert_history.alert, asked.reader, asked.path["id"]))
    if row is None:
        raise NoSuch(f"There is no alert {asked.path['id']:.80}. What is older than the retention is gone.")
    return _Alert(asked, row)


async def find(asked: Asked) -> None:
    """Raises Elsewhere for an id that is shortened, Several for one that is so to no end, NoSuch for one that is no alert's."""
    called = asked.path["id"]
    found = await asked.in_thread(partial(alerts_meant, asked.reader, called))
    if isinstance(found, tuple):
        if found[0]["id"] != called:
            raise Elsewhere(id=found[0]["id"])
        return
    near = [
        (f"{without_mark(row['title'])} ({row['state']}, {row['id']})", f"/a/{row['id']}")
        for row in found["several"] or found["near"]
    ]
    if found["several"]:
        raise Several(f"Several alerts begin with {called:.80}.", near)
    raise NoSuch(f"There is no alert {called:.80}.", near)


async def head(asked: Asked) -> Json:
    """`alert` as lists have it, with `where` it is and the venue's `link`; `over`: nobody can acknowledge it any more."""
    found = await _alert(asked)
    row, context = found.row, found.context
    made = alert_row(row, found.watched, asked.snapshot, asked.style)
    if context is not None:
        made["title"] = made["title"].removesuffix(f" · {where(context, asked.style)}")
    unconfirmed = context.unconfirmed_since if context is not None and not found.lives else None
    return {
        "alert": made,
        "link": asked.style.links.get(row["venue"]),
        "over": row["state"] == "resolved",
        "ended": context is not None and row["state"] == "resolved" and bool(context.reason),
        "away": found.lives and row["venue"] in asked.snapshot.away,
        "unconfirmed": found.watched is not None and found.watched.unconfirmed,
        "unconfirmed_since": iso(unconfirmed) if unconfirmed is not None else None,
    }


async def chart(asked: Asked) -> Json:
    """See `chart_of`."""
    found = await _alert(asked)
    return chart_of(found.row, found.context, await _points(asked, found), asked.now)


async def life(asked: Asked) -> Json:
    """`life`: see `alert_life`; `cut`: there is more than is told."""
    found = await _alert(asked)
    row, context = found.row, found.context
    points, explained = await _points(asked, found), await _explained(asked, found)
    read = partial(_became, asked, row)
    first, told, ran, did, silent = await asked.in_thread(read)
    await asked.host.preview(told)
    fired = (context_of(first) if first is not None else None) or (
        context if row["state"] != "resolved" else None
    )
    entries = [
        *alert_life.states(row, context, value=_value_then(row, context, points), first=fired),
        *alert_life.worst(context, found.worst, worst_at(row, found.worst, points, asked.now)),
        *alert_life.messages(told),
        *alert_life.runs(ran),
        *alert_life.acts(did),
        *alert_life.silences(silent, context, asked.style.names.accounts, iso(asked.now)),
    ]
    if row["state"] != "resolved":
        coming = explained["coming"] if explained else ()
        held_back_by = [each["what"] for each in explained["held_back_by"]] if explained else []
        entries += alert_life.coming(coming, row, held_back_by)
    return {"life": alert_life.in_order(entries), "cut": len(told) == _MOST_TOLD}


async def why(asked: Asked) -> Json:
    """`parts` of the conditions as they are now, or (`then`) were when it was told; of what lives all `gates` that could hold a message."""
    found = await _alert(asked)
    context = found.context
    explained = await _explained(asked, found) if found.lives else None
    parts: Sequence[Any] = explained["parts"] if explained else ()
    then = None
    if not parts:
        first = await asked.in_thread(partial(alert_history.fired_with, asked.reader, found.row["id"]))
        context = (context_of(first) if first is not None else None) or context
        parts = msgspec.to_builtins(context.parts) if context is not None else ()
        then = context.at if context is not None and parts else None
    return {
        "rule": found.row["rule"],
        "lives": found.lives,
        "parts": [_part(each) for each in parts],
        "then": iso(then) if then is not None else None,
        "gates": explained["gates"] if explained else [],
        "held_back_by": explained["held_back_by"] if explained else [],
        "held": found.row["held"],
        "words": (context.words or context.condition) if context is not None else "",
        "event": context.event if context is not None else None,
        "reason": context.reason if context is not None else "",
    }


async def messages(asked: Asked) -> Json:
    """`messages`: what was told (rows of `message_row`, with the `target` of each and its `body`), and how many of them were `sent`."""
    found = await _alert(asked)
    rows = await asked.in_thread(
        partial(alert_history.messages, asked.reader, found.row["id"], limit=_MOST_TOLD)
    )
    await asked.host.preview(rows)
    return {
        "messages": [{**message_row(row), "target": row["target"], "body": row["body"]} for row in rows],
        "sent": sum(row["status"] == "sent" for row in rows),
        "cut": len(rows) == _MOST_TOLD,
    }


async def entity(asked: Asked) -> Json:
    """`entity`: see `entity_fields.entity_of`."""
    found = await _alert(asked)
    return {"entity": await entity_fields.entity_of(asked, found.row, found.context)}


async def others(asked: Asked) -> Json:
    """What else is told of the same: `pending`, with when each fires (`due`), and the `alerts` that fire and fired."""
    found = await _alert(asked)
    key = found.watched.key if found.watched is not None else entity_fields.key_of(found.row, found.context)
    pending = [each for each in asked.snapshot.alerts if each.key == key and each.state == "pending"]
    rows = await asked.in_thread(partial(alert_history.about, asked.reader, found.row, limit=_MOST_ALIKE + 1))
    made = await asked.in_thread(lambda: alert_rows(rows[:_MOST_ALIKE], asked.snapshot, asked.style))
    return {
        "kind": found.context.kind if found.context is not None else None,
        "pending": [_pending(each) for each in pending],
        "alerts": made,
        "cut": len(rows) > _MOST_ALIKE,
        "entity": found.row["entity"],
    }


# ------------------------------------------------------------------------------------------------------------- parts


async def _points(asked: Asked, found: _Alert) -> Sequence[Point]:
    """How the value went: as it was kept, and while it lives what came since, from memory."""
    if found.context is None or found.context.value_of is None or found.context.event is not None:
        return ()
    kept = await asked.in_thread(partial(asked.reader.trail, found.row["id"]))
    points = [Point(at, value) for at, value in kept]
    fresh = asked.host.trail(found.row["rule"], found.row["instance"]) if found.lives else ()
    return [*points, *(point for point in fresh if not points or point.at > points[-1].at)]


async def _explained(asked: Asked, found: _Alert) -> Mapping[str, Any] | None:
    """As `tocsin explain` tells it of this very alert; None where that has nothing (more) to tell of it."""
    row = found.row
    called = row["entity"] if found.lives else row["id"]
    if row["state"] == "resolved":
        return None
    try:
        answer = await asked.host.explain(row["rule"], called or None, _MOST_EXPLAINED, asked.in_thread)
    except UnknownRule:
        return None
    return next((each for each in answer["explained"] if each["alert"] == row["id"]), None)


def _became(asked: Asked, row: Row) -> tuple[Row | None, list[Row], list[Row], list[Row], list[Row]]:
    """The context with which it fired; messages, runs, acts and silences. Blocks."""
    until = from_iso(row["resolved_at"]) if row["resolved_at"] else asked.now
    since = from_iso(row["started_at"])
    if row["state"] == "event":
        until = since
    with asked.reader.snapshot() as reader:
        return (
            alert_history.fired_with(reader, row["id"]),
            alert_history.messages(reader, row["id"], limit=_MOST_TOLD),
            alert_history.runs(reader, row["id"], limit=_MOST_RUNS),
            reader.acts_on(row["id"])[::-1],
            lists.silences_between(reader, since, until, _MOST_SILENCES),
        )


def _value_then(row: Row, context: AlertContext | None, points: Sequence[Point]) -> str | None:
    """With what it fired, as far as that is known."""
    if context is None:
        return None
    if row["started_at"] == row["fired_at"]:
        return value_and_unit(context, context.value_at_start) or None
    known = value_at(points, from_iso(row["fired_at"]))
    return value_and_unit(context, str(known)) if known is not None else None


def _part(part: Mapping[str, Any]) -> Json:
    """With `to_go`, how far it is from its limit where it isn't there."""
    distance = part["distance"]
    to_go = distance["gap"] if distance and not distance["met"] and part["holds"] is False else None
    return {
        **{name: part[name] for name in ("of", "asks", "holds", "saw", "as_of", "decides")},
        "to_go": to_go,
    }


def _pending(each: Watched) -> Json:
    due: datetime | None = each.timer.due if each.timer is not None else None
    return {
        "rule": each.rule,
        "severity": each.severity,
        "since": iso(each.since) if each.since is not None else None,
        "due": iso(due) if due is not None else None,
        "value": each.value,
        "value_of": each.value_of,
    }


ALERT = Screen(
    name="alert",
    path="/a/{id}",
    nav="alerts",
    api="/api/alerts/{id}",
    parts={
        "head": Part(("alerts", "history", "silences"), head),
        "chart": Part(("alerts", "history"), chart),
        "why": Part(("alerts", "history", "silences", "hours"), why),
        "messages": Part(("told", "channels"), messages),
        "life": Part(("history", "told", "channels", "runs", "silences", "hours"), life),
        "entity": Part(("positions", "orders", "accounts"), entity),
        "others": Part(("alerts", "history", "silences"), others),
    },
    find=find,
)
