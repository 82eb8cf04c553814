"""Reads YAML into nodes that know their places: YAML 1.2's core scalars, exact numbers, nothing clever.

Built on libyaml's event stream. Refused, each with its place: duplicate keys, anchors, aliases, tags, merge keys, a
second document, keys that are no plain text, too deep, too large. `yes`, `on`, `22:00`, `0123:45` and dates are text;
so are YAML's hexadecimal and octal numbers, `.inf` and `.nan`, which no price ever is.
"""

import re
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tocsin.config.literals import hide_literals
from tocsin.config.syntax import MAX_DEPTH, cut_problem, in_bracket, syntax_problem
from tocsin.document import Entry, Mapping, Node, Scalar, Sequence
from tocsin.errors import Place, Problem

MAX_SIZE = 16 << 20  # characters; 10,000 rules are about 2 MiB
_MAX_DIGITS = 100  # of a number; far beyond any price, far below what makes arithmetic slow
_MAX_SHOWN = 400  # a longer line is not echoed
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_NUMBER_START = frozenset("-+.0123456789")
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML calls a line break; its line numbers count these."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_SPACE = re.compile(r"\s*")
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, and in every wheel

_Event: TypeAlias = Any  # PyYAML's events; the published types know neither their marks nor properties


class _Stop(Exception):
    """Reading on makes no sense; the problem is already noted."""


def load(source: Path | str, name: str = "") -> tuple[Node | None, list[Problem]]:
    """The document in a file (a Path) or a text (a str), called `name` in places, and all that is wrong with it.

    The node is None where the text can't be read to its end; an empty document is a null. Raises nothing for bad
    input, OSError included.
    """
    if isinstance(source, Path):
        name = name or str(source)
        text, problem = read(source, name)
        return (None, [problem]) if problem else _Builder(text, name).run()
    return _Builder(source, name or "<text>").run()


def read(path: Path, name: str) -> tuple[str, Problem | None]:
    """The text of a file, or why there is none."""
    leads = f", a link to {path.readlink()}" if path.is_symlink() else ""
    try:
        if stat.S_ISFIFO(path.stat().st_mode):  # reading it would wait for somebody to write
            return "", Problem(f"can't read {name}{leads}: not a file")
        with path.open("rb") as file:
            data = file.read(4 * MAX_SIZE + 1)
        return data.decode("utf-8-sig"), None
    except OSError as error:
        return "", Problem(f"can't read {name}{leads}: {error.strerror}")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        return "", Problem("not UTF-8 text", Place(name, line, column), hint="save the file as UTF-8")


