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
from tocsin.entities.entity_store import EntityStore, KeyTexts, Record, has_ended
from tocsin.entities.merge import BLANK, Updates, believed, difference, latest_time, marked
from tocsin.entities.names import compared, is_operation, sighted, with_status
from tocsin.entities.recency import begins_anew, is_newer, stamps_of
from tocsin.entities.repeats import Operations, Trades
from tocsin.entities.values import Values
from tocsin.events import (
    Account,
    Balance,
    Change,
    ConnectionBegins,
    Entity,
    Instant,
    Key,
    Observation,
    Observed,
    Occurrence,
    Origin,
    SnapshotBegins,
    SnapshotEnds,
    Stamps,
    Ticker,
    Trade,
    Venue,
    iso,
)
from tocsin.events.vocabulary import canonical


class Heard(Struct, frozen=True, gc=False):
    """One message about one entity, on its way in. `time` is the venue's own; `quiet`: nothing happened, it was so.
    `first`: whatever it changes, it is the first by which the venue is known to send such a value. `stamps`: by what it is
    older or newer than another. `operation`: the id of the operation that it tells of.
    """

    said: Entity
    origin: Origin
    named: str | None
    time: datetime | None
    at: Instant
    raw: str | None
    quiet: bool = False
    first: bool = False
    stamps: Stamps | None = None
    operation: str | None = None


