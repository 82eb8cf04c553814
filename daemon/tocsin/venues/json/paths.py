"""Paths into a message: JMESPath's grammar, of which only what picks is taken; compiled, as they are walked for each message.

What is picked is the decoded object itself, so numbers stay the wire's. JMESPath's functions, filters and comparisons
are refused: its own implementation cuts a Decimal (`to_number(7.5)` is 7) or fails on it (`abs`, `sum`, `sort_by`), and
venues send numbers as texts, which its comparisons don't know.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from jmespath.exceptions import JMESPathError
from jmespath.parser import Parser
from msgspec import UNSET

from tocsin.venues.json.cursor import Cursor

Path: TypeAlias = Callable[[Any], Any]
"""What stands there in a part of a message; UNSET where nothing does."""
Pick: TypeAlias = Callable[[Any, Any], Any]
"""As `Path`, of a part and the whole message."""

_LONGEST = 400  # characters
# Each multi-select makes several of one: chained, they would make millions of one message.
_MOST_SELECTS = 1
_MOST_CHOICES = 8
_WHOLE = "$."
# A path of the whole message is walked for each of its parts: it must not grow with their number.
_SEVERAL = frozenset({"flatten", "projection", "value_projection"})


class BadPath(ValueError):
    """What is no path, or does more than pick. `offset` is where, in characters, if that is known."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


def parse(text: str, *, one: bool = False) -> Path:
    """The path, compiled; `one`: of one value only. Raises BadPath."""
    if len(text) > _LONGEST:
        raise BadPath(f"a path of more than {_LONGEST} characters")
    try:
        tree = Parser().parse(text).parsed
        if _selects(tree) > _MOST_SELECTS:
            raise BadPath("a path with several lists of choices [a, b]")
        if one and _picks_several(tree):
            raise BadPath("a path of the whole message picks one value: no [] and no * here")
        return _compiled(tree)
    except JMESPathError as error:
        raise BadPath("not a path", getattr(error, "lex_position", None)) from None
    except RecursionError:
        raise BadPath("not a path: nested too deeply") from None


def read_path(at: Cursor) -> Path:
    """The path that stands there; what is wrong with it is noted, and then nothing is picked."""
    return _read(at, at.text, 0)


def read_pick(at: Cursor) -> Pick:
    """As `read_path`, of the part; one that begins with `$.` is of the whole message."""
    return pick_of(at, at.text, 0)


def pick_of(at: Cursor, text: str, begins: int) -> Pick:
    """As `read_pick`, for a path that stands at an offset within the text there."""
    if text.startswith(_WHOLE):
        of_whole = _read(at, text.removeprefix(_WHOLE), begins + len(_WHOLE), one=True)
        return lambda part, whole: of_whole(whole)
    if text.isidentifier() and text.isascii():
        # What most fields are; half the time of a closure within another.
        return lambda part, whole: part.get(text, UNSET) if part.__class__ is dict else UNSET
    of_part = _read(at, text, begins)
    return lambda part, whole: of_part(part)


def _read(at: Cursor, text: str, begins: int, *, one: bool = False) -> Path:
    try:
        return parse(text, one=one)
    except BadPath as bad:
        place = None if bad.offset is None else at.within(begins + min(bad.offset, max(len(text) - 1, 0)))
        hint = 'a path picks: a.b, "a-b", [0], list[], a || b; put names with odd characters in double quotes'
        at.refuse(f"{bad}: `{text:.60}`", hint, place)
        return _nothing


def _nothing(at: Any) -> Any:
    return UNSET


def _selects(node: dict[str, Any]) -> int:
    """How many lists of choices there are in it."""
    below = sum(_selects(child) for child in node["children"] if isinstance(child, dict))
    if node["type"] != "multi_select_list":
        return below
    if len(node["children"]) > _MOST_CHOICES:
        raise BadPath(f"more than {_MOST_CHOICES} choices [a, b]")
    return below + 1


def _picks_several(node: dict[str, Any]) -> bool:
    return node["type"] in _SEVERAL or any(
        _picks_several(child) for child in node["children"] if isinstance(child, dict)
    )


def _compiled(node: dict[str, Any]) -> Path:
    kind, value = node["type"], node.get("value")
    if kind == "index":
        return _index(node["value"])
    if kind == "field":
        return lambda at: at.get(value, UNSET) if at.__class__ is dict else UNSET
    if kind == "literal" and isinstance(value, str):
        return lambda at: value
    if kind not in _KINDS:
        raise BadPath(f"a path only picks: no {kind.replace('_', ' ')} here")
    return _KINDS[kind]([_compiled(child) for child in node["children"]])


def _index(number: int) -> Path:
    return lambda at: at[number] if at.__class__ is list and -len(at) <= number < len(at) else UNSET


def _chained(steps: list[Path]) -> Path:
    if len(steps) == 2:
        first, second = steps
        return lambda at: second(first(at))

    def walk(at: Any) -> Any:
        for step in steps:
            at = step(at)
        return at

    return walk


def _either(ways: list[Path]) -> Path:
    first, second = ways

    def walk(at: Any) -> Any:
        found = first(at)
        return second(at) if found is UNSET or found is None or found == "" else found

    return walk


def _projected(kind: type, rows_of: Callable[[Any], Iterable[Any]], steps: list[Path]) -> Path:
    """What each of the rows of a list, or of the values of an object, has."""
    several, each = steps

    def walk(at: Any) -> Any:
        found = several(at)
        if found.__class__ is not kind:
            return UNSET
        return [inner for row in rows_of(found) if (inner := each(row)) is not UNSET]

    return walk


def _flattened(steps: list[Path]) -> Path:
    (rows,) = steps

    def walk(at: Any) -> Any:
        found = rows(at)
        if found.__class__ is not list:
            return UNSET
        flat: list[Any] = []
        for row in found:
            if row.__class__ is list:
                flat.extend(row)
            else:
                flat.append(row)
        return flat

    return walk


_KINDS: Mapping[str, Callable[[list[Path]], Path]] = {
    "subexpression": _chained,
    "index_expression": _chained,
    "pipe": _chained,
    "identity": lambda steps: lambda at: at,
    "current": lambda steps: lambda at: at,
    "or_expression": _either,
    "flatten": _flattened,
    "projection": partial(_projected, list, iter),
    "value_projection": partial(_projected, dict, dict.values),
    "multi_select_list": lambda parts: (
        lambda at: [found for part in parts if (found := part(at)) is not UNSET]
    ),
}
"""By their names in JMESPath's grammar, made of those below them."""
