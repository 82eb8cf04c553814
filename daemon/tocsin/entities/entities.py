"""Observations in, changes out: what a venue says is merged into what was known, and the difference is what happened.

    apply -> merge (difference, older?) -> derive (what the venue leaves out) -> names (which events that is) -> Change

Pure but for its own memory: no I/O, no clock. Called in the order in which things were received.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from msgspec import UNSET, Struct, structs

from tocsin.entities.connections import Connections
from tocsin.entities.derive import complete_prices
from tocsin.entities.merge import BLANK, Updates, difference, is_refused
from tocsin.entities.names import compared, is_operation, sighted, with_status
from tocsin.entities.shelf import KeyTexts, Record, Shelf
from tocsin.entities.values import Values
from tocsin.events import (
    Account,
    Change,
    Entity,
    Instant,
    Key,
    Observation,
    Observed,
    Occurrence,
    Origin,
    SnapshotBegins,
    SnapshotEnds,
    Ticker,
    Trade,
    Venue,
)
from tocsin.events.vocabulary import canonical


class Heard(Struct, frozen=True, gc=False):
    """One message about one entity, on its way in. `time` is the venue's own; `quiet`: nothing happened, it was so.
    `first`: whatever it changes, it is the first by which the venue is known to send such a value.
    """

    said: Entity
    origin: Origin
    named: str | None
    time: datetime | None
    at: Instant
    raw: str | None
    quiet: bool = False
    first: bool = False


class Entities:
    """Everything that is known, of all venues. `saved`: the latest Change of each entity that the last run left."""

    def __init__(self, saved: Iterable[Change] = ()) -> None:
        self._shelf = Shelf()
        for change in saved:
            if change.key.kind != "daemon":
                self._shelf.add(
                    change.key,
                    change.state,
                    origin=change.origin,
                    time=change.time,
                    received=change.received,
                    known_since=change.known_since,
                    last_seen=change.last_seen,
                )
                if change.sent:
                    self._shelf.note_sent(change.venue, change.sent)
        self._values = Values(self._shelf)
        self._connections = Connections(self._shelf, self._shelf)
        self._mentioned: dict[Record, None] = {}
        self._spoke: dict[str, datetime] = {}  # of each venue that has since it was last asked for, when

    # --------------------------------------------------------------------------------------------------- what happened

    def apply(self, venue: str, observed: Observed, received: Instant, raw: str | None) -> list[Change]:
        """What this observation changes, in order; empty where it says nothing new.

        A Change without events is a new state in which nothing happened (an opening picture): to be stored and
        judged. What an Occurrence tells of isn't kept: `get` still answers with what was known before.
        """
        if isinstance(observed, Observation):
            return self._observe(venue, observed, received, raw)
        if isinstance(observed, Occurrence):
            return [self._occurrence(venue, observed, received, raw)]
        if isinstance(observed, SnapshotBegins):
            self._connections.begin(venue, observed)
            return []
        if isinstance(observed, SnapshotEnds):
            return self._connections.end(venue, received)
        raise TypeError(f"not an observation: {observed!r:.80}")

    def _observe(self, venue: str, told: Observation, at: Instant, raw: str | None) -> list[Change]:
        said, named = told.state, told.event
        if named is not None:
            named = canonical(named)
            if said.kind == "daemon":  # always something that happened, never something that is so
                passing = Occurrence(state=said, event=named, time=told.time)
                return [self._occurrence(venue, passing, at, raw)]
        if named is not None or said.ended:
            said = with_status(said, named)
        if said.kind == "venue":
            return self._connections.observe(venue, structs.replace(told, state=said), named, at, raw)
        key = _key_of(venue, said, told.account)
        record, said = self._seen(key, said, at)
        origin = self._connections.origin_of(venue, key, told.origin, known=record is not None)
        if record is not None and (said.ended or said.kind == "trade") and _is_void(record, said, told.time):
            return []
        first = False
        if isinstance(said, Ticker):
            said = self._values.own_ticker(record, said)
        elif isinstance(said, Account):
            said, first = self._values.say_account(venue, said)
        heard = Heard(said, origin, named, told.time, at, raw, quiet=origin == "snapshot", first=first)
        if record is not None and said.kind == "trade" and _is_before(told.time, record.stated_time):
            return [self._passing(key, record, heard, ("trade.executed",))]
        return self._merge(key, record, heard)

    def _seen(self, key: KeyTexts, said: Entity, at: Instant) -> tuple[Record | None, Entity]:
        """The entity's record, if it is known, and the message as it is to be laid over it."""
        self._spoke[key[0]] = at.wall
        record = self._shelf.find(key)
        if record is None:
            return None, said
        record.see(at.wall)
        self._mentioned[record] = None
        if record.id != key[3] and said.id == key[3]:
            said = structs.replace(said, id=UNSET)  # another spelling of what it is called
        return record, said

    def _merge(self, key: KeyTexts, record: Record | None, heard: Heard) -> list[Change]:
        said, at = heard.said, heard.at
        whole = isinstance(said, Trade)  # each trade is another one: nothing of the last is left
        known = BLANK[said.kind] if record is None or whole else record.state
        updates, changed = difference(known, said)
        if changed or record is None:
            self._complete(key, known, said, updates, changed)
        previous = record.state if record is not None else None
        stated = heard.time
        if record is None or previous is None:
            state = structs.replace(known, **updates)
            events = () if heard.quiet else sighted(state, heard.named)
            now = at.wall
            record = self._shelf.add(
                key, state, origin=heard.origin, time=stated or now, received=now, known_since=now
            )
        else:
            operated = is_operation(said, heard.named, changed, stated, record.stated_time)
            if updates or operated:
                self._shelf.replace(record, structs.replace(known, **updates))
            emptied = said.momentary and UNSET in updates.values()
            if not (whole or changed or operated or emptied or heard.first):
                return self._connections.mentioned(None, key, at)  # at most another spelling
            events = (
                ()
                if heard.quiet
                else compared(previous, record.state, changed, heard.named, operated=operated)
            )
            record.origin, record.time, record.received = heard.origin, stated or at.wall, at.wall
        return self._tell(record, events, previous, changed, heard)

    def _complete(
        self, key: KeyTexts, known: Entity, said: Entity, updates: Updates, changed: set[str]
    ) -> None:
        """Add what the message leaves out and can be counted."""
        if said.kind in ("ticker", "book"):
            complete_prices(known, said, updates, changed)
        elif said.kind == "position":
            link = self._connections.get(key[0])
            self._values.complete_position(key[0], known, said, updates, changed, link=link)
        elif said.kind == "account":
            self._values.complete_account(key[0], key[3], known, updates, changed)

    def _tell(
        self,
        record: Record,
        events: tuple[str, ...],
        previous: Entity | None,
        changed: set[str],
        heard: Heard,
    ) -> list[Change]:
        """The Change itself, and after it what it moves. An account that it moves has moved already."""
        (venue, kind, account), at = record.home, heard.at
        settled = self._values.position_moved(record, changed, at) if kind == "position" else []
        change = self._shelf.change(record, events, previous, heard.raw)
        if kind == "ticker":
            return [change, *self._values.priced(record, changed, at)]
        if kind in ("book", "trade"):
            ticker = self._values.ticker_from(record, changed)
            if ticker is None:
                return [change]
            key = _key_of(venue, ticker, account)
            derived = Heard(ticker, "synthetic", None, heard.time, at, None, quiet=heard.quiet)
            return [change, *self._merge(key, self._shelf.find(key), derived)]
        return [change, *settled, *self._connections.mentioned(change, change.key, at)]

    def _occurrence(self, venue: str, told: Occurrence, at: Instant, raw: str | None) -> Change:
        """Told of the entity as it stands with what the message adds; kept is only what was there before."""
        key = _key_of(venue, told.state, told.account)
        record, state = self._shelf.find(key), told.state
        if record is not None:
            state = structs.replace(record.state, **difference(record.state, state)[0])
        heard = Heard(state, told.origin, None, told.time, at, raw)
        return self._passing(key, record, heard, (canonical(told.event),))

    def _passing(self, key: KeyTexts, record: Record | None, heard: Heard, events: tuple[str, ...]) -> Change:
        """A Change of something that isn't kept."""
        now = heard.at.wall
        since = record.known_since if record is not None else now
        id_ = record.id if record is not None else key[3]
        passing = Record(key[:3], id_, heard.said, heard.origin, heard.time or now, now, since, now)
        previous = record.state if record is not None else None
        return self._shelf.change(passing, events, previous, heard.raw, passing=True)

    # ------------------------------------------------------------------------------------------------- who is heard of

    def mentioned(self, most: int) -> list[Key]:
        """What messages have mentioned, whether it changed or not, and this hasn't told yet; at most so many."""
        self._note_last_messages()
        records = list(islice(self._mentioned, most))
        for record in records:
            del self._mentioned[record]
        return [record.key for record in records]

    def _note_last_messages(self) -> None:
        """Their links' `last_message`, which moves with each message and is asked for seldom."""
        for venue, at in self._spoke.items():
            record = self._shelf.find((venue, "venue", "", venue))
            if record is not None and isinstance(record.state, Venue):
                record.state = structs.replace(record.state, last_message=at)
                self._mentioned[record] = None
        self._spoke.clear()

    # ------------------------------------------------------------------------------------------------------- the world

    def live(self, kind: str) -> list[Change]:
        """Every entity of that kind that hasn't ended, as it stands: without events, previous state and raw."""
        if kind == "venue":
            self._note_last_messages()
        return [self._shelf.change(record) for record in self._shelf.live(kind)]

    def of_account(self, venue: str, account: str) -> list[Change]:
        """The orders and positions of that account that haven't ended, as they stand; as `live` gives them."""
        return [self._shelf.change(record) for record in self._shelf.owned(venue, account)]

    def get(self, key: Key) -> Change | None:
        """The entity as it stands, ended or not: without events, previous state and raw. None if it isn't known."""
        if key.kind == "venue":
            self._note_last_messages()
        record = self._shelf.find(key)
        return self._shelf.change(record) if record is not None else None

    def account_of(self, key: Key) -> Account | None:
        """The account that the order or position of that key belongs to, if it is known."""
        return self._shelf.account_of(key)

    # ------------------------------------------------------------------------------------------------------- forgetting

    def forget(self, keys: Iterable[Key]) -> None:
        """These were removed by retention; seen again, they are seen for the first time."""
        keys = list(keys)
        for key in keys:
            self._shelf.drop(key)
        self._connections.forget(keys)

    def venues_removed(self, name: str) -> list[Key]:
        """The venue is no longer configured: forget everything of it. The keys of what there was, for the store."""
        self._connections.remove(name)
        return self._shelf.drop_venue(name)


def _key_of(venue: str, said: Entity, account: str | None) -> KeyTexts:
    """An account is of itself; of a symbol's trades the latest is kept, under the symbol."""
    kind, id_ = said.kind, said.id if isinstance(said.id, str) else ""
    if isinstance(said, Account):
        return (venue, kind, id_ or account or "", id_ or account or "")
    if isinstance(said, Trade) and isinstance(said.symbol, str):
        id_ = said.symbol
    return (venue, kind, account or "", id_)


def _is_void(record: Record, said: Entity, time: datetime | None) -> bool:
    """Whether an order's, position's, contract's or trade's message says nothing: too old to be believed, or a trade that was told already, by its id."""
    if isinstance(said, Trade):
        return isinstance(said.id, str) and said.id != record.id and said.id == record.state.id
    return is_refused(record, said, time)


def _is_before(time: datetime | None, known: datetime | None) -> bool:
    return time is not None and known is not None and time < known
