"""From a rule as it stands in a file to a rule that can run, or to everything that is wrong with it, at once."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tocsin import document
from tocsin.engine import written
from tocsin.engine.language import cautions, check, contradictions, thresholds, watch
from tocsin.engine.language.cautions import Supplied, Written
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.mapping import lower
from tocsin.engine.language.report import Report, did_you_mean
from tocsin.engine.language.scope import Scope, scope
from tocsin.engine.language.tree import Node
from tocsin.engine.rule import Rule
from tocsin.engine.written import CONDITIONS, WrittenRule
from tocsin.errors import Place, Problem

CheckTemplate = Callable[[str, frozenset[str]], tuple[int, str] | None]
"""Given a template and the names it may use: (line within it, counted from 0; what is wrong), or None."""

TEMPLATE_NAMES = frozenset({
    "rule", "severity", "state", "event", "value", "value_at_start", "worst", "duration", "late", "as_of", "members",
})  # fmt: skip
"""What a template may use beside the fields of what the rule watches."""

_STATE_ONLY = ("until", "for", "keep_firing_for", "on_gap")
_EVENT_ONLY = ("cooldown", "if_unknown", "per")
_NOT_WITH_EDGE = ("for", "until", "keep_firing_for", "repeat")
_SHORTEST_REPEAT = 1.0  # seconds


def _any_template(_text: str, _names: frozenset[str]) -> None:
    return None


@dataclass(frozen=True)
class Environment:
    """What rules are checked against: the rest of the configuration.

    `supplied`: venue name -> kind -> the fields that the venue gives; empty: nothing is warned about.
    """

    channels: frozenset[str]
    supplied: Supplied = field(default_factory=dict)
    check_template: CheckTemplate = _any_template


def compile_rules(
    nodes: Iterable[document.Node], environment: Environment
) -> tuple[dict[str, Rule], list[Problem]]:
    """The rules by id, in their order, and every problem of any of them. A rule with an error isn't among them."""
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    first: dict[str, Place] = {}
    for node in nodes:
        rule, found = compile_rule(node, environment)
        if isinstance(node, document.Mapping) and isinstance(entry := node.get("id"), document.Scalar):
            there = first.setdefault(entry.text, entry.place)
            if there is not entry.place:
                found.append(
                    Problem(f"there is a rule `{entry.text:.80}` already", entry.place, f"{entry.text:.100}.id",
                            f"the first is at {there.file}:{there.line}")
                )  # fmt: skip
                rule = None
        if rule is not None:
            rules[rule.id] = rule
        problems += in_order(found)
    return rules, problems


def compile_rule(node: document.Node, environment: Environment) -> tuple[Rule | None, list[Problem]]:
    """The rule, or None where there is an error among the problems; they are in the order of the lines."""
    problems: list[Problem] = []
    if not isinstance(node, document.Mapping):
        return None, [Problem("a rule is a mapping: id, watch, when, …", node.place)]
    name = node.get("id")
    report = Report(name.text[:100] if isinstance(name, document.Scalar) else "", problems)
    rule = _Compiling(node, environment, report).rule()
    return (None if report.errors else rule), in_order(problems)


def in_order(problems: list[Problem]) -> list[Problem]:
    """As one reads the file, from its top."""
    return sorted(
        problems, key=lambda problem: (problem.place.line, problem.place.column) if problem.place else (0, 0)
    )


