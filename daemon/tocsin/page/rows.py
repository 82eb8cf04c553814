"""What several screens' lists have in common: how many rows, what a rule watches, when the day began."""

from datetime import datetime

from tocsin.control.snapshot import Watched
from tocsin.events import iso
from tocsin.page.screen import Asked, Json
from tocsin.store.reader import Row

SHOWN = 100  # rows of a list, unless `all=1` asks for more
MOST = 10_000
GROUPS = ("{", '["absence"')
"""How the instances of groups, and of what is missed in them, begin."""


def limit(asked: Asked, cut: int = SHOWN) -> int:
    """How many rows of a list are shown: all that there are, or as many as one looks at."""
    return MOST if asked.query.get("all") == "1" else cut


def today(asked: Asked) -> datetime:
    """When this day began where people are."""
    local = asked.now.astimezone(asked.style.tz)
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


async def waiting(asked: Asked) -> dict[str, Row]:
    """What waits to be sent, by channel (rows of `Reader.unsent`). StoreUnavailable."""
    return {row["channel"]: row for row in await asked.in_thread(asked.reader.unsent)}


async def count_waiting(asked: Asked) -> int:
    """How many messages wait to be sent, on all channels. StoreUnavailable."""
    return sum(row["waiting"] for row in (await waiting(asked)).values())


def watched_row(each: Watched) -> Json:
    """What a rule watches as JSON: what it is, the plain numbers `value` and `limit` with what is `to_go` (or `beyond`), and `done`, how
    near (0 to 1); of a `group` the id is its name; `shown` is the number that its messages speak of (`value_of`), in `currency`; `due`: when it fires, if it stays so.
    """
    distance = each.distance
    return {
        "rule": each.rule,
        "severity": each.severity,
        "venue": each.key.venue,
        "kind": each.key.kind,
        "account": each.key.account or None,
        "entity": each.key.id,
        "symbol": each.symbol,
        "side": each.side,
        "group": each.instance.startswith(GROUPS),
        "state": each.state,
        "alert": each.alert or None,
        "value_of": each.value_of,
        "currency": each.currency,
        "shown": each.value,
        "value": distance.value if distance else each.value,
        "limit": distance.limit if distance else None,
        "to_go": distance.gap if distance else None,
        "beyond": distance.met if distance else False,
        "due": iso(each.timer.due) if each.state == "pending" and each.timer and each.timer.due else None,
        "done": max(0.0, 1.0 - each.far) if each.far is not None else None,
        "stale_since": iso(each.stale_since) if each.stale_since else None,
    }
