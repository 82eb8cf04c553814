"""What a rule's keys say: whether they fit its sort, and whether what they name exists; `then` and `unless`: the second event of a
sequence, and how it belongs to the first.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import NamedTuple

from tocsin import document
from tocsin.engine.index import named_groups
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.mapping import lower
from tocsin.engine.language.scope import Readable, Scope, Watch, read_watch, scope
from tocsin.engine.language.typecheck import SAID, check
from tocsin.engine.rule import Rule, SequenceSpec
from tocsin.engine.rule_schema import SEQUENCES, RuleConfig
from tocsin.engine.samples import MOST_INSTANCES
from tocsin.errors import Problem, Report
from tocsin.events.links import LINKS, holder_of
from tocsin.events.vocabulary import did_you_mean, fields
from tocsin.quantities import parse_duration


class TemplateFlaw(NamedTuple):
    """One thing wrong with a template; `offset` and `length` are of what the caret stands under, in its text."""

    offset: int
    length: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Usable:
    """What a template may use: names, by the names of `lists` the fields of what is in them, and the fields of what is linked."""

    names: frozenset[str]
    lists: Mapping[str, frozenset[str]]
    links: frozenset[str] = frozenset({"account"})


CheckTemplate = Callable[[str, Usable], Sequence[TemplateFlaw]]
"""Given a template and what it may use: all that is wrong with it."""

TEMPLATE_NAMES = frozenset({
    "rule", "severity", "state", "event", "value", "value_at_start", "worst", "duration", "late", "as_of", "members",
})  # fmt: skip
"""What a template may use beside the fields of what the rule watches."""

_STATE_ONLY = ("until", "for", "keep_firing_for", "on_gap")
_SEQUENCE = "watch an event of it, such as {0}.*, to tell what follows what"
# And what to do instead, where what is so is watched.
_EVENT_ONLY = {
    "cooldown": "what is so is told once: `keep_firing_for` makes one alert of a flutter, `for` waits before it tells, `repeat` reminds",
    "if_unknown": "here what is unknown neither starts nor ends anything; ask for it with missing(…), or put default(…, …) in its place",
    "absent": "what has fallen silent is found by `when: time_since(last_seen) > 60s`",
    "then": _SEQUENCE,
    "unless": _SEQUENCE,
}
_EXCLUDING = (
    (*SEQUENCES, "make a rule for each"),
    ("absent", "when", "say in `where` which of them count"),
    ("absent", "cooldown", "it fires once, until one comes; `repeat` reminds of it"),
    *(("absent", key, "make a rule for each") for key in SEQUENCES),
    ("absent", "if_unknown", "one of which it isn't known whether it passes `where` hasn't come"),
    ("absent", "value", "what doesn't come has no number"),
)
"""Pairs of keys of event rules that can't stand in one, and what to do instead of the second."""
_NOT_WITH_EDGE = ("for", "until", "keep_firing_for", "repeat")


def misplaced(
    node: document.Mapping, watch: Watch, conditions: Mapping[str, TreeCondition], report: Report
) -> None:
    """Keys that mean nothing in a rule of this sort are refused: whoever wrote them expects something of them."""
    report.under("")
    if watch.events:
        for key in _given(node, _STATE_ONLY):
            report.error(f"`{key.text}` is for state rules; this one watches an event", key.place,
                         f"watch `{watch.kinds[0]}` (without a dot) to look at what is so")  # fmt: skip
        _excluding(node, report)
        return
    for key in _given(node, tuple(_EVENT_ONLY)):
        report.error(f"`{key.text}` is for event rules; this one watches what is so", key.place,
                     _EVENT_ONLY[key.text].format(watch.kinds[0]))  # fmt: skip
    if "when" not in node.entries:
        report.error(f"a rule that watches `{watch.kinds[0]}` needs a `when`", document.find(node, ("watch",)).place,
                     f"or watch what happens to it: {watch.kinds[0]}.*")  # fmt: skip
    elif "when" in conditions and conditions["when"].edge:
        for key in _given(node, _NOT_WITH_EDGE):
            report.error(f"`{key.text}` makes no sense here: `when` is true for a moment only", key.place,
                         "crosses_above, crosses_below and changed are told each time they are true")  # fmt: skip
    if watch.kinds == ("venue",):
        for key in _given(node, ("on_gap",)):
            report.warning("`on_gap` has no effect on a rule that watches `venue`", key.place)


def _excluding(node: document.Mapping, report: Report) -> None:
    for one, other, instead in _EXCLUDING:
        for key in _given(node, (other,)) if one in node.entries else ():
            report.error(f"`{one}` and `{other}` can't stand in one rule", key.place, instead)


