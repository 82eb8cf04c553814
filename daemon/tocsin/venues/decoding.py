"""A message through its adapter's decoder, also one that is nearly JSON."""

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import structs

from tocsin.events import Observation, Observed, Occurrence, SnapshotBegins, SnapshotEnds
from tocsin.events.synthetic import venue_event
from tocsin.venues.base import Adapter, Decoded, Malformed, Refused, Unreadable, Unrecognized

_MARK = "\ufeff"
_REPLACEMENT = "\ufffd"
# A whole text, so that nothing within it is taken for a number, or a float that is none: as C, Python and Go print it.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[-+]?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE | re.DOTALL)
# Escapes within a text: a pair that makes one character, half of such a pair, any other.
_ESCAPE = re.compile(r"\\u(d[89ab]..\\ud[c-f]..|(?P<half>d[89a-f]..))|\\.", re.IGNORECASE | re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_SUSPECT = re.compile(r"nan|inf|\\ud[89a-f]", re.IGNORECASE)
_encode = msgspec.json.Encoder(enc_hook=repr).encode


def decode(adapter: Adapter, message: str, received: datetime) -> Decoded:
    """What the message means. Raises Malformed; any other exception is a bug of ours.

    One that isn't JSON is read once more without what JSON doesn't have: a byte order mark, half of a character (replaced),
    NaN and Infinity (missing). That is told as `Unreadable`; where it then means nothing either, it is Malformed as it was.
    """
    try:
        return _decoded(adapter, message, received)
    except Malformed as malformed:
        nearly, why = mended(message)
        if not why:
            raise
        try:
            decoded = adapter.decode(nearly, received)
        except Malformed:
            raise malformed from None
        if all(isinstance(item, (Unrecognized, Unreadable)) for item in decoded.items):
            raise
        told = Unreadable(f"JSON with {why}", str(malformed))
        return structs.replace(decoded, items=(*decoded.items, told))


def _decoded(adapter: Adapter, message: str, received: datetime) -> Decoded:
    decoded = adapter.decode(message, received)
    if not message.isascii() or "\\u" in message:
        check_texts(decoded.items)
    return decoded


def check_texts(items: Iterable[object]) -> None:
    """Malformed where a text within holds half of a character: it could be neither stored nor sent.

    Adapters' decoders refuse such texts; one that doesn't is no reason for the daemon to end.
    """
    try:
        _encode(tuple(items))
    except UnicodeEncodeError:
        raise Malformed("a text with half of a character") from None


def mended(message: str) -> tuple[str, str]:
    """The text without what JSON doesn't have, and what that was, in words: "" where there is nothing of the kind."""
    found: dict[str, None] = {}

    def token(match: re.Match[str]) -> str:
        if match[0][0] == '"':
            return _ESCAPE.sub(escape, match[0])
        found["NaN or Infinity"] = None
        return "null"

    def escape(match: re.Match[str]) -> str:
        if match["half"] is None:
            return match[0]
        found["half of a character"] = None
        return _REPLACEMENT

    if message.startswith(_MARK):
        found["a byte order mark"] = None
        message = message.removeprefix(_MARK)
    if _HALF.search(message):
        found["half of a character"] = None
        message = _HALF.sub(_REPLACEMENT, message)
    if _SUSPECT.search(message):
        message = _TOKEN.sub(token, message)
    return message, ", ".join(found)


def observations(venue: str, adapter: Adapter, message: str, received: datetime) -> tuple[Observed, ...]:
    """The observations, and of what couldn't be understood or was refused the venue's event."""
    try:
        items = decode(adapter, message, received).items
    except Malformed as malformed:
        return (venue_event(venue, "venue.malformed", str(malformed)),)
    said: list[Observed] = []
    for item in items:
        match item:
            case Observation() | Occurrence() | SnapshotBegins() | SnapshotEnds():
                said.append(item)
            case Unrecognized():
                said.append(venue_event(venue, "venue.unrecognized", item.reason))
            case Unreadable():
                event = "venue.malformed" if item.row else "venue.unrecognized"
                said.append(venue_event(venue, event, f"{item.part}: {item.reason}"))
            case Refused():
                event = "venue.auth_failed" if item.verdict == "auth_failed" else "venue.refused"
                said.append(venue_event(venue, event, item.reason))
    return tuple(said)
