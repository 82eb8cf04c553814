"""What a step feeds: an entity's fields from YAML, each checked against the vocabulary, as an observation."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tocsin.document import Entry, Mapping, Node, Scalar
from tocsin.errors import Problem
from tocsin.events import KINDS, Observation, Observed, Occurrence, from_iso
from tocsin.events.vocabulary import (
    ALIASES,
    ORIGINS,
    OWN_KINDS,
    VENUE_KINDS,
    Field,
    all_fields,
    canonical,
    events,
    is_event,
    nearest,
    parse_value,
)

_BESIDE = ("account", "time", "origin")  # common fields that an observation carries beside its entity
# What a venue tells of and no entity keeps.
_PASSING = frozenset({"book.order_expired"})

Add = Callable[[Problem], None]


def observation(
    kind: str, node: Mapping, *, event: Scalar | None, origin: Scalar | None, account: Scalar | None, add: Add
) -> Observed | None:
    """The observation that the fields in `node` make; None after adding what is wrong with them."""
    wrong = False
    values: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for entry in node:
        name = entry.key.text
        into, field = _field(kind, name)
        if field is None:
            add(_no_field(kind, entry))
            wrong = True
            continue
        value = _value(field, entry, kind, add)
        wrong |= value is _WRONG
        (beside if into else values)[name] = value
    if account is not None:
        beside["account"] = account.text
    if origin is not None:
        beside["origin"] = _word(origin, ORIGINS, "origin", add)
    named = event_name(event, kind, add) if event is not None else None
    if not _identified(kind, values, node, add):
        return None
    if wrong or _WRONG in beside.values() or (event is not None and named is None):
        return None
    state = KINDS[kind](**values)
    if named in _PASSING:
        return Occurrence(state=state, event=named, **beside)
    return Observation(state=state, event=named, **beside)


def event_name(event: Scalar, kind: str | None, add: Add) -> str | None:
    """The event's name in the vocabulary's spelling; None after adding what is wrong with it.

    `kind` is what it is about; None: a venue or the daemon, which is all that an event alone can be about.
    """
    name = canonical(event.text)
    about = name.partition(".")[0]
    kinds = OWN_KINDS if kind is None else (kind,)
    if about in kinds and is_event(name):
        return name
    if kind is None and about in VENUE_KINDS and is_event(name):
        hint = f"write it beside what it is about: {about}: {{id: …}}"
        add(
            Problem(
                f"an event alone is a venue's or the daemon's, not `{event.text:.80}`",
                event.place,
                "event",
                hint,
            )
        )
        return None
    known = [known for kind_ in kinds for known in events(kind_)]
    close = nearest(event.text, known)
    hint = f"did you mean `{close}`?" if close else f"there are {', '.join(known)}"
    add(Problem(f"no event of {' or '.join(kinds)} is called `{event.text:.80}`", event.place, "event", hint))
    return None


def _field(kind: str, name: str) -> tuple[bool, Field | None]:
    """Whether it stands beside the entity, and the field; the account kind's own `account` is its id."""
    own = all_fields(kind)
    if name in own:
        return False, own[name]
    if name in _BESIDE and not (kind == "account" and name == "account"):
        return True, Field(
            name, "enum" if name == "origin" else "time" if name == "time" else "text", "", ORIGINS
        )
    return False, None


def _no_field(kind: str, entry: Entry) -> Problem:
    close = nearest(entry.key.text, [*all_fields(kind), *_BESIDE])
    hint = f"did you mean `{close}`?" if close else f"tocsin fields {kind} lists them"
    return Problem(f"{kind} has no field `{entry.key.text:.80}`", entry.key.place, kind, hint)


class _Wrong:
    """In the place of a value that couldn't be read; it was complained of."""


_WRONG = _Wrong()


def _value(field: Field, entry: Entry, kind: str, add: Add) -> Any:
    node, path = entry.value, f"{kind}.{field.name}"
    if not isinstance(node, Scalar):
        add(Problem("must be a single value", node.place, path))
        return _WRONG
    if node.value is None:
        return None
    if field.type == "enum":
        return _word(node, field.values, path, add)
    # Numbers digit for digit as they are written, and an id that looks like one is a text.
    written: Any = node.value if isinstance(node.value, bool) and field.type == "flag" else node.text
    try:
        if field.type == "text":
            return _status(field.name, node.text, kind)
        return parse_value(field.type, written)
    except ValueError:
        add(Problem(f"must be {_WANTED[field.type]}", node.place, path))
        return _WRONG


_WANTED = {"number": "a number", "time": "a time, like 2026-01-01T09:30:00Z", "flag": "true or false"}


def _status(name: str, word: str, kind: str) -> str:
    return (
        ALIASES.get(word.casefold(), word)
        if name in ("status", "cause") and KINDS[kind].open_status
        else word
    )


def _word(node: Scalar, words: tuple[str, ...], path: str, add: Add) -> Any:
    word = ALIASES.get(node.text, node.text)
    if word in words:
        return word
    close = nearest(node.text, words)
    hint = f"did you mean `{close}`?" if close else f"one of {', '.join(words)}"
    add(Problem(f"`{node.text:.80}` is not one of its words", node.place, path, hint))
    return _WRONG


def _identified(kind: str, values: dict[str, Any], node: Mapping, add: Add) -> bool:
    """An entity is known by its id, which some have in another field too."""
    called = KINDS[kind].named_by
    if called is not None and kind != "trade":
        _same(values, "id", called)
    key = "symbol" if kind == "trade" else "id"
    if (isinstance(values.get(key), str) and values[key]) or isinstance(values.get(key), _Wrong):
        return True
    wanted = {"ticker": "a symbol", "book": "a symbol", "trade": "a symbol", "balance": "an asset"}.get(
        kind, "an id"
    )
    add(Problem(f"{kind} needs {wanted}", node.place, kind))
    return False


def _same(values: dict[str, Any], one: str, other: str) -> None:
    if one not in values and other in values:
        values[one] = values[other]
    elif other not in values and one in values:
        values[other] = values[one]


def time_of(node: Node | None, path: str, add: Add) -> datetime | None:
    if node is None:
        return None
    try:
        return from_iso(node.text if isinstance(node, Scalar) else "")
    except ValueError:
        add(Problem("must be a time, like 2026-01-01T09:30:00Z", node.place, path))
        return None
