"""From a rule as it stands in a file to a rule that can run, or to everything that is wrong with it, at once."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from tocsin import document
from tocsin.calendars import NO_CALENDARS, Calendar, Calendars, calendar_text, is_windows, read_calendar
from tocsin.engine.api import Severity
from tocsin.engine.inhibition import inhibition_problems
from tocsin.engine.instances import BY_DEFAULT
from tocsin.engine.language import lint
from tocsin.engine.language.ast import Node
from tocsin.engine.language.bounds import value_field, value_limit
from tocsin.engine.language.condition import TreeCondition, numbers_of, put_together
from tocsin.engine.language.describe import is_computed, words
from tocsin.engine.language.evaluator import evaluator
from tocsin.engine.language.lint import Supplied
from tocsin.engine.language.mapping import lower
from tocsin.engine.language.scope import Scope, Watch, grouped, read_watch, scope
from tocsin.engine.language.typecheck import check
from tocsin.engine.rule import EscalationStep, Inhibitor, Rule, Run, SequenceSpec
from tocsin.engine.rule_keys import (
    CheckTemplate,
    Usable,
    counted_groups,
    linked_fields,
    misplaced,
    read_sequence,
    spelled_sequence,
    templated,
    usable,
    valued,
    valued_of_group,
)
from tocsin.engine.rule_recipients import escalated, lasting, notified, started
from tocsin.engine.rule_schema import (
    CONDITIONS,
    HOURS,
    SEQUENCES,
    EscalationConfig,
    RuleConfig,
    RunConfig,
    read_rule,
)
from tocsin.errors import Place, Problem, Report
from tocsin.events.vocabulary import did_you_mean


def _any_template(_text: str, _usable: Usable) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Environment:
    """What rules are checked against: the rest of the configuration.

    `supplied`: venue name -> kind -> the fields that the venue gives; empty: nothing is warned about. `limits`: each channel's
    `min_severity`, as far as it is known. `complete`: whether the rules are all that there are.
    """

    channels: frozenset[str]
    supplied: Supplied = field(default_factory=dict)
    check_template: CheckTemplate = _any_template
    calendars: Calendars = NO_CALENDARS
    limits: Mapping[str, Severity] = field(default_factory=dict)
    complete: bool = True
    actions: frozenset[str] = frozenset()


def compile_rules(
    nodes: Iterable[document.Node], environment: Environment
) -> tuple[dict[str, Rule], list[Problem]]:
    """The rules by id, in their order, and every problem of any of them. A rule with an error isn't among them."""
    environment = replace(environment, check_template=cache(environment.check_template))
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    first: dict[str, Place] = {}
    given: dict[str, document.Mapping] = {}
    for node in nodes:
        rule, found = compile_rule(node, environment)
        if isinstance(node, document.Mapping) and isinstance(entry := node.get("id"), document.Scalar):
            there = first.setdefault(entry.text, entry.place)
            given.setdefault(entry.text, node)
            if there is not entry.place:
                found.append(
                    Problem(f"there is a rule `{entry.text:.100}` already", entry.place, f"{entry.text:.100}.id",
                            f"the first is at {there.file}:{there.line}")
                )  # fmt: skip
                rule = None
        if rule is not None:
            rules[rule.id] = rule
        problems += _in_order(found)
    problems += inhibition_problems(given, rules, complete=environment.complete)
    return rules, problems


def compile_rule(node: document.Node, environment: Environment) -> tuple[Rule | None, list[Problem]]:
    """The rule, or None where there is an error among the problems; they are in the order of the lines."""
    if not isinstance(node, document.Mapping):
        return None, [Problem("a rule is a mapping: id, watch, when, …", node.place)]
    problems: list[Problem] = []
    name = node.get("id")
    report = Report(name.text[:100] if isinstance(name, document.Scalar) else "", problems)
    rule = _compile(node, environment, report)
    return (None if report.errors else rule), _in_order(problems)


