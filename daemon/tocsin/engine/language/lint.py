"""Conditions that most likely aren't meant so, and such as can't be: what a rule's conditions say together is looked through here.

What has no sensible reading is an error: parts that exclude each other, a function where it means nothing. What only flutters,
floods or says nothing is a warning: such rules have run.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from tocsin.calendars import Since
from tocsin.engine.language.ast import (
    MIRRORED,
    NEGATED,
    Call,
    Compare,
    Junction,
    Name,
    Node,
    Not,
    Ordering,
    children,
    conjuncts,
    plain_digits,
    text,
    walk,
)
from tocsin.engine.language.bounds import (
    Bound,
    Comparison,
    Joined,
    Normal,
    bounds_of,
    exactly,
    implies,
    never,
    normal,
    overlap,
)
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.functions import FUNCTIONS, function_of, needs_of
from tocsin.engine.language.scope import Watch, is_common
from tocsin.engine.language.windowed import window_of_call
from tocsin.errors import Place, Report
from tocsin.events import KINDS
from tocsin.events.links import holder_of
from tocsin.events.vocabulary import OWN_KINDS, did_you_mean, with_article
from tocsin.quantities import SampleCount


def contradictions(trees: Mapping[str, Node], end: Place, report: Report) -> None:
    """Look through the rule's conditions, by their keys; `end` is where `until` stands."""
    for key, tree in trees.items():
        _always(key, tree, report)
    if len(trees) == 1 and all(
        isinstance(tree, Compare) and len(tree.operators) == 1 for tree in trees.values()
    ):
        return  # one comparison excludes nothing: the commonest rule
    bounds = {key: _alternatives(key, tree, report) for key, tree in trees.items()}
    both = [*bounds.get("where", ()), *bounds.get("when", ())]
    if "where" in trees and "when" in trees and not never(bounds["where"]) and not never(bounds["when"]):
        _together("when", both, report)
    if "until" in trees and "when" in trees and not never(both) and implies(both, conjuncts(trees["until"])):
        report.under("until").error(
            "`until` holds whenever `when` does: it would end as it starts", end,
            "write the condition at which it is over",
        )  # fmt: skip
    elif "until" in trees and "when" in trees and (shared := overlap(both, conjuncts(trees["until"]))):
        begins, ends = shared
        report.under("until").warning(
            f"`{begins}` and `{ends}` both hold in between: there each event ends the alert, and the next begins it anew", end,
            f"let `until` begin where `when` is no longer so, or beyond: `{ends.subject} {ends.operator} …` further on",
        )  # fmt: skip


def _alternatives(key: str, tree: Node, report: Report) -> list[Bound]:
    """The bounds that must hold together; each alternative that the condition offers is looked through too."""
    parts = conjuncts(tree)
    bounds = bounds_of(parts)
    _together(key, bounds, report)
    for part in parts:
        if isinstance(part, Junction):
            for alternative in part.parts:
                _alternatives(key, alternative, report)
    return bounds


def _together(key: str, bounds: Sequence[Bound], report: Report) -> None:
    if excluded := never(bounds):
        first, second = excluded
        message = f"`{first}` and `{second}` exclude each other: it can never hold"
        report.under(key).error(message, second.place)


def _always(key: str, tree: Node, report: Report) -> None:
    """Comparisons that are so whatever the values are: a value with itself, or alternatives that leave nothing out."""
    for part in walk(tree):
        if isinstance(part, Compare):
            for left, operator, right in part.pairs():
                if text(left) == text(right):
                    same = operator in ("==", "<=", ">=")
                    report.under(key).warning(
                        f"`{text(left)} {operator} {text(right)}` compares a value with itself: it is {'always' if same else 'never'} so",
                        right.place, "compare it with another value",
                    )  # fmt: skip
    _one_of_them(key, normal(tree), report)


def _one_of_them(key: str, condition: Normal, report: Report) -> None:
    if not isinstance(condition, Joined):
        return
    bounds = [exactly(part) for part in condition.parts] if condition.word == "or" else []
    if bounds and all(len(each) == 1 and len(each[0].values) == 1 for each in bounds):
        negated = [replace(each[0], operator=NEGATED[each[0].operator]) for each in bounds]
        if found := never(negated):
            first, second = (bounds[negated.index(each)][0] for each in found)
            report.under(key).warning(
                f"`{first}` or `{second}`: one of them always holds", second.place,
                "write `and` if both must hold",
            )  # fmt: skip
    for part in condition.parts:
        _one_of_them(key, part, report)


