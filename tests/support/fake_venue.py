"""A venue type with a tiny language of its own, and what is around a feed in a test."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio

from tocsin.clock import SystemClock
from tocsin.events import (
    Account,
    Change,
    ConnectionBegins,
    Observation,
    Occurrence,
    Order,
    SnapshotBegins,
    SnapshotEnds,
    Ticker,
    Venue,
)
from tocsin.feed import CredentialStore, Received, Retry, Timings, VenueFeed, run_venue
from tocsin.quantities import Duration
from tocsin.secrets import Masker, Secret
from tocsin.venues.base import (
    Accepted,
    Control,
    Decoded,
    Endpoint,
    HostRule,
    Item,
    Malformed,
    Ping,
    Refused,
    Reply,
    Request,
    Session,
    Unrecognized,
    VenueSettings,
)

# What must not pass in a test that isn't about it is long, whatever the machine; what is to pass is short.
QUICK = Timings(
    answer=30.0,
    close=0.1,
    http=30.0,
    send=30.0,
    first_delay=0.01,
    longest_delay=0.04,
    healthy=0.4,
    auth_retry=0.1,
    prove=0.2,
    market_silence=30.0,
    cycle=30.0,
    flood=0.2,
    renew=0.0,
)
HASTY = replace(QUICK, answer=0.15, http=1.0, send=0.2, market_silence=0.15, cycle=0.2)
"""For tests of what passes: a venue that doesn't answer, says nothing, takes nothing."""


class FakeSettings(VenueSettings):
    type: str = "fake"
    poll: Duration = timedelta(milliseconds=20)
    secret_key: Secret | None = None


def signed_in(settings: Any, kept: Any, now: datetime) -> Any:
    """A sign-in that needs nothing."""
    return Session()
    yield


@dataclass
class FakeAdapter:
    """Messages are JSON objects whose one key says what they are: see `_items`."""

    requests: tuple[Request, ...] = ()
    paths: dict[str, str] = field(default_factory=lambda: {"main": ""})
    market_data: bool = False
    polled: bool = False
    follow_redirect: bool = False
    signing: Callable[..., Any] = signed_in
    fetching: Callable[..., Any] | None = None
    asking: Callable[[Any], Any] | None = None
    ping: Ping | None = None
    hosts: HostRule | None = None
    asked_since: list[datetime | None] = field(default_factory=list)
    name: str = "fake"
    summary: str = "a venue for tests"
    settings: type[VenueSettings] = FakeSettings
    supplies: dict[str, frozenset[str]] = field(
        default_factory=lambda: {"account": frozenset(), "order": frozenset(), "ticker": frozenset()}
    )

    def sign_in(self, settings: Any, kept: Any, now: datetime) -> Any:
        return self.signing(settings, kept, now)

    def endpoints(self, settings: Any, session: Session) -> tuple[Endpoint, ...]:
        token = f"?token={session.token}" if session.token else ""
        return tuple(
            Endpoint(
                name=name,
                url=settings.url + path + token,
                opening=self.requests,
                market_data=self.market_data,
                origin=settings.origin,
                follow_redirect=self.follow_redirect,
                ping=self.ping,
            )
            for name, path in self.paths.items()
        )

    def decode(self, message: str, received: datetime) -> Decoded:
        try:
            parsed = json.loads(message)
        except ValueError:
            raise Malformed("not JSON") from None
        if not isinstance(parsed, dict) or len(parsed) != 1:
            raise Malformed("not an object with one key")
        ((what, value),) = parsed.items()
        if what == "whole":  # a full snapshot without anything of that kind
            return Decoded(items=(SnapshotBegins(kinds=(value,)), SnapshotEnds()))
        return Decoded(items=(self._item(what, value),), stream="ticks" if what == "tick" else None)

    def _item(self, what: str, value: Any) -> Item:
        match what:
            case "order":
                return Observation(state=Order(id=value, status="open"))
            case "at":
                return Observation(state=Order(id="late"), time=datetime.fromtimestamp(value, UTC))
            case "told_when_changed":
                changed = datetime.fromtimestamp(value, UTC)
                return Observation(state=Order(id="late", updated=changed), time=changed)
            case "changed":
                return Observation(state=Order(id="late", updated=datetime.fromtimestamp(value, UTC)))
            case "account":
                return Observation(state=Account(id=value, balance=Decimal(1)), account=value)
            case "tick":
                return Observation(state=Ticker(id=value, last=Decimal(1)))
            case "ack":
                return Accepted(value)
            case "refuse":
                return Refused(*value)
            case "ping":
                return Reply(json.dumps({"pong": value}))
            case "hello":
                return Control()
            case "crash":
                raise KeyError(value)
        return Unrecognized(f"a message of type {what}")

    def snapshot(self, settings: Any, session: Session, now: datetime, since: datetime | None) -> Any:
        self.asked_since.append(since)
        return None if self.fetching is None else self.fetching(settings, session)

    def ask(self, settings: Any, session: Session, order: Any, account: str | None, now: datetime) -> Any:
        return None if self.asking is None else self.asking(order)


