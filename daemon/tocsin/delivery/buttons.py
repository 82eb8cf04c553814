"""The buttons below a firing's message: what they say, and what pressing them does. Pure."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tocsin.delivery.model import Button
from tocsin.store.model import QUESTION

KNOWN_FOR = timedelta(hours=24)
ACK, UNACK, WHY = "ack", "unack", "why"
WANT, YES, NO = "want", "yes", "no"
"""What the buttons of a question do: ask once more, run the action, don't."""
TEST = "test"
"""What the button below a test message does: nothing, but it is answered."""
SILENCES = {"silence 1h": "1h", "silence 4h": "4h"}
"""What a button does -> for how long it silences."""

ACK_ALL = "ack all"
MakeButtons = Callable[[str, str, str], Awaitable[tuple[tuple[Button, ...], ...]]]
"""Those of an alert for one delivery, by what its message tells: `firing`, `acked`, a `digest` of many, a `question` (of a run), or a
`test`; kept, so that pressing them is understood.
"""

_ACK_ROW, _UNACK_ROW = (("Acknowledge", ACK),), (("Un-acknowledge", UNACK),)
_SILENCE_ROW = (("Silence 1 h", "silence 1h"), ("Silence 4 h", "silence 4h"))
_WHY_ROW = (("Why", WHY),)
_TEST_ROW = (("Press me: a test", TEST),)


def buttons_for(
    told: str, alerts: int, offers: tuple[tuple[str, str], ...] = ()
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Rows of buttons: what each says, and what it does. `alerts`: how many of a digest can be acknowledged; `offers`: what a question
    offers, each in a row of its own.
    """
    if told == QUESTION:
        return tuple((each,) for each in offers)
    if told == "digest":
        return (((f"Acknowledge all {alerts}", ACK_ALL),),) if alerts else ()
    if told == TEST:
        return (_TEST_ROW,)
    acked = told == "acked"
    return (_UNACK_ROW if acked else _ACK_ROW, _SILENCE_ROW, _WHY_ROW)
