"""`/silences`: what is silenced now, and what was; how much each holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from tocsin.control.acts import MOST_FIRING, silence_rows
from tocsin.page.alert_rows import alert_rows, context_of, in_short
from tocsin.page.rows import limit
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.store import lists

_OVER_FOR = timedelta(days=7)
_MOST_TITLES = 2


async def now(asked: Asked) -> Json:
    """`silences` that hold: `holds` counts the alerts that fire now and match, `titles` are those of the first of them, `held` counts the
    notifications that were kept from people.
    """
    return await asked.in_thread(lambda: _now(asked))


def _now(asked: Asked) -> Json:
    """Blocks. They are those of memory: one holds also while the database takes nothing."""
    rows = silence_rows(asked.snapshot.silences, asked.now)
    shown, more = rows[: limit(asked)], len(rows) > limit(asked)
    alerts = asked.reader.alerts(active_only=True, limit=MOST_FIRING) if rows else []
    via = lists.begun_via(asked.reader, [row["id"] for row in shown])
    shown = [{**row, "via": via.get(row["id"])} for row in shown]
    return {"silences": _holding(asked, shown, alerts), "more": more}


async def over(asked: Asked) -> Json:
    """`silences` that ended within the last `days`."""
    return await asked.in_thread(lambda: _over(asked))


def _over(asked: Asked) -> Json:
    """Blocks."""
    rows = lists.silences_over(asked.reader, asked.now - _OVER_FOR, asked.now, limit(asked) + 1)
    ended = [
        {**_silence(row), "ended_at": row["ended_at"] or row["ends_at"], "ended_by": row["ended_by"]}
        for row in rows[: limit(asked)]
    ]
    return {"silences": ended, "more": len(rows) > limit(asked), "days": _OVER_FOR.days}


def _silence(row: Mapping[str, Any]) -> Json:
    return {
        "id": row["id"],
        "matchers": row["matchers"],
        "reason": row["reason"],
        "by": row["created_by"],
        "via": row["via"],
        "created_at": row["created_at"],
        "held": row["held"],
    }


def _holding(
    asked: Asked, rows: Iterable[Mapping[str, Any]], alerts: Iterable[Mapping[str, Any]]
) -> list[Json]:
    """These silences, each with how many of these alerts match, and which."""
    silences, held = asked.snapshot.silences, defaultdict[str, list[Mapping[str, Any]]](list)
    for alert in alerts:
        if (context := context_of(alert)) is not None:
            for silence in silences.holding(context, asked.now):
                held[silence.id].append(alert)
    first = {each["id"]: each for of in held.values() for each in of[:_MOST_TITLES]}
    titles = {row["id"]: in_short(row) for row in alert_rows([*first.values()], asked.snapshot, asked.style)}
    return [
        {
            **_silence(row),
            "ends_at": row["ends_at"],
            "holds": len(held[row["id"]]),
            "titles": [titles[each["id"]] for each in held[row["id"]][:_MOST_TITLES]],
        }
        for row in rows
    ]


SILENCES = Screen(
    name="silences",
    path="/silences",
    nav="silences",
    api="/api/silences-screen",
    parts={"now": Part(("silences", "alerts", "history"), now), "over": Part(("silences",), over)},
)
