"""A file that as a whole is no YAML, read part by part: a slip in one section or rule hides nothing of the others."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from tocsin import document
from tocsin.config import yaml
from tocsin.document import Entry, Mapping, Node, Scalar
from tocsin.errors import Place, Problem

_HEAD = re.compile(r"([A-Za-z_]+)[ \t]*:(?:[ \t]|$)")
_ITEM = re.compile(r"( *)-(?: |$)")
_LIST = "rules"
"""The section whose items are read one by one."""


class Sections(NamedTuple):
    """What can be read of a config: its sections, the names of those that can't be, and what is wrong in them."""

    root: Mapping
    broken: frozenset[str]
    problems: Sequence[Problem]


class Items(NamedTuple):
    """What can be read of a list, and what is wrong in the rest."""

    items: Sequence[Node]
    problems: Sequence[Problem]


def read_sections(text: str, name: str) -> Sections | None:
    """The sections of a text that as a whole can't be read; None where none of them is seen to be at fault by itself.

    Of the rules, those that can be read are there, too.
    """
    entries: dict[str, Entry] = {}
    broken: set[str] = set()
    problems: list[Problem] = []
    lines = text.splitlines()
    heads = [(number, head[1]) for number, line in enumerate(lines) if (head := _HEAD.match(line))]
    for begins, alone in _alone(lines, [number for number, _ in heads]):
        section = dict(heads)[begins]
        node, found = yaml.load(alone, name)
        if isinstance(node, Mapping):
            entries = {**node.entries, **entries}
        else:
            broken.add(section)
            key = Scalar(section, section, Place(name, begins + 1, 1, len(section)))
            if section == _LIST and (some := read_items(alone, name)):
                entries.setdefault(section, Entry(key, document.Sequence(tuple(some.items), key.place)))
                found = list(some.problems)
        problems += found
    return Sections(Mapping(entries, Place(name, 1, 1)), frozenset(broken), problems) if broken else None


def read_items(text: str, name: str) -> Items | None:
    """The items of the list in a text that as a whole can't be read; None where none is seen to be at fault by itself."""
    lines = text.splitlines()
    found = [(number, item) for number, line in enumerate(lines) if (item := _ITEM.match(line))]
    heads = [number for number, item in found if item[1] == found[0][1][1]]
    nodes, problems = (
        zip(*(yaml.load(alone, name) for _, alone in _alone(lines, heads)), strict=True)
        if heads
        else ((), ())
    )
    if None not in nodes:
        return None
    read = (node.items for node in nodes if isinstance(node, document.Sequence))
    return Items([*chain.from_iterable(read)], [*chain.from_iterable(problems)])


def _alone(lines: Sequence[str], heads: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Where each part begins, and a text in which it stands alone, on its own lines."""
    for begins, ends in pairwise([*heads, len(lines)]):
        yield begins, "\n" * begins + "\n".join(lines[begins:ends]) + "\n"
