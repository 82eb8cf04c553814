"""A compiled condition: what the engine evaluates (`tocsin.engine.rule.Condition`)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tocsin.engine.language import told
from tocsin.engine.language.crossing import Crossing, crossing
from tocsin.engine.language.evaluate import Judge, evaluator
from tocsin.engine.language.functions import FUNCTIONS, needs_of
from tocsin.engine.language.nothing import Absent, absences, why
from tocsin.engine.language.tree import Call, Constant, Name, Node, text, walk
from tocsin.engine.language.turns import Turn, turn_of
from tocsin.engine.language.values import Build, Evaluate
from tocsin.engine.language.windowed import Followed, followed
from tocsin.engine.rule import Wording
from tocsin.events import Change

# What is a number of something other than money: members in unlike currencies may be summed.
_NO_MONEY = frozenset({
    "leverage", "amount", "filled", "remaining", "margin_level", "stop_out_level", "power", "energy", "volume", "bid_size",
    "ask_size", "bid_depth", "ask_depth", "levels", "sequence", "attempts", "unconfirmed",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summed:
    """A value that some condition sums (or takes the extremes of) over the entities of a group. `name`: its spelling."""

    name: str
    value: Evaluate
    money: bool
    extremes: bool
    absent: tuple[Absent, ...] = ()


class TreeCondition:
    """A checked tree and the function that evaluates it."""

    __slots__ = (
        "_absent", "_compiled", "counted", "crossings", "edge", "fields", "followed", "holds", "looks_back", "remembers", "source",
        "summed", "timed", "tree", "turn",
    )  # fmt: skip

    def __init__(self, tree: Node) -> None:
        parts = walk(tree)
        calls = [part for part in parts if isinstance(part, Call)]
        functions = [FUNCTIONS[call.function] for call in calls]
        self.tree = tree
        self.source = text(tree)
        self.edge = any(function.edge for function in functions)
        self.looks_back = any(function.earlier for function in functions)
        self.timed = any(function.timed is not None for function in functions)
        self.turn: Turn | None = turn_of(tree)
        self.fields = tuple(dict.fromkeys(part.name for part in parts if isinstance(part, Name)))
        self.holds: Judge = evaluator(tree)
        self._absent = absences((tree,))
        self.followed: tuple[Followed, ...] = tuple(
            dict.fromkeys(
                followed(Build(call, evaluator, False)) for call in calls if needs_of(call) == "history"
            )
        )
        self.crossings: tuple[Crossing, ...] = tuple(
            dict.fromkeys(
                crossing(Build(call, evaluator, False))
                for call, function in zip(calls, functions, strict=True)
                if function.crossing
            )
        )
        self.counted: tuple[timedelta, ...] = tuple(
            dict.fromkeys(
                argument.value
                for call in calls
                if needs_of(call) == "events"
                for argument in call.arguments
                if isinstance(argument, Constant) and isinstance(argument.value, timedelta)
            )
        )
        self.summed = tuple(_summed(calls))
        self.remembers = any(needs_of(call) for call in calls)
        self._compiled: told.Compiled = {}

    def missing(self, change: Change, now: datetime) -> tuple[str, ...]:
        return told.missing(self.tree, change, now, self._compiled)

    def nothing(self, change: Change) -> str | None:
        return why(self._absent, change)

    def told(self, change: Change, now: datetime, *, wording: Wording = "exact") -> str:
        return told.told(self.tree, change, now, self._compiled, wording=wording)

    def bounds(self, name: str, change: Change, now: datetime) -> tuple[Decimal, ...]:
        return told.bounds(self.tree, name, change, now, self._compiled)

    def __repr__(self) -> str:
        return f"<{self.source}>"


def _summed(calls: list[Call]) -> list[Summed]:
    found: dict[str, Summed] = {}
    for call in calls:
        if needs_of(call) != "group" or not call.arguments:
            continue
        value = call.arguments[0]
        name, fields = text(value), [part.name for part in walk(value) if isinstance(part, Name)]
        known = found.get(name)
        extremes = FUNCTIONS[call.function].chooses or (known is not None and known.extremes)
        money = not _NO_MONEY.issuperset(fields)
        found[name] = Summed(name, evaluator(value), money, extremes, absences((value,)))
    return list(found.values())
