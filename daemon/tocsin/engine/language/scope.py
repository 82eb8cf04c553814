"""Which fields a rule's conditions may speak of: those of what it watches, and what their types are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.language.report import did_you_mean, listed
from tocsin.engine.language.tree import Type
from tocsin.events import KINDS
from tocsin.events.kinds import NoneWhen
from tocsin.events.vocabulary import COMMON, Field, all_fields, events, fields

KINDS_WITH_ACCOUNT = frozenset({"order", "position"})
NOT_KEPT = frozenset({"event", "origin", "time", "received", "last_seen"})
"""Common fields that are of one message: the previous ones are not known."""
_TYPES: Mapping[str, Type] = {
    "number": "number",
    "text": "text",
    "time": "time",
    "flag": "flag",
    "enum": "text",
}
_OWN = frozenset({"id", "symbol"})  # common, and the entity's own as well
_NOTHING = "to ask whether a field has no value write missing(…), or {missing: true}"
# What people know from other languages, and how it is written here.
_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("null", "Null", "NULL", "None", "nil", "none"), _NOTHING),
    **dict.fromkeys(("True", "TRUE", "yes"), "write `true`"),
    **dict.fromkeys(("False", "FALSE", "no"), "write `false`"),
}


@dataclass(frozen=True, slots=True)
class Readable:
    """A field as conditions see it. `words`: the only texts it can be. `usual`: the texts it mostly is. `caseless`: its
    texts are compared without case. `none_when`: when it can't exist.
    """

    name: str
    type: Type
    words: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    caseless: bool = False
    none_when: NoneWhen | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What the conditions of a rule on `kinds` can read. `among`: which events take part, in words, where not all do."""

    kinds: tuple[str, ...]
    event_rule: bool
    fields: Mapping[str, Readable]
    among: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.fields)

    @property
    def thing(self) -> str:
        return " or ".join(self.kinds)

    def unknown(self, name: str) -> tuple[str, str]:
        """The message and the hint for a name that isn't one of them."""
        if name == "event":
            return (
                "`event` can't be used in a state rule",
                "watch an event (a name with a dot) to look at what happened",
            )
        if name.startswith("account."):
            return self._unknown_of_account(name)
        if name.startswith("first."):
            return self._unknown_of_first(name)
        having = [kind for kind in self.kinds if name in fields(kind)]
        if having:
            without = [kind for kind in self.kinds if kind not in having]
            types = {kind: fields(kind)[name].type for kind in having}
            if not without:
                said = ", ".join(f"a {type_} of {kind}" for kind, type_ in types.items())
                return (f"`{name}` is not the same in all that is watched: {said}", "make a rule for each")
            return (
                f"`{name}` is a field of {', '.join(having)}, not of {', '.join(without)}",
                "make a rule for each",
            )
        if name in FUNCTIONS:
            return (f"`{name}` is a function", f"write {FUNCTIONS[name].signature}")
        if having := [each.name for each in self.fields.values() if name in each.words or name in each.usual]:
            hint = f'it is a word of {having[0]}: {having[0]} == "{name}"; a text stands in quotes'
            return (f"unknown field `{name}` of {self.thing}", hint)
        return (f"unknown field `{name:.80}` of {self.thing}", self._meant(name))

    def _meant(self, name: str) -> str:
        if name in _ELSEWHERE:
            return _ELSEWHERE[name]
        if not name.replace(".", "_").isidentifier():
            return "a field's name stands here; an expression is one text: when: profit < -50"
        if others := tuple(kind for kind in KINDS if name in fields(kind)):
            return f"it is a field of {', '.join(others)}"
        quoted = f'; a text is written in quotes: "{name:.40}"' if name != name.lower() else ""
        return did_you_mean(name, self.names, f"`tocsin fields {self.kinds[0]}` lists them{quoted}")

    def _unknown_of_first(self, name: str) -> tuple[str, str]:
        known = tuple(readable for readable in self.names if readable.startswith("first."))
        if not known:
            return (
                "`first.` is for the `when` of `then` and `unless`",
                f"write `{name.removeprefix('first.')}`",
            )
        return (f"unknown field `{name:.80}`", did_you_mean(name, known, f"there are {listed(known)}"))

    def _unknown_of_account(self, name: str) -> tuple[str, str]:
        if self.kinds == ("account",):
            return ("`account.` is for orders and positions", f"write `{name.removeprefix('account.')}`")
        if not KINDS_WITH_ACCOUNT.issuperset(self.kinds):
            return (f"`account.` is for orders and positions, not for {self.thing}", "")
        known = tuple(readable for readable in self.names if readable.startswith("account."))
        return (f"unknown field `{name:.80}`", did_you_mean(name, known, f"there are {listed(known)}"))


@cache
def scope(kinds: tuple[str, ...], event_rule: bool) -> Scope:
    """What a rule on these kinds can read: the fields that all of them have, of the same type."""
    first, *others = (fields(kind) for kind in kinds)
    readable = {}
    for name, field in first.items():
        if name == "event":
            continue
        same = [other[name] for other in others if name in other and _type(other[name]) == _type(field)]
        if len(same) == len(others):
            readable[name] = _readable([field, *same], kinds)
    if event_rule:
        happened = tuple(name for kind in kinds for name in events(kind))
        closed = not any(KINDS[kind].open_status for kind in kinds)
        readable["event"] = Readable("event", "event", happened if closed else (), () if closed else happened)
    if KINDS_WITH_ACCOUNT.issuperset(kinds):
        for field in _account_fields():
            readable[f"account.{field.name}"] = Readable(
                f"account.{field.name}",
                _type(field),
                field.values,
                caseless=field.caseless,
                none_when=field.none_when,
            )
    return Scope(kinds, event_rule, readable)


def is_common(name: str) -> bool:
    """Whether every event carries it, whatever venues supply."""
    return name in COMMON and name not in _OWN


def _type(field: Field) -> Type:
    return _TYPES[field.type]


def _readable(same: list[Field], kinds: tuple[str, ...]) -> Readable:
    """The words of a field that several kinds have are those of any of them, unless one of them is open."""
    name = same[0].name
    usual: tuple[str, ...] = ()
    if name == "kind":
        return Readable(name, "text", tuple(KINDS))
    if name == "status":
        usual = tuple(
            event.partition(".")[2] for kind in kinds if KINDS[kind].open_status for event in events(kind)
        )
    closed = all(field.values for field in same)
    words = tuple(dict.fromkeys(word for field in same for word in field.values)) if closed else ()
    caseless = all(field.caseless for field in same)
    none_when = same[0].none_when if len(same) == 1 else None
    return Readable(name, _type(same[0]), words, () if words else usual, caseless, none_when)


def _account_fields() -> list[Field]:
    own = fields("account")
    return [own[name] for name in all_fields("account") if name in own]
