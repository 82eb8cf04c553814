"""What is wrong with a template, found before it runs: all of it at once, each with its place in the text."""

from collections.abc import Callable, Iterator
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
_MEMBERS = "members"
_STILL_MEMBERS = frozenset({"list", "sort", "unique", "select", "reject", "selectattr", "rejectattr"})
_ONE_OF_THEM = frozenset({"first", "last", "min", "max"})
_BY_ATTRIBUTE = frozenset({"selectattr", "rejectattr"})
_BOX = Box()


def check_template(source: str, usable: Usable) -> tuple[TemplateFlaw, ...]:
    """All that is wrong with a template, in its order."""
    if len(source) > LONGEST_SOURCE:
        return (_whole(source, f"a template of more than {LONGEST_SOURCE} characters"),)
    try:
        tree, tokens = _BOX.parse(source), _Tokens(source)
        found = [
            *_unknown_calls(tree, tokens),
            *_unknown_names(tree, tokens, usable.names | MESSAGE_NAMES, usable.members),
            *_unknown_attributes(tree, tokens, usable),
        ]
        if not found:
            _BOX.ready(source)
    except TemplateSyntaxError as error:
        return (_at_line(source, error.lineno, f"not a template: {_plainly(error.message or '')}"),)
    except RecursionError:
        return (_whole(source, "nested too deeply"),)
    return tuple(sorted(dict.fromkeys(found)))


# ---------------------------------------------------------------------------------------------------------- names


def _unknown_names(
    tree: nodes.Template, tokens: "_Tokens", names: frozenset[str], members: frozenset[str]
) -> Iterator[TemplateFlaw]:
    for name in find_undeclared_variables(tree) - names - set(_BOX.globals):
        yield tokens.flaw(tokens.name(name), name, f"unknown field `{name:.80}`", _hint(name, names, members))


def _hint(name: str, names: frozenset[str], members: frozenset[str]) -> str:
    if name in KINDS:
        return "fields stand by their bare names: {{ symbol }}"
    if name in members:
        return f"it is of each member: {{% for one in members %}}{{{{ one.{name} }}}}{{% endfor %}}; `value` is the group's"
    others = [kind for kind in KINDS if name in fields(kind)]
    return did_you_mean(name, sorted(names), f"it is a field of {', '.join(others)}" if others else "")


def _unknown_attributes(tree: nodes.Template, tokens: "_Tokens", usable: Usable) -> Iterator[TemplateFlaw]:
    """Fields of what is linked and of a group's members; other fields have none of their own."""
    members = usable.members
    one_of_them = frozenset(
        loop.target.name
        for loop in tree.find_all(nodes.For)
        if isinstance(loop.target, nodes.Name) and _is_members(loop.iter)
    )
    reads: list[nodes.Getattr | nodes.Getitem] = [
        *tree.find_all(nodes.Getattr),
        *tree.find_all(nodes.Getitem),
    ]
    for read in reads:
        if (field := _field_read(read)) is None:
            continue
        if isinstance(read.node, nodes.Name) and read.node.name in usable.links:
            whose, known = read.node.name, frozenset(fields(read.node.name))
        elif _is_member(read.node, one_of_them):
            whose, known = "a member", frozenset(members)
        else:
            if isinstance(read.node, nodes.Name) and read.node.name in usable.names - one_of_them:
                yield from _of_a_plain_field(field, read.node.name, usable, tokens)
            continue
        yield from _unknown_field(field, whose, known, tokens)
    for call in tree.find_all(nodes.Filter):
        if call.node is not None and _is_members(call.node):
            for field in _by_attribute(call):
                yield from _unknown_field(field.partition(".")[0], "a member", members, tokens)


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


def _is_members(node: nodes.Node) -> bool:
    """`members`, sorted or some of them."""
    if isinstance(node, nodes.Filter):
        return node.name in _STILL_MEMBERS and node.node is not None and _is_members(node.node)
    return isinstance(node, nodes.Name) and node.name == _MEMBERS


def _is_member(node: nodes.Node, one_of_them: frozenset[str]) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in one_of_them
    if isinstance(node, nodes.Filter):
        return node.name in _ONE_OF_THEM and node.node is not None and _is_members(node.node)
    return (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, int)
        and _is_members(node.node)
    )


def _by_attribute(call: nodes.Filter) -> Iterator[str]:
    """The fields that a filter is told by name: `sum(attribute="profit")`, `selectattr("profit")`."""
    named = [argument.value for argument in call.kwargs if argument.key == "attribute"]
    for value in [*named, *(call.args[:1] if call.name in _BY_ATTRIBUTE else ())]:
        if isinstance(value, nodes.Const) and isinstance(value.value, str):
            yield from value.value.split(",")


# -------------------------------------------------------------------------------------------------- filters and tests


def _unknown_calls(tree: nodes.Template, tokens: "_Tokens") -> Iterator[TemplateFlaw]:
    """They are taken out of the tree as well: Jinja looks at no further names where it doesn't know a filter."""
    for sort, kind, known, sign in (
        ("filter", nodes.Filter, _BOX.filters, "|"),
        ("test", nodes.Test, _BOX.tests, "is"),
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

    def __init__(self, source: str) -> None:
        self._source = source

    @cached_property
    def _words(self) -> list[tuple[int, str]]:
        """Found only where there is something to complain of."""
        words: list[tuple[int, str]] = []
        position = 0
        for _, kind, written in _BOX.lex(self._source):
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
