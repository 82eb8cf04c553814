"""How a part of a message becomes an observation of one kind, and what is worked out of one message's fields."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from tocsin.events import EXACT, KINDS, Observation, shown
from tocsin.events.vocabulary import VENUE_KINDS, Field, all_fields, did_you_mean, is_event
from tocsin.venues import derive
from tocsin.venues.base import Malformed
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.fields import Defaults, read_field
from tocsin.venues.json.readers import Read
from tocsin.venues.lenient import Part

_ACCOUNT = Field("account", "text", "")
_TIME = Field("time", "time", "")


class Thing:
    """What the parts of some messages tell of. `supplies`: the fields that it can give, those worked out included."""

    def __init__(self, at: Cursor, defaults: Defaults) -> None:
        """What is wrong in the description is noted."""
        self.name = at.key.text if at.key is not None else ""
        self.kind = _read_kind(at, self.name)
        self._make: Any = KINDS.get(self.kind, KINDS["order"])
        self._reads = tuple(_read_fields(at, self.kind, defaults))
        self._account = _read(at.get("account"), _ACCOUNT, defaults)
        self._time = _read(at.get("time"), _TIME, defaults)
        self._event = _read_event(at.get("event"), self.kind)
        self._work_out = _WORKED_OUT.get(self.kind)
        said = frozenset(name for name, _ in self._reads)
        self.supplies = said | {
            name for name, needed in _NEEDS.get(self.kind, {}).items() if any(need <= said for need in needed)
        }

    def observe(
        self, part: Any, whole: Any, notes: Part, *, snapshot: bool, asked: str | None = None
    ) -> Observation:
        """The observation; `asked` is its id where the part has none. Raises Malformed for what is no thing, or has no id."""
        if part.__class__ is not dict and part.__class__ is not list:
            raise Malformed(f"neither an object nor a list: {shown(part)}")
        values = {name: read(part, whole, notes) for name, read in self._reads}
        if not values.get("id") and asked:
            values["id"] = asked
        if not values.get("id"):
            raise Malformed(f"{self.kind} without an id")
        if self._work_out is not None:
            self._work_out(values)
        account = self._account(part, whole, notes) if self._account is not None else None
        time = self._time(part, whole, notes) if self._time is not None else None
        return Observation(
            state=self._make(**values),
            account=account if account.__class__ is str else None,
            event=None if snapshot else self._event,
            origin="snapshot" if snapshot else "live",
            time=time if isinstance(time, datetime) else None,
        )


def _read_kind(at: Cursor, name: str) -> str:
    said = at.get("kind")
    kind = said.text if said is not None else name
    if kind in VENUE_KINDS:
        return kind
    hint = did_you_mean(kind, VENUE_KINDS, f"kinds: {', '.join(VENUE_KINDS)}")
    if said is not None:
        said.refuse("no such kind", hint)
    else:
        at.refuse_key(f"`{name:.60}` is no kind: say which this thing is", f"kind: …; {hint}")
    return ""


def _read_fields(at: Cursor, kind: str, defaults: Defaults) -> list[tuple[str, Read]]:
    known = all_fields(kind) if kind else {}
    fields = at.get("fields")
    found = []
    for entry in fields.entries() if fields is not None and kind else ():
        name = entry.key.text if entry.key is not None else ""
        if name in known:
            found.append((name, read_field(known[name], entry, defaults)))
        else:
            hint = did_you_mean(name, list(known), f"tocsin fields {kind} shows them")
            entry.refuse_key(f"{kind} has no field `{name:.60}`", hint)
    if fields is not None and kind and not fields.has("id"):
        fields.refuse_key("the field `id` is missing", "the key of a thing: a path, or {text: …}")
    return found


def _read(at: Cursor | None, field: Field, defaults: Defaults) -> Read | None:
    return None if at is None else read_field(field, at, defaults)


def _read_event(at: Cursor | None, kind: str) -> str | None:
    if at is None or not kind:
        return None
    if not is_event(at.text) or not at.text.startswith(f"{kind}."):
        known = [f"{kind}.{name}" for name in KINDS[kind].events]
        at.refuse(f"no event of {kind}", did_you_mean(at.text, known, f"events: {', '.join(known)}"))
    return at.text


# --------------------------------------------------------------------------------------------------- what is worked out


def _order(values: dict[str, Any]) -> None:
    filled, amount, remaining = (values.get(name, UNSET) for name in ("filled", "amount", "remaining"))
    if filled is UNSET and isinstance(amount, Decimal) and isinstance(remaining, Decimal):
        filled = values["filled"] = EXACT.subtract(amount, remaining)
    if not isinstance(filled, Decimal):
        return
    if filled > 0 and values.get("status") == "open":
        values["status"] = "partially_filled"
    if "remaining" not in values and isinstance(amount, Decimal):
        values["remaining"] = EXACT.subtract(amount, filled)
    if "average" not in values and isinstance(values.get("cost"), Decimal):
        values["average"] = derive.average_price(values["cost"], filled)


def _balance(values: dict[str, Any]) -> None:
    values.setdefault("asset", values["id"])
    available, locked, total = (values.get(name, UNSET) for name in ("available", "locked", "total"))
    if total is UNSET and isinstance(available, Decimal) and isinstance(locked, Decimal):
        values["total"] = EXACT.add(available, locked)
    elif locked is UNSET and isinstance(available, Decimal) and isinstance(total, Decimal):
        values["locked"] = EXACT.subtract(total, available)
    elif available is UNSET and isinstance(locked, Decimal) and isinstance(total, Decimal):
        values["available"] = EXACT.subtract(total, locked)


_WORKED_OUT: Mapping[str, Callable[[dict[str, Any]], None]] = {"order": _order, "balance": _balance}
_NEEDS: Mapping[str, Mapping[str, tuple[frozenset[str], ...]]] = {
    "order": {
        "remaining": (frozenset({"amount", "filled"}),),
        "filled": (frozenset({"amount", "remaining"}),),
        "average": (frozenset({"cost", "filled"}), frozenset({"cost", "amount", "remaining"})),
    },
    "balance": {
        "asset": (frozenset(),),
        "total": (frozenset({"available", "locked"}),),
        "locked": (frozenset({"available", "total"}),),
        "available": (frozenset({"locked", "total"}),),
    },
}
"""What is worked out, and of which fields."""
