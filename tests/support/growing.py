"""What grows with the program isn't spelled out in the texts of errors that are kept: a name stands for such a list there."""

from tocsin.delivery.model import ChannelSettings
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.events.kinds import KINDS
from tocsin.events.vocabulary import events
from tocsin.venues.registry import venue_types

_LISTS = {
    "THE TYPES OF VENUES": venue_types(),
    "THE KEYS OF CHANNELS": ChannelSettings.model_fields,
    "THE FUNCTIONS": FUNCTIONS,
    **{f"THE EVENTS OF {kind}": events(kind) for kind in KINDS},
}


def shortened(text: str) -> str:
    """The text with the names of the lists in their place."""
    for name, words in _LISTS.items():
        if len(words) > 1:
            text = text.replace(", ".join(words), name)
    return text