def _compile(node: document.Mapping, environment: Environment, report: Report) -> Rule | None:
    """Each step adds what it finds to the report, and the next goes on as far as it makes sense."""
    said = read_rule(node, report)
    if said is None:
        return None
    notified(node, said, environment.channels, report)
    escalated(node, said, environment.channels, environment.limits, report)
    lasting(node, said, report)
    started(node, said, environment.actions, report)
    watch = read_watch(node.entries["watch"].value, report.under("watch"))
    if watch is None:
        return None
    sequence = any(key in node.entries for key in SEQUENCES)
    grouped(node, said.per, watch, report, sequence=sequence, absent=said.absent is not None)
    per = _grouping(said)
    readable = replace(scope(watch.kinds, bool(watch.events)), tz=environment.calendars.tz)
    conditions, unsound = _conditions(node, readable, watch, report)
    trees = {key: condition.tree for key, condition in conditions.items()}
    misplaced(node, watch, conditions, report)
    if per is not None or "per" not in node.entries:  # else what was meant isn't known
        lint.placed(trees | unsound, watch, per, report, absent=said.absent is not None)
    lint.counted_samples(trees, report)
    lint.contradictions(trees, document.find(node, ("until",)).place, report)
    _texts(
        node,
        said,
        watch,
        None if unsound else conditions,
        wrong_with=environment.check_template,
        report=report,
    )
    if watch.events and said.absent is None:
        held = any(condition.edge or condition.counted for condition in conditions.values())
        lint.floods(watch, guarded=said.cooldown is not None or held, level=bool(conditions), report=report)
        if said.if_unknown == "tell":
            lint.unknown_at_first(watch, conditions, report)
        if per is not None:
            lint.summed_by_entity(watch, conditions, report)
    lint.quiet_is_not_silent(watch, conditions, report)
    if said.absent is not None:
        lint.absence_is_not_silence(watch, report)
    lint.unsupplied(
        watch,
        conditions,
        environment.supplied,
        report,
        tells_unknown=bool(watch.events) and said.absent is None and said.if_unknown == "tell",
        tells_absence=said.absent is not None,
    )
    second = _second(node, watch, per, report)
    hours = _hours(node, said, environment, report)
    rule = None if report.errors else _built(said, watch, conditions, hours, second)
    if rule is not None and rule.absent is not None:
        counted_groups(node, rule, report)
    return None if report.errors else rule


def _second(
    node: document.Mapping, watch: Watch, per: tuple[str, ...] | None, report: Report
) -> SequenceSpec | None:
    """What `then` or `unless` waits for."""
    for sort in SEQUENCES:
        if sort in node.entries:
            second = read_sequence(sort, node.entries[sort].value, watch, per, report)
            if second is not None and isinstance(second.when, TreeCondition):
                lint.no_memory(second.when, report.under(f"{sort}.when"))
            return second
    return None


def _hours(
    node: document.Mapping, said: RuleConfig, environment: Environment, report: Report
) -> dict[str, Calendar | None]:
    """The calendars of the rule, by their keys."""
    return {
        key: _named_calendar(
            node.entries[key].value, environment.calendars, f"{said.id}.{key}", report.under(key)
        )
        for key in HOURS
        if key in node.entries
    }


def _named_calendar(node: document.Node, calendars: Calendars, path: str, report: Report) -> Calendar | None:
    """The calendar that a rule names or writes in place; None after complaining."""
    if is_windows(node) or not isinstance(node, document.Scalar):
        return read_calendar(node, calendars.tz, path, report.add)
    if node.text in calendars.named:
        return calendars.named[node.text]
    known = tuple(calendars.named)
    there = f"there are {', '.join(known)}" if known else "the config has no `calendars`"
    report.error(
        f"no calendar is called `{node.text:.80}`", node.place, did_you_mean(node.text, known, there)
    )
    return None


def _conditions(
    node: document.Mapping, readable: Scope, watch: Watch, report: Report
) -> tuple[dict[str, TreeCondition], dict[str, Node]]:
    """The conditions that the rule has and that are sound, by their keys; and the trees of those that are not."""
    conditions: dict[str, TreeCondition] = {}
    unsound: dict[str, Node] = {}
    for key in CONDITIONS:
        if key not in node.entries:
            continue
        problems: list[Problem] = []
        tree = lower(node.entries[key].value, problems)
        for problem in problems:
            report.under(key).add(problem)
        known = replace(readable, among=_among(watch, conditions.get("where")))
        if tree is None:
            continue
        checked = check(tree, known, report.under(key))
        if checked is not None:
            conditions[key] = TreeCondition(checked)
        else:
            unsound[key] = tree
    return conditions, unsound


def _among(watch: Watch, where: TreeCondition | None) -> str:
    """Which events take part, in words; empty where all do."""
    names = ", ".join(sorted(watch.events))
    return " where ".join(part for part in (names, where.source if where else "") if part)