# ------------------------------------------------------------------------------------------------ samples that are counted


def counted_samples(trees: Mapping[str, Node], report: Report) -> None:
    """`times(…)` grows from nothing: an upper bound holds at first, whatever the samples were. And it has an end."""
    for key, tree in trees.items():
        for comparison in _comparisons(normal(tree)):
            for subject, operator, other in (
                (comparison.subject, comparison.operator, comparison.other),
                (comparison.other, MIRRORED[comparison.operator], comparison.subject),
            ):
                function = function_of(subject)
                if function is not None and function.counts_samples and isinstance(subject, Call):
                    _counted(subject, operator, other, comparison, report.under(key))


def _comparisons(condition: Normal) -> Iterator[Comparison]:
    match condition:
        case Joined():
            for part in condition.parts:
                yield from _comparisons(part)
        case Comparison():
            yield condition


def _counted(call: Call, operator: Ordering, other: Node, comparison: Comparison, report: Report) -> None:
    limits = [value for value in comparison.values if isinstance(value, Decimal)]
    window = window_of_call(call)
    most = window.number if isinstance(window, SampleCount) else None
    if (
        operator in ("<", "<=")
        or (operator == "==" and 0 in limits)
        or (operator == "!=" and limits and 0 not in limits)
    ):
        report.error(
            f"`{text(call)} {operator} {text(other)}` holds as long as there are few samples, too", comparison.place,
            f"ask how often the opposite was so: `{_opposite(call, operator, limits, most)}`",
        )  # fmt: skip
    elif most is not None and limits and not any(_within(operator, limit, most) for limit in limits):
        report.error(f"`{text(call)}` is at most {most}: it can never hold", comparison.place)


def _within(operator: Ordering, limit: Decimal, most: int) -> bool:
    return limit < most if operator == ">" else limit <= most


def _opposite(call: Call, operator: Ordering, limits: Sequence[Decimal], most: int | None) -> str:
    condition, window = call.arguments
    opposite = text(condition.operand) if isinstance(condition, Not) else f"not {_inside(condition)}"
    if isinstance(condition, Compare) and len(condition.operators) == 1:
        opposite = text(replace(condition, operators=(NEGATED[condition.operators[0]],)))
    at_least = "…"
    if most is not None and len(limits) == 1 and operator in ("<", "<="):
        at_least = plain_digits(Decimal(max(1, most - math.floor(limits[0]) + (operator == "<"))))
    return f"{call.function}({opposite}, {text(window)}) >= {at_least}"


def _inside(condition: Node) -> str:
    return text(condition) if isinstance(condition, Name | Call) else f"({text(condition)})"


# -------------------------------------------------------------------------- what is allowed and most likely not meant

Supplied = Mapping[str, Mapping[str, frozenset[str]]]
_ALWAYS = frozenset({"id", "unconfirmed"})  # fields that are there whatever the venue says
# What comes with every message of a stream, besides market data: profits move with each price.
_STREAMED = frozenset({"position.updated", "account.updated"})


def floods(watch: Watch, *, guarded: bool, level: bool, report: Report) -> None:
    """An event rule on something that comes all the time, with nothing to hold it back.

    `guarded`: it has an edge, a count or a cooldown; `level`: it has a condition that stays true.
    """
    if guarded:
        return
    for name in watch.events:
        kind, _, what = name.partition(".")
        # A big trade is one fact, told once; a high price is seen again with every message.
        streamed = name in _STREAMED or (KINDS[kind].market_data and (what in ("updated", "*") or not level))
        if streamed and what != "order_expired":
            report.under("watch").warning(
                f"`{name}` comes all the time, so this tells all the time", watch.places[name],
                f"watch `{kind}` (without the dot) to be told once, or use crosses_above, crosses_below, `count` or `cooldown`",
            )  # fmt: skip


def unknown_at_first(watch: Watch, conditions: Mapping[str, TreeCondition], report: Report) -> None:
    """An event rule that needs history tells of each event until the history is there: unknown is told."""
    for key, condition in conditions.items():
        for part in walk(condition.tree):
            if isinstance(part, Call) and FUNCTIONS[part.function].against_past:
                report.under(key).warning(
                    f"`{text(part)}` is unknown until there is so much history, and what is unknown is told", part.place,
                    f"add `if_unknown: ignore`, or watch `{watch.kinds[0]}` (without the dot)",
                )  # fmt: skip
                return


