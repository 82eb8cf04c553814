"""One message about one entity, on its way into what is known: of which entity it is, and by what it is new."""

from datetime import datetime

from msgspec import Struct

from tocsin.entities.entity_store import Record
from tocsin.entities.merge import marked
from tocsin.entities.recency import begins_anew, stamps_of
from tocsin.events import Account, Change, Entity, Instant, Observation, Origin, Stamps, Trade
from tocsin.events.links import KeyTexts
from tocsin.events.vocabulary import has_ended


class Incoming(Struct, frozen=True, gc=False):
    """What a message says of an entity, and how it came.

    `time` is the venue's own; `quiet`: nothing happened, it was so. `first`: whatever it changes, it is the first by
    which the venue is known to send such a value. `stamps`: by what it is older or newer than another. `operation`: the
    id of the operation that it tells of.
    """

    observed: Entity
    origin: Origin
    named: str | None
    time: datetime | None
    at: Instant
    raw: str | None
    quiet: bool = False
    first: bool = False
    stamps: Stamps | None = None
    operation: str | None = None

    def is_another_life(self, record: Record) -> bool:
        """Whether it is of another entity than the recorded one, which had the same id and has ended."""
        known = record.stamps[0] if record.stamps else None
        return begins_anew(self.stamps, known, ended=has_ended(record.state))


def key_of(venue: str, observed: Entity, account: str | None) -> KeyTexts:
    """The key of the entity. An account is of itself; of a symbol's trades the latest is kept, under the symbol."""
    kind, id_ = observed.kind, observed.id if isinstance(observed.id, str) else ""
    if isinstance(observed, Account):
        return (venue, kind, id_ or account or "", id_ or account or "")
    if isinstance(observed, Trade) and isinstance(observed.symbol, str):
        id_ = observed.symbol
    return (venue, kind, account or "", id_)


def stored_stamps(change: Change) -> tuple[Stamps, ...]:
    """How new a stored entity is. Where that wasn't stored its times tell, by the same measure as a message's."""
    if change.stamps is not None:
        return change.stamps
    stated = None if change.origin == "synthetic" or change.time == change.received else change.time
    observation = Observation(state=change.state, time=stated)
    return marked((), change.state, stamps_of(observation, change.state, change.received, connection=-1))
