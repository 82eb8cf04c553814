"""`/delivery`: what the channels take, what waits and why, and what actions did."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from tocsin.alerts.wording import without_mark
from tocsin.events import from_iso, iso
from tocsin.page.message_rows import message_row
from tocsin.page.rows import count_waiting, today, waiting
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.store import lists

_DAY = timedelta(days=1)
PAGE = 50  # messages, or runs
_LONGEST_OUTPUT = 500  # characters of what an action printed or was answered
_STATUSES: Mapping[str, lists.Status] = {"waiting": "pending", "given-up": "dead"}
"""By `?status=`; anything else is all."""


async def refusing(asked: Asked) -> Json:
    """`refusing`: the channels that take nothing, `since` when, what they `answered`, how much is `waiting`, and where it went instead
    (`handed`: how many messages by channel; of an outage that is longer than a day, those `in_last_day`).
    """
    if not asked.snapshot.outages:
        return {"refusing": []}
    unsent = await waiting(asked)
    found = []
    for name, outage in asked.snapshot.outages.items():
        since = max(outage.since, asked.now - _DAY)
        handed = await asked.in_thread(partial(lists.handed_over, asked.reader, name, since))
        found.append(
            {
                "channel": name,
                "since": outage.since.isoformat(),
                "answered": outage.reason,
                "waiting": unsent.get(name, {}).get("waiting", 0),
                "handed": [{"channel": row["handed_to"], "count": row["count"]} for row in handed],
                "in_last_day": since > outage.since,
            }
        )
    return {"refusing": found}


async def channels(asked: Asked) -> Json:
    """`channels` in the order of the config (`_channel`), and of all of them `today`: how much was `sent` (and whether that isn't all: `more`) and
    `lost`, how much is `waiting`.
    """
    sent = {
        row["channel"]: row
        for row in await asked.in_thread(partial(lists.sent_since, asked.reader, today(asked)))
    }
    lost = await asked.in_thread(partial(lists.lost_since, asked.reader, today(asked)))
    unsent = await waiting(asked)
    states = {each.name: each for each in asked.snapshot.measures.channels}
    return {
        "channels": [
            _channel(known, states.get(name), sent.get(name, {}), unsent.get(name, {}), iso(asked.now))
            for known in asked.host.channels()
            for name in (known["channel"],)
        ],
        "today": {
            "sent": (count := sum(row["sent"] for row in sent.values())),
            "more": count >= lists.MOST_COUNTED,
            "waiting": sum(row["waiting"] for row in unsent.values()),
            "lost": lost,
        },
    }  # fmt: skip


async def messages(asked: Asked) -> Json:
    """`messages`, the latest first, or those of one `status`; each with why it waits, if it does. `older`: what `before=` asks for the next page."""
    status = asked.query.get("status", "")
    status = status if status in _STATUSES else "all"
    read = partial(
        lists.deliveries, asked.reader, _STATUSES.get(status), before=_number(asked, "before"), limit=PAGE + 1
    )
    rows = await asked.in_thread(read)
    await asked.host.preview(rows)
    return {
        "status": status,
        "messages": [message_row(row) for row in rows[:PAGE]],
        "older": rows[PAGE - 1]["sequence"] if len(rows) > PAGE else None,
        "first": "before" not in asked.query,
        "counts": {
            "waiting": await count_waiting(asked),
            "given-up": await asked.in_thread(asked.reader.count_dead),
        },
    }


async def actions(asked: Asked) -> Json:
    """The `actions` of the config with what stands in their way, and their `runs`, the latest first; `paused`: by whom all are.

    `today`: how many runs began; `older`: what `runs_before=` asks for the next page.
    """
    known = asked.host.actions()
    read = partial(lists.runs, asked.reader, before=_number(asked, "runs_before"), limit=PAGE + 1)
    rows = await asked.in_thread(read)
    return {
        "paused": known["paused"],
        "actions": [
            {**each, "does": each["does"] if isinstance(each["does"], str) else " ".join(each["does"])}
            for each in known["actions"]
        ],
        "runs": [_run(row) for row in rows[:PAGE]],
        "older": rows[PAGE - 1]["number"] if len(rows) > PAGE else None,
        "first": "runs_before" not in asked.query,
        "today": await asked.in_thread(partial(lists.count_runs, asked.reader, today(asked))),
    }


def _channel(known: Json, state: Any, sent: Mapping[str, Any], waiting: Mapping[str, Any], now: str) -> Json:
    """`state`: takes, refuses, storm or quiet hours. `median` and `p95`: seconds until what was sent today was taken. `rate`: of the URL
    that has used most of its own, the limit with the longest time. `next_try`: where what failed waits, when (from `now` on).
    """
    urls = known["urls"]
    answers = [url["answered"] for url in urls if url["answered"]]
    rests = [url["rests_until"] for url in urls if url["rests_until"]]
    tries = (waiting.get("next_try"), min(rests, default=None))
    return {
        "channel": known["channel"],
        "services": [*dict.fromkeys(url["service"] for url in urls)],
        "state": _state(state),
        "fallback": known["fallback"],
        "today": sent.get("sent", 0),
        "median": sent.get("median"),
        "p95": sent.get("p95"),
        "waiting": waiting.get("waiting", 0),
        "waiting_since": waiting.get("since"),
        "next_try": max((each for each in tries if each and each > now), default=None),
        "rate": _fullest(url["rates"] for url in urls),
        "answered": max(answers, key=lambda answer: str(answer["at"]), default=None),
        "urls": urls,
    }


def _state(state: Any) -> str:
    if state is None or not state.up:
        return "takes" if state is None else "refuses"
    return "storm" if state.in_storm else "quiet hours" if state.quiet else "takes"


def _fullest(of_urls: Iterable[list[Json]]) -> Json | None:
    longest = [max(rates, key=lambda rate: float(rate["seconds"])) for rates in of_urls if rates]
    return max(longest, key=lambda rate: float(rate["used"] / rate["most"]), default=None)


def _run(row: Mapping[str, Any]) -> Json:
    begun, ended = row["started_at"], row["ended_at"]
    output = str(row["output"] or "")
    return {
        "id": row["id"],
        "action": row["action"],
        "alert": row["about"],
        "title": without_mark(row["title"] or ""),
        "told": row["told"],
        "status": str(row["status"]).replace("_", " "),
        "result": row["result"],
        "reason": row["reason"],
        "command": str(row["command"] or "")[:_LONGEST_OUTPUT],
        "output": output[:_LONGEST_OUTPUT],
        "cut": len(output) > _LONGEST_OUTPUT,
        "tries": row["attempts"],
        "answered_by": row["answered_by"],
        "created_at": row["created_at"],
        "took": (from_iso(ended) - from_iso(begun)).total_seconds() if begun and ended else None,
    }


def _number(asked: Asked, name: str) -> int | None:
    """A place in a list; None of what is none."""
    text = asked.query.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


DELIVERY = Screen(
    name="delivery",
    path="/delivery",
    nav="delivery",
    api="/api/delivery",
    parts={
        "refusing": Part(("channels", "told"), refusing),
        "channels": Part(("channels", "told"), channels),
        "messages": Part(("told", "channels"), messages),
        "actions": Part(("channels", "runs", "history"), actions),
    },
)