class Told:
    """A sink that keeps what it is given. `full` makes it wait, as a full queue does."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.began: list[int] = []  # how much had been received when each socket was opened
        self.full: set[str] = set()
        self._changed = trio.Event()

    async def put(self, received: Received) -> None:
        await trio.lowlevel.checkpoint()
        while received.venue in self.full:
            await self._changed.wait()
        if received.observed == (ConnectionBegins(),):
            self.began.append(len(self.received))
        else:
            self.received.append(received)
        self.change()
        if received.taken is not None:
            received.taken()

    def change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def events(self, venue: str = "v") -> list[str]:
        """What was told of the connection, without the kind: `connected`, `disconnected` …"""
        return [
            item.event.removeprefix("venue.")
            for item in self.observations(venue, "venue")
            if item.event is not None
        ]

    def observations(self, venue: str = "v", kind: str = "venue") -> list[Observation | Occurrence]:
        return [
            item
            for received in self.received
            if received.venue == venue
            for item in received.observed
            if isinstance(item, Observation | Occurrence) and item.state.kind == kind
        ]

    def state(self, event: str, venue: str = "v") -> Any:
        """The venue's state as the first such event told it."""
        return next(o.state for o in self.observations(venue) if o.event == f"venue.{event}")

    def ids(self, kind: str = "order", venue: str = "v") -> list[Any]:
        return [item.state.id for item in self.observations(venue, kind)]

    async def until(self, condition: Callable[["Told"], Any]) -> None:
        while not condition(self):
            await self._changed.wait()

    async def heard(self, *events: str, venue: str = "v") -> None:
        """Wait until exactly these events were told."""
        await self.until(lambda told: len(told.events(venue)) >= len(events))
        assert self.events(venue) == list(events)


class Lines:
    """A structlog-like logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, name, fields in self.lines if name == event]

    def text(self) -> str:
        return repr(self.lines)


@dataclass
class Feeding:
    """What is around running feeds."""

    directory: Path
    nursery: trio.Nursery
    told: Told = field(default_factory=Told)
    log: Lines = field(default_factory=Lines)
    masker: Masker = field(default_factory=Masker)
    retry: Retry = field(default_factory=Retry)

    @property
    def credentials(self) -> CredentialStore:
        return CredentialStore(self.directory / "kept", self.log)

    async def venue(
        self,
        adapter: FakeAdapter,
        url: str,
        *,
        name: str = "v",
        timings: Timings = QUICK,
        before: Venue | None = None,
        unconfirmed: Callable[[], Sequence[Change]] = tuple,
        **settings: Any,
    ) -> None:
        """Start one; `url` without a scheme is a port of loopback. `before`: its link as the last run left it."""
        made = FakeSettings(url=url, **settings)
        await self.nursery.start(self._run, adapter, made, name, timings, before, unconfirmed)

    async def configured(self, adapter: Any, **settings: Any) -> None:
        """Start one of another adapter, as the config's settings make it."""
        made = adapter.settings.model_validate(settings)
        await self.nursery.start(self._run, adapter.configured(made), made, "v", QUICK, None, tuple)

    async def _run(  # noqa: PLR0917 - by trio
        self,
        adapter: Any,
        settings: VenueSettings,
        name: str,
        timings: Timings,
        before: Venue | None,
        unconfirmed: Callable[[], Sequence[Change]],
        task_status: trio.TaskStatus[None],
    ) -> None:
        await run_venue(
            VenueFeed(name, adapter, settings),
            sink=self.told,
            clock=SystemClock(),
            masker=self.masker,
            credentials=self.credentials,
            log=self.log,
            timings=timings,
            record_to=self.directory / "records" / f"{name}.jsonl" if settings.record else None,
            retry=self.retry,
            before=lambda: before,
            unconfirmed=unconfirmed,
            task_status=task_status,
        )


@asynccontextmanager
async def feeding(directory: Path, within: float = 60.0) -> AsyncIterator[Feeding]:
    """Feeds run until the context ends; then they must end at once, whatever hangs."""
    with trio.fail_after(within):
        async with trio.open_nursery() as nursery:
            yield Feeding(directory, nursery)
            nursery.cancel_scope.cancel()
