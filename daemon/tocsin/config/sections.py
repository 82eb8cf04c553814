"""A file that as a whole is no YAML, read part by part: a slip in one section or rule hides nothing of the others."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tocsin import document
from tocsin.config import yaml
from tocsin.document import Entry, Mapping, Node, Scalar
from tocsin.errors import Place, Problem

_HEAD = re.compile(r"([A-Za-z_]+)[ \t]*:(?:[ \t]|$)")
_ITEM = re.compile(r"( *)-(?: |$)")
_MOST_SECTIONS = 100  # of more it is no config
_MOST_BROKEN = 20  # of more it is no list of rules
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
    if len(heads) > _MOST_SECTIONS:
        return None
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
    nodes: list[Node] = []
    problems: list[Problem] = []
    broken = 0
    # Halves of what can't be read, down to one item: most of a long list is read in a few pieces.
    waiting = [(0, len(heads))]
    while waiting and broken < _MOST_BROKEN:
        first, end = waiting.pop()
        if first == end:
            continue
        (_, alone), *_ = _alone(lines[: [*heads, len(lines)][end]], heads[first : first + 1])
        node, told = yaml.load(alone, name)
        if isinstance(node, document.Sequence):
            nodes += node.items
            problems += told
        elif end - first == 1:
            problems += told
            broken += 1
        else:
            middle = (first + end) // 2
            waiting += [(middle, end), (first, middle)]
    return Items(nodes, problems) if broken else None


def _alone(lines: Sequence[str], heads: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Where each part begins, and a text in which it stands alone, on its own lines."""
    for begins, ends in pairwise([*heads, len(lines)]):
        yield begins, "\n" * begins + "\n".join(lines[begins:ends]) + "\n"