def _texts(
    node: document.Mapping,
    said: RuleConfig,
    watch: Watch,
    conditions: Mapping[str, TreeCondition] | None,
    *,
    wrong_with: CheckTemplate,
    report: Report,
) -> None:
    """What the messages say. `conditions` None: one of them isn't sound, so that what the rule speaks of isn't known."""
    per = _grouping(said)
    if said.absent is not None:
        templated(node, said, usable(watch.kinds, per if per is not None else BY_DEFAULT), wrong_with, report)
    elif watch.events or per is None:
        templated(node, said, usable(watch.kinds), wrong_with, report)
        valued(node, said, scope(watch.kinds, bool(watch.events)), report)
    else:
        templated(node, said, usable(watch.kinds, per), wrong_with, report)
        if conditions is not None:
            valued_of_group(node, said, numbers_of(conditions), report)


def _built(
    said: RuleConfig,
    watch: Watch,
    conditions: Mapping[str, TreeCondition],
    hours: Mapping[str, Calendar | None],
    second: SequenceSpec | None,
) -> Rule:
    speaking = None if said.absent is not None else conditions.get("when") or conditions.get("where")
    value_of, worst_is = value_field(speaking.tree if speaking else None, said.value)
    number = None
    if said.per is not None and not watch.events:
        number = numbers_of(conditions).get(value_of or "")
    return Rule(
        id=said.id,
        kinds=frozenset(watch.kinds),
        events=watch.events,
        when=conditions.get("when"),
        until=conditions.get("until"),
        where=conditions.get("where"),
        for_=said.for_.total_seconds(),
        keep_firing_for=said.keep_firing_for.total_seconds(),
        repeat=said.repeat.total_seconds() if said.repeat is not None else None,
        cooldown=said.cooldown.total_seconds() if said.cooldown is not None else None,
        per=_grouping(said),
        absent=said.absent.total_seconds() if said.absent is not None else None,
        sequence=second,
        active=hours.get("active"),
        notify_during=hours.get("notify_during"),
        inhibited_by=tuple(Inhibitor(by.rule, same=bool(by.same)) for by in said.inhibited_by or ()),
        escalate=tuple(map(_step, said.escalate or ())),
        run=_run(said.run) if said.run is not None else Run(),
        if_unknown=said.if_unknown,
        on_gap=said.on_gap,
        severity=said.severity,
        notify=tuple(dict.fromkeys(said.notify)) if said.notify is not None else None,
        title=said.title,
        message=said.message,
        value_of=value_of,
        value_called=words(number) if number is not None else None,
        value_from=evaluator(number) if number is not None else None,
        value_computed=number is not None and is_computed(number),
        worst_is=worst_is,
        value_limit=value_limit(speaking.tree if speaking else None, value_of),
        put_together=put_together(conditions),
        linked_fields=linked_fields(said, conditions, second, value_of),
        enabled=said.enabled,
        fingerprint=_fingerprint(said, watch, conditions, hours.get("active"), second),
    )


def _run(said: RunConfig) -> Run:
    return Run(tuple(dict.fromkeys(said.on_firing)), tuple(dict.fromkeys(said.on_resolved)))


def _step(said: EscalationConfig) -> EscalationStep:
    repeat = said.repeat.total_seconds() if said.repeat is not None else None
    return EscalationStep(said.after.total_seconds(), tuple(dict.fromkeys(said.notify)), repeat)


def _grouping(said: RuleConfig) -> tuple[str, ...] | None:
    """`per`, each field once; an account is only known together with its venue."""
    if said.per is None:
        return None
    brought = ("venue",) if "account" in said.per else ()
    return tuple(dict.fromkeys((*brought, *said.per)))


def _fingerprint(
    said: RuleConfig,
    watch: Watch,
    conditions: Mapping[str, TreeCondition],
    active: Calendar | None,
    second: SequenceSpec | None,
) -> str:
    """The same for rules that mean the same: in either spelling, with whatever texts, channels and severity."""
    meaning = [
        f"watch={sorted(watch.events or watch.kinds)}",
        *(f"{key}={condition.source}" for key, condition in conditions.items()),
        f"times={said.for_} {said.keep_firing_for} {said.repeat} {said.cooldown}",
        f"per={None if said.per is None else sorted(_grouping(said) or ())}",
        f"if_unknown={said.if_unknown} on_gap={said.on_gap}",
        *((f"active={calendar_text(active)}",) if active else ()),
        *((f"absent={said.absent}",) if said.absent is not None else ()),
        *((f"sequel={spelled_sequence(second)}",) if second else ()),
    ]
    return hashlib.sha256("\n".join(meaning).encode()).hexdigest()[:16]


def _in_order(problems: list[Problem]) -> list[Problem]:
    """As one reads the file, from its top."""
    return sorted(
        problems, key=lambda problem: (problem.place.line, problem.place.column) if problem.place else (0, 0)
    )
