"""The venues' links as entities of their own: gaps, what they leave unconfirmed, and the snapshots that follow."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from msgspec import UNSET, structs

from tocsin.entities.entity_store import EntityStore, Record, symbol_of
from tocsin.entities.links import Link, Outage, Snapshot, called, gap_reason, resync_reason, still_reason
from tocsin.entities.merge import BLANK, difference
from tocsin.entities.names import of_venue
from tocsin.events import UP, Account, Change, Instant, Key, Observation, Origin, SnapshotBegins, Venue
from tocsin.events.links import KeyTexts

_CONFIRMABLE = ("order", "position")
_DOWN = frozenset({"disconnected", "auth_failed", "refused"})


class Connections:
    """The links of all venues, each a `Link`.

    A venue known from an earlier run has an outage since the newest thing that is known of it (or since its link was
    lost, if it was); whether that was a gap for anything is told when it is connected again.
    """

    def __init__(self, store: EntityStore, saved: Iterable[Record], *, gap: bool) -> None:
        self._store = store
        self._links: dict[str, Link] = {}
        self._unsaved: list[Key] = []
        lost: dict[str, Outage] = {}
        for record in saved:
            venue, kind, account = record.home
            link = self._links.setdefault(venue, Link())
            state = record.state
            if isinstance(state, Venue):
                link.was_up = link.was_up or state.status in UP
                if state.status in _DOWN and state.since:
                    lost[venue] = Outage(state.since, None)
            else:
                link.was_up = True
                link.covered |= {(kind, account), (kind, "")}
            if link.outage is None or record.received > link.outage.wall:
                link.outage = Outage(record.received, None, lost=False)
        for name, link in self._links.items():
            link.outage = lost.get(name, link.outage) if link.was_up else None
            if gap and name not in lost:  # else what is unconfirmed by that was kept
                self._mark_unconfirmed(name, link)
        self._unsaved.clear()  # nothing is known by which it wouldn't be found so again

    def get(self, venue: str) -> Link | None:
        return self._links.get(venue)

    def connection(self, venue: str) -> int:
        """The number of the connection in which that venue speaks now."""
        link = self._links.get(venue)
        return link.connection if link is not None else 0

    def opened(self, venue: str) -> None:
        """A socket of that venue's was opened."""
        self._links.setdefault(venue, Link()).connection += 1

    def remove(self, venue: str) -> None:
        self._links.pop(venue, None)

    def forget(self, keys: Iterable[Key], at: Instant) -> list[Change]:
        """These are no longer known; the counts of what is unconfirmed, where they are others by that."""
        gone: dict[str, list[Key]] = {}
        for key in keys:
            link = self._links.get(key.venue)
            if link is not None and link.unconfirmed.pop(key, None) is not None:
                gone.setdefault(key.venue, []).append(key)
        changes: list[Change] = []
        for venue, found in gone.items():
            link = self._links[venue]
            changes += self._counted(venue, link, at)
            accounts = dict.fromkeys(key[:3] for key in found)
            changes += self._counted_of((self._account_of((*of, "")) for of in accounts), link, at)
        return changes

    def unconfirmed(self, venue: str) -> list[KeyTexts]:
        """The open orders and positions that the venue hasn't mentioned since a gap."""
        link = self._links.get(venue)
        return list(link.unconfirmed) if link is not None else []

    def unsaved(self) -> list[Key]:
        """What has become unconfirmed since the last call."""
        found, self._unsaved = self._unsaved, []
        return found

    # ------------------------------------------------------------------------------------------------ what is mentioned

    def origin_of(self, venue: str, key: KeyTexts, told: Origin, *, known: bool) -> Origin:
        """`told` is the observation's own origin; part of a snapshot, it is what the snapshot makes of it.

        Of the first snapshot, what was unknown is `snapshot`: it was so before anybody watched. What a later one shows
        to be otherwise than we knew happened while we were away, or, where the venue is polled, just now.
        """
        link = self._links.get(venue)
        if told != "snapshot" and (link is None or link.snapshot is None):
            return told
        snapshot = link.snapshot if link is not None else None
        if snapshot is not None and snapshot.covers(key):
            snapshot.seen.add(key)
            if not known and key[1] in snapshot.first:
                return "snapshot"
            return "live" if snapshot.begins.live else "resync"
        if told != "snapshot":
            return told
        kind = (key[1], key[2])
        if link is None:
            link = self._links[venue] = Link()
        link.opening.add(kind)
        return "resync" if known or kind in link.covered else "snapshot"

    def mentioned(self, change: Change | None, key: KeyTexts, at: Instant) -> list[Change]:
        """An order or position was spoken of, and is so confirmed. `change`: what came of it, if anything."""
        link = self._links.get(key[0])
        if link is None or key[1] not in _CONFIRMABLE:
            return []
        if link.outage is not None:
            link.heard.add(key)
        if link.snapshot is not None and link.snapshot.covers(key):
            if change is not None and change.events:
                link.snapshot.found.append(f"{change.events[-1]} {called(change.key, change.symbol)}")
            link.unconfirmed.pop(key, None)  # counted when the snapshot ends
            return []
        if not link.unconfirmed.pop(key, None):
            return []
        account = self._account_of(key)
        return [*self._counted(key[0], link, at), *self._counted_of((account,), link, at)]

    def unanswered(self, key: Key, reason: str, at: Instant) -> list[Change]:
        """The venue was asked for what is unconfirmed, and doesn't say: that is told with it until it is mentioned."""
        link, known = self._links.get(key.venue), self._store.find(key)
        if link is None or known is None or key not in link.unconfirmed:
            return []
        link.unconfirmed[key] = called(key, symbol_of(known.state), reason)
        record = self._store.find((key.venue, "venue", "", key.venue))
        if (
            record is None
            or link.reason_told is None
            or getattr(record.state, "reason", None) != link.reason_told
        ):
            return []
        link.reason_told = still_reason(link.unconfirmed.values())
        return self._tell(record, at, (), {"reason": link.reason_told})

    # ------------------------------------------------------------------------------------------------------- snapshots

    def begin(self, venue: str, begins: SnapshotBegins) -> None:
        self._links.setdefault(venue, Link()).begin(begins)

    def end(self, venue: str, at: Instant) -> list[Change]:
        """The snapshot is complete: what lived and isn't in it is unconfirmed, for absence is not evidence."""
        link = self._links.get(venue)
        if link is None or link.snapshot is None:
            return []
        snapshot, link.snapshot = link.snapshot, None
        account = snapshot.begins.account or ""
        link.covered |= {(kind, account) for kind in snapshot.begins.kinds}
        for record in self._open(venue):
            if snapshot.covers(key := record.key) and key not in snapshot.seen:
                self._leave_unconfirmed(link, record, at.wall)
        if link.outage is not None:
            link.early = snapshot  # the link is told to be back when the snapshot is whole
        accounts = self._counted_of(self._store.live("account", venue), link, at)
        if link.resync_due:
            return [*self._resynced(venue, link, snapshot, at), *accounts]
        return [*self._counted(venue, link, at), *accounts]

    def _resynced(self, venue: str, link: Link, snapshot: Snapshot, at: Instant) -> list[Change]:
        link.resync_due, link.early = False, None
        reason = resync_reason(snapshot.found, link.unconfirmed.values())
        return self._tell_of_link(venue, link, at, "venue.resynced", reason)

    # ------------------------------------------------------------------------------------------------- the link itself

    def observe(
        self, venue: str, observation: Observation, named: str | None, at: Instant, raw: str | None
    ) -> list[Change]:
        """What the feed says of the link. One `disconnected` an outage; a gap is told after `connected`."""
        observed, link = observation.state, self._links.setdefault(venue, Link())
        key = Key(venue, "venue", "", venue)
        record = self._store.find(key)
        known = record.state if record is not None else BLANK["venue"]
        if not isinstance(observed, Venue) or not isinstance(known, Venue):
            raise TypeError(f"{key} is no venue")
        if observed.status == "connecting" and known.status in _DOWN:
            observed = structs.replace(observed, status=UNSET)  # from a loss until it is back it stays lost
        time = observation.time or at.wall
        if observed.status is UNSET or observed.status == known.status:
            # It is so since it became so, whoever has started anew.
            observed = structs.replace(observed, since=UNSET)
        elif observed.since is UNSET:
            observed = structs.replace(observed, since=time)
        updates, changed = difference(known, observed)
        state = structs.replace(known, **updates)
        events = of_venue(
            known if record else None, state, updates, named, after_outage=link.outage is not None
        )
        if record is None:
            record = self._store.add(
                key, state, origin=observation.origin, time=time, received=at.wall, known_since=at.wall
            )
        elif not changed and not events:
            return []
        else:
            self._store.replace(record, state)
            record.origin, record.time, record.received = observation.origin, time, at.wall
        previous = known if known is not BLANK["venue"] else None
        changes = [self._store.change(record, events, previous, raw)]
        if state.status in _DOWN and "status" in changed:
            link.was_up = link.was_up or self._store.knows(venue)
            link.lose(Outage(at.wall, at.steady))
            self._mark_unconfirmed(venue, link)
        if "venue.connected" in events:
            changes += self._back(venue, link, at)
        return changes

    def _back(self, venue: str, link: Link, at: Instant) -> list[Change]:
        """The link is up again. Nobody knows what became of the open orders and positions meanwhile."""
        outage, link.outage = link.outage, None
        link.was_up, link.up_since = True, at.wall
        if outage is None:
            return []
        heard = link.heard
        link.heard = set()
        link.unconfirmed = {}
        for each in self._open(venue):
            if each.key not in heard:
                self._leave_unconfirmed(link, each, outage.wall)
        accounts = self._counted_of(self._store.live("account", venue), link, at)
        if not outage.lost and not link.unconfirmed:
            link.early = None
            return [*accounts, *self._counted(venue, link, at)]  # there was nothing to miss
        link.resync_due = True
        reason = gap_reason(outage.lasted(at), link.unconfirmed.values())
        changes = [*accounts, *self._tell_of_link(venue, link, at, "venue.gap", reason)]
        if link.early is not None:
            changes += self._resynced(venue, link, link.early, at)
        return changes

    # ---------------------------------------------------------------------------------------------------------- parts

    def _open(self, venue: str) -> Iterable[Record]:
        """The venue's open orders and positions."""
        for kind in _CONFIRMABLE:
            yield from self._store.live(kind, venue)

    def _mark_unconfirmed(self, venue: str, link: Link) -> None:
        """During an outage, what was open is not known to be so. What was unconfirmed before is so since then."""
        if link.outage is not None:
            for record in self._open(venue):
                if record.unconfirmed is None:
                    record.unconfirmed = link.outage.wall
                    self._store.note(record)
                    self._unsaved.append(record.key)

    def _leave_unconfirmed(self, link: Link, record: Record, since: datetime) -> None:
        """It wasn't mentioned, though the venue could have."""
        key = record.key
        record.unconfirmed = record.unconfirmed or since
        self._store.note(record)
        link.unconfirmed[key] = called(key, symbol_of(record.state))
        self._unsaved.append(key)

    def _counted(self, venue: str, link: Link, at: Instant) -> list[Change]:
        """The venue's count of what is unconfirmed, where it is another than before: an update, no event."""
        record = self._store.find((venue, "venue", "", venue))
        count = len(link.unconfirmed)
        if record is None or not isinstance(record.state, Venue) or (record.state.unconfirmed or 0) == count:
            return []
        updates: dict[str, object] = {"unconfirmed": Decimal(count)}
        if link.reason_told is not None and record.state.reason == link.reason_told:
            link.reason_told = updates["reason"] = still_reason(link.unconfirmed.values())
        return self._tell(record, at, (), updates)

    def _counted_of(self, accounts: Iterable[Record | None], link: Link, at: Instant) -> list[Change]:
        """The same of each account: how many of its positions are unconfirmed, since its margin isn't known while one is."""
        counts = Counter(key[2] for key in link.unconfirmed if key[1] == "position")
        changes: list[Change] = []
        for record in accounts:
            if record is None or not isinstance(record.state, Account):
                continue
            if (record.state.unconfirmed or 0) != counts[record.id]:
                changes += self._tell(record, at, (), {"unconfirmed": Decimal(counts[record.id])})
        return changes

    def _account_of(self, key: KeyTexts) -> Record | None:
        return self._store.find((key[0], "account", key[2], key[2])) if key[2] else None

    def _tell_of_link(self, venue: str, link: Link, at: Instant, event: str, reason: str) -> list[Change]:
        record = self._store.find((venue, "venue", "", venue))
        if record is None:
            return []  # the feed said nothing of this venue, so nothing can be told of its connection
        link.reason_told = reason if link.unconfirmed else None
        updates = {"reason": reason, "unconfirmed": Decimal(len(link.unconfirmed))}
        told = self._tell(record, at, (event,), updates)
        if not link.unconfirmed:  # it is told, and over
            record.state = structs.replace(record.state, reason=None)
            self._unsaved.append(record.key)
        return told

    def _tell(
        self, record: Record, at: Instant, events: tuple[str, ...], updates: dict[str, object]
    ) -> list[Change]:
        known = record.state
        self._store.move(record, structs.replace(known, **updates))
        record.origin, record.time, record.received = "synthetic", at.wall, at.wall
        return [self._store.change(record, events, known)]
