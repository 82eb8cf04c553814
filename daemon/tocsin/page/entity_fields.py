"""What is known of the entity that an alert is about, field by field, as people read it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tocsin.alerts.message import SHOWN
from tocsin.alerts.wording import number_shown
from tocsin.control.snapshot import Snapshot
from tocsin.engine.api import AlertContext
from tocsin.events import KINDS, Change, Entity, Key, iso
from tocsin.events.vocabulary import derived_fields, fields, from_plain, has_ended, to_plain
from tocsin.page.screen import Asked, Json
from tocsin.store import alert_history
from tocsin.store.reader import Row

_SAID = frozenset({"id", "symbol"})  # stand by themselves
_MATTERS = frozenset({"stop_loss"})  # there being none is worth saying
_MOST_MEMBERS = 10


def key_of(row: Row, context: AlertContext | None) -> Key | None:
    """The entity of an alert (a row of the store); None where it is about a group, or not known."""
    if context is None or context.group is not None or context.kind not in KINDS or not context.entity:
        return None
    account = row["entity"] if context.kind == "account" else row["account"] or ""
    return Key(row["venue"], context.kind, account, row["entity"])


async def entity_of(asked: Asked, row: Row, context: AlertContext | None) -> Json:
    """`fields` of what lives, each with its `name`, `value` and `type`; `as_of` when it was last another, `away` since its venue is, `gone`
    where it isn't there any more. Of a group its first `members`, as they were when it was told.
    """
    if context is None:
        return {"kind": None}
    if context.group is not None:
        return _group(context)
    found: Json = {
        "kind": context.kind,
        "venue": row["venue"],
        "account": row["account"],
        "id": row["entity"],
        "symbol": row["symbol"],
        "gone": True,
        "fields": [],
    }
    key = key_of(row, context)
    change = _living(asked.snapshot, key) if key is not None else None
    if change is not None:
        return {
            **found,
            "gone": False,
            "as_of": iso(change.received),
            **_unsure(asked.snapshot, change.venue, _iso(change.unconfirmed_since)),
            "fields": [*_fields(context.kind, change.state)],
        }
    if key is None or context.kind in asked.snapshot.entities:
        return found
    stored = await asked.in_thread(lambda: alert_history.entity(asked.reader, key))
    state = _state(context.kind, stored)
    if stored is None or state is None or has_ended(state):
        return found
    return {
        **found,
        "gone": False,
        "as_of": stored["last_seen"] or stored["received_at"],
        **_unsure(asked.snapshot, row["venue"], stored["unconfirmed_since"]),
        "fields": [*_fields(context.kind, state)],
    }


def _iso(time: datetime | None) -> str | None:
    return iso(time) if time is not None else None


def _living(snapshot: Snapshot, key: Key) -> Change | None:
    return next((each for each in snapshot.entities.get(key.kind, ()) if each.key == key), None)


def _state(kind: str, stored: Row | None) -> Entity | None:
    """None where this version can't read it."""
    try:
        return from_plain(kind, stored["data"]) if stored is not None and not stored["ended"] else None
    except (ValueError, TypeError, AttributeError):
        return None


def _unsure(snapshot: Snapshot, venue: str, unconfirmed: str | None) -> Json:
    away = snapshot.away.get(venue)
    return {
        "away": venue in snapshot.away,
        "away_since": iso(away) if away is not None else None,
        "unconfirmed_since": unconfirmed,
    }


def _fields(kind: str, state: Entity) -> Iterator[Json]:
    """Those that have a value, what matters most first."""
    plain, derived, types = to_plain(state), derived_fields(state), fields(kind)
    first = [name for name in SHOWN.get(kind, ()) if name not in _SAID]
    for name in dict.fromkeys((*first, *types)):
        if name in _MATTERS and getattr(state, name, "") is None:
            yield {"name": name.replace("_", " "), "value": None, "type": "number"}
        if name in _SAID or name not in plain or name not in types:
            continue
        yield {
            "name": name.replace("_", " "),
            "value": _text(name, plain[name], types[name].type, derived=name in derived),
            "type": types[name].type,
        }


def _text(name: str, value: str | bool, of: str, *, derived: bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number_shown(value, name, derived=derived) if of == "number" else value


def _group(context: AlertContext) -> Json:
    return {
        "kind": context.kind,
        "group": {name: value for name, value in (context.group or {}).items() if value},
        "as_of": iso(context.at),
        "count": context.member_count,
        "members": [_member(context, member) for member in context.members[:_MOST_MEMBERS]],
    }


def _member(context: AlertContext, member: Mapping[str, Any]) -> Json:
    value_of = (context.value_of or "").partition("(")[2].removesuffix(")")
    value = member.get(value_of)
    shown = (
        number_shown(str(value), value_of, derived=value_of in member.get("derived", ())) if value else None
    )
    return {
        "id": str(member.get("id") or ""),
        "symbol": member.get("symbol"),
        "value_of": value_of.replace("_", " "),
        "value": shown,
    }
