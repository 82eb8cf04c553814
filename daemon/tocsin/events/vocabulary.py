"""Questions to the vocabulary: derived from the types in `kinds.py`, defined nowhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from msgspec import UNSET, UnsetType

from tocsin.events.kinds import CASELESS, KINDS, Entity, NoneWhen
from tocsin.events.model import from_iso, iso
from tocsin.events.numbers import Derived, Unit, number_text, stored_number

FieldType: TypeAlias = Literal["text", "number", "time", "flag", "enum"]
Value: TypeAlias = str | Decimal | datetime | bool | None

OURSELVES = "tocsin"
"""The `venue` of what the daemon tells of itself."""
OWN_KINDS = ("venue", "daemon")
"""Kinds that the daemon tells of by itself, be it of its link to a venue."""
VENUE_KINDS = tuple(kind for kind in KINDS if kind not in OWN_KINDS)
"""Kinds that venues tell of."""
# What is counted in something else than the symbol's or the asset's own units.
_PERCENTS = frozenset({"margin_level", "stop_out_level"})
_MONEY = frozenset({
    "profit", "balance", "equity", "margin", "buying_power", "withdrawable", "net_deposits", "result", "cost", "commission",
    "swap", "stop_loss_amount", "take_profit_amount", "notional",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind. `values` are the words of an `enum`. `caseless`: its texts are compared without case.
    `none_when`: when it can't exist.
    """

    name: str
    type: FieldType
    doc: str
    values: tuple[str, ...] = ()
    caseless: bool = False
    none_when: NoneWhen | None = None


ORIGINS = ("live", "snapshot", "resync", "synthetic")
# What every event carries, whatever its kind (events.md); rules and templates may use them beside the kind's own.
COMMON: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("venue", "text", "the venue's name in the config"),
        Field("kind", "text", "order, position, account, …"),
        Field("event", "text", "the dotted name of what happened"),
        Field("account", "text", "the venue's account id"),
        Field("id", "text", "the id of the order, position, contract, …"),
        Field("symbol", "text", "as the venue spells it", caseless=True),
        Field(
            "origin",
            "enum",
            "live, snapshot, resync (found after a gap) or synthetic (derived by the daemon)",
            ORIGINS,
        ),
        Field("time", "time", "when the venue says it happened, UTC"),
        Field("received", "time", "when it was read, UTC"),
        Field(
            "last_seen",
            "time",
            "when the last message came that mentioned it, whether it said anything new or not",
        ),
    )
}
# Used to derive values, not part of the language that users write.
_INTERNAL = frozenset({"lot_size", "profit_price", "net_flows", "units", "by_equity", "unbooked"})
_FIELD_TYPES: Mapping[type, FieldType] = {str: "text", Decimal: "number", datetime: "time", bool: "flag"}
# Spellings that users know from elsewhere.
ALIASES: Mapping[str, str] = {"cancelled": "canceled"}


@cache
def fields(kind: str) -> Mapping[str, Field]:
    """The fields of `kind` by name, the common ones included. KeyError for a kind that doesn't exist."""
    own = {name: field for name, field in all_fields(kind).items() if name not in _INTERNAL}
    return {**COMMON, **own, **following_fields(kind)}


@cache
def following_fields(kind: str) -> Mapping[str, Field]:
    """The fields of `kind` that are computed from the others (its properties): neither sent nor stored."""
    properties = {name: each for name, each in vars(KINDS[kind]).items() if isinstance(each, property)}
    return {
        name: _field(name, *get_args(get_type_hints(each.fget, include_extras=True)["return"]))
        for name, each in properties.items()
    }


def _field(name: str, hint: Any, *said: Any) -> Field:
    doc, caseless = said[-1], CASELESS in said[:-1]
    none_when = next((each for each in said if isinstance(each, NoneWhen)), None)
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for member in members:
        if member in (None, type(None), UnsetType):
            continue
        if get_origin(member) is Literal:
            return Field(name, "enum", doc, get_args(member))
        field_type: FieldType = _FIELD_TYPES[member]
        return Field(name, field_type, doc, caseless=caseless, none_when=none_when)
    raise TypeError(f"field {name} has no type that the vocabulary knows: {hint}")


