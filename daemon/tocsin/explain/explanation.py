"""Why a rule fires, or doesn't: what the engine traced and the journal knows, in words. Plain data, the same for all who tell it.

Times are ISO 8601 texts; those within words are UTC and say so.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, structs

from tocsin.alerts.wording import time_text
from tocsin.engine.api import Distance, Part
from tocsin.engine.rule import Condition, Rule
from tocsin.engine.trace import InstanceTrace, Past, what_happened
from tocsin.events import Change, Venue, from_iso
from tocsin.events.links import holder_of

Row: TypeAlias = Mapping[str, Any]
"""An alert as the database has it, its `data` decoded."""
MARKS: Mapping[bool | None, str] = {True: "yes", False: "no", None: "unknown"}
_FIRING = ("firing", "recovering")


class ExplainedPart(Struct, frozen=True, kw_only=True):
    """See `engine.api.Part`. `as_of`: since when it is so, as far as that is known."""

    of: str
    asks: str
    holds: bool | None
    saw: str
    as_of: str
    decides: bool = True
    distance: Distance | None = None


class Barrier(Struct, frozen=True, kw_only=True):
    """What holds a message back, by its key in the rule or the config, and why."""

    what: str
    why: str


class GateNow(Struct, frozen=True, kw_only=True):
    """What could hold a message back: by its key in the rule or the config, with what it `asks` there; `shut`: why it does now, empty
    where the way is open.
    """

    what: str
    asks: str = ""
    shut: str = ""


class Coming(Struct, frozen=True, kw_only=True):
    """What comes about by itself if nothing happens before: `what` (`escalate`, `repeat`, or a timer: `for`, `keep_firing_for`, `absent`),
    when (`at`, None: its time stands still), and `who` is told.
    """

    what: str
    at: str | None
    who: str = ""


class Explanation(Struct, frozen=True, kw_only=True):
    """A rule for one of what it is about: `title` names it, `as_of` is when it was last heard of, if ever; `unconfirmed_since`:
    its venue was away then, and hasn't mentioned it since. `alert`: the id of the alert that is told, if one is; `escalates`:
    who is told next, and when, while nobody acknowledges it. `gates`: all that could hold a message back, shut or not; `held_back_by` is
    what does. `coming`: what comes next by itself, the soonest first.
    """

    venue: str
    kind: str
    account: str | None
    id: str
    symbol: str | None
    title: str
    what: str
    state: str
    as_of: str | None
    unconfirmed_since: str | None
    parts: tuple[ExplainedPart, ...]
    held_back_by: tuple[Barrier, ...] = ()
    alert: str | None = None
    escalates: str = ""
    gates: tuple[GateNow, ...] = ()
    coming: tuple[Coming, ...] = ()


class Answer(Struct, frozen=True, kw_only=True):
    """The first of what a rule is about, and how many (`count`) there are. `watch`: its kinds or events. `last` says for whom it last
    fired, and when; or is empty. `several`: what a shortened id may stand for, where that is more than one thing.
    """

    rule: str
    watch: tuple[str, ...]
    count: int
    last: str
    several: tuple[str, ...] = ()
    explained: tuple[Explanation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the journal knows of one subject: its past; of its alerts the last of its instance (`last`), the one that this event
    raised (`raised`), and the last that the rule raised for anything (`latest`).
    """

    past: Past
    last: Row | None = None
    raised: Row | None = None
    latest: Row | None = None


def explanation(
    trace: InstanceTrace, known: Known, *, happened: bool, held_back: tuple[Barrier, ...]
) -> Explanation:
    """`happened`: what is traced is an event, not how something stands."""
    change, rule = trace.change, trace.rule
    parts = tuple(_parts(trace, known))
    if rule.lasts or not rule.is_event_rule:
        what, state = " or ".join(rule.events) or change.kind, _state(trace, known.last)
    elif not happened:
        what, state = change.kind, "told each time it happens; none of its events is kept"
    else:
        what, state = what_happened(rule, change), _happened(trace, known)
        if known.raised is None and not trace.waiting and not held_back and all(part.holds for part in parts):
            state += "; all of its conditions hold: the rule may be newer than the event"
    return Explanation(
        venue=change.venue,
        kind=change.kind,
        account=change.account,
        id=change.key.id,
        symbol=change.symbol,
        title=_title(trace, what),
        what=what,
        state=state,
        as_of=_iso(_last_heard(trace)),
        unconfirmed_since=_iso(trace.unconfirmed_since),
        parts=parts,
        held_back_by=held_back,
        alert=known.raised["id"] if known.raised is not None else trace.alert_id or None,
    )