class _Compiling:
    """One rule on its way. Each step adds what it finds to the report and goes on as far as it makes sense."""

    def __init__(self, node: document.Mapping, environment: Environment, report: Report) -> None:
        self._node = node
        self._environment = environment
        self._report = report
        self._trees: dict[str, Node] = {}

    def rule(self) -> Rule | None:
        said = written.read(self._node, self._report)
        if said is None:
            return None
        self._notify(said)
        watched = watch.read(self._at("watch"), self._report.under("watch"))
        if watched is None:
            return None
        readable = scope(watched.kinds, bool(watched.events))
        for key in CONDITIONS:
            self._condition(key, readable)
        self._keys(watched)
        contradictions.find(self._trees, self._at("until").place, self._report)
        self._templates(said, readable)
        self._value(said, readable)
        self._cautions(watched)
        return None if self._report.errors else self._built(said, watched)

    # ------------------------------------------------------------------------------------------------------ checks

    def _at(self, key: str) -> document.Node:
        return document.find(self._node, (key,))

    def _given(self, *keys: str) -> list[document.Scalar]:
        return [self._node.entries[key].key for key in keys if key in self._node.entries]

    def _condition(self, key: str, readable: Scope) -> None:
        node = self._node.get(key)
        if node is None:
            return
        self._report.under(key)
        problems: list[Problem] = []
        tree = lower(node, problems)
        for problem in problems:
            self._report.add(problem)
        if tree is not None and (checked := check.check(tree, readable, self._report)) is not None:
            self._trees[key] = checked

    def _keys(self, watched: watch.Watch) -> None:
        """Keys that mean nothing in a rule of this sort are refused: whoever wrote them expects something of them."""
        self._report.under("")
        if watched.events:
            for key in self._given(*_STATE_ONLY):
                self._report.error(f"`{key.text}` is for state rules; this one watches an event", key.place,
                                   f"watch `{watched.kinds[0]}` (without a dot) to look at what is so")  # fmt: skip
            return
        for key in self._given(*_EVENT_ONLY):
            self._report.error(f"`{key.text}` is for event rules; this one watches what is so", key.place)
        if "when" not in self._node.entries:
            self._report.error(f"a rule that watches `{watched.kinds[0]}` needs a `when`", self._at("watch").place,
                               f"or watch what happens to it: {watched.kinds[0]}.*")  # fmt: skip
        elif "when" in self._trees and TreeCondition(self._trees["when"]).edge:
            for key in self._given(*_NOT_WITH_EDGE):
                self._report.error(f"`{key.text}` makes no sense here: `when` is true for a moment only", key.place,
                                   "crosses_above, crosses_below and changed are told each time they are true")  # fmt: skip

    def _notify(self, said: WrittenRule) -> None:
        node = self._node.get("notify")
        if node is None or said.notify is None:
            return
        self._report.under("notify")
        known = tuple(sorted(self._environment.channels))
        for item in node if isinstance(node, document.Sequence) else [node]:
            if isinstance(item, document.Scalar) and item.text not in known:
                there = f"there are {', '.join(known)}" if known else "the config has no `channels`"
                self._report.error(f"no channel is called `{item.text:.80}`", item.place,
                                   did_you_mean(item.text, known, there))  # fmt: skip
        if not said.notify:
            self._report.warning("an empty list: nobody is told", node.place)

    def _templates(self, said: WrittenRule, readable: Scope) -> None:
        names = TEMPLATE_NAMES.union(name for name in readable.names if "." not in name)
        for key, template in (("title", said.title), ("message", said.message)):
            node = self._node.get(key)
            if template is None or not isinstance(node, document.Scalar):
                continue
            if wrong := self._environment.check_template(template, names):
                line, message = wrong
                several = "\n" in template.strip()
                self._report.under(key).error(
                    f"line {line + 1} of the text: {message}" if several else message, node.place
                )

    def _value(self, said: WrittenRule, readable: Scope) -> None:
        if said.value is None:
            return
        self._report.under("value")
        place = self._at("value").place
        known = readable.fields.get(said.value)
        if known is None:
            message, hint = readable.unknown(said.value)
            self._report.error(message, place, hint)
        elif known.type != "number":
            self._report.error(f"`{said.value}` is no number", place)

    def _cautions(self, watched: watch.Watch) -> None:
        conditions = [Written(key, tree) for key, tree in self._trees.items()]
        if watched.events:
            judged = [TreeCondition(each.tree) for each in conditions]
            guarded = "cooldown" in self._node.entries or any(condition.edge for condition in judged)
            cautions.floods(watched, guarded=guarded, level=bool(judged), report=self._report)
        elif "on_gap" in self._node.entries and watched.kinds == ("venue",):
            self._report.under("on_gap").warning(
                "has no effect on a rule that watches `venue`", self._at("on_gap").place
            )
        cautions.unsupplied(watched, conditions, self._environment.supplied, self._report)

    # ----------------------------------------------------------------------------------------------------- the rule

    def _built(self, said: WrittenRule, watched: watch.Watch) -> Rule | None:
        if said.repeat is not None and said.repeat.total_seconds() < _SHORTEST_REPEAT:
            self._report.under("repeat").error(
                "a reminder more often than each second", self._at("repeat").place
            )
            return None
        conditions = {key: TreeCondition(tree) for key, tree in self._trees.items()}
        when = self._trees.get("when") or self._trees.get("where")
        spoken = thresholds.spoken_of(when) if when else None
        value_of = said.value or (spoken[0] if spoken else None)
        return Rule(
            id=said.id,
            kinds=frozenset(watched.kinds),
            events=watched.events,
            when=conditions.get("when"),
            until=conditions.get("until"),
            where=conditions.get("where"),
            for_=said.for_.total_seconds(),
            keep_firing_for=said.keep_firing_for.total_seconds(),
            repeat=said.repeat.total_seconds() if said.repeat is not None else None,
            cooldown=said.cooldown.total_seconds() if said.cooldown is not None else None,
            per=_grouping(said),
            if_unknown=said.if_unknown,
            on_gap=said.on_gap,
            severity=said.severity,
            notify=tuple(dict.fromkeys(said.notify)) if said.notify is not None else None,
            title=said.title,
            message=said.message,
            value_of=value_of,
            worst_is=thresholds.worse_end(when, value_of) if when and value_of else "highest",
            enabled=said.enabled,
            fingerprint=_fingerprint(said, watched, conditions),
        )


def _grouping(said: WrittenRule) -> tuple[str, ...] | None:
    """`per`, each field once; an account is only known together with its venue."""
    if said.per is None:
        return None
    brought = ("venue",) if "account" in said.per else ()
    return tuple(dict.fromkeys((*brought, *said.per)))


def _fingerprint(said: WrittenRule, watched: watch.Watch, conditions: Mapping[str, TreeCondition]) -> str:
    """The same for rules that mean the same: in either spelling, with whatever texts, channels and severity."""
    meaning = {
        "watch": sorted(watched.events or watched.kinds),
        **{key: condition.source for key, condition in conditions.items()},
        "for": said.for_.total_seconds(),
        "keep_firing_for": said.keep_firing_for.total_seconds(),
        "repeat": said.repeat.total_seconds() if said.repeat is not None else None,
        "cooldown": said.cooldown.total_seconds() if said.cooldown is not None else None,
        "per": sorted(_grouping(said) or ()) if said.per is not None else None,
        "if_unknown": said.if_unknown,
        "on_gap": said.on_gap,
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]
