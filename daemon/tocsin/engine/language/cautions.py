"""What is allowed and most likely not meant: warned about, not refused."""

from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.engine.language.ranges import bounds
from tocsin.engine.language.report import Report, a
from tocsin.engine.language.scope import is_common
from tocsin.engine.language.tree import Name, Node, conjuncts, walk
from tocsin.engine.language.watch import Watch
from tocsin.events import KINDS
from tocsin.events.vocabulary import nearest

Supplied = Mapping[str, Mapping[str, frozenset[str]]]
_OURS = frozenset({"venue", "daemon"})  # kinds that we tell of ourselves, whatever the venue
# What comes with every message of a stream, besides market data: profits move with each price.
_STREAMED = frozenset({"position.updated", "account.updated"})


@dataclass(frozen=True, slots=True)
class Written:
    """A condition of the rule, with the key that it stands under."""

    key: str
    tree: Node


def floods(watch: Watch, *, guarded: bool, level: bool, report: Report) -> None:
    """An event rule on something that comes all the time, with nothing to hold it back.

    `guarded`: it has an edge or a cooldown; `level`: it has a condition that stays true.
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
                f"watch `{kind}` (without the dot) to be told once, or use crosses_above, crosses_below or `cooldown`",
            )  # fmt: skip


def unsupplied(watch: Watch, conditions: list[Written], supplied: Supplied, report: Report) -> None:
    """Fields that no venue gives which the rule could be about."""
    if not supplied:
        return
    venues = _venues(conditions, supplied, report)
    told = [supplied[venue] for venue in venues]
    for kind in watch.kinds:
        if kind in _OURS or not told:
            continue
        place = next(place for name, place in watch.places.items() if name.partition(".")[0] == kind)
        if not any(kind in kinds for kinds in told):
            report.under("watch").warning(
                f"no configured venue tells of {a(kind)}: this rule can never fire", place,
                "`tocsin venues` lists what each supplies",
            )  # fmt: skip
            continue
        known = frozenset[str]().union(*(kinds.get(kind, frozenset()) for kinds in told))
        accounts = frozenset[str]().union(*(kinds.get("account", frozenset()) for kinds in told))
        _fields(kind, known, accounts, conditions, report)


def _fields(
    kind: str, known: frozenset[str], accounts: frozenset[str], conditions: list[Written], report: Report
) -> None:
    complained: set[str] = set()
    for condition in conditions:
        for node in walk(condition.tree):
            if (
                not isinstance(node, Name)
                or node.name in complained
                or node.name == "id"
                or is_common(node.name)
            ):
                continue
            of_account = node.name.startswith("account.")
            if node.name.removeprefix("account.") in (accounts | {"id"} if of_account else known):
                continue
            complained.add(node.name)
            whose = "" if of_account else f" of {a(kind)}"
            report.under(condition.key).warning(
                f"no configured venue supplies `{node.name}`{whose}: it is always missing", node.place,
                "`tocsin venues` lists what each supplies",
            )  # fmt: skip


def _venues(conditions: list[Written], supplied: Supplied, report: Report) -> list[str]:
    """The configured venues that the rule can be about, by what it says of `venue`."""
    possible = list(supplied)
    for condition in conditions:
        if condition.key == "until":
            continue
        for part in conjuncts(condition.tree):
            for bound in bounds(part):
                if bound.subject != "venue":
                    continue
                for name in bound.values:
                    if name not in supplied:
                        near = nearest(str(name), list(supplied))
                        report.under(condition.key).warning(
                            f"no venue is called `{name}`", bound.place,
                            f"did you mean `{near}`?" if near else f"there are {', '.join(supplied)}",
                        )  # fmt: skip
                named = bound.operator == "=="
                possible = [venue for venue in possible if (venue in bound.values) is named]
    return possible
