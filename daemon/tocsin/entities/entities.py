"""Observations in, changes out: what a venue says is merged into what was known, and the difference is what happened.

    apply -> merge (difference, older?) -> derive (what the venue leaves out) -> names (which events that is) -> Change

Pure but for its own memory: no I/O, no clock. Called in the order in which things were received.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import islice

from msgspec import UNSET, structs

from tocsin.entities.connections import Connections
from tocsin.entities.derive import complete_prices
from tocsin.entities.entity_store import EntityStore, Record
from tocsin.entities.in_order import InOrder
from tocsin.entities.incoming import Incoming, key_of, stored_stamps
from tocsin.entities.merge import BLANK, Updates, believed, difference, latest_time, marked
from tocsin.entities.names import compared, is_operation, sighted, with_status
from tocsin.entities.recency import is_newer, stamps_of, when_changed
from tocsin.entities.repeats import Operations, Trades
from tocsin.entities.values import Values
from tocsin.events import (
    Account,
    Balance,
    Beat,
    Change,
    ConnectionBegins,
    Daemon,
    Entity,
    Instant,
    Key,
    Observation,
    Observed,
    Occurrence,
    SnapshotBegins,
    SnapshotEnds,
    Ticker,
    Trade,
    Unanswered,
    Venue,
    iso,
)
from tocsin.events.links import KeyTexts
from tocsin.events.vocabulary import canonical


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
        self.in_order = InOrder(self._store)
        """What lives, for who looks often."""
        self._operations = Operations(operations)
        self._trades = Trades()
        self._unsaved: dict[Key, None] = {}
        for change in saved:
            if change.key.kind == "daemon":
                continue
            stamps = stored_stamps(change)
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
        if isinstance(observed, Unanswered):
            key = Key(venue, observed.kind, observed.account or "", observed.id)
            return self._connections.unanswered(key, observed.reason, received)
        if isinstance(observed, Beat):
            incoming = Incoming(Daemon(id=venue), "synthetic", None, None, received, observed.id)
            return [self._passing((venue, "daemon", "", venue), None, incoming, ())]
        raise TypeError(f"not an observation: {observed!r:.80}")

    def _observe(self, venue: str, observation: Observation, at: Instant, raw: str | None) -> list[Change]:
        observed, named = observation.state, observation.event
        if named is not None:
            named = canonical(named)
            if observed.kind == "daemon":  # always something that happened, never something that is so
                passing = Occurrence(state=observed, event=named, time=observation.time)
                return [self._occurrence(venue, passing, at, raw)]
        if named is not None or observed.ended:
            observed = with_status(observed, named)
        if observed.kind == "venue":
            return self._connections.observe(
                venue, structs.replace(observation, state=observed), named, at, raw
            )
        key = key_of(venue, observed, observation.account)
        record, observed = self._seen(key, observed, at)
        if self._operations.was_told(venue, key[2], observation.operation):
            return []
        connection = self._connections.connection(venue)
        origin = self._connections.origin_of(venue, key, observation.origin, known=record is not None)
        called = record.id if record is not None else key[3]
        if isinstance(observed, Trade) and self._trades.was_told(
            venue, called, observed, observation.time, connection
        ):
            return []
        incoming = Incoming(
            observed,
            origin,
            named,
            observation.time or (when_changed(observed, at.wall) if origin == "resync" else None),
            at,
            raw,
            quiet=origin == "snapshot",
            stamps=stamps_of(observation, observed, at.wall, connection),
            operation=observation.operation,
        )
        if record is not None and observed.ended and incoming.is_another_life(record):
            return self._begin_anew(key, record, incoming)
        return self._take_in(key, record, incoming)

    def _take_in(self, key: KeyTexts, record: Record | None, incoming: Incoming) -> list[Change]:
        """What is to be believed of the message changes what is known."""
        observed, first = incoming.observed, False
        if record is not None:
            if isinstance(observed, Trade):
                if is_newer(incoming.stamps, record.stamps[0] if record.stamps else None) is False:
                    return [self._passing(key, record, incoming, ("trade.executed",))]
            elif (new := believed(record, observed, incoming.stamps)) is None:
                return self._late_operation(key, record, incoming)
            else:
                observed = new
        if isinstance(observed, Ticker):
            observed = self._values.own_ticker(record, observed)
        elif isinstance(observed, Account):
            observed, first = self._values.complete_observed(key[0], observed)
        if observed is not incoming.observed or first:
            incoming = structs.replace(incoming, observed=observed, first=first)
        return self._merge(key, record, incoming)

    def _seen(self, key: KeyTexts, observed: Entity, at: Instant) -> tuple[Record | None, Entity]:
        """The entity's record, if it is known, and the message as it is to be laid over it."""
        self._spoke[key[0]] = at.wall
        record = self._store.find(key)
        if record is None:
            return None, observed
        record.see(at.wall)
        self._mentioned[record] = None
        if record.id != key[3] and observed.id == key[3]:
            observed = structs.replace(observed, id=UNSET)  # another spelling of what it is called
        return record, observed

    def _late_operation(self, key: KeyTexts, record: Record, incoming: Incoming) -> list[Change]:
        """An operation that wasn't told yet has happened, though the balance after it is no longer what is so."""
        observed, known = incoming.observed, record.state
        if (
            incoming.operation is None
            or not isinstance(observed, Balance)
            or not isinstance(observed.cause, str)
        ):
            return []
        told = {name: getattr(observed, name) for name in observed.momentary}
        late = structs.replace(incoming, observed=structs.replace(known, **told))
        return [self._passing(key, record, late, (canonical(f"balance.{observed.cause}"),))]

    def _merge(self, key: KeyTexts, record: Record | None, incoming: Incoming) -> list[Change]:
        observed, at = incoming.observed, incoming.at
        whole = isinstance(observed, Trade)  # each trade is another one: nothing of the last is left
        known = BLANK[observed.kind] if record is None or whole else record.state
        updates, changed = difference(known, observed)
        if changed or record is None:
            self._complete(key, known, incoming, updates, changed)
        previous = record.state if record is not None else None
        stated = incoming.time
        if record is None or previous is None:
            record = self._add(key, structs.replace(known, **updates), incoming)
            return self._tell(record, self._sighted(record, incoming), None, changed, incoming)
        self._confirm(record)
        told_at = latest_time(record.stamps)
        if incoming.stamps is not None:
            record.stamps = marked(record.stamps, observed, incoming.stamps)
        numbered = incoming.operation is not None and observed.kind == "balance"
        operated = numbered or is_operation(observed, incoming.named, changed, stated, told_at)
        if updates or operated:
            self._store.replace(record, structs.replace(known, **updates))
        emptied = observed.momentary and UNSET in updates.values()
        if not (whole or changed or operated or emptied or incoming.first):
            if incoming.stamps is not None:
                self._unsaved[record.key] = None
            return self._connections.mentioned(None, key, at)  # at most another spelling
        events = (
            ()
            if incoming.quiet
            else compared(previous, record.state, changed, incoming.named, operated=operated)
        )
        record.origin, record.time, record.received = incoming.origin, stated or at.wall, at.wall
        return self._tell(record, events, previous, changed, incoming)

    def _begin_anew(self, key: KeyTexts, record: Record, incoming: Incoming) -> list[Change]:
        """Another life under the same id: a first sight, with nothing of what was known."""
        observed, at, over = incoming.observed, incoming.at, record.state
        known = BLANK[observed.kind]
        self._confirm(record)
        updates, changed = difference(known, observed)
        self._complete(key, known, incoming, updates, changed)
        self._store.replace(record, structs.replace(known, **updates))
        record.origin, record.time, record.received = incoming.origin, incoming.time or at.wall, at.wall
        record.known_since = at.wall
        record.stamps = marked((), observed, incoming.stamps)
        changed |= {name for name in over.__struct_fields__ if getattr(over, name) not in (UNSET, None)}
        return self._tell(record, self._sighted(record, incoming), None, changed, incoming, replaces=over)

    def _confirm(self, record: Record) -> None:
        """It is mentioned, and so known to be there."""
        if record.unconfirmed is not None:
            record.unconfirmed = None
            self._store.note(record)
            self._unsaved[record.key] = None

    def _add(self, key: KeyTexts, state: Entity, incoming: Incoming) -> Record:
        now = incoming.at.wall
        return self._store.add(
            key,
            state,
            origin=incoming.origin,
            time=incoming.time or now,
            received=now,
            known_since=now,
            stamps=marked((), incoming.observed, incoming.stamps),
        )

    @staticmethod
    def _sighted(record: Record, incoming: Incoming) -> tuple[str, ...]:
        return () if incoming.quiet else sighted(record.state, incoming.named)

    def _complete(
        self, key: KeyTexts, known: Entity, incoming: Incoming, updates: Updates, changed: set[str]
    ) -> None:
        """Add what the message leaves out and can be counted."""
        observed, at = incoming.observed, incoming.at
        if observed.kind in ("ticker", "book"):
            complete_prices(known, observed, updates, changed)
        elif observed.kind == "position":
            link = self._connections.get(key[0])
            self._values.complete_position(key[0], known, observed, updates, changed, link=link)
        elif observed.kind == "account":
            self._values.complete_account((key[0], key[3]), known, observed, updates, changed, at=at)

    def _tell(
        self,
        record: Record,
        events: tuple[str, ...],
        previous: Entity | None,
        changed: set[str],
        incoming: Incoming,
        *,
        replaces: Entity | None = None,
    ) -> list[Change]:
        """The Change itself, and after it what it moves. An account that it moves has moved already."""
        (venue, kind, account), at = record.home, incoming.at
        settled = (
            self._values.position_moved(record, previous, changed, at, quiet=incoming.quiet)
            if kind == "position"
            else []
        )
        change = self._store.change(
            record, events, previous, incoming.raw, replaces=replaces, operation=incoming.operation
        )
        if kind == "ticker":
            return [change, *self._values.priced(record, changed, at)]
        if kind in ("book", "trade"):
            ticker = self._values.ticker_from(record, changed)
            if ticker is None:
                return [change]
            key = key_of(venue, ticker, account)
            derived = Incoming(ticker, "synthetic", None, incoming.time, at, None, quiet=incoming.quiet)
            return [change, *self._merge(key, self._store.find(key), derived)]
        return [change, *settled, *self._connections.mentioned(change, change.key, at)]

    def _occurrence(self, venue: str, occurrence: Occurrence, at: Instant, raw: str | None) -> Change:
        """Told of the entity as it stands with what the message adds; kept is only what was there before."""
        key = key_of(venue, occurrence.state, occurrence.account)
        record, state = self._store.find(key), occurrence.state
        if record is not None:
            state = structs.replace(record.state, **difference(record.state, state)[0])
        incoming = Incoming(state, occurrence.origin, None, occurrence.time, at, raw)
        return self._passing(key, record, incoming, (canonical(occurrence.event),))

    def _passing(
        self, key: KeyTexts, record: Record | None, incoming: Incoming, events: tuple[str, ...]
    ) -> Change:
        """A Change of something that isn't kept."""
        now = incoming.at.wall
        since = record.known_since if record is not None else now
        id_ = record.id if record is not None else key[3]
        passing = Record(
            key[:3], id_, incoming.observed, incoming.origin, incoming.time or now, now, since, now
        )
        previous = record.state if record is not None else None
        return self._store.change(
            passing, events, previous, incoming.raw, passing=True, operation=incoming.operation
        )

    # ------------------------------------------------------------------------------------------------- what was mentioned

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
        self._note_last_messages()
        return [self._store.change(record) for record in self._store.live(kind)]

    def count(self) -> Mapping[tuple[str, str], int]:
        """How many haven't ended, by venue and kind."""
        return self._store.count()

    def get(self, key: Key) -> Change | None:
        """The entity as it stands, ended or not: without events, previous state and raw. None if it isn't known."""
        self._note_last_messages()
        record = self._store.find(key)
        return self._store.change(record) if record is not None else None

    def to_keep(self, keys: Iterable[Key]) -> list[Change]:
        """Those of them that are known, as of `get`, without what they belong to, which isn't stored."""
        self._note_last_messages()
        return [self._store.change(found, linked=False) for found in map(self._store.find, keys) if found]

    def find(self, key: Key) -> Record | None:
        """Its record, to be looked at: `get` at little cost."""
        return self._store.find(key)

    def called(self, kind: str, names: Collection[str] | None) -> list[Key]:
        """What lives of that kind and has one of these ids, symbols or accounts (None: all), and what has ended of these ids."""
        return [record.key for record in self._store.called(kind, names)]

    def unsaved(self) -> list[Key]:
        """What became newer or unconfirmed since the last call, or was confirmed, without a Change perhaps."""
        found, self._unsaved = dict.fromkeys((*self._unsaved, *self._connections.unsaved())), {}
        return list(found)

    def named(self, venue: str, kind: str, id_: str) -> list[Key]:
        """What is known of that kind under that id, of whichever account."""
        return [record.key for record in self._store if record.home[:2] == (venue, kind) and record.id == id_]

    def unconfirmed(self, venue: str) -> list[Change]:
        """The venue's open orders and positions that it hasn't mentioned since a gap, as they stand, the longest first."""
        records = filter(None, map(self._store.find, self._connections.unconfirmed(venue)))
        return [self._store.change(record) for record in sorted(records, key=_longest_unconfirmed)]

    def unconfirmed_before(self, time: datetime) -> list[Key]:
        """All open orders and positions that have been unconfirmed since before that time."""
        records = (record for kind in ("order", "position") for record in self._store.live(kind))
        return [each.key for each in records if each.unconfirmed is not None and each.unconfirmed < time]

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


def _longest_unconfirmed(record: Record) -> tuple[str, Key]:
    return iso(record.unconfirmed) if record.unconfirmed is not None else "", record.key
