"""A description's examples: messages, and what they mean by its author's word, held against what they do mean."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from tocsin.document import Node, Scalar
from tocsin.errors import Place
from tocsin.venues.json.adapter import JsonVenue
from tocsin.venues.meaning import difference, meanings

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Tried(NamedTuple):
    """One example, and where it isn't so: "" where it is."""

    about: str
    place: Place
    wrong: str


def try_examples(venue: JsonVenue, received: datetime) -> Iterator[Tried]:
    for count, example in enumerate(venue.examples(), 1):
        found = meanings(venue, _text(example.message), received)
        wrong = difference(example.gives.plain(), found)
        yield Tried(example.about or f"example {count}", example.message.place, wrong)


def _text(message: Node) -> str:
    """A structure as JSON; a text is the message itself."""
    if isinstance(message, Scalar) and isinstance(message.value, str):
        return message.value
    return _encode(message.plain()).decode()
