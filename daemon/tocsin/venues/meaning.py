"""What a message means, in plain words and values: as `tocsin decode` prints it, and as a description's examples are written.

- order: {id: "7", status: open, price: "1.50", stop_price: null}     # null: it has none
time: 2026-01-02T03:04:05.000000Z                                   # and `of account`, event, origin where they are said
- accepted: orders
- {refused: orders, reason: no such channel, verdict: refused}
- {reply: pong}   - {unrecognized: …}   - {unreadable: …}   - {malformed: …}
- control
- {snapshot begins: [order]}   - snapshot ends
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias

from tocsin.events import Observation, Occurrence, SnapshotBegins, SnapshotEnds, iso
from tocsin.events.vocabulary import to_plain
from tocsin.venues.base import (
    Accepted,
    Adapter,
    Control,
    Item,
    Malformed,
    Refused,
    Reply,
    Unreadable,
    Unrecognized,
)
from tocsin.venues.decoding import decode

Meaning: TypeAlias = str | dict[str, Any]
"""A word, or keys with texts, flags, lists of texts and None; of a thing its kind with the fields."""


def meanings(adapter: Adapter, message: str, received: datetime) -> list[Meaning]:
    """What the message means, in order; one that can't be read is `malformed`."""
    try:
        return [meaning(item) for item in decode(adapter, message, received).items]
    except Malformed as malformed:
        return [{"malformed": str(malformed)}]


def meaning(item: Item) -> Meaning:
    match item:
        case Accepted(request):
            return {"accepted": request}
        case Refused(request, reason, verdict):
            return {"refused": request, "reason": reason, "verdict": verdict}
        case Reply(text):
            return {"reply": text}
        case Control():
            return "control"
        case Unrecognized(reason):
            return {"unrecognized": reason}
        case Unreadable(part, reason, row):
            return {"unreadable row" if row else "unreadable": f"{part}: {reason}"}
        case SnapshotBegins(kinds):
            return {"snapshot begins": list(kinds)}
        case SnapshotEnds():
            return "snapshot ends"
        case Observation() | Occurrence():
            return _happened(item)
    return type(item).__name__


def _happened(item: Observation | Occurrence) -> Meaning:
    state = item.state
    said = to_plain(state)
    fields = {
        name: said.get(name)
        for name in state.__struct_fields__
        if name in said or getattr(state, name) is None
    }
    about = {
        "of account": item.account,
        "event": item.event,
        "origin": item.origin if item.origin != "live" else None,
        "time": iso(item.time) if item.time is not None else None,
    }
    return {state.kind: fields} | {name: value for name, value in about.items() if value is not None}


def difference(wanted: Any, found: Sequence[Meaning]) -> str:
    """Where what was found isn't what is wanted, in words; "" where it is. Of things only what is wanted is looked at."""
    if not isinstance(wanted, list):
        return "what it gives must be a list"
    for count, (one, other) in enumerate(zip(wanted, found, strict=False), 1):
        if wrong := _differs(one, other):
            return f"{count}. {wrong}"
    if len(wanted) != len(found):
        return (
            f"{len(wanted)} wanted, and it means {len(found)}: {', '.join(map(_called, found)) or 'nothing'}"
        )
    return ""


def _differs(wanted: Any, found: Meaning) -> str:
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        return "" if wanted == found else f"wanted {_called(wanted)}, and it is {_called(found)}"
    for key, value in wanted.items():
        if key not in found:
            return f"wanted {key}, and it is {_called(found)}"
        there = found[key]
        if isinstance(value, dict) and isinstance(there, dict):
            for name, one in value.items():
                other = there.get(name, "not said")
                if _text(one) != _text(other):
                    return f"{key}.{name}: wanted {_text(one)}, and it is {_text(other)}"
        elif _text(value) != _text(there):
            return f"{key}: wanted {_text(value)}, and it is {_text(there)}"
    return ""


def _text(value: Any) -> str:
    """As both sides write it: a number in YAML is the same digits as a text."""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _called(meant: Any) -> str:
    return str(next(iter(meant), meant)) if isinstance(meant, dict) else str(meant)
