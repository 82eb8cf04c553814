"""What an edit of a rule changes where it is written, as a diff; and what of it, as it is written there, can be set.

Nothing is written. A diff is as it may be shown: what looks like a secret is starred out.
"""

import json
import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Any, TypeAlias

import yaml

from tocsin import document
from tocsin.config.edits import Edit, edit_rules, rule_named
from tocsin.config.rule_sources import RuleSource
from tocsin.config.settable import Settable, settable
from tocsin.config.yaml import BREAK, Loader, load
from tocsin.document import Mapping, Scalar
from tocsin.errors import Place

_Node: TypeAlias = Any  # PyYAML's nodes, which know where they end
_HEAD = re.compile(r"@@ -(\d+)(.*?) \+(\d+)(.*)")
_BEHIND = ("watch", "when", "until", "for")
"""Behind the last of these is written what the rule didn't have."""


@dataclass(frozen=True, slots=True)
class RuleText:
    """The text of a file's lines, around and of the rule `id` in it; that begins in the column `column` (from 0)."""

    id: str
    where: RuleSource
    column: int
    above: str
    source: str
    below: str

    @property
    def node(self) -> Mapping:
        """The rule, as a document of its own."""
        return _document(self.source, self.column)

    def diff(self, said: Sequence[str]) -> str:
        """What `said` (as `config.edits` has it) would change in the file, as a unified diff; "" where that is nothing. What can't be
        set is left out.
        """
        source = self.source
        for each in said:
            node = _document(source, self.column)
            for edit in edit_rules([node], [each])[1]:
                source = _edited(source, self.column, node, edit)
        after = replace(self.where, text=self.above + source + self.below)
        name = str(self.where.path)
        found = unified_diff(self.where.shown, after.shown, name, name, lineterm="")
        return "\n".join(_HEAD.sub(self._moved, line) for line in found)

    def _moved(self, head: re.Match[str]) -> str:
        by = self.where.line - 1
        return f"@@ -{int(head[1]) + by}{head[2]} +{int(head[3]) + by}{head[4]}"


def rule_text(where: RuleSource, id_: str) -> RuleText | None:
    """The rule in its lines; None where those can't be read by themselves (of brackets that begin or end on other lines)."""
    text = where.text
    braces = max(text.find("{"), 0), text.rfind("}") + 1
    for begin, alone in ((0, text), (braces[0] - 1, f"[{text[slice(*braces)]}]")):
        try:
            root = yaml.compose(alone, Loader)
        except yaml.YAMLError:
            continue
        found = next((rule for rule in _rules(root) if _text(_value(rule, "id")) == id_), None)
        if found is not None:
            first, last = begin + found.start_mark.index, begin + _end(found, alone)
            return RuleText(id_, where, found.start_mark.column, text[:first], text[first:last], text[last:])
    return None


def settable_of(where: RuleSource, id_: str) -> list[Settable]:
    """What of the rule can be set, as it is written there; nothing where its lines can't be read by themselves."""
    found = rule_text(where, id_)
    return settable(found.node) if found is not None else []


def edits_of(sources: Map[str, RuleSource], said: Sequence[str]) -> tuple[list[Edit], str]:
    """What is `said` of rules, as far as it can be set, and what it would change where they are written, as a diff."""
    named = dict.fromkeys(name for each in said if (name := rule_named(each, sources)) is not None)
    texts = [text for name in named if (text := rule_text(sources[name], name)) is not None]
    edits = edit_rules([text.node for text in texts], said)[1]
    return edits, "\n".join(filter(None, (text.diff(said) for text in texts)))


def _rules(root: _Node) -> Iterable[_Node]:
    """The rules of a list, or under the key `rules`, or the one that it is."""
    if isinstance(root, yaml.MappingNode) and _value(root, "id") is not None:
        return [root]
    listed = _value(root, "rules") if isinstance(root, yaml.MappingNode) else root
    items = listed.value if isinstance(listed, yaml.SequenceNode) else ()
    return [item for item in items if isinstance(item, yaml.MappingNode)]


def _value(mapping: _Node, key: str | int) -> _Node | None:
    return next((value for name, value in mapping.value if _text(name) == key), None)


def _text(node: _Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _end(node: _Node, text: str) -> int:
    """Where it ends, without the blanks and comments behind it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        begin, end = int(node.start_mark.index), int(node.end_mark.index)
        return begin + len(text[begin:end].rstrip())
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last, text)


def _document(source: str, column: int) -> Mapping:
    node, _ = load(" " * column + source)
    return node if isinstance(node, Mapping) else Mapping({}, Place("", 1, 1))


def _edited(source: str, column: int, node: Mapping, edit: Edit) -> str:
    """The rule's text with that edit."""
    text = " " * column + source
    root = yaml.compose(text, Loader)
    found = {each.path: each for each in settable(node)}.get(edit.path)
    at = found.at if found is not None else (edit.path,)
    target = _at(root, at)
    if target is None:
        return _added(text, root, column, edit)[column:]
    begin, end, new = target.start_mark.index, _end(target, text), edit.after
    if found is None:
        new = _as_yaml(new)
    elif found.span is not None:
        scalar = document.find(node, at)
        length = found.span[1] - found.span[0]
        if isinstance(scalar, Scalar) and (scalar.exact or scalar.rows):
            place = scalar.within(found.span[0], length)
            begin = _index(text, place.line, place.column)
            end = begin + length
        else:
            new = _as_yaml(found.within[: found.span[0]] + new + found.within[found.span[1] :])
    return (text[:begin] + new + text[end:])[column:]


def _at(root: _Node, at: tuple[str | int, ...]) -> _Node | None:
    node = root
    for step in at:
        node = node.value[step] if isinstance(node, yaml.SequenceNode) else _value(node, step)
        if node is None:
            return None
    return node


def _index(text: str, line: int, column: int) -> int:
    """Of a place's line and column, which count from 1."""
    before = [found.end() for found in BREAK.finditer(text)][: line - 1]
    return (before[-1] if before else 0) + column - 1


def _added(text: str, root: _Node, column: int, edit: Edit) -> str:
    """With a key that wasn't there: on a line of its own, or in the brackets."""
    written = f"{edit.path}: {_as_yaml(edit.after)}"
    at = max(_end(value, text) for name, value in root.value if _text(name) in _BEHIND)
    if root.flow_style:
        return f"{text[:at]}, {written}{text[at:]}"
    line_end = BREAK.search(text, at)
    at, new_line = (line_end.start(), line_end[0]) if line_end else (len(text), "\n")
    return f"{text[:at]}{new_line}{' ' * column}{written}{text[at:]}"


def _as_yaml(text: str) -> str:
    """A text as YAML: as it is where that is read so, in brackets too; else in quotes."""
    node, problems = load(f"{{is: {text}}}")
    there = node.get("is") if isinstance(node, Mapping) and len(node.entries) == 1 else None
    plain = isinstance(there, Scalar) and there.value == text and not problems
    return text if plain else json.dumps(text, ensure_ascii=False)