class Entities:
    """Everything that is known, of all venues.

    `saved`: the latest Change of each entity that the last run left. `operations`: (venue, account, id) of each
    operation that it had told, oldest first. `gap`: nobody has watched since then, so what was open isn't confirmed.
    """

    def __init__(
        self,
        saved: Iterable[Change] = (),
        operations: Iterable[tuple[str, str, str]] = (),
        *,
        gap: bool = True,
    ) -> None:
        self._store = EntityStore()
        self._operations = Operations(operations)
        self._trades = Trades()
        self._unsaved: dict[Key, None] = {}
        for change in saved:
            if change.key.kind == "daemon":
                continue
            stamps = _kept_stamps(change)
            record = self._store.add(
                change.key,
                change.state,
                origin=change.origin,
                time=change.time,
                received=change.received,
                known_since=change.known_since,
                last_seen=change.last_seen,
                stamps=stamps,
            )
            record.unconfirmed = None if change.ended else change.unconfirmed_since
            if change.sent:
                self._store.note_sent(change.venue, change.sent)
            if isinstance(change.state, Trade):
                self._trades.restore(change.venue, change.key.id, change.state, latest_time(stamps))
        self._values = Values(self._store)
        self._connections = Connections(self._store, self._store, gap=gap)
        self._mentioned: dict[Record, None] = {}
        self._spoke: dict[str, datetime] = {}  # of each venue that has since it was last asked for, when

    # --------------------------------------------------------------------------------------------------- what happened

    def apply(self, venue: str, observed: Observed, received: Instant, raw: str | None) -> list[Change]:
        """What a message that says only this changes; see `take`."""
        return self.take(venue, (observed,), received, raw)

    def take(
        self, venue: str, message: Iterable[Observed], received: Instant, raw: str | None
    ) -> list[Change]:
        """What one message changes, observation by observation, in order; nothing where it says nothing new.

        A Change without events is a new state in which nothing happened (an opening snapshot): to be stored and
        judged. What an Occurrence tells of isn't kept: `get` still answers with what was known before. All of the
        message is known when the first of its changes is judged.
        """
        changes = [change for observed in message for change in self._applied(venue, observed, received, raw)]
        self._operations.message_over()
        self._trades.message_over()
        return changes

    def _applied(self, venue: str, observed: Observed, received: Instant, raw: str | None) -> list[Change]:
        if isinstance(observed, Observation):
            return self._observe(venue, observed, received, raw)
        if isinstance(observed, Occurrence):
            return [self._occurrence(venue, observed, received, raw)]
        if isinstance(observed, SnapshotBegins):
            self._connections.begin(venue, observed)
            return []
        if isinstance(observed, SnapshotEnds):
            return self._connections.end(venue, received)
        if isinstance(observed, ConnectionBegins):
            self._connections.opened(venue)
            return []
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
        if self._operations.was_told(venue, key[2], told.operation):
            return []
        connection = self._connections.connection(venue)
        origin = self._connections.origin_of(venue, key, told.origin, known=record is not None)
        called = record.id if record is not None else key[3]
        if isinstance(said, Trade) and self._trades.was_told(venue, called, said, told.time, connection):
            return []
        heard = Heard(
            said,
            origin,
            named,
            told.time,
            at,
            raw,
            quiet=origin == "snapshot",
            stamps=stamps_of(told, said, at.wall, connection),
            operation=told.operation,
        )
        if record is not None and said.ended and _is_another_life(record, heard):
            return self._begin_anew(key, record, heard)
        return self._heard(key, record, heard)

    def _heard(self, key: KeyTexts, record: Record | None, heard: Heard) -> list[Change]:
        """What is to be believed of the message changes what is known."""
        said, first = heard.said, False
        if record is not None:
            if isinstance(said, Trade):
                if is_newer(heard.stamps, record.stamps[0] if record.stamps else None) is False:
                    return [self._passing(key, record, heard, ("trade.executed",))]
            elif (new := believed(record, said, heard.stamps)) is None:
                return self._late_operation(key, record, heard)
            else:
                said = new
        if isinstance(said, Ticker):
            said = self._values.own_ticker(record, said)
        elif isinstance(said, Account):
            said, first = self._values.say_account(key[0], said)
        if said is not heard.said or first:
            heard = structs.replace(heard, said=said, first=first)
        return self._merge(key, record, heard)

    def _seen(self, key: KeyTexts, said: Entity, at: Instant) -> tuple[Record | None, Entity]:
        """The entity's record, if it is known, and the message as it is to be laid over it."""
        self._spoke[key[0]] = at.wall
        record = self._store.find(key)
        if record is None:
            return None, said
        record.see(at.wall)
        self._mentioned[record] = None
        if record.id != key[3] and said.id == key[3]:
            said = structs.replace(said, id=UNSET)  # another spelling of what it is called
        return record, said

    def _late_operation(self, key: KeyTexts, record: Record, heard: Heard) -> list[Change]:
        """An operation that wasn't told yet has happened, though the balance after it is no longer what is so."""
        said, known = heard.said, record.state
        if heard.operation is None or not isinstance(said, Balance) or not isinstance(said.cause, str):
            return []
        told = {name: getattr(said, name) for name in said.momentary}
        late = structs.replace(heard, said=structs.replace(known, **told))
        return [self._passing(key, record, late, (canonical(f"balance.{said.cause}"),))]

    def _merge(self, key: KeyTexts, record: Record | None, heard: Heard) -> list[Change]:
        said, at = heard.said, heard.at
        whole = isinstance(said, Trade)  # each trade is another one: nothing of the last is left
        known = BLANK[said.kind] if record is None or whole else record.state
        updates, changed = difference(known, said)
        if changed or record is None:
            self._complete(key, known, heard, updates, changed)
        previous = record.state if record is not None else None
        stated = heard.time
        if record is None or previous is None:
            record = self._add(key, structs.replace(known, **updates), heard)
            return self._tell(record, self._sighted(record, heard), None, changed, heard)
        self._confirm(record)
        told_at = latest_time(record.stamps)
        if heard.stamps is not None:
            record.stamps = marked(record.stamps, said, heard.stamps)
        numbered = heard.operation is not None and said.kind == "balance"
        operated = numbered or is_operation(said, heard.named, changed, stated, told_at)
        if updates or operated:
            self._store.replace(record, structs.replace(known, **updates))
        emptied = said.momentary and UNSET in updates.values()
        if not (whole or changed or operated or emptied or heard.first):
            if heard.stamps is not None:
                self._unsaved[record.key] = None
            return self._connections.mentioned(None, key, at)  # at most another spelling
        events = (
            () if heard.quiet else compared(previous, record.state, changed, heard.named, operated=operated)
        )
        record.origin, record.time, record.received = heard.origin, stated or at.wall, at.wall
        return self._tell(record, events, previous, changed, heard)

    def _begin_anew(self, key: KeyTexts, record: Record, heard: Heard) -> list[Change]:
        """Another life under the same id: a first sight, with nothing of what was known."""
        said, at, over = heard.said, heard.at, record.state
        known = BLANK[said.kind]
        self._confirm(record)
        updates, changed = difference(known, said)
        self._complete(key, known, heard, updates, changed)
        self._store.replace(record, structs.replace(known, **updates))
        record.origin, record.time, record.received = heard.origin, heard.time or at.wall, at.wall
        record.known_since = at.wall
        record.stamps = marked((), said, heard.stamps)
        changed |= {name for name in over.__struct_fields__ if getattr(over, name) not in (UNSET, None)}
        return self._tell(record, self._sighted(record, heard), None, changed, heard, replaces=over)

    def _confirm(self, record: Record) -> None:
        """It is mentioned, and so known to be there."""
        if record.unconfirmed is not None:
            record.unconfirmed = None
            self._unsaved[record.key] = None

    def _add(self, key: KeyTexts, state: Entity, heard: Heard) -> Record:
        now = heard.at.wall
        return self._store.add(
            key,
            state,
            origin=heard.origin,
            time=heard.time or now,
            received=now,
            known_since=now,
            stamps=marked((), heard.said, heard.stamps),
        )

    @staticmethod
    def _sighted(record: Record, heard: Heard) -> tuple[str, ...]:
        return () if heard.quiet else sighted(record.state, heard.named)

    def _complete(
        self, key: KeyTexts, known: Entity, heard: Heard, updates: Updates, changed: set[str]
    ) -> None:
        """Add what the message leaves out and can be counted."""
        said, at = heard.said, heard.at
        if said.kind in ("ticker", "book"):
            complete_prices(known, said, updates, changed)
        elif said.kind == "position":
            link = self._connections.get(key[0])
            self._values.complete_position(key[0], known, said, updates, changed, link=link)
        elif said.kind == "account":
            self._values.complete_account((key[0], key[3]), known, said, updates, changed, at=at)

    def _tell(
        self,
        record: Record,
        events: tuple[str, ...],
        previous: Entity | None,
        changed: set[str],
        heard: Heard,
        *,
        replaces: Entity | None = None,
    ) -> list[Change]:
        """The Change itself, and after it what it moves. An account that it moves has moved already."""
        (venue, kind, account), at = record.home, heard.at
        settled = (
            self._values.position_moved(record, previous, changed, at, quiet=heard.quiet)
            if kind == "position"
            else []
        )
        change = self._store.change(
            record, events, previous, heard.raw, replaces=replaces, operation=heard.operation
        )
        if kind == "ticker":
            return [change, *self._values.priced(record, changed, at)]
        if kind in ("book", "trade"):
            ticker = self._values.ticker_from(record, changed)
            if ticker is None:
                return [change]
            key = _key_of(venue, ticker, account)
            derived = Heard(ticker, "synthetic", None, heard.time, at, None, quiet=heard.quiet)
            return [change, *self._merge(key, self._store.find(key), derived)]
        return [change, *settled, *self._connections.mentioned(change, change.key, at)]

    def _occurrence(self, venue: str, told: Occurrence, at: Instant, raw: str | None) -> Change:
        """Told of the entity as it stands with what the message adds; kept is only what was there before."""
        key = _key_of(venue, told.state, told.account)
        record, state = self._store.find(key), told.state
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
        return self._store.change(
            passing, events, previous, heard.raw, passing=True, operation=heard.operation
        )

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
            record = self._store.find((venue, "venue", "", venue))
            if record is not None and isinstance(record.state, Venue):
                record.state = structs.replace(record.state, last_message=at)
                self._mentioned[record] = None
        self._spoke.clear()

    # ------------------------------------------------------------------------------------------------------- the world

    def live(self, kind: str) -> list[Change]:
        """Every entity of that kind that hasn't ended, as it stands: without events, previous state and raw."""
        if kind == "venue":
            self._note_last_messages()
        return [self._store.change(record) for record in self._store.live(kind)]

    def of_account(self, venue: str, account: str) -> list[Change]:
        """The orders and positions of that account that haven't ended, as they stand; as `live` gives them."""
        return [self._store.change(record) for record in self._store.owned(venue, account)]

    def get(self, key: Key) -> Change | None:
        """The entity as it stands, ended or not: without events, previous state and raw. None if it isn't known."""
        if key.kind == "venue":
            self._note_last_messages()
        record = self._store.find(key)
        return self._store.change(record) if record is not None else None

    def account_of(self, key: Key) -> Account | None:
        """The account that the order or position of that key belongs to, if it is known."""
        return self._store.account_of(key)

    def unsaved(self) -> list[Key]:
        """What became newer or unconfirmed since the last call, or was confirmed, without a Change perhaps."""
        found, self._unsaved = dict.fromkeys((*self._unsaved, *self._connections.unsaved())), {}
        return list(found)

    def named(self, venue: str, kind: str, id_: str) -> list[Key]:
        """What is known of that kind under that id, of whichever account."""
        return [record.key for record in self._store if _is_called(record, venue, kind, id_)]

    def unconfirmed(self, venue: str) -> list[Change]:
        """The venue's open orders and positions that it hasn't mentioned since a gap, as they stand, the longest first."""
        records = filter(None, map(self._store.find, self._connections.unconfirmed(venue)))
        return [self._store.change(record) for record in sorted(records, key=_longest_unconfirmed)]

    def unconfirmed_before(self, time: datetime) -> list[Key]:
        """All open orders and positions that have been unconfirmed since before that time."""
        records = (record for kind in ("order", "position") for record in self._store.live(kind))
        return [
            record.key for record in records if record.unconfirmed is not None and record.unconfirmed < time
        ]

    # ------------------------------------------------------------------------------------------------------- forgetting

    def forget(self, keys: Iterable[Key], at: Instant) -> list[Change]:
        """These are no longer known, by retention or because somebody said so; seen again, they are seen for the first
        time. What that changes: the accounts of positions, and how much of a venue is unconfirmed.
        """
        keys = list(keys)
        self._values.forgets(keys)
        for key in keys:
            self._store.drop(key)
            if key.kind == "trade":
                self._trades.drop(key.venue, key.id)
        accounts = dict.fromkeys((key.venue, key[2]) for key in keys if key.kind == "position")
        counted = [change for of in accounts for change in self._values.recounted(*of, at)]
        return [*counted, *self._connections.forget(keys, at)]

    def venues_removed(self, name: str) -> list[Key]:
        """The venue is no longer configured: forget everything of it. The keys of what there was, for the store."""
        self._connections.remove(name)
        self._operations.drop_venue(name)
        self._trades.drop_venue(name)
        self._values.drop_venue(name)
        return self._store.drop_venue(name)