class _Builder:
    """One document on its way from events to nodes."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._problems: list[Problem] = []
        self._lines: list[str] = []
        self._raw: list[str] = []
        self._joined: Scalar | None = None  # by us, of what a comma had cut

    def run(self) -> tuple[Node | None, list[Problem]]:
        self._text = self._text.removeprefix("\ufeff")
        if len(self._text) > MAX_SIZE:
            return None, [Problem(f"{self._name} is larger than {MAX_SIZE >> 20} MiB")]
        self._raw = BREAK.split(self._text)
        hidden = BREAK.split(hide_literals(self._text))
        self._lines = [line if len(line) <= _MAX_SHOWN else "" for line in hidden]
        self._lines.append("")  # the parser's end of text may be a line further on
        if self._unprintable():
            return None, self._problems
        loader = Loader(self._text)
        try:
            return self._document(loader), self._problems
        except _Stop:
            return None, self._problems
        except yaml.YAMLError as error:
            self._problems.append(syntax_problem(error, self._raw, self._place))
            return None, self._problems
        finally:
            loader.dispose()

    def _unprintable(self) -> bool:
        bad = _UNPRINTABLE.search(self._text)
        if bad:
            before = BREAK.split(self._text[: bad.start()])
            # Without the line itself, which would not print well either.
            place = Place(self._name, len(before), len(before[-1]) + 1)
            self._problems.append(
                Problem(f"a character that can't be in a text file: U+{ord(bad[0]):04X}", place)
            )
        return bad is not None

    def _document(self, loader: Any) -> Node:
        events = iter(loader.get_event, None)
        next(events)  # the stream's start
        if isinstance(next(events), yaml.StreamEndEvent):
            return Scalar(None, "", self._place(0, 0))
        node = self._node(events, next(events), 0)
        next(events)  # the document's end
        after = next(events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._refuse(
                after, "a second document begins here", "one file holds one document: remove the ---"
            )
        return node

    def _node(self, events: Iterator[_Event], event: _Event, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"the alias *{event.anchor} is not supported", "write the value out")
            return Scalar(None, "", self._place_of(event))
        if depth >= MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep")
            raise _Stop
        self._refuse_properties(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, event, depth)
        return self._mapping(events, event, depth)

    def _sequence(self, events: Iterator[_Event], start: _Event, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item = self._node(events, event, depth + 1)
            if start.flow_style and items and (whole := self._uncut(items[-1], item)):
                items[-1] = whole
            else:
                items.append(item)
        return Sequence(tuple(items), self._collection_place(start, event))

    def _mapping(self, events: Iterator[_Event], start: _Event, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        last: Entry | None = None  # of a flow mapping
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(events, event, depth + 1)
            value = self._node(events, next(events), depth + 1)
            if not isinstance(key, Scalar):
                self._refuse(
                    event, "a key must be a plain text", "put a text that begins with { or [ in quotes"
                )
            elif key.text == "<<" and not event.style:
                self._refuse(event, "the merge key << is not supported", "write the keys out")
            elif (
                last
                and value == Scalar(None, "", value.place)
                and (whole := self._uncut(last.value, key, last.key.text))
            ):
                last = entries[last.key.text] = Entry(last.key, whole)
            elif first := entries.get(key.text):
                line = first.key.place.line
                self._refuse(
                    event, f"the key `{key.text:.80}` stands here twice; the first is on line {line}"
                )
            else:
                entries[key.text] = Entry(key, value)
                last = entries[key.text] if start.flow_style else None
        return Mapping(entries, self._collection_place(start, event))

    def _uncut(self, text: Node, rest: Node, key: str = "") -> Scalar | None:
        """The two as one, where a comma of the flow collection has cut a text within a bracket; told at its first cut."""
        if not (isinstance(text, Scalar) and isinstance(rest, Scalar)) or text.lead or rest.lead:
            return None
        if not (text.exact and rest.exact):
            return None
        begin, end = text.place.column - 1, rest.place.column - 1 + len(rest.text)
        line = self._raw[text.place.line - 1]
        if text.place.line != rest.place.line or not in_bracket(line[begin:], rest.place.column - 1 - begin):
            return None
        if text is not self._joined:
            comma = line.index(",", begin + len(text.text))
            self._problems.append(cut_problem(self._place(text.place.line - 1, comma), key))
        place = self._place(text.place.line - 1, begin, end - begin)
        self._joined = Scalar(line[begin:end], line[begin:end], place)
        return self._joined

    def _scalar(self, event: _Event) -> Scalar:
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        start, end, text = event.start_mark, event.end_mark, event.value
        line, column = start.line, start.column
        if line != end.line:
            place = self._place(line, column)
            return Scalar(self._value(event, text), text, place, 0, False, self._rows(event, text))
        length = end.column - column
        place = Place(self._name, line + 1, column + 1, length or 1, self._lines[line])
        if not event.style:
            return Scalar(self._value(event, text), text, place, 0, length == len(text))
        # Quoted on one line: offsets hold where nothing was escaped.
        return Scalar(text, text, place, 1, length == len(text) + 2)

    def _rows(self, event: _Event, text: str) -> tuple[tuple[int, Place], ...]:
        """Where each line of a text stands; empty where that can't be told (what is escaped is written otherwise)."""
        rows: list[tuple[int, Place]] = []
        offset, line, column = 0, event.start_mark.line, event.start_mark.column
        if event.style in ("|", ">"):
            line, column = line + 1, 0
        elif event.style:
            column += 1  # behind the quote
        while (offset := _SPACE.match(text, offset).end()) < len(text):  # type: ignore[union-attr]  # it matches ""
            if line >= len(self._raw):
                return ()
            written = self._raw[line][column:]
            said = written.strip()
            if line == event.end_mark.line and event.style in ("'", '"'):
                said = written[: event.end_mark.column - 1 - column].strip()
            if not text.startswith(said, offset):
                return ()
            if said:
                lead = column + len(written) - len(written.lstrip())
                rows.append((offset, self._place(line, lead, len(said))))
            offset, line, column = offset + len(said), line + 1, 0
        return tuple(rows)

    def _value(self, event: _Event, text: str) -> str | int | bool | Decimal | None:
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMBER_START or not _NUMBER.fullmatch(text):
            return text
        mantissa, _, exponent = text.lower().partition("e")
        if len(mantissa) > _MAX_DIGITS or len(exponent.lstrip("+-0")) > 2:
            self._refuse(event, "a number too long to be one", "put it in quotes if it is a text")
            return text
        return int(text) if _INTEGER.fullmatch(text) else Decimal(text)

    def _refuse_properties(self, event: _Event) -> None:
        if event.anchor is not None:
            self._refuse(
                event, f"the anchor &{event.anchor} is not supported", "write the value out each time"
            )
        if event.tag is not None:
            self._refuse(event, "YAML tags (!…) are not supported", "put a text that begins with ! in quotes")

    def _refuse(self, event: _Event, message: str, hint: str = "") -> None:
        self._problems.append(Problem(message, self._place_of(event), hint=hint))

    def _collection_place(self, start: _Event, end: _Event) -> Place:
        """A flow collection from its bracket on; a block one is where its first key or dash is."""
        line, column = start.start_mark.line, start.start_mark.column
        if start.flow_style and end.end_mark.line == line:
            return self._place(line, column, end.end_mark.column - column)
        return self._place(line, column)

    def _place_of(self, event: _Event) -> Place:
        start, end = event.start_mark, event.end_mark
        return self._place(
            start.line, start.column, end.column - start.column if end.line == start.line else 1
        )

    def _place(self, line: int, column: int, length: int = 1) -> Place:
        """From the parser's marks, which count from 0."""
        source = self._lines[line] if line < len(self._lines) else ""
        return Place(self._name, line + 1, column + 1, length or 1, source)
