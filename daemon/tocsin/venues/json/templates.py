"""Texts with `{{holes}}`, and structures of them. Nothing is executed: a hole is replaced by a value, once."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tocsin.document import Mapping as MappingNode
from tocsin.document import Node, Scalar, Sequence
from tocsin.events.vocabulary import did_you_mean
from tocsin.venues.json.conditions import plain
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.paths import Pick, pick_of

Scope: TypeAlias = Mapping[str, str]
"""The values of names."""

_HOLE = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(\|\s*number\s*)?", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})", re.ASCII)
_LONGEST = (
    65_536  # characters of what is put together; a value made of itself over and over would grow without end
)
_MOST_FILLED = 262_144  # characters, of all values that are put into one request or message
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Unfillable(ValueError):
    """A template can't be filled with these values. The text shows none of them."""


class Metered(dict[str, str]):
    """A scope for one request or message: together, only so much may be put into it. Raises Unfillable beyond."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._left = _MOST_FILLED

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name)
        self._left -= len(value)
        if self._left < 0:
            raise Unfillable(f"more than {_MOST_FILLED} characters in all")
        return value


class Names(NamedTuple):
    """What templates may name at some place, and which of it is made of secrets."""

    known: frozenset[str]
    secret: frozenset[str] = frozenset()

    def also(self, *names: str, secret: bool = False) -> "Names":
        known = self.known.union(names)
        return Names(known, self.secret.union(names) if secret else self.secret.difference(names))


class Template(NamedTuple):
    """Texts and names by turns: the odd ones are names."""

    pieces: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def fill(self, scope: Scope) -> str:
        """Raises Unfillable for what becomes too long, and where a value isn't known."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        try:
            filled = [scope[piece] if count % 2 else piece for count, piece in enumerate(self.pieces)]
        except KeyError as error:
            raise Unfillable(f"no {error.args[0]} is known") from None
        if sum(map(len, filled)) > _LONGEST:
            raise Unfillable(f"a text of more than {_LONGEST} characters")
        return "".join(filled)


def read_template(at: Cursor, names: Names) -> Template:
    """The template that stands there; a name that nothing gives is noted."""
    return _template(at, names)[0]


def _template(at: Cursor, names: Names) -> tuple[Template, bool]:
    """And whether it is a number: one hole `{{name|number}}` and nothing else."""
    text = at.text
    pieces = [""]
    end = 0
    numeric = False
    for hole in _HOLE.finditer(text):
        match = _NAME.fullmatch(hole[1])
        place = at.within(hole.start(), len(hole[0]))
        if match is None:
            at.refuse(f"`{hole[0]:.60}` is no name", "{{name}}, or {{name|number}}", place)
            pieces[-1] += text[end : hole.start()]
            end = hole.end()
            continue
        if match[1] not in names.known:
            hint = did_you_mean(match[1], sorted(names.known), f"here are {', '.join(sorted(names.known))}")
            at.refuse(f"nothing gives `{match[1]:.60}` here", hint, place)
        if match[2]:
            numeric = hole[0] == text
            if not numeric:
                at.refuse("`|number` is for a value that is this hole and nothing else", "", place)
        pieces[-1] += text[end : hole.start()]
        pieces += [match[1], ""]
        end = hole.end()
    pieces[-1] += text[end:]
    if "{{" in pieces[-1]:
        at.refuse("a `{{` without its `}}`")
    return Template(tuple(pieces)), numeric


# ---------------------------------------------------------------------------------------------------------- structures

Filled: TypeAlias = Callable[[Scope], Any]


def read_structure(at: Cursor, names: Names) -> Filled:
    """A structure with its texts filled; a text that is `{{name|number}}` and nothing else becomes a number."""
    node = at.node
    if isinstance(node, MappingNode):
        entries = [
            (entry.key.text, read_structure(entry, names)) for entry in at.entries() if entry.key is not None
        ]
        return lambda scope: {key: value(scope) for key, value in entries}
    if isinstance(node, Sequence):
        items = [read_structure(item, names) for item in at.items()]
        return lambda scope: [item(scope) for item in items]
    if not isinstance(node.value, str):
        return lambda scope: node.value
    template, numeric = _template(at, names)
    return (lambda scope: _number(template.fill(scope))) if numeric else template.fill


def read_sent(at: Cursor, names: Names) -> Callable[[Scope], str]:
    """What is sent: a text as it stands, a structure as JSON."""
    if at.is_scalar:
        return read_template(at, names).fill
    structure = read_structure(at, names)
    return lambda scope: _encode(structure(Metered(scope))).decode()


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Unfillable("what is to be a number is none")
    return int(text)


def structure_names(node: Node) -> frozenset[str]:
    """All names in the templates of a structure."""
    if isinstance(node, Scalar):
        found = (_NAME.fullmatch(hole[1]) for hole in _HOLE.finditer(node.text))
        return frozenset(match[1] for match in found if match)
    below = node.items if isinstance(node, Sequence) else [entry.value for entry in node]
    return frozenset().union(*map(structure_names, below))


# ------------------------------------------------------------------------------------------- texts of what messages have


class Composed(NamedTuple):
    """A text with paths in it. `fixed`: what it is where it has none."""

    pieces: tuple[str | Pick, ...]

    @property
    def fixed(self) -> str | None:
        return self.pieces[0] if len(self.pieces) == 1 and isinstance(self.pieces[0], str) else None

    def say(self, part: Any, whole: Any, most: int) -> str:
        """The text, with nothing where something is missing; cut at so many characters."""
        said = ""
        for piece in self.pieces:
            said += piece if isinstance(piece, str) else plain(piece(part, whole)) or ""
            if len(said) > most:
                return said[:most]
        return said

    def say_all(self, part: Any, whole: Any, most: int) -> str | None:
        """The text; None where something is missing, or it is too long."""
        said = ""
        for piece in self.pieces:
            more = piece if isinstance(piece, str) else plain(piece(part, whole))
            if more is None or len(said) + len(more) > most:
                return None
            said += more
        return said


def read_composed(at: Cursor) -> Composed:
    """The text with its paths compiled; what is wrong with one is noted."""
    text = at.text
    pieces: list[str | Pick] = []
    end = 0
    for hole in _HOLE.finditer(text):
        path = hole[1].strip()
        begins = hole.start() + 2 + len(hole[1]) - len(hole[1].lstrip())
        if hole.start() > end:
            pieces.append(text[end : hole.start()])
        pieces.append(pick_of(at, path, begins))
        end = hole.end()
    if text[end:] or not pieces:
        pieces.append(text[end:])
    if "{{" in text[end:]:
        at.refuse("a `{{` without its `}}`")
    return Composed(tuple(pieces))