def quiet_is_not_silent(watch: Watch, conditions: Mapping[str, TreeCondition], report: Report) -> None:
    """A state rule that goes by when its entity was last heard of: only what says something new counts as heard.

    A trade is always new.
    """
    if watch.events or watch.kinds == ("trade",):
        return
    for key, condition in conditions.items():
        for part in walk(condition.tree):
            if isinstance(part, Call) and FUNCTIONS[part.function].timed == "up" and _is_of_message(part):
                report.under(key).warning(
                    f"`{text(part)}` counts from what was last new: a message that repeats what is known is no event", part.place,
                    "for silence write time_since(last_seen)",
                )  # fmt: skip


def absence_is_not_silence(watch: Watch, report: Report) -> None:
    """The same of a rule that waits for what comes with something new only."""
    for name in watch.events:
        kind, _, what = name.partition(".")
        if what == "updated":
            report.under("watch").warning(
                f"`{name}` comes with something new only: a message that repeats what is known is no event", watch.places[name],
                f"for silence watch `{kind}` (without the dot), when: time_since(last_seen) > 60s",
            )  # fmt: skip


def _is_of_message(call: Call) -> bool:
    return any(
        isinstance(argument, Name) and argument.name in ("received", "time") for argument in call.arguments
    )


def summed_by_entity(watch: Watch, conditions: Mapping[str, TreeCondition], report: Report) -> None:
    """An event rule with `per` whose window is of each entity all the same: most see each order or position once."""
    for key, condition in conditions.items():
        for part in walk(condition.tree):
            if isinstance(part, Call) and FUNCTIONS[part.function].of_events and not part.keyed:
                report.under(key).warning(
                    f"`{text(part)}` is of each {watch.kinds[0]} by itself, whatever `per` says", part.place,
                    f"`per` says what is counted together: count(…); to sum over what lives watch `{watch.kinds[0]}` (without the dot), with sum(…)",
                )  # fmt: skip


def unsupplied(
    watch: Watch,
    conditions: Mapping[str, TreeCondition],
    supplied: Supplied,
    report: Report,
    *,
    tells_unknown: bool = False,
    tells_absence: bool = False,
) -> None:
    """Fields that no venue gives which the rule could be about. `conditions` by their keys. `tells_unknown`: what is
    unknown is told, as event rules do; `tells_absence`: what never comes is.
    """
    if not supplied:
        return
    given = [supplied[venue] for venue in _venues(conditions, supplied, report)]
    for kind in watch.kinds:
        if kind in OWN_KINDS or not given:
            continue
        if any(kind in kinds for kinds in given):
            so = ", so this always tells" if tells_unknown else ""
            _fields(kind, given, conditions, report, so)
            continue
        place = next(place for name, place in watch.places.items() if name.partition(".")[0] == kind)
        report.under("watch").warning(
            f"no configured venue tells of {with_article(kind)}: this rule {'always fires' if tells_absence else 'can never fire'}", place,
            "`tocsin venues` lists what each supplies",
        )  # fmt: skip


def _fields(
    kind: str,
    given: list[Mapping[str, frozenset[str]]],
    conditions: Mapping[str, TreeCondition],
    report: Report,
    so: str,
) -> None:
    complained: set[str] = set()
    for key, condition in conditions.items():
        for name in condition.fields:
            link = holder_of(name)
            whose, field = (link, name.removeprefix(f"{link}.")) if link else (kind, name)
            if (
                whose in OWN_KINDS
                or field in _ALWAYS
                or is_common(name)
                or any(field in kinds.get(whose, ()) for kinds in given)
            ):
                continue
            if name not in complained:
                complained.add(name)
                report.under(key).warning(
                    f"no configured venue supplies `{name}`{'' if link else f' of {with_article(kind)}'}: it is always missing{so}",
                    next(part.place for part in walk(condition.tree) if isinstance(part, Name) and part.name == name),
                    "`tocsin venues` lists what each supplies",
                )  # fmt: skip


def _venues(conditions: Mapping[str, TreeCondition], supplied: Supplied, report: Report) -> list[str]:
    """The configured venues that the rule can be about, by what it says of `venue`."""
    possible = list(supplied)
    for key, condition in conditions.items():
        if key == "until" or "venue" not in condition.fields:
            continue
        for bound in bounds_of(conjuncts(condition.tree)):
            if bound.subject == "venue":
                _named(bound, supplied, report.under(key))
                possible = [
                    venue for venue in possible if (venue in bound.values) is (bound.operator == "==")
                ]
    return possible