def _key_of(venue: str, said: Entity, account: str | None) -> KeyTexts:
    """An account is of itself; of a symbol's trades the latest is kept, under the symbol."""
    kind, id_ = said.kind, said.id if isinstance(said.id, str) else ""
    if isinstance(said, Account):
        return (venue, kind, id_ or account or "", id_ or account or "")
    if isinstance(said, Trade) and isinstance(said.symbol, str):
        id_ = said.symbol
    return (venue, kind, account or "", id_)


def _is_called(record: Record, venue: str, kind: str, id_: str) -> bool:
    return record.id == id_ and record.home[:2] == (venue, kind)


def _longest_unconfirmed(record: Record) -> tuple[str, Key]:
    return iso(record.unconfirmed) if record.unconfirmed is not None else "", record.key


def _is_another_life(record: Record, heard: Heard) -> bool:
    known = record.stamps[0] if record.stamps else None
    return begins_anew(heard.stamps, known, ended=has_ended(record.state))


def _kept_stamps(change: Change) -> tuple[Stamps, ...]:
    """How new a stored entity is. Where that wasn't kept its times tell, by the same measure as a message's."""
    if change.stamps is not None:
        return change.stamps
    stated = None if change.origin == "synthetic" or change.time == change.received else change.time
    told = Observation(state=change.state, time=stated)
    return marked((), change.state, stamps_of(told, change.state, change.received, connection=-1))
