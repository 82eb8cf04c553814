"""What several alerts say in one message: how many of which rule, and a line for each of the worst. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from tocsin.alerts.message import digest_line
from tocsin.alerts.plain import flat, plain
from tocsin.alerts.wording import Style, mark_of, span_text
from tocsin.engine.api import SEVERITIES, AlertContext, Severity, known_severity

Held: TypeAlias = Literal["quiet", "storm", "digest", "pace"]
"""By what the parts of a digest were held."""
MOST_LINES = 20
WORST_IN_STORM = 5
_RULES_IN_TITLE = 3
_OTHERS_PART = 4  # of the room, for the counts of more rules


class Part(Struct, frozen=True):
    """One alert within a digest: what is told of it, oldest first (severity, state, context as it is stored).

    `known`: the channel's fallback hears of it otherwise.
    """

    alert: str
    told: tuple[tuple[str, str, Mapping[str, Any]], ...]
    known: bool = False

    @property
    def last(self) -> tuple[str, str, Mapping[str, Any]]:
        return self.told[-1]

    @property
    def is_over(self) -> bool:
        return self.last[1] == "resolved"

    @property
    def rule(self) -> str:
        return plain(str(self.last[2].get("rule") or "?"))

    @property
    def rank(self) -> tuple[int, bool]:
        """The worse, the lower."""
        return -SEVERITIES.index(known_severity(self.last[0])), self.is_over


class Room(Struct, frozen=True):
    """What a digest's lines may take where it goes: `most` of what `length` counts in a text, as it is written there."""

    most: int
    length: Callable[[str], int] = len

    def line(self, text: str) -> int:
        """What a line takes, its end included."""
        return self.length(text) + 1


class DigestContext(Struct, frozen=True, kw_only=True):
    """What a digest or a report says, frozen when it was formed, as `AlertContext` is; kept with its delivery, JSON-able.

    `words` is the title without its mark. `channels`: there all of its parts are told otherwise. `elsewhere`: what a fallback
    is told that hears of some of them otherwise. `event`: the one that all of its parts are, where that is what the outbox asks for.
    `key`: the same for all that tell the same of the same alerts.
    """

    at: datetime
    severity: Severity
    over: bool
    words: str
    lines: tuple[str, ...] = ()
    more: int = 0
    others: str = ""  # counts that the title has no room for
    channels: tuple[str, ...] = ()
    event: str | None = None
    notes: tuple[str, ...] = ()
    elsewhere: "DigestContext | None" = None
    key: str = ""


def compose(
    parts: Sequence[Part], held: Held, *, span: timedelta, at: datetime, style: Style, room: Room
) -> DigestContext:
    """The digest of these alerts, which came within `span`. A line for each that is critical."""
    ordered = sorted(parts, key=lambda part: str(part.last[2].get("at")), reverse=True)
    ordered.sort(key=lambda part: part.rank)
    urgent = [part for part in ordered if part.last[0] == "critical"]
    rest = [part for part in ordered if part.last[0] != "critical"]
    if held == "storm":
        rest = _worst_of_each(rest, max(WORST_IN_STORM - len(urgent), len({part.rule for part in rest})))
    rest = rest[: max(MOST_LINES - len(urgent), 0)]
    lines = [_line(part, style) for part in urgent]
    others = others_line(parts, room)
    left = room.most - sum(map(room.line, (others, *lines)))
    for part in rest:
        line = _line(part, style)
        left -= room.line(line)
        if left < 0 and lines:
            break
        lines.append(line)
    return DigestContext(
        at=at,
        severity=known_severity(ordered[0].last[0]),
        over=all(part.is_over for part in parts),
        words=title_words(parts, held, span),
        lines=tuple(lines),
        more=len(parts) - len(lines),
        others=others,
        event=_event_of_all(parts),
        key=_key(parts),
    )


def title_words(parts: Sequence[Part], held: Held, span: timedelta) -> str:
    """How many alerts, in what time, and of which rules: those that have the most first."""
    counts = Counter(part.rule for part in parts).most_common()
    within = "while it was quiet" if held == "quiet" else f"in {span_text(span)}"
    shown = [f"{count} × {rule}" for rule, count in counts[:_RULES_IN_TITLE]]
    if others := counts[_RULES_IN_TITLE:]:
        shown.append(_others(others))
    storm = "storm: " if held == "storm" else ""
    return f"{storm}{len(parts):,} {'alert' if len(parts) == 1 else 'alerts'} {within}: {', '.join(shown)}"


