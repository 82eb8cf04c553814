"""What keeps an action from being run: in one order, the first that is shut is the reason. Pure.

`RAILS` are asked when an alert would start a run, when its turn comes, once that is recorded, and before each further try.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from tocsin.actions.model import ActionSettings
from tocsin.engine.api import AlertContext
from tocsin.engine.pauses import OUT_OF_HOURS
from tocsin.events.vocabulary import OWN_KINDS
from tocsin.quantities import duration_text

_CLOCKS = timedelta(seconds=5)  # by which clocks may differ
FAILURES = 5
"""So many failed runs in a row open an action's circuit."""
UNCONFIRMED = "nobody knows whether it still is so: the venue was away"


class Facts(Struct, frozen=True, kw_only=True):
    """What is so now. `age`: how long ago it happened. `live`: by what venues said, or by the time. `away`: why the venue isn't heard, or
    that it hasn't confirmed the entity since a gap. `holds`: the alert still does what started the run. `unrecorded`: why nothing can be
    committed. `paused`, `circuit`: since when and by whom, in words. `recent`: when its runs of the last day were first tried, as far as it
    has a rate; none for a further try.
    """

    settings: ActionSettings
    now: datetime
    age: timedelta = timedelta(0)
    live: bool = True
    away: str = ""
    holds: bool = True
    unrecorded: str = ""
    paused: str = ""
    circuit: str = ""
    recent: tuple[datetime, ...] = ()


def _live(context: AlertContext, facts: Facts) -> str:
    if not facts.live:
        return "it came about by a start, a reload or what somebody did, not by what the venue said"
    if context.state == "resolved" and context.reason == OUT_OF_HOURS:
        return "it ended with its rule's hours, not by what the venue said"
    if context.suppressed:
        return "a cooldown had held it back: it isn't as it happened"
    if context.origin == "live" or (context.origin == "synthetic" and context.kind not in OWN_KINDS):
        return ""
    return f"the venue told of it in a {context.origin}, not as it happened"


def _connected(context: AlertContext, facts: Facts) -> str:
    return facts.away or (UNCONFIRMED if context.unconfirmed_since is not None else "")


def _fresh(_context: AlertContext, facts: Facts) -> str:
    age, limit = facts.age, facts.settings.max_age
    if age < -_CLOCKS:
        return "it is of a time that hasn't come yet: the clock was set back"
    if age <= limit:
        return ""
    return f"too late: {duration_text(age)} after it happened, max_age is {duration_text(limit)}"


def turned(context: AlertContext) -> str:
    """That the alert doesn't do any more what started the run, in words."""
    return "it isn't so any more" if context.state == "firing" else "it fires again"


def _holds(context: AlertContext, facts: Facts) -> str:
    return "" if facts.holds else turned(context)


def _recorded(_context: AlertContext, facts: Facts) -> str:
    return f"it couldn't be recorded before it is run: {facts.unrecorded}" if facts.unrecorded else ""


def _paused(_context: AlertContext, facts: Facts) -> str:
    return f"paused {facts.paused}" if facts.paused else ""


def _circuit(_context: AlertContext, facts: Facts) -> str:
    return f"its circuit is open {facts.circuit}" if facts.circuit else ""


def _rate(_context: AlertContext, facts: Facts) -> str:
    if facts.settings.limit is None:
        return ""
    most, length = facts.settings.limit
    lately = sum(1 for at in facts.recent if facts.now - at < length)
    return f"over its rate: {lately} of {facts.settings.rate} already" if lately >= most else ""


RAILS: tuple[tuple[str, Callable[[AlertContext, Facts], str]], ...] = (
    ("live", _live),
    ("venue", _connected),
    ("max_age", _fresh),
    ("holds", _holds),
    ("recorded", _recorded),
    ("pause", _paused),
    ("circuit", _circuit),
    ("rate", _rate),
)
"""By their names. Each gives its reason in words, or "" where the way is free."""

KEPT = timedelta(days=1)
"""How long a run's beginning counts for rates."""


def in_the_way(context: AlertContext, facts: Facts) -> str:
    """Why it isn't to be run now; "" where nothing is in the way."""
    return next((reason for _, rail in RAILS if (reason := rail(context, facts))), "")