def of_alert(row: Row) -> Explanation | None:
    """An event's alert by itself, as it was when it was raised; None where an earlier version raised it, which kept nothing of that."""
    parts = _kept(row)
    if not parts:
        return None
    data = row["data"]
    at, event = data["at"], data.get("event") or data["kind"]
    symbol = f" ({row['symbol']})" if row["symbol"] and row["symbol"] != row["entity"] else ""
    return Explanation(
        venue=row["venue"],
        kind=data["kind"],
        account=row["account"],
        id=row["entity"],
        symbol=row["symbol"],
        title=f"{event} {row['entity']}{symbol} on {row['venue']}",
        what=event,
        state=f"raised an alert at {_time(row['fired_at'])}",
        as_of=_iso(from_iso(data.get("last_seen") or at)),
        unconfirmed_since=_iso(from_iso(data["unconfirmed_since"]))
        if data.get("unconfirmed_since")
        else None,
        parts=tuple(_explained(part, part.as_of or from_iso(at)) for part in parts),
        alert=row["id"],
    )


def fired(last: Row) -> str:
    """When an alert fired, and how it ended: `at 12:00`, `from 12:00 to 12:05 (position closed)`."""
    if not last["resolved_at"]:
        return f"at {_time(last['fired_at'])}"
    reason = last["data"].get("reason")
    how = f" ({reason})" if reason else ""
    return f"from {_time(last['fired_at'])} to {_time(last['resolved_at'])}{how}"


def part_text(part: ExplainedPart, words: Callable[[str], str] = str) -> str:
    """What it saw, and how far that is from the limit where it isn't there."""
    distance = part.distance
    if distance is None or distance.met or part.holds is not False:
        return words(part.saw)
    to_go = f"{distance.gap} to go, {100 * distance.relative:.3g}%" if distance.relative else "at the limit"
    return f"{words(part.saw)} ({to_go})"


def lines(each: Explanation) -> Iterator[str]:
    """For people, as a failing rule test has it."""
    yield f"{each.title}: {each.state}"
    for part in each.parts:
        yield f"  {part.of} {part.asks}: {MARKS[part.holds]}, {part_text(part)}"
    for barrier in each.held_back_by:
        yield f"  held back by {barrier.what}: {barrier.why}"
    if each.escalates:
        yield f"  escalates to {each.escalates}"


def nothing_there(answer: Answer, called: str | None) -> str:
    """What to say, after the rule's name, where there is nothing that it is about."""
    which = f" called {called}" if called else ""
    known = f"there now; it last fired {answer.last}" if answer.last else "known"
    return f"watches {' or '.join(answer.watch)}, and nothing such{which} is {known}"


# ------------------------------------------------------------------------------------------------------------ its state


def _state(trace: InstanceTrace, last: Row | None) -> str:
    if not trace.rule.lasts:
        return "told each time it becomes so" + (f", last at {_time(last['fired_at'])}" if last else "")
    if trace.state == "inactive":
        ended = ": it has ended" if trace.change.ended else ""
        return f"inactive{ended}; last fired {fired(last)}" if last else f"inactive{ended}"
    what = "recovering, and firing" if trace.state == "recovering" else str(trace.state)
    return f"{what} since {time_text(trace.since)}" if trace.since is not None else what


def _happened(trace: InstanceTrace, known: Known) -> str:
    if trace.waiting:
        return f"waiting since {time_text(trace.change.received)}"
    if known.raised is not None:
        return f"raised an alert at {_time(known.raised['fired_at'])}"
    last = known.latest
    return "raised no alert" + (
        f"; the last one was at {_time(last['fired_at'])}, of {last['entity']}" if last else ""
    )


def _title(trace: InstanceTrace, what: str) -> str:
    """`position p1 (BTCUSD) on fx`; `2 of 3 positions of a1 on fx`; `order.filled of a1 on fx`."""
    key, members = trace.change.key, trace.members
    of = f" of {key.id}" if key.id else " in all"
    if members is not None:
        title = f"{members.taking_part} of {members.all} {key.kind}s{of}"
    elif trace.rule.absent is not None:
        title = f"{what}{of}"
    else:
        symbol = trace.change.symbol
        title = f"{what} {key.id}" + (f" ({symbol})" if symbol and symbol != key.id else "")
    return title + (f" on {key.venue}" if key.venue and key.venue != key.id else "")