def _named(bound: Bound, supplied: Supplied, report: Report) -> None:
    for name in bound.values:
        if name not in supplied:
            report.warning(f"no venue is called `{name}`", bound.place,
                           did_you_mean(name, tuple(supplied), f"there are {', '.join(supplied)}"))  # fmt: skip


# ------------------------------------------------------------------ history, counted events, groups: where they stand


def placed(
    trees: Mapping[str, Node],
    watch: Watch,
    per: tuple[str, ...] | None,
    report: Report,
    *,
    absent: bool = False,
) -> None:
    """`trees` are of the conditions, whether they passed the check or not. `per` has the venue that an account brings, too."""
    for key, tree in trees.items():
        report.under(key)
        if watch.events:
            _in_event_rule(key, tree, report, absent=absent)
        elif per is None:
            _in_state_rule(tree, report)
        elif key == "where":
            _who_takes_part(tree, report)
        else:
            _of_group(tree, per, report)


def no_memory(condition: TreeCondition, report: Report) -> None:
    """For the second event of a sequence: it is judged by itself and by the first."""
    for part in walk(condition.tree):
        if needs_of(part):
            report.error(f"`{text(part)}` can't stand here: a second event is judged by itself", part.place,
                         "look at it in the rule's own `when`")  # fmt: skip


def _in_event_rule(key: str, tree: Node, report: Report, *, absent: bool) -> None:
    for part in walk(tree):
        need = needs_of(part)
        if need == "group":
            counts = (function := function_of(part)) is not None and function.needs_in_time == "events"
            report.error(f"`{text(part)}` is of a group of entities; this rule watches an event", part.place,
                         "say how long it counts: count(10m)" if counts else "total(x, 10m) sums over time")  # fmt: skip
        elif key == "where" and (need == "events" or (isinstance(part, Call) and part.keyed)):
            report.error(f"`where` says which events are counted: `{text(part)}` can't be part of it", part.place,
                         "" if absent else "write it in `when`")  # fmt: skip
        elif (
            need == "events"
            and isinstance(part, Call)
            and isinstance(window_of_call(part), SampleCount | Since)
        ):
            report.error(f"`{text(part)}`: events are counted in a duration", part.place,
                         f"say what is counted among samples: times(…, {text(part.arguments[0])})")  # fmt: skip


def _in_state_rule(tree: Node, report: Report) -> None:
    for part in walk(tree):
        need = needs_of(part)
        if need == "events":
            report.error(f"`{text(part)}` counts events; this rule watches what is so", part.place,
                         "watch an event (a name with a dot); `count()` with `per` counts entities")  # fmt: skip
        elif need == "group":
            report.error(f"`{text(part)}` is of a group of entities", part.place,
                         "say which with `per`: `per: [account]`, or `per: []` for all in one")  # fmt: skip


def _who_takes_part(tree: Node, report: Report) -> None:
    for part in walk(tree):
        known = function_of(part)
        if needs_of(part) in ("events", "group"):
            report.error(f"`where` says who takes part: `{text(part)}` can't be part of it", part.place,
                         "write it in `when`")  # fmt: skip
        elif known and known.edge:
            report.error(
                f"`{text(part)}` is true for a moment only: nobody takes part for a moment", part.place
            )


def _of_group(tree: Node, per: tuple[str, ...], report: Report) -> None:
    """Outside of group functions only what all members have in common can be read."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        need, known = needs_of(part), function_of(part)
        if need == "group":
            continue
        if need == "events":
            report.error(f"`{text(part)}` counts events; this rule watches what is so", part.place,
                         "`count()` counts entities")  # fmt: skip
        elif need or (known and (known.edge or known.timed)):
            report.error(f"`{text(part)}` is of one entity; this rule is about groups of them", part.place,
                         _instead(part))  # fmt: skip
        elif isinstance(part, Name) and part.type != "?" and part.name not in per:
            report.error(f"`{part.name}` is of one entity; this rule is about groups of them", part.place, _instead(part))  # fmt: skip
        else:
            waiting += reversed(children(part))


def _instead(part: Node) -> str:
    if part.type == "number":
        spelled = text(part)
        return (
            f"write sum({spelled}), min({spelled}), max({spelled}) or mean({spelled}); or say it in `where`"
        )
    return "say in `where` who takes part"
