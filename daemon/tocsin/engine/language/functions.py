"""The functions of the rule language: one entry each in one table, with all that the rest needs to know of it.

To add one: an entry in `_TABLE` with an example, its parameters' types, its documentation and its implementation. The checker, the
compiler, the messages and the reference documentation follow.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from tocsin.engine.language import implementations, windowed
from tocsin.engine.language.ast import Call, Node, Type
from tocsin.engine.language.implementations import Function, Need, Parameter, lifted

_ANY: frozenset[Type] = frozenset({"number", "text", "time", "flag", "duration"})
_NUMBER: frozenset[Type] = frozenset({"number"})
_QUANTITY: frozenset[Type] = frozenset({"number", "duration"})
_TEXT: frozenset[Type] = frozenset({"text"})
_TIME: frozenset[Type] = frozenset({"time"})

_FOLLOWED = Parameter("x", _NUMBER, followed=True)
_WINDOW = Parameter("window", frozenset({"duration", "window"}), written=True, check=windowed.is_window_wrong)
_MAYBE_WINDOW = replace(_WINDOW, optional=True)
_SUMMED = Parameter("x", _NUMBER, summed=True)

# --------------------------------------------------------------------------------------------------------- the table

_TABLE = (
    Function(
        "previous",
        'previous(status) == "open"',
        (Parameter("x", _ANY, own=True),),
        None,
        "x at this entity's previous event; missing at first sight",
        implementations.previous,
        words="previous {x}",
        earlier=True,
        chooses=True,
        indexed_as="key",
    ),
    Function(
        "changed",
        "changed(stop_loss)",
        (Parameter("x", _ANY, own=True),),
        "flag",
        "x differs from its previous value; not at first sight",
        implementations.changed,
        implementations.changed_fact,
        edge=True,
        asks_for_missing=True,
        indexed_as="flag",
    ),
    Function(
        "crosses_above",
        "crosses_above(price, 50000)",
        (Parameter("x", _NUMBER, own=True), Parameter("n", _NUMBER)),
        "flag",
        "x was at or below n when last known, and is now above it; not at first sight",
        windowed.crosses(lambda value, limit: value > limit),
        windowed.crosses_fact("above"),
        edge=True,
        crossing=">",
    ),
    Function(
        "crosses_below",
        "crosses_below(margin_level, 150)",
        (Parameter("x", _NUMBER, own=True), Parameter("n", _NUMBER)),
        "flag",
        "x was at or above n when last known, and is now below it; not at first sight",
        windowed.crosses(lambda value, limit: value < limit),
        windowed.crosses_fact("below"),
        edge=True,
        crossing="<",
    ),
    Function(
        "missing",
        "missing(stop_loss)",
        (Parameter("x", _ANY),),
        "flag",
        "x has no value; never unknown itself",
        implementations.missing,
        implementations.missing_fact,
        asks_for_missing=True,
        indexed_as="flag",
    ),
    Function(
        "default",
        "default(filled, 0) == 0",
        (Parameter("x", _ANY), Parameter("v", _ANY, alike=True)),
        None,
        "x, or v where x is missing",
        implementations.default,
        asks_for_missing=True,
        words="{x}",
        chooses=True,
    ),
    Function(
        "matches",
        'matches(reason, "(?i)margin")',
        (
            Parameter("x", _TEXT | {"event"}),
            Parameter("re", _TEXT, written=True, check=implementations.is_regex_wrong),
        ),
        "flag",
        "the regex (RE2) is found somewhere in the text x",
        implementations.matches,
        implementations.matches_fact,
    ),
    Function(
        "age",
        "age() > 2d",
        (),
        "duration",
        "how old the entity is: since its own created or opened time, else since it was first seen",
        implementations.age,
        timed="up",
        words="age",
    ),
    Function(
        "time_since",
        "time_since(last_seen) > 1m",
        (Parameter("t", _TIME),),
        "duration",
        "how long ago t was",
        implementations.time_since,
        timed="up",
        words="time since {x}",
    ),
    Function(
        "time_until",
        "time_until(expires) < 1h",
        (Parameter("t", _TIME),),
        "duration",
        "how long it is until t",
        implementations.time_until,
        timed="down",
        words="time until {x}",
    ),
    Function(
        "change",
        "change(balance, 1d) < -500",
        (_FOLLOWED, _WINDOW),
        "number",
        "x now less x in force when the window began; missing until there is so much history",
        windowed.against_history(windowed.then, windowed.difference),
        needs="history",
        words="change of {x}",
        against_past=True,
    ),
    Function(
        "percent_change",
        "percent_change(price, 5m) > 3",
        (_FOLLOWED, _WINDOW),
        "number",
        "x now against x in force when the window began, in percent of it; missing until there is so much history",
        windowed.against_history(windowed.then, windowed.percent),
        needs="history",
        unit="percent",
        words="percent change of {x}",
        against_past=True,
    ),
    Function(
        "percent_from",
        "percent_from(bid, ask) < -1",
        (Parameter("x", _NUMBER), Parameter("ref", _NUMBER)),
        "number",
        "how far x is from ref, in percent of it; missing where ref is 0",
        lifted(implementations.percent_from),
        solved_as="quotient",
        unit="percent",
    ),
    Function(
        "drawdown",
        "drawdown(performance) > 20",
        (_FOLLOWED, _MAYBE_WINDOW),
        "number",
        "by how many percent x is below the highest ever seen, or seen in that window",
        windowed.against_history(windowed.highest, windowed.percent_below),
        needs="history",
        unit="percent",
        words="drawdown of {x}",
        mirrors=True,
    ),
    Function(
        "runup",
        "runup(price, 1h) > 5",
        (_FOLLOWED, _MAYBE_WINDOW),
        "number",
        "by how many percent x is above the lowest ever seen, or seen in that window",
        windowed.against_history(windowed.lowest, windowed.percent),
        needs="history",
        unit="percent",
        words="runup of {x}",
    ),
    Function(
        "peak",
        "equity < peak(equity) - 1000",
        (_FOLLOWED,),
        "number",
        "the highest x ever seen",
        windowed.of_history(windowed.highest),
        needs="history",
        words="peak of {x}",
        chooses=True,
    ),
    Function(
        "lowest",
        "bid < lowest(bid, 1d) + 10",
        (_FOLLOWED, _WINDOW),
        "number",
        "the lowest x seen in that window",
        windowed.of_history(windowed.lowest),
        needs="history",
        words="lowest {x}",
        chooses=True,
    ),
    Function(
        "highest",
        "ask > highest(ask, 1d) - 10",
        (_FOLLOWED, _WINDOW),
        "number",
        "the highest x seen in that window",
        windowed.of_history(windowed.highest),
        needs="history",
        words="highest {x}",
        chooses=True,
    ),
    Function(
        "average",
        "spread > 3 * average(spread, 1h)",
        (_FOLLOWED, _WINDOW),
        "number",
        "the average of x over the entity's events in that window, those that take part in the rule",
        windowed.of_history(windowed.average),
        needs="history",
        words="average {x}",
        of_events=True,
    ),
    Function(
        "total",
        "total(amount, 1m) > 1000",
        (_FOLLOWED, _WINDOW),
        "number",
        "the sum of x over the entity's events in that window, those that take part in the rule",
        windowed.of_history(windowed.total),
        needs="history",
        words="total {x}",
        of_events=True,
    ),
    Function(
        "times",
        "times(profit < 0, 5 samples) >= 3",
        (Parameter("condition", frozenset({"flag"}), followed=True), _WINDOW),
        "number",
        "in how many samples of the window the condition was true; where it is unknown is no sample",
        windowed.of_history(windowed.total),
        needs="history",
        words="times ({x})",
        of_events=True,
        counts_samples=True,
    ),
    Function(
        "count",
        "count(10m) >= 3",
        (_MAYBE_WINDOW,),
        "number",
        "with a time: events that passed `where` in it, this one included, afresh after each alert; "
        "without: how many live entities the group has that pass `where`",
        windowed.count,
        needs="group",
        words="count",
        needs_in_time="events",
    ),
    Function(
        "sum",
        "sum(profit) < -500",
        (_SUMMED,),
        "number",
        "the sum of x over the live entities of the group that pass `where`",
        windowed.aggregate("sum"),
        needs="group",
        words="sum of {x}",
    ),
    Function(
        "min",
        "min(profit) < -200",
        (_SUMMED,),
        "number",
        "the lowest x of the live entities of the group that pass `where`",
        windowed.aggregate("min"),
        needs="group",
        words="lowest {x}",
        chooses=True,
    ),
    Function(
        "max",
        "max(leverage) > 10",
        (_SUMMED,),
        "number",
        "the highest x of the live entities of the group that pass `where`",
        windowed.aggregate("max"),
        needs="group",
        words="highest {x}",
        chooses=True,
    ),
    Function(
        "mean",
        "mean(profit) < 0",
        (_SUMMED,),
        "number",
        "the average of x over the live entities of the group that pass `where`",
        windowed.aggregate("mean"),
        needs="group",
        words="average {x}",
    ),
    Function(
        "abs",
        "abs(change(price, 1m)) > 50",
        (Parameter("x", _QUANTITY),),
        None,
        "x without its sign",
        lifted(implementations.absolute),
        solved_as="either sign",
        words="size of {x}",
        indexed_as="key",
    ),
    Function(
        "round",
        "round(price, 2) != round(previous(price), 2)",
        (
            Parameter("x", _NUMBER),
            Parameter("digits", _NUMBER, written=True, optional=True, check=implementations.are_digits_wrong),
        ),
        "number",
        "x rounded to that many digits after the point (0), halves away from zero",
        lifted(implementations.rounded),
        words="{x}",
    ),
    Function(
        "lower",
        'lower(comment) == "bonus"',
        (Parameter("x", _TEXT),),
        "text",
        "x in lower case",
        lifted(str.lower),
        words="{x}",
        indexed_as="key",
    ),
    Function(
        "upper",
        'upper(comment) == "BONUS"',
        (Parameter("x", _TEXT),),
        "text",
        "x in upper case",
        lifted(str.upper),
        words="{x}",
        indexed_as="key",
    ),
    Function(
        "len",
        "len(comment) > 100",
        (Parameter("x", _TEXT),),
        "number",
        "how many characters x has",
        lifted(lambda x: Decimal(len(x))),
        words="length of {x}",
        indexed_as="key",
    ),
)

FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _TABLE}


def function_of(node: Node) -> Function | None:
    return FUNCTIONS.get(node.function) if isinstance(node, Call) else None


def needs_of(node: Node) -> Need | None:
    """What a call looks at beside the change."""
    function = function_of(node)
    if function is None or not isinstance(node, Call):
        return None
    return function.needs_in_time if function.needs_in_time and node.arguments else function.needs
