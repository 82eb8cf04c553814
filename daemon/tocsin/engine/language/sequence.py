"""`then` and `unless` as a user writes them: the second event of a sequence, and how it belongs to the first."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tocsin import document
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.mapping import lower
from tocsin.engine.language.scope import Readable, Scope, Watch, read_watch, scope
from tocsin.engine.language.typecheck import SAID, check
from tocsin.engine.rule import SequenceSpec
from tocsin.errors import Problem, Report
from tocsin.events.links import holder_of
from tocsin.events.vocabulary import did_you_mean
from tocsin.quantities import parse_duration

KEYS = ("watch", "when", "match", "within")
_FIRST = "first."

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "watch": {"$ref": "#/$defs/Watched"},
        "when": {
            "$ref": "#/$defs/Condition",
            "description": "which of them count; first.FIELD is a field of the first event's entity",
        },
        "match": {
            "type": "object",
            "description": "a field of the second: the field of the first that it is equal to",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "examples": [{"order_id": "id"}],
        },
        "within": {"$ref": "#/$defs/Duration"},
    },
    "required": ["watch", "within"],
    "additionalProperties": False,
}


def read(
    sort: str, node: document.Node, first: Watch, per: tuple[str, ...] | None, report: Report
) -> SequenceSpec | None:
    """The second event under `then` or `unless`; None after everything that is wrong with it was reported."""
    before = report.errors
    report.under(sort)
    if not isinstance(node, document.Mapping):
        report.error(f"`{sort}` is a mapping", node.place, "write {watch: order.filled, within: 5m}")
        return None
    for entry in node:
        if entry.key.text not in KEYS:
            hint = did_you_mean(entry.key.text, KEYS, f"there are {', '.join(KEYS)}")
            report.error(f"unknown key `{entry.key.text:.80}`", entry.key.place, hint)
    for key in ("watch", "within"):
        if key not in node.entries:
            report.error(f"`{key}` is missing", node.place)
    within = _within(node, sort, report)
    watch = _watch(node, sort, report)
    if watch is None:
        return None
    readable = following(watch, first)
    when = _when(node, sort, readable, report)
    match = _match(node, sort, readable, report)
    same = len(first.kinds) == 1 and watch.kinds == first.kinds
    if "match" not in node.entries and per is None and not same:
        report.under(sort).error(
            "`match` is missing: which of these belongs to which of those?",
            node.entries["watch"].key.place,
            f"write match: {{field of {_or(watch.kinds)}: field of {_or(first.kinds)}}}, or `per` in the rule",
        )
    if report.errors > before or within is None:
        return None
    return SequenceSpec(
        awaited=sort == "then",
        kinds=frozenset(watch.kinds),
        events=watch.events,
        when=when,
        match=match,
        within=within,
        same_kind=same,
    )


def following(watch: Watch, first: Watch) -> Scope:
    """What the second's `when` can read: its own entity, and with `first.` the first event's."""
    own = scope(watch.kinds, True)
    earlier = scope(first.kinds, True)
    fields: dict[str, Readable] = dict(own.fields)
    for name, readable in earlier.fields.items():
        if name != "event" and not holder_of(name):
            fields[f"{_FIRST}{name}"] = replace(readable, name=f"{_FIRST}{name}")
    return replace(own, fields=fields)


def spelled(sequence: SequenceSpec) -> str:
    """The same for sequels that mean the same."""
    when = sequence.when.source if sequence.when else ""
    return f"{sequence.awaited} {sorted(sequence.events)} {when} {sorted(sequence.match)} {sequence.within}"


def _within(node: document.Mapping, sort: str, report: Report) -> float | None:
    value = node.get("within")
    if value is None:
        return None
    report.under(f"{sort}.within")
    try:
        within = parse_duration(value.value if isinstance(value, document.Scalar) else None).total_seconds()
    except ValueError as error:
        report.error(str(error), value.place)
        return None
    if within <= 0:
        report.error("a time that is over at once", value.place)
    return within


def _watch(node: document.Mapping, sort: str, report: Report) -> Watch | None:
    value = node.get("watch")
    if value is None:
        return None
    watch = read_watch(value, report.under(f"{sort}.watch"))
    if watch is None:
        return None
    if not watch.events:
        kind = watch.kinds[0]
        report.error(f"`{sort}` is about something that happens; `{kind}` has no dot: it is something that is so",
                     value.place, f"watch what happens to it: {kind}.*")  # fmt: skip
        return None
    return watch


def _when(node: document.Mapping, sort: str, readable: Scope, report: Report) -> TreeCondition | None:
    value = node.get("when")
    if value is None:
        return None
    report.under(f"{sort}.when")
    problems: list[Problem] = []
    tree = lower(value, problems)
    for problem in problems:
        report.add(problem)
    checked = check(tree, readable, report) if tree is not None else None
    return TreeCondition(checked) if checked is not None else None


def _match(node: document.Mapping, sort: str, readable: Scope, report: Report) -> tuple[tuple[str, str], ...]:
    value = node.get("match")
    if value is None:
        return ()
    report.under(f"{sort}.match")
    if not isinstance(value, document.Mapping) or not value.entries:
        report.error("`match` says which fields are equal", value.place,
                     "write {order_id: id}: a field of the second event, and of the first")  # fmt: skip
        return ()
    pairs = []
    for entry in value:
        if not isinstance(entry.value, document.Scalar):
            report.error("the name of a field of the first event must stand here", entry.value.place)
            continue
        second = _field(entry.key, entry.key.text, readable.fields, readable, report)
        firsts = {
            name.removeprefix(_FIRST): field
            for name, field in readable.fields.items()
            if name.startswith(_FIRST)
        }
        earlier = _field(entry.value, entry.value.text, firsts, readable, report)
        if second is None or earlier is None:
            continue
        if second.type != earlier.type:
            report.error(
                f"`{entry.key.text}` is {SAID[second.type]}, `{entry.value.text}` of the first is {SAID[earlier.type]}:"
                " they are never equal",
                entry.value.place,
            )
        pairs.append((entry.key.text, entry.value.text))
    return tuple(pairs)


def _field(
    written: document.Scalar, name: str, fields: Mapping[str, Readable], readable: Scope, report: Report
) -> Readable | None:
    field = fields.get(name)
    if field is not None and field.type != "event" and "." not in name:
        return field
    known = tuple(known for known in fields if "." not in known and known != "event")
    whose = "the first" if fields is not readable.fields else readable.thing
    report.error(f"unknown field `{name:.80}` of {whose}", written.place,
                 did_you_mean(name, known, "`tocsin fields` lists them"))  # fmt: skip
    return None


def _or(kinds: tuple[str, ...]) -> str:
    return " or ".join(kinds)
