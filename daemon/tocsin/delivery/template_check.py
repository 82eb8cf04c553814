"""What is wrong with a template, found before it runs: all of it at once, each with its place in the text."""

from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as Map
from dataclasses import replace
from functools import cached_property

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables

from tocsin.delivery.sandbox import ATTRIBUTES, LONGEST_SOURCE, Box
from tocsin.engine.rule_keys import TemplateFlaw, Usable
from tocsin.events import KINDS
from tocsin.events.vocabulary import did_you_mean, fields

# What a template may use beside the fields of the rule's kind.
MESSAGE_NAMES = frozenset(
    {
        "rule", "severity", "state", "event", "value", "value_at_start", "worst", "duration", "late", "as_of", "members",
        "condition", "reason", "account_name", "symbol_name", "started_at", "fired_at", "missing_fields", "suppressed", "what", "where",
    }
)  # fmt: skip
_STILL_THEM = frozenset({"list", "sort", "unique", "select", "reject", "selectattr", "rejectattr"})
_ONE_OF_THEM = frozenset({"first", "last", "min", "max"})
_BY_ATTRIBUTE = frozenset({"selectattr", "rejectattr"})
_MEMBERS, _MEMBER = "members", "member"
_BOX = Box()


def check_template(source: str, usable: Usable) -> tuple[TemplateFlaw, ...]:
    """All that is wrong with a rule's template, in its order."""
    return flaws_of(source, replace(usable, names=usable.names | MESSAGE_NAMES), _BOX)


def flaws_of(source: str, usable: Usable, box: Box) -> tuple[TemplateFlaw, ...]:
    """All that is wrong with a template which is to run in that box, in its order."""
    if len(source) > LONGEST_SOURCE:
        return (_whole(source, f"a template of more than {LONGEST_SOURCE} characters"),)
    try:
        tree, tokens = box.parse(source), _Tokens(source, box)
        found = [
            *_unknown_calls(tree, tokens, box),
            *_unknown_names(tree, tokens, usable, frozenset(box.globals)),
            *_unknown_attributes(tree, tokens, usable, frozenset(box.globals)),
        ]
        if not found:
            box.ready(source)
    except TemplateSyntaxError as error:
        return (_at_line(source, error.lineno, f"not a template: {_plainly(error.message or '')}"),)
    except RecursionError:
        return (_whole(source, "nested too deeply"),)
    return tuple(sorted(dict.fromkeys(found)))


# ---------------------------------------------------------------------------------------------------------- names


def _unknown_names(
    tree: nodes.Template, tokens: "_Tokens", usable: Usable, functions: frozenset[str]
) -> Iterator[TemplateFlaw]:
    for name in find_undeclared_variables(tree) - usable.names - functions:
        yield tokens.flaw(
            tokens.name(name), name, f"unknown field `{name:.80}`", _hint(name, usable, functions)
        )


def _hint(name: str, usable: Usable, functions: frozenset[str]) -> str:
    if (many := f"{name}s") in usable.lists:
        return f"there are several: {{% for {name} in {many} %}}{{{{ {name}.id }}}}{{% endfor %}}"
    if name in KINDS:
        return "fields stand by their bare names: {{ symbol }}"
    if _MEMBERS in usable.lists and name in usable.lists[_MEMBERS]:
        return f"it is of each member: {{% for one in members %}}{{{{ one.{name} }}}}{{% endfor %}}; `value` is the group's"
    others = [kind for kind in KINDS if name in fields(kind)]
    return did_you_mean(
        name, sorted(usable.names | functions), f"it is a field of {', '.join(others)}" if others else ""
    )


def _unknown_attributes(
    tree: nodes.Template, tokens: "_Tokens", usable: Usable, functions: frozenset[str]
) -> Iterator[TemplateFlaw]:
    """Fields of what is linked and of the items of lists; other fields have none of their own."""
    loops = {
        loop.target.name: name
        for loop in tree.find_all(nodes.For)
        if isinstance(loop.target, nodes.Name) and (name := _list_of(loop.iter, usable.lists))
    }
    reads: list[nodes.Getattr | nodes.Getitem] = [
        *tree.find_all(nodes.Getattr),
        *tree.find_all(nodes.Getitem),
    ]
    for read in reads:
        if (field := _field_read(read)) is None:
            continue
        if isinstance(read.node, nodes.Name) and read.node.name in usable.links:
            yield from _unknown_field(field, read.node.name, frozenset(fields(read.node.name)), tokens)
        elif (of := _item_of(read.node, loops, usable.lists)) is not None:
            yield from _unknown_field(field, _one_of(of), usable.lists[of], tokens)
        elif isinstance(read.node, nodes.Name) and read.node.name in usable.names - loops.keys():
            yield from _of_a_plain_field(field, read.node.name, usable, tokens)
    for name, field in (
        *_named_to_filters(tree, usable.lists),
        *_named_to_functions(tree, usable.lists, functions),
    ):
        yield from _unknown_field(field, _one_of(name), usable.lists[name], tokens)


def _one_of(name: str) -> str:
    return f"a {_MEMBER}" if name == _MEMBERS else f"what is in {name}"


def _of_a_plain_field(field: str, of: str, usable: Usable, tokens: "_Tokens") -> Iterator[TemplateFlaw]:
    if field not in ATTRIBUTES:
        hint = f"write {{{{ {field} }}}}" if field in usable.names else ""
        yield tokens.flaw(tokens.attribute(field), field, f"`{of:.80}` has no field `{field:.80}`", hint)