def templated(
    node: document.Mapping,
    said: RuleConfig,
    usable: Usable,
    wrong_with: CheckTemplate,
    report: Report,
) -> None:
    """`title` and `message` are templates over what the rule watches."""
    for key, template in (("title", said.title), ("message", said.message)):
        written = node.get(key)
        if template is None or not isinstance(written, document.Scalar):
            continue
        for flaw in wrong_with(template, usable):
            place = written.within(flaw.offset, flaw.length)
            unplaced = place is written.place and "\n" in template.strip()
            line = template.count("\n", 0, flaw.offset) + 1
            report.under(key).error(f"line {line} of the text: {flaw.message}" if unplaced else flaw.message, place, flaw.hint)  # fmt: skip


@cache
def usable(kinds: tuple[str, ...], per: tuple[str, ...] | None = None) -> Usable:
    """What templates of a rule on these kinds may use; on groups by `per`: what their entities have in common."""
    members = frozenset(name for kind in kinds for name in fields(kind))
    names = frozenset(name for name in scope(kinds, event_rule=True).names if "." not in name)
    if per is not None:
        names = frozenset({*per, "venue", "kind", *({"currency"} & names)})
        return Usable(TEMPLATE_NAMES | names, {"members": members})
    links = frozenset(link.kind for link in LINKS.values() if link.of.issuperset(kinds))
    return Usable(TEMPLATE_NAMES | names | links, {"members": members}, links | {"account"})


_MARKET_AND_VENUE = re.compile(r"\b(ticker|venue)\b(?:\s*\.\s*(\w+))?")


def linked_fields(
    said: RuleConfig,
    conditions: Mapping[str, TreeCondition],
    second: SequenceSpec | None,
    value_of: str | None,
) -> frozenset[str]:
    """What of tickers and venues is named; in a template one may be any."""
    read = [*conditions.values(), *([second.when] if second is not None and second.when is not None else [])]
    names = {name for condition in read for name in condition.fields} | {value_of or ""}
    names |= {
        f"{link}.{field or '*'}"
        for template in (said.title, said.message)
        for link, field in _MARKET_AND_VENUE.findall(template or "")
    }
    return frozenset(name for name in names if name.startswith(("ticker.", "venue.")))


def valued(node: document.Mapping, said: RuleConfig, readable: Scope, report: Report) -> None:
    """`value` is a number of what the rule watches."""
    if said.value is None:
        return
    report.under("value")
    place = node.entries["value"].value.place
    known = readable.fields.get(said.value)
    if known is None:
        message, hint = readable.unknown(said.value)
        report.error(message, place, hint)
    elif known.type != "number":
        report.error(f"`{said.value}` is no number", place)


def valued_of_group(
    node: document.Mapping, said: RuleConfig, numbers: Collection[str], report: Report
) -> None:
    """`value` is one of the group's numbers that the conditions speak of."""
    if said.value is not None and said.value not in numbers:
        known = tuple(numbers)
        report.under("value").error(f"`{said.value:.80}` is no number of the group that the rule speaks of",
                                    node.entries["value"].value.place,
                                    f"there are {', '.join(known)}" if known else "")  # fmt: skip


def counted_groups(node: document.Mapping, rule: Rule, report: Report) -> None:
    """Of a rule with `absent`: that it counts for something from the start, and not for more than can be kept."""
    here, named = node.entries["absent"].key.place, len([*islice(named_groups(rule), MOST_INSTANCES + 1)])
    told = report.under("absent")
    if rule.per is None and not named:
        told.warning(
            "counts for each venue and account from what first comes: where nothing ever came, nothing is missed",
            here, "write `per: []` for any at all, or name them in `where`",
        )  # fmt: skip
    if named > MOST_INSTANCES:
        told.error(f"`where` names more than {MOST_INSTANCES:,} groups", here, "group `per` fewer fields")


def _given(node: document.Mapping, keys: tuple[str, ...]) -> list[document.Scalar]:
    return [node.entries[key].key for key in keys if key in node.entries]


# ------------------------------------------------------------------------------------------------- `then` and `unless`

_OF_SECOND = ("watch", "when", "match", "within")
_FIRST = "first."


def read_sequence(
    sort: str, node: document.Node, first: Watch, per: tuple[str, ...] | None, report: Report
) -> SequenceSpec | None:
    """The second event under `then` or `unless`; None after everything that is wrong with it was reported."""
    before = report.errors
    report.under(sort)
    if not isinstance(node, document.Mapping):
        report.error(f"`{sort}` is a mapping", node.place, "write {watch: order.filled, within: 5m}")
        return None
    for entry in node:
        if entry.key.text not in _OF_SECOND:
            hint = did_you_mean(entry.key.text, _OF_SECOND, f"there are {', '.join(_OF_SECOND)}")
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


def spelled_sequence(sequence: SequenceSpec) -> str:
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
