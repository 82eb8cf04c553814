"""When a condition on time (`age() > 5m`) may next become another by the passing of time alone."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from tocsin.engine.language.evaluate import evaluator
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.language.tree import Call, Compare, Name, Node, walk
from tocsin.engine.language.values import Evaluate
from tocsin.events import Change

Turn: TypeAlias = Callable[[Change, datetime], timedelta | None]
"""How long after now the truth may turn, nothing else happening; None: never."""

EACH_SECOND = timedelta(seconds=1)
"""Of what reckons with a time in a way that can't be worked out."""
_JUST_AFTER = timedelta(milliseconds=1)  # `age() > 5m` is not yet so at five minutes


class _Meeting(NamedTuple):
    """A time function beside what it is compared with, which time leaves alone. `falls`: it counts down. `mentioned`: it
    goes by when the entity was last mentioned, which moves without a change that anybody is told of.
    """

    function: Evaluate
    other: Evaluate
    falls: bool
    mentioned: bool


def turn_of(tree: Node) -> Turn | None:
    """None where the condition reads no time."""
    timed = [part for part in walk(tree) if _is_timed(part)]
    if not timed:
        return None
    meetings = list(_meetings(tree))
    if len(meetings) < len(timed):
        return lambda _change, _now: EACH_SECOND

    def turn(change: Change, now: datetime) -> timedelta | None:
        return min(
            (after for each in meetings if (after := _after(each, change, now)) is not None), default=None
        )

    return turn


def _meetings(tree: Node) -> Iterator[_Meeting]:
    for part in walk(tree):
        if not isinstance(part, Compare):
            continue
        for left, _, right in part.pairs():
            for one, other in ((left, right), (right, left)):
                if _is_timed(one) and not any(map(_is_timed, walk(other))):
                    falls = isinstance(one, Call) and FUNCTIONS[one.function].timed == "down"
                    mentioned = any(isinstance(part, Name) and part.name == "last_seen" for part in walk(one))
                    yield _Meeting(evaluator(one), evaluator(other), falls, mentioned)


def _is_timed(node: Node) -> bool:
    return isinstance(node, Call) and FUNCTIONS[node.function].timed is not None


def _after(meeting: _Meeting, change: Change, now: datetime) -> timedelta | None:
    """Until the two are equal, or just beyond that where they are."""
    value, limit = meeting.function(change, now), meeting.other(change, now)
    if value is None or limit is None:
        return None
    left: timedelta = value - limit if meeting.falls else limit - value
    if left > timedelta(0):
        return left
    if left > -_JUST_AFTER:
        return _JUST_AFTER
    return EACH_SECOND if meeting.mentioned else None
