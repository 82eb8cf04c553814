"""Messages as the page's lists show them, and the words for how it stands with one."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tocsin.alerts.wording import without_mark
from tocsin.page import words
from tocsin.page.screen import Json


class Status(NamedTuple):
    """Of a message: the `word` for it, its `tone` (good, warn, bad, off), and what `says` before a channel that it hasn't reached."""

    word: str
    tone: str
    says: str = ""


_STATUSES: Mapping[str, Status] = {
    "sent": Status("sent", "good"),
    "pending": Status("waits", "warn", "waits for "),
    "dead": Status("given up", "bad", "didn't reach "),
    "superseded": Status("superseded", "off", "in another message, to "),
}


def status_of(row: Mapping[str, Any]) -> Status:
    """What a status is called that another version wrote, too."""
    status = str(row["status"])
    return _STATUSES.get(status) or Status(status, "warn", f"{status}: ")


def message_row(row: Mapping[str, Any]) -> Json:
    """`row` of `lists.deliveries` or `alert_history.messages`, which `Host.preview` has seen. `alert`: its id, None of what is about no one alert (a digest, a report);
    `status` in a word, with its `tone`; `took`: seconds until it was taken; `held_by`: what holds it, or held it until it went with
    others; `answer`: what the service said of a failure; `outcome`: what came of it, in words.
    """
    status = status_of(row)
    return {
        "id": row["id"],
        "alert": row["about"] if "about" in row else row["alert"],
        "title": without_mark(row["title"] or ""),
        "told": row["state_told"],
        "severity": row["severity"],
        "channel": row["channel"],
        "status": status.word,
        "tone": status.tone,
        "tries": row["attempts"],
        "created_at": row["created_at"],
        "sent_at": row["sent_at"],
        "took": row["took_seconds"],
        "next_try": row.get("next_try"),
        "digest": row["digest"],
        "held_by": row["reason"],
        "answer": row["error"],
        "handed_to": row["handed_to"],
        "outcome": [*outcome(row)],
    }


def outcome(row: Mapping[str, Any]) -> Iterator[str]:
    """What came of sending it, beside its status; times are UTC."""
    sent = row["status"] == "sent"
    if row["attempts"] > 1 or (row["attempts"] and not sent):
        yield "1 try" if row["attempts"] == 1 else f"{row['attempts']} tries"
    if row["digest"]:
        yield "in a digest"
    elif row["status"] == "superseded":
        yield "in another message"
    if row["reason"]:
        yield f"held by {row['reason']}"
    if row["error"]:
        yield row["error"]
    if row["handed_to"]:
        yield f"handed to {row['handed_to']}"
    if sent and row["took_seconds"] is not None:
        yield f"taken after {words.seconds(row['took_seconds'])}"
    if row["status"] == "pending" and not (row["digest"] or row["reason"]):
        yield from _keeps(row)


def _keeps(row: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a message that nothing holds: its channel refuses (what was answered to itself says that as well), or nothing does."""
    if row.get("refuses"):
        if not row["error"]:
            yield f"{row['channel']} refuses"
    elif not row.get("next_try"):
        yield "about to go"
