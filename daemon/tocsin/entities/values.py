"""Keeps what a venue doesn't say itself in step with what it does say: by which entity moves which."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from msgspec import UNSET, structs

from tocsin.entities.derive import (
    ACCOUNT_VALUES,
    margin_level,
    position_at,
    profit_of,
    put,
    ticker_of_book,
)
from tocsin.entities.entity_store import EntityStore, Record
from tocsin.entities.links import Link
from tocsin.entities.merge import Updates
from tocsin.entities.returns import Bookings, flow, valued
from tocsin.entities.sums import PositionSums
from tocsin.events import Account, Book, Change, Entity, Instant, Key, Position, Ticker, Trade
from tocsin.events.vocabulary import has_ended

# Of a position: what its profit depends on, and what its account depends on.
_PROFIT_INPUTS = frozenset({"side", "symbol", "amount", "entry_price", "lot_size", "profit_price"})
_ACCOUNT_INPUTS = frozenset(
    {"status", "profit", "amount", "lot_size", "margin_price", "leverage", "currency"}
)
_RESULTS = ("result", "performance")
_NO_FLOW = Decimal(0)
_TICKER_PRICES = ("bid", "ask", "bid_size", "ask_size", "last")
_BOOK_PRICES = frozenset({"bid", "ask", "bid_size", "ask_size"})


_Owner: TypeAlias = tuple[str, str]  # an account's venue and id


class Values:
    """What is derived, entity by entity. Account values that a venue has sent once are the venue's from then on, which is
    kept with its accounts. Of what is in the store already, the others were counted: so that venue tells of positions.
    """

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        self._sums: dict[_Owner, PositionSums] = {}
        self._bookings = Bookings()
        self._known_anew: set[_Owner] = set()  # the accounts of which more, or less, is known than before
        for record in store.live("account"):
            venue, state = record.home[0], record.state
            counted = (name for name in ACCOUNT_VALUES if name not in store.sent(venue))
            if any(isinstance(getattr(state, name), Decimal) for name in counted):
                store.note_positions(venue)
            if isinstance(state, Account) and not isinstance(state.performance, Decimal):
                record.state = structs.replace(state, **valued(state, _NO_FLOW))  # an older version left it

    # --------------------------------------------------------------------------------------------------- own messages

    def complete_position(
        self,
        venue: str,
        known: Entity,
        observed: Entity,
        updates: Updates,
        changed: set[str],
        *,
        link: Link | None,
    ) -> None:
        """Add the profit and mark price that a position's message leaves out, from the prices as they stand now."""
        if not isinstance(known, Position) or not isinstance(observed, Position):
            return
        status, symbol = updates.get("status", known.status), updates.get("symbol", known.symbol)
        if status in (UNSET, None):
            updates["status"] = "open"
        if status == "closed" or not isinstance(symbol, str):
            return
        profit_left_out = not isinstance(observed.profit, Decimal) and not changed.isdisjoint(_PROFIT_INPUTS)
        if not profit_left_out and isinstance(updates.get("mark_price", known.mark_price), Decimal):
            return
        ticker = self._current_ticker(venue, symbol, link)
        counted = position_at(structs.replace(known, **updates), ticker) if ticker is not None else None
        if counted is None:
            return
        mark, profit = counted
        if not isinstance(observed.mark_price, Decimal):
            put("mark_price", mark, known, updates, changed)
        if profit_left_out:
            put("profit", profit, known, updates, changed)

    def position_moved(
        self, record: Record, previous: Entity | None, changed: set[str], at: Instant, *, quiet: bool
    ) -> list[Change]:
        """A position's message may move its account. `quiet`: nothing happened, it was so."""
        venue, _, account = record.home
        position, owner = record.state, self._store.find((venue, "account", account, account))
        if changed.isdisjoint(_ACCOUNT_INPUTS) or owner is None or not isinstance(owner.state, Account):
            return []
        if not isinstance(position, Position):
            return []
        if previous is None:
            opened = position.opened
            if quiet or (isinstance(opened, datetime) and opened < owner.known_since):
                self._known_anew.add((venue, account))
        elif has_ended(position) and not has_ended(previous):
            profit = profit_of(position, owner.state)
            counted = isinstance(owner.state.equity, Decimal) and "equity" not in self._store.sent(venue)
            if counted and profit is not None:
                left = self._bookings.closed((venue, account), owner.state, profit, at.steady)
                owner.state = structs.replace(owner.state, unbooked=left)
        return self._settle(venue, account, record.time, at)

    def recounted(self, venue: str, account: str, at: Instant) -> list[Change]:
        """A position of the account's is no longer known."""
        return self._settle(venue, account, at.wall, at)

    def complete_observed(self, venue: str, observed: Account) -> tuple[Account, bool]:
        """The account's message as it is to be merged: what it doesn't know it doesn't clear, for we may. And whether it
        is the venue's first to send one of the values.
        """
        sent = [name for name in ACCOUNT_VALUES if isinstance(getattr(observed, name), Decimal)]
        first = self._store.note_sent(venue, sent)
        ours = (name for name in ACCOUNT_VALUES if name not in self._store.sent(venue))
        cleared = {name: UNSET for name in ours if getattr(observed, name) is None}
        return (structs.replace(observed, **cleared) if cleared else observed), first

    def complete_account(
        self,
        owner: _Owner,
        known: Entity,
        observed: Entity,
        updates: Updates,
        changed: set[str],
        *,
        at: Instant,
    ) -> None:
        """Add what an account's message moves of what we count."""
        if not isinstance(known, Account) or not isinstance(observed, Account):
            return
        if "balance" in changed:
            updates["unbooked"] = self._bookings.booked(owner, known, observed, at.steady)
        if isinstance(observed.equity, Decimal) and not known.by_equity:
            self._known_anew.add(owner)
        self._count(owner, known, updates, changed, flow(known, observed))

    def forgets(self, keys: Iterable[Key]) -> None:
        """These are about to be forgotten: an account is then worth what is still known of it, and nothing was lost."""
        for key in keys:
            record = self._store.find(key) if key.kind == "position" else None
            if record is not None and not has_ended(record.state):
                self._known_anew.add((key.venue, key.account))

    def drop_venue(self, venue: str) -> None:
        """Nothing of that venue is known any more."""
        self._bookings.drop_venue(venue)
        self._sums = {owner: sums for owner, sums in self._sums.items() if owner[0] != venue}
        self._known_anew = {owner for owner in self._known_anew if owner[0] != venue}

    # --------------------------------------------------------------------------------------------------------- prices

    def priced(self, record: Record, changed: set[str], at: Instant) -> list[Change]:
        """A ticker moved: so do the positions in its symbol, and their accounts."""
        ticker = record.state
        if not isinstance(ticker, Ticker) or changed.isdisjoint(("bid", "ask")):
            return []
        venue, symbol = record.home[0], ticker.symbol
        moved: list[tuple[Record, Position]] = []
        for position in self._store.positions_in(venue, symbol if isinstance(symbol, str) else record.id):
            state = position.state
            counted = position_at(state, ticker) if isinstance(state, Position) else None
            if counted is None or not isinstance(state, Position):
                continue
            mark, profit = counted
            if mark != state.mark_price or profit != state.profit:
                self._store.move(position, structs.replace(state, mark_price=mark, profit=profit))
                _stamp(position, record.time, at)
                moved.append((position, state))
        if not moved:
            return []
        accounts = dict.fromkeys(position.home[2] for position, _ in moved)
        settled = [c for account in accounts for c in self._settle(venue, account, record.time, at)]
        changes = [self._store.change(position, ("position.updated",), state) for position, state in moved]
        return changes + settled

    def own_ticker(self, record: Record | None, observed: Ticker) -> Ticker:
        """A venue's own ticker; the first one replaces what books and trades had kept in its place."""
        if record is None or record.origin != "synthetic":
            return observed
        return structs.replace(
            observed, **{name: None for name in _TICKER_PRICES if getattr(observed, name) is UNSET}
        )

    def ticker_from(self, record: Record, changed: set[str]) -> Ticker | None:
        """What a book or trade says of its symbol's ticker, where the venue keeps none of its own."""
        state, (venue, _, account) = record.state, record.home
        if isinstance(state, Book) and not changed.isdisjoint(_BOOK_PRICES):
            ticker = ticker_of_book(state)
        elif isinstance(state, Trade) and isinstance(state.price, Decimal):
            ticker = Ticker(last=state.price)
        else:
            return None
        name = state.symbol if isinstance(state.symbol, str) else record.id
        there = self._store.find((venue, "ticker", account, name))
        if there is not None and there.origin != "synthetic":
            return None
        return structs.replace(ticker, id=name, symbol=name)

    # ---------------------------------------------------------------------------------------------------------- parts

    def _current_ticker(self, venue: str, symbol: str, link: Link | None) -> Ticker | None:
        """The symbol's ticker, if it was told since the link is up: yesterday's price is no price."""
        record = self._store.find((venue, "ticker", "", symbol))
        if record is None or not isinstance(record.state, Ticker):
            return None
        if link is not None and (link.outage or (link.up_since and record.received < link.up_since)):
            return None
        return record.state

    def _settle(self, venue: str, account: str, time: datetime, at: Instant) -> list[Change]:
        """Count the account anew; the Change if that comes to something else."""
        record = self._store.find((venue, "account", account, account))
        if record is None or not isinstance(record.state, Account):
            return []
        known = record.state
        updates: Updates = {}
        changed: set[str] = set()
        self._count((venue, account), known, updates, changed)
        if not changed:
            record.state = structs.replace(known, **updates)
            return []
        spoken_of = dict.fromkeys(known.momentary, UNSET)  # of the venue's own last message, not of this
        self._store.move(record, structs.replace(known, **spoken_of, **updates))
        _stamp(record, time, at)
        return [self._store.change(record, ("account.updated",), known)]

    def _count(
        self,
        owner: _Owner,
        known: Account,
        updates: Updates,
        changed: set[str],
        flowed: Decimal = _NO_FLOW,
    ) -> None:
        """Add what the account's values are with these updates: equity and margin, then what they say of its results."""
        for name, value in self._account_values(*owner, structs.replace(known, **updates)).items():
            put(name, value, known, updates, changed)
        state = structs.replace(known, **updates)
        # What is known anew is the equity; an account that is worth its balance is worth what that says.
        anew = isinstance(state.equity, Decimal) and owner in self._known_anew
        if isinstance(state.equity, Decimal):
            self._known_anew.discard(owner)
        for name, value in valued(state, flowed, anew=anew).items():
            if name in _RESULTS:
                put(name, value, known, updates, changed)
            else:
                updates[name] = value

    def _summed(self, venue: str, account: str, state: Account) -> PositionSums:
        """What the account's positions come to as they now stand."""
        sums = self._sums.get((venue, account))
        moved = self._store.moved_positions(venue, account)
        if sums is None or moved is None or not sums.fits(state):
            sums = self._sums[venue, account] = PositionSums(state.currency, state.leverage)
            moved = self._store.positions_of(venue, account)
        for record in moved:
            if self._store.is_live(record) and isinstance(record.state, Position):
                sums.put(record, record.state, state)
            else:
                sums.drop(record)
        return sums

    def _account_values(self, venue: str, account: str, state: Account) -> Updates:
        if not self._store.tells_positions(venue):
            return {}
        sums = self._summed(venue, account, state)
        values: Updates = {"equity": sums.equity(state), "margin": sums.bound()}
        sent = self._store.sent(venue)
        for name in sent:
            values[name] = getattr(state, name)
        if "margin_level" not in sent:
            values["margin_level"] = margin_level(values["equity"], values["margin"])
        return values


def _stamp(record: Record, time: datetime, at: Instant) -> None:
    record.seen_before = max(record.received, record.last_seen)
    record.origin, record.time, record.received = "synthetic", time, at.wall