def others_line(parts: Sequence[Part], room: Room) -> str:
    """The counts that the title has no room for, in a part of the room at the most: those that have the most first."""
    counts = Counter(part.rule for part in parts).most_common()[_RULES_IN_TITLE:]
    left = room.most // _OTHERS_PART - room.length(f"also , {_others(counts)}")
    shown: list[str] = []
    for rule, count in counts:
        left -= room.length(f"{count} × {rule}, ")
        if left < 0:
            break
        shown.append(f"{count} × {rule}")
    if shown and (rest := counts[len(shown) :]):
        shown.append(_others(rest))
    return f"also {', '.join(shown)}" if shown else ""


def _others(counts: Sequence[tuple[str, int]]) -> str:
    return f"{sum(count for _, count in counts)} of {len(counts)} other rules"


def lines_room(rules: int, room: Room) -> int:
    """What the lines of alerts may take, whatever the counts of so many rules do."""
    return room.most if rules <= _RULES_IN_TITLE else room.most - room.most // _OTHERS_PART - 1


def title(context: DigestContext, style: Style, late: timedelta) -> str:
    """The title as it is sent, which says by how much it is late."""
    mark = mark_of("resolved" if context.over else context.severity, style)
    lead = f"late {span_text(late)}: " if late else ""
    return f"{mark} {lead}{context.words}"


def body(context: DigestContext, notes: Sequence[str] = ()) -> str:
    """A line for each alert that has one, and how many more there are."""
    more = [f"and {context.more:,} more"] if context.more else []
    others = [context.others] if context.others else []
    return "\n".join([*notes, *others, *context.lines, *more])


def fitted(context: DigestContext, room: Room) -> DigestContext:
    """The same where there is less room than where it was formed: what has no line is counted."""
    left = room.most - room.line(context.others)
    kept = 0
    for line in context.lines:
        left -= room.line(line)
        if left < 0 and kept:
            break
        kept += 1
    if kept == len(context.lines):
        return context
    return msgspec.structs.replace(
        context, lines=context.lines[:kept], more=context.more + len(context.lines) - kept
    )


def line_length(part: Part, style: Style, room: Room) -> int:
    """What its line takes there."""
    return room.line(_line(part, style))


def _line(part: Part, style: Style) -> str:
    try:
        context = msgspec.convert(part.last[2], AlertContext)
        if part.told[0][1] == "firing" and context.state == "reminder":  # nobody has heard of it yet
            context = msgspec.structs.replace(context, state="firing")
        began_too = part.told[0][1] == "firing" and part.is_over
        began = msgspec.convert(part.told[0][2], AlertContext) if began_too else None
        return digest_line(context, style, began)
    except ValueError as error:
        return f"{part.rule}, {part.last[1]}: it can't be read ({flat(str(error), 100)})"


def _worst_of_each(parts: Sequence[Part], most: int) -> list[Part]:
    """The worst of each rule, those that are over last, then the next of each."""
    of: dict[str, list[Part]] = {}
    for part in parts:
        of.setdefault(part.rule, []).append(part)
    for found in of.values():
        found.sort(key=lambda part: (part.rank, -_beyond(part.last[2])))
    rounds = [
        (place, *found[place].rank, part) for found in of.values() for place, part in enumerate(found[:most])
    ]
    rounds.sort(key=lambda each: each[:3])
    return [part for *_, part in rounds[:most]]


def _beyond(context: Mapping[str, Any]) -> Decimal:
    """How far its value is beyond what it was compared with."""
    try:
        value = Decimal(str(context.get("worst") or context.get("value")))
        found = min(
            (abs(value - Decimal(str(bound))) for bound in context.get("bounds") or ()), default=abs(value)
        )
    except (InvalidOperation, TypeError):
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)


def _key(parts: Sequence[Part]) -> str:
    told = sorted(
        f"{part.alert} {state} {context.get('at')}" for part in parts for _, state, context in part.told
    )
    return f"digest-{sha256(chr(10).join(told).encode(errors='replace')).hexdigest()[:24]}"


def _event_of_all(parts: Sequence[Part]) -> str | None:
    events = {part.last[2].get("event") for part in parts}
    return events.pop() if len(events) == 1 else None
