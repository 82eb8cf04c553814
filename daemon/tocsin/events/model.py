"""What flows through the daemon: observations in from the venues, changes out of the entities; moments, and samples that are kept."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from msgspec import UNSET, Struct, structs

from tocsin.events.kinds import KINDS, Entity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(NamedTuple):
    """A moment as the daemon lives it: the wall-clock to show and store, a steady clock to measure with.

    `wall` is UTC and may jump when the machine's clock is set; `steady` is seconds that only ever go on.

    Within a run, durations (`for`, cooldowns) are measured on `steady`; across runs only `wall` means anything.
    """

    wall: datetime
    steady: float

    def later(self, seconds: float) -> "Instant":
        return Instant(self.wall + timedelta(seconds=seconds), self.steady + seconds)


def iso(time: datetime) -> str:
    """UTC as ISO 8601 with microseconds and `Z`: sorts as text, reads as time."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """The inverse of `iso`; also reads any ISO 8601 text, one without a zone as UTC. ValueError on others."""
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def microseconds(time: datetime | timedelta) -> int:
    """A moment since 1970, or a span."""
    return (time - _EPOCH if isinstance(time, datetime) else time) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """The inverse of `microseconds` for a moment."""
    return _EPOCH + timedelta(microseconds=microseconds)


# --------------------------------------------------------------------------------------------- what venues say

Origin: TypeAlias = Literal["live", "snapshot", "resync", "synthetic"]


class Key(NamedTuple):
    """What an entity is known by. `account` is "" where the venue names none."""

    venue: str
    kind: str
    account: str
    id: str


class Observation(Struct, frozen=True, kw_only=True, gc=False):
    """A venue says: this is now so.

    `state` holds what the message mentions, its `id` always set. `event` is the dotted name of what happened, where
    the message itself says it (`position.closed`); otherwise comparison tells. `time` is the venue's, UTC, None where
    it gives none. `origin` is `snapshot` only where the venue's page calls the message an opening state.

    What tells an older message from a newer one: `time`, the state's `opened`, `created` and `updated`, and `sequence`,
    the venue's number of the message, which counts within one connection (a book has it as a field). `unordered` names
    those of these times that this venue doesn't move, so that they tell nothing. `operation` is the id of the operation
    that the message is about: what is said of one that was told before is said again.
    """

    state: Entity
    account: str | None = None
    event: str | None = None
    origin: Literal["live", "snapshot", "synthetic"] = "live"
    time: datetime | None = None
    sequence: int | None = None
    unordered: tuple[str, ...] = ()
    operation: str | None = None


class Occurrence(Struct, frozen=True, kw_only=True):
    """Something happened that is no entity's state (a public order expired, the daemon started): told, not kept."""

    state: Entity
    event: str
    account: str | None = None
    origin: Literal["live", "synthetic"] = "live"
    time: datetime | None = None


class ConnectionBegins(Struct, frozen=True):
    """A socket of the venue's is open: sequences count anew, and what comes first may be what was told before."""


class SnapshotBegins(Struct, frozen=True):
    """What follows, until `SnapshotEnds`, is the venue's full snapshot of these kinds (of one account, where given).

    `live` says that a difference from the last snapshot happened while we were watching (a polled venue between two
    complete cycles); otherwise a difference is a `resync`.
    """

    kinds: tuple[str, ...]
    account: str | None = None
    live: bool = False


class SnapshotEnds(Struct, frozen=True):
    """The snapshot that `SnapshotBegins` announced is complete."""


class Unanswered(Struct, frozen=True):
    """The venue was asked what became of an unconfirmed order or position, and doesn't say: `reason`, in words of one line."""

    kind: str
    id: str
    account: str | None
    reason: str


class Beat(Struct, frozen=True):
    """Nothing happened: the daemon sends it through itself to see whether anything gets through. `id` comes back."""

    id: str


Observed: TypeAlias = (
    Observation | Occurrence | ConnectionBegins | SnapshotBegins | SnapshotEnds | Unanswered | Beat
)


# ------------------------------------------------------------------------------------------- what they change


