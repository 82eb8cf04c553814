"""What a rule watches, and so which fields its conditions can read.

In `watch` a dot means "something happened", no dot means "something is so".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from tocsin import document
from tocsin.engine.language.ast import Type
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.errors import Place, Report
from tocsin.events import KINDS
from tocsin.events.kinds import NoneWhen
from tocsin.events.links import LINKS, Link, link_of, linked_fields
from tocsin.events.vocabulary import (
    COMMON,
    Field,
    all_fields,
    canonical,
    did_you_mean,
    events,
    fields,
    listed,
    misspelt,
    nearest,
)

_WORD = re.compile(r"\w[\w ./:-]*")  # what a venue may call its own
STATES = tuple(kind for kind in KINDS if kind != "daemon")
"""What a state rule can watch; of the daemon only what happens is known."""


@dataclass(frozen=True, slots=True)
class Watch:
    """`events` is empty for a state rule. All are in the order in which they were written."""

    kinds: tuple[str, ...]
    events: tuple[str, ...]
    places: Mapping[str, Place]


def read_watch(node: document.Node, report: Report) -> Watch | None:
    """What is watched; None, with the reason in the report, where that can't be told."""
    items = document.items(node)
    names = [(_name(item, report), item.place) for item in items if isinstance(item, document.Scalar)]
    places = {name: place for name, place in names if name is not None}
    if len(names) != len(items) or any(name is None for name, _ in names):
        return None
    found = list(places)
    happened = tuple(name for name in found if "." in name)
    states = [name for name in found if "." not in name]
    if states and happened:
        report.error("a rule watches what happens or what is so, not both", node.place,
                     f"`{states[0]}` has no dot: it is something that is so; make a rule for each")  # fmt: skip
        return None
    if len(states) > 1:
        report.error("a state rule watches one kind", node.place, "make a rule for each")
        return None
    return Watch(tuple(dict.fromkeys(name.partition(".")[0] for name in found)), happened, places)


def _name(item: document.Scalar, report: Report) -> str | None:
    """The name in its standard spelling, if it is one."""
    written = str(item.value)
    kind, dot, what = written.partition(".")
    if kind not in KINDS:
        known = tuple(name for kind in KINDS for name in (kind, *events(kind)))
        report.error(f"there is no `{written:.80}` to watch", item.place,
                     did_you_mean(written, known, f"there are {', '.join(STATES)} and what happens to them"))  # fmt: skip
        return None
    if not dot:
        return _state(kind, item, report)
    if what == "*":
        return written
    return _event(kind, canonical(written).partition(".")[2], item, report)


def _state(kind: str, item: document.Scalar, report: Report) -> str | None:
    if kind in STATES:
        return kind
    report.error(
        f"`{kind}` has no state to watch", item.place, f"watch what happens: {kind}.*, {events(kind)[0]}"
    )
    return None


def _event(kind: str, what: str, item: document.Scalar, report: Report) -> str | None:
    name, known = f"{kind}.{what}", KINDS[kind].events
    if what in known:
        return name
    if not KINDS[kind].open_status or not _WORD.fullmatch(what):
        near = nearest(what, known)
        hint = f"did you mean `{kind}.{near}`?" if near else f"there are {', '.join(events(kind))}"
        report.error(f"unknown event `{item.text:.80}`", item.place, hint)
        return None
    if near := misspelt(what, known):
        report.warning(f"`{item.text:.80}` is no event that is known; a venue would have to use that word", item.place,
                       f"did you mean `{kind}.{near}`?")  # fmt: skip
    return name


# ------------------------------------------------------------------------------------------- what conditions can read

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
    """What the conditions of a rule on `kinds` can read. `among`: which events take part, in words, where not all do. `tz`:
    the zone of times of day that say none.
    """

    kinds: tuple[str, ...]
    event_rule: bool
    fields: Mapping[str, Readable]
    among: str = ""
    tz: str = "UTC"

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
        if (link := link_of(name)) is not None:
            return self._unknown_of_link(name, link)
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

    def _unknown_of_link(self, name: str, link: Link) -> tuple[str, str]:
        if self.kinds == (link.kind,):
            return (
                f"`{link.kind}.` is for {link.whose}",
                f"write `{name.removeprefix(f'{link.kind}.')}`",
            )
        if not link.of.issuperset(self.kinds):
            return (f"`{link.kind}.` is for {link.whose}, not for {self.thing}", "")
        known = tuple(readable for readable in self.names if readable.startswith(f"{link.kind}."))
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
    for link in LINKS.values():
        if link.of.issuperset(kinds):
            for field in linked_fields(link.kind):
                name = f"{link.kind}.{field.name}"
                readable[name] = Readable(
                    name, _type(field), field.values, caseless=field.caseless, none_when=field.none_when
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


# ------------------------------------------------------------------------------------------- what `per` can group by

PER = ("venue", "account", "kind", "id", "symbol")
"""What entities of all kinds are grouped by."""


def grouping(kinds: Iterable[str]) -> tuple[str, ...]:
    """What entities of these kinds may be grouped by: their texts, flags and words."""
    own = [
        {name for name, field in fields(kind).items() if field.type in ("text", "flag", "enum")}
        & {*all_fields(kind)}
        for kind in kinds
    ]
    return (*PER, *sorted(set[str].intersection(*own).difference(PER)))


GROUPING = tuple(dict.fromkeys(name for kind in KINDS for name in grouping((kind,))))


def grouped(
    node: document.Mapping,
    per: tuple[str, ...] | None,
    watch: Watch,
    report: Report,
    *,
    sequence: bool,
    absent: bool,
) -> None:
    """`per` is of fields that all of the watched kinds have; in a sequence, of those that all kinds have; where what is absent is told,
    of something that goes on.
    """
    if per is None:
        return
    known = PER if sequence else grouping(watch.kinds)
    value = node.entries["per"].value
    places = list(value) if isinstance(value, document.Sequence) else [value] * len(per)
    for name, part in zip(per, places, strict=True):
        if name not in known:
            thing = " or ".join(watch.kinds)
            report.under("per").error(f"`{name:.80}` is nothing that {thing} can be grouped by", part.place,
                                      did_you_mean(name, known, f"there are {listed(known)}"))  # fmt: skip
        elif absent and name == "id":
            report.under("per").error("from what has ended nothing comes any more: its absence would never be over",
                                      part.place, "watch what is so: when: time_since(last_seen) > 1h")  # fmt: skip
