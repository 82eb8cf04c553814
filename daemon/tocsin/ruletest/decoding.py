"""A raw message through its venue's decoder, and what of it the rules hear; as the feed has it."""

from tocsin.events import Instant, Observation, Observed, Occurrence, SnapshotBegins, SnapshotEnds
from tocsin.ruletest.model import Message
from tocsin.ruletest.said import venue_event
from tocsin.venues.base import Malformed, Refused, Unreadable, Unrecognized
from tocsin.venues.decoding import decode
from tocsin.venues.registry import adapter


def decoded(message: Message, now: Instant) -> tuple[Observed, ...]:
    """The observations, and of what couldn't be understood or was refused the venue's event."""
    try:
        items = decode(adapter(message.type), message.text, now.wall).items
    except Malformed as malformed:
        return (venue_event(message.venue, "venue.malformed", str(malformed)),)
    said: list[Observed] = []
    for item in items:
        match item:
            case Observation() | Occurrence() | SnapshotBegins() | SnapshotEnds():
                said.append(item)
            case Unrecognized():
                said.append(venue_event(message.venue, "venue.unrecognized", item.reason))
            case Unreadable():
                event = "venue.malformed" if item.row else "venue.unrecognized"
                said.append(venue_event(message.venue, event, f"{item.part}: {item.reason}"))
            case Refused():
                event = "venue.auth_failed" if item.verdict == "auth_failed" else "venue.refused"
                said.append(venue_event(message.venue, event, item.reason))
    return tuple(said)
