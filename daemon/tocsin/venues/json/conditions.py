"""Conditions on a message or a part of it, compiled; and which of many a message meets, found by the words they ask for.

Words and numbers are compared as the wire spells them.
"""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import UNSET

from tocsin.events import number, number_text
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.paths import Pick, read_pick

T = TypeVar("T")

_HOLE = "{{"

Test: TypeAlias = Callable[[Any, Any], bool]
"""Whether a part, of the whole message, is so."""


def plain(wire: Any) -> str | None:
    """A single value of the wire as text, digit for digit; None for null and for what is no single value."""
    kind = wire.__class__
    if kind is str or kind is int:
        return str(wire)
    if wire is None or wire is UNSET or kind in (dict, list, float):
        return None
    if kind is bool:
        return "true" if wire else "false"
    return number_text(wire)


def read_condition(at: Cursor | None) -> Test | None:
    """All of `path: value`; a value is one, a list of them, null (missing), or a test. None where there is none."""
    return None if at is None else _all([_read_test(_key_pick(entry), entry) for entry in at.entries()])


def _all(tests: list[Test]) -> Test | None:
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda part, whole: first(part, whole) and second(part, whole)
    return lambda part, whole: all(test(part, whole) for test in tests)


def _key_pick(entry: Cursor) -> Pick:
    key = entry.key
    return read_pick(Cursor(key, entry.faults, entry.name, key)) if key is not None else read_pick(entry)


def _read_test(pick: Pick, at: Cursor) -> Test:
    if at.is_list:
        words = frozenset(_words_of(at))
        return lambda part, whole: plain(pick(part, whole)) in words
    if not at.is_mapping:
        return _is_word(pick, _words_of(at)[0])
    test = _all([_read_named_test(pick, entry) for entry in at.entries()])
    if test is None:
        at.refuse_whole("an empty condition", "begins, there, zero or not")
        return lambda part, whole: False
    return test


def _words_of(at: Cursor) -> list[str | None]:
    """The words that stand there, one or a list; what looks like a template is noted: it would be compared as it is written."""
    for item in at.items():
        if (begins := item.text.find(_HOLE)) >= 0:
            end = item.text.find("}}", begins)
            length = (end + 2 if end >= 0 else len(item.text)) - begins
            item.refuse("a `{{` is no template here", "write the word itself", item.within(begins, length))
    return [item.word for item in at.items()]


def _read_named_test(pick: Pick, at: Cursor) -> Test:
    wanted = at.word == "true"
    match at.key.text if at.key is not None else "":
        case "begins":
            _words_of(at)
            start = at.text
            return lambda part, whole: (plain(pick(part, whole)) or "").startswith(start)
        case "there":
            return lambda part, whole: (pick(part, whole) is not UNSET) is wanted
        case "zero":
            return lambda part, whole: _is_zero(pick(part, whole)) is wanted
    inner = _read_test(pick, at)
    return lambda part, whole: not inner(part, whole)


def _is_word(pick: Pick, word: str | None) -> Test:
    if word is None:
        return lambda part, whole: (found := pick(part, whole)) is None or found is UNSET

    def is_word(part: Any, whole: Any) -> bool:
        found = pick(part, whole)
        return bool(found == word) if found.__class__ is str else plain(found) == word

    return is_word


def _is_zero(wire: Any) -> bool | None:
    """None for what is no number."""
    try:
        return not number(wire)
    except (ValueError, TypeError):
        return None


_Candidate: TypeAlias = tuple[int, T, Test | None]
"""In which place it is written, what it is, and what else it asks for."""


class Index(Generic[T]):
    """Things with a `when` each, found by the words that it asks for; what it asks beside them is asked as well."""

    def __init__(self, entries: Iterable[tuple[Cursor | None, T]]) -> None:
        tables: dict[str, tuple[Pick, dict[str | None, list[_Candidate[T]]]]] = {}
        self._others: list[_Candidate[T]] = []
        for count, (when, entry) in enumerate(entries):
            asked = list(when.entries()) if when is not None else []
            first = next((each for each in asked if each.key is not None and _words(each)), None)
            test = _all([_read_test(_key_pick(each), each) for each in asked if each is not first])
            if first is None or first.key is None:
                self._others.append((count, entry, test))
                continue
            if first.key.text not in tables:
                tables[first.key.text] = (_key_pick(first), {})
            for word in _words_of(first):
                tables[first.key.text][1].setdefault(word, []).append((count, entry, test))
        self._tables = tuple(tables.values())

    def matching(self, whole: Any) -> list[T]:
        """Those whose `when` the message meets, in the order in which they are written."""
        candidates = self._others
        for pick, table in self._tables:
            word = pick(whole, whole)
            found = table.get(word if word.__class__ is str else plain(word))
            if found is not None:
                candidates = candidates + found if candidates else found
        met = [each for each in candidates if each[2] is None or each[2](whole, whole)]
        if len(met) > 1:
            met.sort(key=itemgetter(0))
        return [entry for _, entry, _ in met]


def _words(asked: Cursor) -> list[str]:
    """The words of which it must be one; none where it is another test."""
    if asked.is_mapping:
        return []
    words = [item.word for item in asked.items()]
    return [word for word in words if word is not None] if None not in words else []