def _last_heard(trace: InstanceTrace) -> datetime | None:
    """When a message last mentioned it; of a venue, when that said anything: tries to reach it are none. None: never."""
    state = trace.change.state
    if isinstance(state, Venue):
        return state.last_message or None
    return (trace.change.last_seen if trace.members is None else None) or _heard(trace)


def _heard(trace: InstanceTrace) -> datetime:
    """When something last happened to it; to any of a group."""
    return trace.members.heard if trace.members is not None else trace.change.received


# ------------------------------------------------------------------------------------------------------------ its parts


def _parts(trace: InstanceTrace, known: Known) -> Iterator[ExplainedPart]:
    """Of an event that raised an alert, as they were then."""
    conditions = dict(_conditions(trace.rule))
    raised = known.raised
    kept = _kept(raised) if raised is not None and _is_of(raised, trace.change) else ()
    for part in kept or trace.parts:
        condition = conditions.get((part.of, part.asks))
        if not kept and raised is not None and condition is not None and condition.counted:
            saw = f"it was when the alert was raised; counted afresh since: {part.saw}"
            part = structs.replace(part, holds=True, saw=saw)  # noqa: PLW2901 - told otherwise
        if not kept and part.holds is None and condition is not None:
            gone = sorted(known.past.left_out.intersection(condition.fields))
            saw = f"what {' and '.join(gone)} was then isn't kept" if gone else part.saw
            part = structs.replace(part, saw=saw)  # noqa: PLW2901
        if trace.waits_until is not None and part.of in ("then", "unless", "absent"):
            until = time_text(trace.waits_until)
            how = f"waits until {until}" if part.of == "then" else f"told at {until} unless one comes"
            part = structs.replace(part, saw=f"{part.saw}; {how}")  # noqa: PLW2901
        elif trace.waiting and part.of in ("then", "unless"):
            still = "its time stands still while the venue is away"
            part = structs.replace(part, saw=f"{part.saw}; {still}")  # noqa: PLW2901
        yield _explained(part, part.as_of or _since(trace, known.past, condition))


def _conditions(rule: Rule) -> Iterator[tuple[tuple[str, str], Condition]]:
    for of in ("where", "when", "until"):
        condition: Condition | None = getattr(rule, of)
        for part in condition.parts if condition is not None else ():
            yield (of, part.source), part


def _explained(part: Part, as_of: datetime) -> ExplainedPart:
    return ExplainedPart(
        of=part.of,
        asks=part.asks,
        holds=part.holds,
        saw=part.saw,
        as_of=as_of.isoformat(),
        decides=part.decides,
        distance=part.distance,
    )


def _kept(alert: Row) -> tuple[Part, ...]:
    """The parts that were kept with an alert; none where an earlier version raised it."""
    try:
        return msgspec.convert(alert["data"].get("parts", ()), tuple[Part, ...])
    except msgspec.ValidationError:  # a later version's
        return ()


def _is_of(alert: Row, change: Change) -> bool:
    """Whether that event raised it, and not a later one of the same entity."""
    return bool(alert["data"].get("time") == msgspec.to_builtins(change.time))


def _since(trace: InstanceTrace, past: Past, condition: Condition | None) -> datetime:
    """When the values that a part reads came to be what they are, as far as what is kept goes back."""
    heard = _heard(trace)
    if condition is None or condition.remembers or trace.members is not None:
        return heard
    own = [name for name in condition.fields if "." not in name]
    links = {holder_of(name) for name in condition.fields}
    times = [there.received for link, there in trace.change.linked.items() if link in links]
    if own or not times:
        times.append(_so_since(trace.change, past, own, heard))
    return max(times)


def _so_since(change: Change, past: Past, fields: list[str], heard: datetime) -> datetime:
    def values(each: Change) -> list[Any]:
        return [getattr(each.state, name, None) for name in fields]

    present = values(change)
    until_then = (each for each in past.changes if each.received <= change.received)
    alike = list(takewhile(lambda each: values(each) == present, until_then))
    return alike[-1].received if alike else heard


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None


def _time(text: str) -> str:
    return time_text(from_iso(text))