def cannot_exist(state: Entity | None, none_when: NoneWhen) -> bool:
    """Whether the value that says so of itself doesn't exist, as its entity stands."""
    return getattr(state, none_when.of, None) == none_when.value and not getattr(
        state, none_when.unless, None
    )


@cache
def caseless(kind: str) -> frozenset[str]:
    """The fields of `kind` whose texts are compared without case: symbols, and the words that venues coin."""
    return frozenset(name for name, field in fields(kind).items() if field.caseless)


@cache
def is_caseless(field: str, kinds: frozenset[str]) -> bool:
    """Whether the texts of that field are compared without case, whichever of these kinds it is of."""
    return all(field in caseless(kind) for kind in kinds)


def canonical(event: str) -> str:
    """The event's name in the vocabulary's spelling: what a venue calls `Funding` happens as `balance.funding`."""
    kind, _, what = event.partition(".")
    what = what.casefold()
    return f"{kind}.{ALIASES.get(what, what)}"


@cache
def events(kind: str) -> tuple[str, ...]:
    """The dotted event names of `kind`."""
    return tuple(f"{kind}.{name}" for name in KINDS[kind].events)


BEGINNINGS = frozenset(f"{kind}.{began}" for kind, known in KINDS.items() for began in known.ends.values())
"""The events that another one is the end of."""


def ended_by(event: str) -> str | None:
    """Of what an event is the end, where it is the good news that something bad is over."""
    kind, _, what = event.partition(".")
    ended = KINDS[kind].ends.get(what) if kind in KINDS else None
    return f"{kind}.{ended}" if ended else None


def unit_of(field: str) -> Unit | None:
    """What a field's numbers are of; None where they are prices, sizes, or counts."""
    name = field.rpartition(".")[2]
    return "percent" if name in _PERCENTS else "money" if name in _MONEY else None


def derived_fields(state: Entity) -> tuple[str, ...]:
    """The fields whose present values we worked out: people are shown them rounded."""
    names = (*state.__struct_fields__, *following_fields(state.kind))
    return tuple(name for name in names if isinstance(getattr(state, name), Derived))


def is_event(name: str) -> bool:
    """Whether `name` is a dotted event that can happen: listed, or of a kind whose venues add words of their own."""
    kind, dot, what = name.partition(".")
    return bool(dot and what) and kind in KINDS and (name in events(kind) or KINDS[kind].open_status)


def nearest(word: str, known: "tuple[str, ...] | list[str]") -> str | None:
    """The known word that was most likely meant, if any is near."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: "tuple[str, ...] | list[str]", otherwise: str = "") -> str:
    """A hint with the known word that is nearest, if any is near."""
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else otherwise


def misspelt(word: str, known: "tuple[str, ...] | list[str]") -> str | None:
    """The known word that this one is a misspelling of; for words that may well be right as they are."""
    close = get_close_matches(word, known, n=1, cutoff=0.88)
    return close[0] if close else None


def with_article(thing: str) -> str:
    """The word with its article."""
    return f"an {thing}" if thing[0] in "aeiou" else f"a {thing}"


def listed(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def fields_of_bits(kind: str, bits: int) -> tuple[str, ...]:
    """The names of the fields that `Stamps.fields` stands for."""
    return tuple(name for place, name in enumerate(KINDS[kind].__struct_fields__) if bits >> place & 1)


def bits_of_fields(kind: str, names: Iterable[str]) -> int:
    """The inverse of `fields_of_bits`; a field that the kind no longer has counts for nothing."""
    places = {name: place for place, name in enumerate(KINDS[kind].__struct_fields__)}
    return sum(1 << places[name] for name in frozenset(names) if name in places)


def has_ended(state: Entity) -> bool:
    """Whether it lives no more; a missing status is live."""
    return bool(state.ended) and is_last(state, getattr(state, "status", None))


def is_last(state: Entity, status: Any) -> bool:
    """Whether a thing of that kind lives no more with that status."""
    if state.open_status and isinstance(status, str):
        status = status.casefold()
    return status in state.ended


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
