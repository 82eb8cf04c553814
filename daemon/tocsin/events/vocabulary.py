"""Questions to the vocabulary: derived from the types in `kinds.py`, defined nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, UnsetType

from tocsin.events.instant import from_iso, iso
from tocsin.events.kinds import KINDS, Entity
from tocsin.events.numbers import number_text, stored_number

FieldType: TypeAlias = Literal["text", "number", "time", "flag", "enum"]
Value: TypeAlias = str | Decimal | datetime | bool | None

# What every event carries, whatever its kind (events.md); rules and templates may use them beside the kind's own.
COMMON: Mapping[str, tuple[FieldType, str]] = {
    "venue": ("text", "the venue's name in the config"),
    "kind": ("text", "order, position, account, …"),
    "event": ("text", "the dotted name of what happened"),
    "account": ("text", "the venue's account id"),
    "id": ("text", "the id of the order, position, contract, …"),
    "symbol": ("text", "as the venue spells it"),
    "origin": ("enum", "live, snapshot, resync (found after a gap) or synthetic (derived by the daemon)"),
    "time": ("time", "when the venue says it happened, UTC"),
    "received": ("time", "when it was read, UTC"),
}
ORIGINS = ("live", "snapshot", "resync", "synthetic")
# Used to derive values, not part of the language that users write.
_INTERNAL = frozenset({"lot_size", "profit_price"})
# Spellings that users know from elsewhere.
ALIASES: Mapping[str, str] = {"cancelled": "canceled"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind. `values` are the words of an `enum`."""

    name: str
    type: FieldType
    doc: str
    values: tuple[str, ...] = ()


@cache
def fields(kind: str) -> Mapping[str, Field]:
    """The fields of `kind` by name, the common ones included. KeyError for a kind that doesn't exist."""
    found = {}
    for name, (field_type, doc) in COMMON.items():
        found[name] = Field(name, field_type, doc, ORIGINS if name == "origin" else ())
    for name, hint in get_type_hints(KINDS[kind], include_extras=True).items():
        if get_origin(hint) is Annotated and name not in _INTERNAL:
            annotated, doc = get_args(hint)
            found[name] = _field(name, annotated, doc)
    return found


def _field(name: str, hint: Any, doc: str) -> Field:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for member in members:
        if member in (None, type(None), UnsetType):
            continue
        if get_origin(member) is Literal:
            return Field(name, "enum", doc, get_args(member))
        return Field(name, {str: "text", Decimal: "number", datetime: "time", bool: "flag"}[member], doc)  # type: ignore[arg-type]
    raise TypeError(f"field {name} has no type that the vocabulary knows: {hint}")


@cache
def events(kind: str) -> tuple[str, ...]:
    """The dotted event names of `kind`."""
    return tuple(f"{kind}.{name}" for name in KINDS[kind].events)


def is_event(name: str) -> bool:
    """Whether `name` is a dotted event that can happen: listed, or of a kind whose venues add words of their own."""
    kind, dot, what = name.partition(".")
    return bool(dot and what) and kind in KINDS and (name in events(kind) or KINDS[kind].open_status)


def nearest(word: str, known: "tuple[str, ...] | list[str]") -> str | None:
    """The known word that was most likely meant, if any is near."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


def is_live(state: Entity) -> bool:
    """Whether the entity hasn't ended; a missing status is live."""
    return getattr(state, "status", None) not in type(state).ended


def to_plain(state: Entity) -> dict[str, str | bool]:
    """The fields that have a value, as JSON knows them: numbers as the wire's text, times as ISO 8601."""
    plain: dict[str, str | bool] = {}
    for name in state.__struct_fields__:
        value = getattr(state, name)
        if value is UNSET or value is None:
            continue
        plain[name] = value_to_plain(value)
    return plain


def value_to_plain(value: "str | Decimal | datetime | bool") -> str | bool:
    if isinstance(value, Decimal):
        return number_text(value)
    return iso(value) if isinstance(value, datetime) else value


def from_plain(kind: str, plain: Mapping[str, Any]) -> Entity:
    """The inverse of `to_plain`; fields that the vocabulary no longer has are left out. ValueError on a wrong type."""
    types = {name: field.type for name, field in all_fields(kind).items()}
    values: dict[str, Any] = {
        name: parse_value(types[name], value) for name, value in plain.items() if name in types
    }
    return KINDS[kind](**values)


@cache
def all_fields(kind: str) -> Mapping[str, Field]:
    """The fields that the kind's own type has, those for deriving included."""
    hints = get_type_hints(KINDS[kind], include_extras=True)
    return {
        name: _field(name, *get_args(hint)) for name, hint in hints.items() if get_origin(hint) is Annotated
    }


def parse_value(field_type: FieldType, value: Any) -> Value:
    """A field's value from JSON or YAML. ValueError where it isn't of that type."""
    if value is None:
        return None
    if field_type == "number":
        return stored_number(value)
    if field_type == "time":
        return value if isinstance(value, datetime) else from_iso(str(value))
    if field_type == "flag":
        if not isinstance(value, bool):
            raise ValueError(f"neither true nor false: {value!r:.40}")
        return value
    return number_text(value) if isinstance(value, Decimal) else str(value)
