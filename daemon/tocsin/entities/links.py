"""What is known of the link to a venue: an outage, what it left unconfirmed, the snapshot that is being received."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct, field

from tocsin.events import Instant, Key, SnapshotBegins
from tocsin.events.links import KeyTexts
from tocsin.quantities import duration_text

_NAMED = 10  # so many entities are named in a reason, the rest is counted
_LONGEST_NAME = 64  # characters of an id or symbol; the venue chose them


class Snapshot(Struct):
    """A snapshot that is being received. `first`: its kinds of which there was none before."""

    begins: SnapshotBegins
    first: frozenset[str]
    seen: set[KeyTexts] = field(default_factory=set)
    found: list[str] = field(default_factory=list)  # the differences, in words

    def covers(self, key: KeyTexts) -> bool:
        """Whether the snapshot would have that entity, if it exists."""
        account = self.begins.account
        return key[1] in self.begins.kinds and (account is None or account == key[2])


class Outage(Struct, frozen=True):
    """Since when nothing came from the venue. `steady` None: from before this run, so only the wall clock tells.

    `lost`: the venue's link was down; else the daemon was.
    """

    wall: datetime
    steady: float | None
    lost: bool = True

    def lasted(self, until: Instant) -> float:
        """Seconds, never less than none."""
        seconds = (
            (until.wall - self.wall).total_seconds() if self.steady is None else until.steady - self.steady
        )
        return max(0.0, seconds)


class Link(Struct):
    """One venue's link. `unconfirmed` are open orders and positions not mentioned again since a gap."""

    outage: Outage | None = None
    connection: int = 0  # how many times a socket was opened or lost: what counts within one counts by this
    was_up: bool = False
    up_since: datetime | None = None
    resync_due: bool = False
    early: Snapshot | None = None  # complete before the link was told to be up
    unconfirmed: dict[KeyTexts, str] = field(default_factory=dict)  # with how a person is told of it
    reason_told: str | None = None  # of what is unconfirmed, as the venue's reason
    # Mentioned during the outage, before the link was told to be up.
    heard: set[KeyTexts] = field(default_factory=set)
    snapshot: Snapshot | None = None
    covered: set[tuple[str, str]] = field(default_factory=set)  # (kind, account or "") of earlier snapshots
    # The same, of what came as an opening state since the link is up.
    opening: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, begins: SnapshotBegins) -> None:
        """A snapshot begins; one that wasn't complete is void."""
        account = begins.account or ""
        first = frozenset(kind for kind in begins.kinds if (kind, account) not in self.covered)
        self.snapshot = Snapshot(begins, first)

    def lose(self, since: Outage) -> None:
        """The link is down. A snapshot that wasn't complete is void, and the opening state is over."""
        self.connection += 1
        self.snapshot = None
        self.covered |= self.opening
        self.opening.clear()
        self.heard.clear()
        self.early = None
        if self.was_up and self.outage is None:
            self.outage = since


def called(key: Key, symbol: str | None, remark: str = "") -> str:
    """An entity as it is called in messages: `order 132991 (ETH/BTC)`, `order 132991 (ETH/BTC; asked for: HTTP 500)`."""
    name = f"{key.kind} {key.id[:_LONGEST_NAME]}"
    beside = "; ".join(text for text in ((symbol or "")[:_LONGEST_NAME], remark[:_LONGEST_NAME]) if text)
    return f"{name} ({beside})" if beside else name


def listed(names: Iterable[str]) -> str:
    """At most ten by name, the rest by number."""
    every = list(names)
    more = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def gap_reason(seconds: float, unconfirmed: Iterable[str]) -> str:
    """The reason of `venue.gap`: how long it was, and what is unconfirmed since."""
    # Whole seconds say enough of anything longer than one.
    lasted = duration_text(timedelta(seconds=round(seconds) if seconds >= 1 else seconds))
    return f"back after {lasted}; {still_reason(unconfirmed) or 'no open order or position was known'}"


def still_reason(unconfirmed: Iterable[str]) -> str | None:
    """What is left of a gap; None where nothing is."""
    names = list(unconfirmed)
    return f"{len(names)} unconfirmed until mentioned again: {listed(names)}" if names else None


def resync_reason(found: list[str], unconfirmed: Iterable[str]) -> str:
    """The reason of `venue.resynced`: what had changed meanwhile, and what the snapshot left unconfirmed."""
    names = list(unconfirmed)
    changes = f"{len(found)} found changed: {listed(found)}" if found else "nothing had changed"
    rest = f"{len(names)} still unconfirmed: {listed(names)}" if names else "nothing unconfirmed"
    return f"{changes}; {rest}"
