"""Messages as the page's lists show them."""

from collections.abc import Mapping
from typing import Any

from tocsin.alerts.wording import without_mark
from tocsin.page.screen import Json

_STATUSES = {"pending": "waits", "sent": "sent", "dead": "given up", "superseded": "superseded"}


def message_row(row: Mapping[str, Any]) -> Json:
    """`row` of `lists.deliveries`. `alert`: its id, None of what is about no one alert (a digest, a report); `took`: seconds until it was
    taken; `held_by`: what holds it, or held it until it went with others; `answer`: what the service said of a failure.
    """
    waits = row["status"] == "pending"
    return {
        "id": row["id"],
        "alert": row["about"],
        "title": without_mark(row["title"] or ""),
        "told": row["state_told"],
        "severity": row["severity"],
        "channel": row["channel"],
        "status": _STATUSES.get(row["status"], row["status"]),
        "tries": row["attempts"],
        "created_at": row["created_at"],
        "sent_at": row["sent_at"],
        "took": row["took_seconds"],
        "next_try": row["next_at"] if waits and row["attempts"] else None,
        "digest": row["digest"],
        "held_by": row["reason"],
        "answer": row["error"],
        "handed_to": row["handed_to"],
    }