def _unknown_field(
    field: str, whose: str, known: frozenset[str], tokens: "_Tokens"
) -> Iterator[TemplateFlaw]:
    if field not in known:
        hint = did_you_mean(field, sorted(known))
        yield tokens.flaw(tokens.attribute(field), field, f"unknown field `{field:.80}` of {whose}", hint)


def _field_read(read: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(read, nodes.Getattr):
        return read.attr
    return read.arg.value if isinstance(read.arg, nodes.Const) and isinstance(read.arg.value, str) else None


def _list_of(node: nodes.Node | None, lists: Collection[str]) -> str | None:
    """Which of the lists it is, sorted or some of it."""
    match node:
        case nodes.Filter() if node.name in _STILL_THEM:
            return _list_of(node.node, lists)
        case nodes.Getitem() if isinstance(node.arg, nodes.Slice):
            return _list_of(node.node, lists)
        case nodes.Name() if node.name in lists:
            return node.name
    return None


def _item_of(node: nodes.Node, loops: Map[str, str], lists: Collection[str]) -> str | None:
    """Of which list it is an item."""
    match node:
        case nodes.Name():
            return loops.get(node.name)
        case nodes.Filter() if node.name in _ONE_OF_THEM:
            return _list_of(node.node, lists)
        case nodes.Getitem() if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, int):
            return _list_of(node.node, lists)
    return None


def _named_to_filters(tree: nodes.Template, lists: Collection[str]) -> Iterator[tuple[str, str]]:
    """The fields that filters of a list are told by name, each behind the list's name."""
    for call in tree.find_all(nodes.Filter):
        if name := _list_of(call.node, lists):
            yield from ((name, field.partition(".")[0]) for field in _by_attribute(call))


def _named_to_functions(
    tree: nodes.Template, lists: Collection[str], functions: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The same of functions: `totals(positions, "profit")`."""
    for call in tree.find_all(nodes.Call):
        if not isinstance(call.node, nodes.Name) or call.node.name not in functions or not call.args:
            continue
        first, *others = call.args
        if (name := _list_of(first, lists)) is None:
            continue
        for argument in others:
            if isinstance(argument, nodes.Const) and isinstance(argument.value, str):
                yield name, argument.value


def _by_attribute(call: nodes.Filter) -> Iterator[str]:
    """The fields that a filter is told by name: `sum(attribute="profit")`, `selectattr("profit")`."""
    named = [argument.value for argument in call.kwargs if argument.key == "attribute"]
    for value in [*named, *(call.args[:1] if call.name in _BY_ATTRIBUTE else ())]:
        if isinstance(value, nodes.Const) and isinstance(value.value, str):
            yield from value.value.split(",")


# -------------------------------------------------------------------------------------------------- filters and tests


def _unknown_calls(tree: nodes.Template, tokens: "_Tokens", box: Box) -> Iterator[TemplateFlaw]:
    """They are taken out of the tree as well: Jinja looks at no further names where it doesn't know a filter."""
    for sort, kind, known, sign in (
        ("filter", nodes.Filter, box.filters, "|"),
        ("test", nodes.Test, box.tests, "is"),
    ):
        theirs = sorted(name for name in known if name[0] not in "_<>=!")
        for call in tree.find_all(kind):
            if call.name not in known:
                hint = did_you_mean(call.name, theirs, f"there are {', '.join(theirs)}")
                place = tokens.behind(sign, call.name)
                yield tokens.flaw(place, call.name, f"unknown {sort} `{call.name:.80}`", hint)
                call.name = theirs[0]


# ------------------------------------------------------------------------------------------------------------ places


class _Tokens:
    """The words of a template with their places. Jinja drops some of the space between them, and nothing else."""

    def __init__(self, source: str, box: Box) -> None:
        self._source, self._box = source, box

    @cached_property
    def _words(self) -> list[tuple[int, str]]:
        """Found only where there is something to complain of."""
        words: list[tuple[int, str]] = []
        position = 0
        for _, kind, written in self._box.lex(self._source):
            position = max(position, self._source.find(written, position))
            if kind in ("name", "operator", "string"):
                words.append((position, written))
            position += len(written)
        return words

    def name(self, name: str) -> int | None:
        """Where a variable is first read."""
        return self._first(name, lambda before: before not in (".", "|"))

    def attribute(self, name: str) -> int | None:
        """Where a field is first read behind a dot, or named in quotes."""
        found = self._first(name, lambda before: before == ".")
        if found is None:
            quoted = next((place for place, word in self._words if word[1:-1].split(",")[0] == name), None)
            found = quoted + 1 if quoted is not None else None
        return found

    def behind(self, sign: str, name: str) -> int | None:
        return self._first(name, lambda before: before in (sign, "not"))

    def flaw(self, place: int | None, word: str, message: str, hint: str) -> TemplateFlaw:
        if place is None:
            return TemplateFlaw(0, len(self._source), message, hint)
        return TemplateFlaw(place, len(word), message, hint)

    def _first(self, name: str, fits: Callable[[str], bool]) -> int | None:
        before = ""
        for place, word in self._words:
            if word == name and fits(before):
                return place
            before = word
        return None


def _plainly(message: str) -> str:
    """Jinja's own words for the signs that people write."""
    return message.replace("'end of print statement'", "`}}`").replace("'end of statement block'", "`%}`")


def _at_line(source: str, line: int, message: str) -> TemplateFlaw:
    lines = source.splitlines(keepends=True)
    offset = sum(map(len, lines[: line - 1]))
    written = lines[line - 1] if line <= len(lines) else ""
    lead = len(written) - len(written.lstrip())
    return TemplateFlaw(offset + lead, max(1, len(written.strip())), message)


def _whole(source: str, message: str) -> TemplateFlaw:
    return TemplateFlaw(0, max(1, len(source)), message)
