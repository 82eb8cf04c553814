"""Events as a database keeps them, as the changes that they were. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tocsin.errors import TocsinError
from tocsin.events import KINDS, Change, Key, from_iso
from tocsin.events.links import KeyTexts, linked_now
from tocsin.events.vocabulary import canonical, from_plain, has_ended
from tocsin.store.reader import Row


class NotRecorded(TocsinError):
    """The file isn't one of ours, or a line of it isn't."""


def together(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows of each change: one an event, all but the event alike."""
    found: list[Row] = []
    for row in rows:
        if found and _alike(row) != _alike(found[0]):
            yield found
            found = []
        found.append(row)
    if found:
        yield found


def _alike(row: Row) -> tuple[Any, ...]:
    return tuple(value for name, value in row.items() if name not in ("id", "event"))


def key_of(row: Row) -> Key:
    """Raises NotRecorded for a kind that this version doesn't know."""
    kind = row["event"].partition(".")[0]
    if kind not in KINDS:
        raise NotRecorded(f"event {row['id']} is of the kind {kind}, which this version doesn't know")
    # An account is of itself; a symbol's trades are under the symbol.
    return Key(
        row["venue"], kind, row["entity"] if kind == "account" else row["account"] or "", row["entity"]
    )


def change_of(
    rows: list[Row],
    before: Change | None = None,
    find: Callable[[KeyTexts], Change | None] = lambda _key: None,
) -> Change:
    """The change of these rows, in the order of their ids. `before` is its entity's last one; `find` gives what it belongs to.

    Raises NotRecorded for a kind that this version doesn't know, ValueError for fields.
    """
    row, data = rows[0], dict(rows[0]["data"])
    raw = data.pop("raw", None)
    key = key_of(row)
    state = from_plain(key.kind, data)
    received = from_iso(row["received_at"])
    return Change(
        key=key,
        events=tuple(canonical(row["event"]) for row in rows),
        state=state,
        previous=before.state if before is not None else None,
        origin=row["origin"],
        time=from_iso(row["time"]),
        received=received,
        known_since=before.known_since if before is not None else received,
        ended=has_ended(state),
        symbol=row["symbol"],
        linked=linked_now(key, state, find),
        raw=raw,
        seen_before=before.received if before is not None else None,
    )
