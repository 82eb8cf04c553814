"""What stands above every screen: what fires, whether all is told, what isn't as it should be."""

from tocsin.page.rows import count_waiting
from tocsin.page.screen import Asked, Json, Part
from tocsin.store.errors import StoreError

_MOST_NAMED = 20


async def status(asked: Asked) -> Json:
    """`firing`, `pending`, `critical` (ids of what is critical and fires), `waiting` messages, `wrong` and `attention` in words, `tone`."""
    snapshot = asked.snapshot
    measures = snapshot.measures
    fires = (each for each in snapshot.alerts if each.alert and each.state != "pending")
    critical = [each.alert for each in fires if each.severity == "critical"]
    waiting, attention = 0, [*measures.attention]
    try:
        waiting = await count_waiting(asked)
    except StoreError as error:
        attention.append(f"what waits to be sent isn't known: {error}")
    away = [*snapshot.away]
    return {
        "firing": measures.firing,
        "pending": measures.pending,
        "critical": critical[:_MOST_NAMED],
        "waiting": waiting,
        "wrong": [*measures.wrong],
        "attention": attention,
        "away": away,
        "tone": "bad" if measures.wrong else "warn" if waiting or away or attention else "good",
    }


STATUS = Part(("status", "told"), status)