class Stamps(Struct, frozen=True, kw_only=True, gc=False):
    """By what one message is older or newer than another about the same entity; None: not said, or not believed.

    `begun` is when the entity itself began (`opened`, `created`), `updated` when it last changed, `time` the message's
    own; `sequence` counts within the connection of that number. `fields` are the fields that the message filled, a bit
    each in the order of their kind; 0: the entity as a whole.
    """

    begun: datetime | None = None
    updated: datetime | None = None
    time: datetime | None = None
    sequence: int | None = None
    connection: int = 0
    fields: int = 0


class Linked(Struct, frozen=True, kw_only=True, gc=False):
    """The entity that another one belongs to, as it stands. `previous`: as it stood before the change that is told; the same
    as `state` where nothing happened to it, None at its first sight. `time`, `received` and `seen` are of its own: its
    latest change as the venue dates it and as it was read, and the last message that mentioned it.
    """

    key: Key
    state: Entity
    previous: Entity | None
    time: datetime
    received: datetime
    seen: datetime


class Change(Struct, frozen=True, kw_only=True):
    """What one observation changed about one entity: the events that happened, the state before and after.

    `events` are dotted names, in order (`order.updated`, `order.canceled`); one Change is one row an event in the
    database and one evaluation in the engine. `previous` is None at first sight. `linked` are the entities that this
    one belongs to, as far as they are known, by their links (`events.links`). `known_since` is when the daemon first
    saw the entity. `ended` says that the entity lives no more. `sent`, of an account: which of the values that we
    could count its venue sends itself. `passing`: it happened, but isn't what is so now, nor kept (a trade that came
    late, a public expiry, our own events). `last_seen` is when the last message came that mentioned the entity,
    whether it changed anything or not (None: this is that message), `seen_before` until when the previous state was
    known to be so. `replaces`: what was known under this id, where this is another life (an id used again); all that
    hung on it is over. `unconfirmed_since`: since when nobody knows whether an order or position still is so: the
    link was lost then, and the venue hasn't mentioned it again. `operation`: the id of the venue's operation that is
    told with it. `stamps`: how new what is known is; None where a version that didn't keep it had stored the entity.
    """

    key: Key
    events: tuple[str, ...]
    state: Entity
    previous: Entity | None
    origin: Origin
    time: datetime
    received: datetime
    known_since: datetime
    ended: bool = False
    symbol: str | None = None
    linked: Mapping[str, Linked] = {}
    raw: str | None = None
    sent: tuple[str, ...] = ()
    passing: bool = False
    last_seen: datetime | None = None
    seen_before: datetime | None = None
    replaces: Entity | None = None
    operation: str | None = None
    stamps: tuple[Stamps, ...] | None = None
    unconfirmed_since: datetime | None = None

    @property
    def venue(self) -> str:
        return self.key.venue

    @property
    def kind(self) -> str:
        return self.key.kind

    @property
    def account(self) -> str | None:
        return self.key.account or None


# Of a kind, field by field: whether another value of it is news of the entity itself.
_NEWS: Mapping[type[Entity], tuple[bool, ...]] = {
    kind: tuple(name not in kind.priced for name in kind.__struct_fields__)
    for kind in KINDS.values()
    if kind.priced
}


def is_market_data(change: Change) -> bool:
    """Whether it comes all the time and says nothing but prices: it is kept as the config says, or where a rule told of it."""
    state, previous = change.state, change.previous
    if state.market_data:
        return True
    news = _NEWS.get(state.__class__)
    if news is None or previous is None or change.events != (f"{state.kind}.updated",):
        return False
    return not any(
        is_news and new is not old and new != old and not (new is UNSET and name in state.momentary)
        for name, is_news, new, old in zip(
            state.__struct_fields__, news, structs.astuple(state), structs.astuple(previous), strict=True
        )
    )


# ------------------------------------------------------------------------------------------------------------- samples


class Sample(Struct, frozen=True):
    """To be kept for the next run: a value `at` a time (UTC), of a window, or that something is so since.

    `series` is what is followed, `instance` of which entity, group or rule.
    """

    series: str
    instance: str
    at: datetime
    value: Decimal


class SamplesDropped(Struct, frozen=True):
    """Samples that aren't needed any more: those of one instance, or of all; older than `before` (UTC), or all of them."""

    series: str
    instance: str | None = None
    before: datetime | None = None
