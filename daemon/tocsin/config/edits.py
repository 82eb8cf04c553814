"""What somebody sets otherwise in rules to see what would be: `position-in-the-red.when.profit.below=-60`.

The rules' documents are changed, with the places of what stays; what is new stands in what was said (`--set:1:41`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tocsin import document
from tocsin.config.reading import Reading
from tocsin.config.settable import CONDITIONS, Settable, settable
from tocsin.document import Entry, Mapping, Node, Scalar
from tocsin.engine.language.written_numbers import Quantity, is_quantity
from tocsin.errors import Place, Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.quantities import parse_duration

SAID = "--set"
"""Where an edit stands, in the places of problems."""
_FORM = "write it like position-in-the-red.when.profit.below=-60"
_EXAMPLES: dict[Quantity, str] = {
    "number": "write it like -60 or 0.5",
    "duration": "write it like 30s, 5m or 1h30m",
}


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing of a rule set to something else: what it is, and what is written there before and after."""

    rule: str
    path: str
    called: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Said:
    """One edit as it was given: its number from 1, the text, and the parts of that."""

    count: int
    text: str
    rule: str = ""
    path: str = ""
    value: str = ""

    def place(self, begin: int, length: int) -> Place:
        return Place(SAID, self.count, begin + 1, max(1, length), self.text)

    @property
    def of_path(self) -> Place:
        return self.place(len(self.rule) + 1, len(self.path))

    @property
    def of_value(self) -> Place:
        return self.place(len(self.text) - len(self.value), len(self.value))


def edited(reading: Reading, written: Sequence[Mapping], said: Sequence[str]) -> list[Mapping]:
    """The rules with all that is `said` set, one after the other; what can't be set is noted, with what can."""
    rules, _, problems = edit_rules(written, said)
    reading.add(*problems)
    return rules


def edit_rules(
    written: Iterable[Mapping], said: Sequence[str]
) -> tuple[list[Mapping], list[Edit], list[Problem]]:
    """The rules with all that is `said` set, what that was, and what is wrong with it."""
    rules, edits, problems = list(written), list[Edit](), list[Problem]()
    for count, text in enumerate(said, 1):
        found = _read(_Said(count, text), rules)
        done = found if isinstance(found, Problem) else _set(*found)
        if isinstance(done, Problem):
            problems.append(done)
        else:
            edit, rule = done
            edits.append(edit)
            rules = [rule if _id(each) == edit.rule else each for each in rules]
    return rules, edits, problems


def _id(rule: Mapping) -> str:
    node = rule.get("id")
    return node.text if isinstance(node, Scalar) else ""


def rule_named(said: str, ids: Iterable[str]) -> str | None:
    """Whose path it begins with, of these rules."""
    left = said.partition("=")[0]
    # An id may have dots.
    return max((name for name in ids if left == name or left.startswith(f"{name}.")), key=len, default=None)


def _read(said: _Said, rules: Sequence[Mapping]) -> tuple[_Said, Mapping] | Problem:
    """Its parts, and the rule."""
    left, equals, value = said.text.partition("=")
    if not equals:
        return Problem("says nothing of what it is to be", said.place(0, len(said.text)), hint=_FORM)
    by_id = {_id(rule): rule for rule in rules}
    name = rule_named(said.text, by_id)
    if name is None:
        first = left.partition(".")[0]
        hint = did_you_mean(first, list(by_id), f"there are {', '.join(by_id) or 'none'}")
        return Problem(f"no rule is called `{first:.100}`", said.place(0, len(first)), hint=hint)
    path = left[len(name) + 1 :].strip()
    return replace(said, rule=name, path=path, value=value.strip()), by_id[name]


def _set(said: _Said, rule: Mapping) -> tuple[Edit, Mapping] | Problem:
    """The edit, and the rule with it."""
    if said.path in CONDITIONS and said.value:
        before = rule.get(said.path)
        new = Scalar(said.value, said.value, said.of_value, exact=False)
        edit = Edit(said.rule, said.path, said.path, _shown(before), said.value)
        return edit, _put(rule, said, (said.path,), new)
    found = settable(rule)
    of_path = {each.path: each for each in found}
    one = of_path.get(said.path)
    if one is None:
        what = (
            f"nothing is called `{said.path:.100}` there"
            if said.path
            else "says nothing of what is to be set"
        )
        return Problem(what, said.of_path, said.rule, _can_be_set(said.rule, rule, found))
    if why := _why_not(said.value, one):
        return Problem(why[0], said.of_value, f"{said.rule}.{said.path}", why[1])
    return Edit(said.rule, one.path, one.called, one.value, said.value), _put(
        rule, said, one.at, _new(said, one)
    )


def _can_be_set(name: str, rule: Mapping, found: Sequence[Settable]) -> str:
    """What of the rule can be set, each with what is there; what has only a number for its path with its name, too."""
    known = [
        f"{each.path} ({f'{each.called}: ' if each.span else ''}{each.value or 'none'})" for each in found
    ]
    known += [f"{key}=EXPRESSION" for key in CONDITIONS if key in rule.entries]
    return f"{name} has {', '.join(known)}" if known else f"{name} has no number and no duration"


def _why_not(value: str, one: Settable) -> tuple[str, str] | None:
    """What is wrong with it, and a hint; of a duration the one says already how it is written."""
    if one.kind == "number" or one.span is not None:
        return (
            None if is_quantity(value, one.kind) else (f"`{value:.60}` is no {one.kind}", _EXAMPLES[one.kind])
        )
    try:
        parse_duration(value)
    except ValueError as error:
        return f"`{value:.60}`: {error}", ""
    return None


def _new(said: _Said, one: Settable) -> Scalar:
    """What is to stand there."""
    if one.span is not None:
        begin, end = one.span
        text = one.within[:begin] + said.value + one.within[end:]
        return Scalar(text, text, said.of_value, exact=False)
    value = Decimal(said.value) if one.kind == "number" else said.value
    return Scalar(value, said.value, said.of_value)


def _put(rule: Mapping, said: _Said, at: tuple[str | int, ...], new: Scalar) -> Mapping:
    key = str(at[0])
    entry = rule.entries.get(key)
    if entry is None:
        entry = Entry(Scalar(key, key, said.of_path), new)
    return Mapping({**rule.entries, key: Entry(entry.key, _with(entry.value, at[1:], new))}, rule.place)


def _with(node: Node, at: tuple[str | int, ...], new: Scalar) -> Node:
    """The node with the new one where `at` leads to."""
    if not at or isinstance(node, Scalar):
        return new
    if isinstance(node, Mapping):
        key = str(at[0])
        entry = node.entries[key]
        return Mapping({**node.entries, key: Entry(entry.key, _with(entry.value, at[1:], new))}, node.place)
    items = (_with(item, at[1:], new) if count == at[0] else item for count, item in enumerate(node))
    return document.Sequence(tuple(items), node.place)


def _shown(node: Node | None) -> str:
    """A condition as it is written, in short."""
    if node is None:
        return ""
    return node.text if isinstance(node, Scalar) else flow(node)


def flow(node: Node) -> str:
    """On one line, as YAML writes it in brackets."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, document.Sequence):
        return f"[{', '.join(map(flow, node))}]"
    return f"{{{', '.join(f'{entry.key.text}: {flow(entry.value)}' for entry in node)}}}"
