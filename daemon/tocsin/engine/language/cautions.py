"""What is allowed and most likely not meant: warned about, not refused."""

from collections.abc import Mapping

from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.language.ranges import Bound, bounds_of
from tocsin.engine.language.report import Report, a, did_you_mean
from tocsin.engine.language.scope import is_common
from tocsin.engine.language.tree import Call, Name, conjuncts, text, walk
from tocsin.engine.language.watch import Watch
from tocsin.events import KINDS

Supplied = Mapping[str, Mapping[str, frozenset[str]]]
_OURS = frozenset({"venue", "daemon"})  # kinds that we tell of ourselves, whatever the venue
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


def _is_of_message(call: Call) -> bool:
    return any(
        isinstance(argument, Name) and argument.name in ("received", "time") for argument in call.arguments
    )


def summed_by_entity(watch: Watch, conditions: Mapping[str, TreeCondition], report: Report) -> None:
    """An event rule with `per` whose window is of each entity all the same: most see each order or position once."""
    for key, condition in conditions.items():
        for part in walk(condition.tree):
            if isinstance(part, Call) and FUNCTIONS[part.function].of_events:
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
) -> None:
    """Fields that no venue gives which the rule could be about. `conditions` by their keys. `tells_unknown`: what is
    unknown is told, as event rules do.
    """
    if not supplied:
        return
    told = [supplied[venue] for venue in _venues(conditions, supplied, report)]
    for kind in watch.kinds:
        if kind in _OURS or not told:
            continue
        if any(kind in kinds for kinds in told):
            so = ", so this always tells" if tells_unknown else ""
            _fields(kind, told, conditions, report, so)
            continue
        place = next(place for name, place in watch.places.items() if name.partition(".")[0] == kind)
        report.under("watch").warning(
            f"no configured venue tells of {a(kind)}: this rule can never fire", place,
            "`tocsin venues` lists what each supplies",
        )  # fmt: skip


def _fields(
    kind: str,
    told: list[Mapping[str, frozenset[str]]],
    conditions: Mapping[str, TreeCondition],
    report: Report,
    so: str,
) -> None:
    complained: set[str] = set()
    for key, condition in conditions.items():
        for name in condition.fields:
            of_account = name.startswith("account.")
            whose, field = ("account", name.removeprefix("account.")) if of_account else (kind, name)
            if field in _ALWAYS or is_common(name) or any(field in kinds.get(whose, ()) for kinds in told):
                continue
            if name not in complained:
                complained.add(name)
                report.under(key).warning(
                    f"no configured venue supplies `{name}`{'' if of_account else f' of {a(kind)}'}: it is always missing{so}",
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
