"""Which parts of a message nothing was said of: what a description didn't read while it was decoded.

Objects and lists that note what is picked of them stand in for the message's own. Decoders tell by their class what an
object or list is, so these name themselves as such.
"""

import json
from collections.abc import Iterator
from typing import Any, SupportsIndex

from tocsin.venues.base import Malformed
from tocsin.venues.json.messages import Messages, read_whole


class _Object(dict[str, Any]):
    __slots__ = ("read",)
    read: set[str]
    __class__ = dict  # type: ignore[assignment]  # what decoders ask for

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)

    def values(self) -> Any:
        self.read.update(self)
        return super().values()


class _List(list[Any]):
    __slots__ = ("read",)
    read: set[int]
    __class__ = list  # type: ignore[assignment]  # the same

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int):
            self.read.add(index % len(self))
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Any]:
        self.read.update(range(len(self)))
        return super().__iter__()


def unread(messages: Messages, text: str) -> list[str]:
    """The paths of what nothing was said of, each once; of lists as `data[].fee`. None of what can't be read at all, or is nested
    deeper than can be walked.
    """
    try:
        whole = _noting(read_whole(text))
        messages.meaning(whole)
        return list(dict.fromkeys(_unread(whole, "")))
    except (Malformed, RecursionError):
        return []


def _noting(value: Any) -> Any:
    found: Any
    if isinstance(value, dict):
        found = _Object({key: _noting(inner) for key, inner in value.items()})
    elif isinstance(value, list):
        found = _List([_noting(inner) for inner in value])
    else:
        return value
    found.read = set()
    return found


def _unread(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _List):
        steps: list[tuple[SupportsIndex | str, Any, str]] = [
            (count, list.__getitem__(value, count), f"{path}[]") for count in range(len(value))
        ]
    elif isinstance(value, _Object):
        steps = [(key, inner, f"{path}.{_quoted(key)}".lstrip(".")) for key, inner in dict.items(value)]
    else:
        return
    for step, inner, where in steps:
        if step in value.read:
            yield from _unread(inner, where)
        else:
            yield where


def _quoted(key: str) -> str:
    """As a path has to name it: in quotes as JSON has them, where it isn't a plain name."""
    return key if key.isidentifier() and key.isascii() else json.dumps(key)
