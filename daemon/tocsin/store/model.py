"""The rows that the store takes and gives. Times are aware UTC datetimes; `data` and `context` are JSON-able."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field

from tocsin.events import Change, Instant, Key, Sample, SamplesDropped
from tocsin.quantities import Age, Size

# What is added to a message that may have been told before the database was lost.
AFTER_A_LOSS = "after a lost database: it may have been told before"

_CALLED = {
    "instances": "instance {1} of rule {0}",
    "held": "held alert {0}",
    "silences": "silence {0}",
    "actions": "run {0} of an action",
}

EDIT = "edit"  # `state_told` of a row that edits the message which told of the firing; it holds up no other
BEAT = ""  # the channel of what passes the outbox to show that it works; no other is called so
ACTION = "action"  # `state_told` of what tells that an action failed; its `alert` is the run's id
REPORT = "report"  # `state_told` of a report, in words that stand already; its `alert` is its own id
QUESTION = "question"  # `state_told` of what asks whether an action is to be run; its `alert` is the run's id
EDITABLE = ("firing", "digest", QUESTION)  # what messages told that can be edited
OPEN_RUNS = ("asked", "pending", "begun")  # the statuses of runs that aren't over
GATHERED = ("firing", "reminder", "resolved")  # of these a digest has a line

SESSION_LASTS = timedelta(days=30)  # without being used

DeliveryStatus: TypeAlias = Literal["pending", "sent", "dead", "superseded"]


class InstanceRow(Struct, frozen=True, kw_only=True):
    """The state of one rule instance; `record` is the engine's own, None removes the row."""

    rule: str
    instance: str
    record: Mapping[str, Any] | None


class AlertRow(Struct, frozen=True, kw_only=True):
    """One alert, from its firing on. Upserted by `id`; `acked_at` is never overwritten by an upsert."""

    id: str
    rule: str
    instance: str
    venue: str
    account: str | None
    entity: str
    symbol: str | None
    state: Literal["firing", "recovering", "resolved", "event"]  # event: an event rule's, nothing to resolve
    severity: str
    started_at: datetime
    fired_at: datetime
    resolved_at: datetime | None
    title: str
    body: str
    data: Mapping[str, Any]


class OperationRow(Struct, frozen=True, kw_only=True):
    """An operation of an account that was processed, by the venue's id of it; received `at` (UTC)."""

    venue: str
    account: str
    id: str
    at: datetime


class HeldRow(Struct, frozen=True, kw_only=True):
    """A muted notification: `data` is `alerts.muted`'s record of it, None removes the row."""

    alert: str
    rule: str = ""
    reason: str = ""
    data: Mapping[str, Any] | None = None


class ButtonRow(Struct, frozen=True, kw_only=True):
    """A button below a message: what pressing it does to an alert, in which chats (their ids, blanks between), until when (UTC)."""

    id: str
    alert: str
    chat: str
    does: str
    expires_at: datetime


RunStatus: TypeAlias = Literal[
    "asked", "pending", "begun", "ok", "failed", "unknown", "dropped", "declined", "unanswered", "dry_run"
]


class RunRow(Struct, frozen=True, kw_only=True):
    """One run of an action, from the transition that started it on; upserted by `id`, which is its idempotency key.

    `told`: it was started by the alert's firing or by its resolution, at `created_at`. `command` is `POST` with the
    scheme and host of the URL, or the arguments as JSON, secrets masked, as it was tried last; `started_at`: when it
    was tried first; `result` what came of it in short (`exit 1`, `503`), `output` the first of what was answered.
    `reason` says why it was dropped, failed or isn't known. `asked_at`: when the question whether it is to be run was
    taken, `answered_at` and `answered_by` when and by whom it was answered. `data`: the alert as it was then,
    `AlertContext` as JSON.
    """

    id: str
    action: str
    alert: str
    status: RunStatus
    reason: str | None = None
    command: str = ""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: str | None = None
    output: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    told: str = "firing"
    attempts: int = 0
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None

    @property
    def is_command(self) -> bool:
        """Whether it was tried as a command."""
        return self.command.startswith("[")

    @property
    def is_over(self) -> bool:
        return self.status not in OPEN_RUNS


class Questions(NamedTuple):
    """What a run of Tocsin left of its questions: the runs whose question was taken without that being noted, by their ids, and those
    that are over while their question doesn't say so.
    """

    taken: list[str]
    over: list[RunRow]


class UnreadableRow(Struct, frozen=True, kw_only=True):
    """A row of the last run's that was loaded but makes no sense: by its key in its table, and why."""

    table: Literal["instances", "held", "silences", "actions"]
    key: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return f"{_CALLED[self.table].format(*(f'{part:.200}' for part in self.key))}: {self.why:.200}"


class Silence(Struct, frozen=True, kw_only=True):
    """What is silenced (`matchers`: `venue=fx symbol=~BTC.*`), from when to when, why, and by whom. `ended_at`: it was taken back.

    `held`: how many notifications it has kept from people so far.
    """

    id: str
    matchers: str
    reason: str
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    ended_at: datetime | None = None
    created_by: str = ""
    held: int = 0


class Act(Struct, frozen=True, kw_only=True):
    """What somebody did: `by` the name of a person, `via` where (`cli`, a chat's service, `page`), `does` what to which `target`
    (an alert's or a silence's id, or what a command names), and `why`, in their words.
    """

    at: datetime
    by: str
    via: str
    does: str
    target: str
    why: str = ""


class Acked(Struct, frozen=True, kw_only=True):
    """An alert was acknowledged `at`, up to `until` (None: for good); `at` None: that was taken back."""

    alert: str
    at: datetime | None
    by: str = ""
    until: datetime | None = None


class TrailRow(Struct, frozen=True):
    """What the number of an alert was at a time (UTC)."""

    alert: str
    at: datetime
    value: Decimal


class EquityRow(Struct, frozen=True):
    """What an account was worth at a time (UTC), in its currency."""

    venue: str
    account: str
    at: datetime
    value: Decimal


class NewDelivery(Struct, frozen=True, kw_only=True):
    """One notification to one URL of one channel, to be sent. `target` counts the channel's URLs from 0."""

    id: str
    alert: str
    state_told: str
    channel: str
    target: int
    severity: str
    created_at: datetime
    expires_at: datetime
    context: Mapping[str, Any]

    @property
    def notes(self) -> tuple[str, ...]:
        """The remarks that its message gets beside what it tells."""
        notes = self.context.get("notes")
        return tuple(map(str, notes)) if isinstance(notes, list | tuple) else ()

    @property
    def is_handed(self) -> bool:
        """Whether its channel has it as the fallback of those that it was for."""
        channels = self.context.get("channels")
        return isinstance(channels, list | tuple) and bool(channels) and self.channel not in channels

    @property
    def is_prompt(self) -> bool:
        """Whether it is told by itself: it is critical, or nothing that a digest could have a line for."""
        return self.severity == "critical" or self.state_told not in GATHERED


class Delivery(NewDelivery, frozen=True, kw_only=True):
    """A delivery as it stands in the outbox. `handed_to`: the channel (the fallback) that has the message too.

    `handle`: by what the message that was sent can be edited and replied to, as JSON; opaque here.
    `digest`: the id of the delivery that carries it, and `reason` what held it until then: quiet, storm, digest or pace.
    """

    next_at: datetime
    status: DeliveryStatus = "pending"
    attempts: int = 0
    sent_at: datetime | None = None
    error: str | None = None
    handed_to: str | None = None
    handle: str | None = None
    digest: str | None = None
    reason: str | None = None


class Gathered(Struct, frozen=True, kw_only=True):
    """A digest that is to be sent, and its parts, (id, alert) of deliveries on the same target, which wait for its end.

    `reason`: what held them. `also` adds deliveries, edits of what told of the alerts before.
    """

    digest: NewDelivery
    parts: tuple[tuple[str, str], ...]
    reason: str
    also: tuple[NewDelivery, ...] = ()


class Arrival(NamedTuple):
    """A firing that is to be told on a channel: the delivery's id, when it was put there, and of which rule it is."""

    id: str
    at: datetime
    rule: str


class Recent(Struct, frozen=True):
    """What was put on a target or sent there a short time ago, oldest first.

    `digest_at`: when the last digest was formed; `critical_at`: when critical messages went out by themselves.
    """

    arrived: tuple[Arrival, ...] = ()
    digest_at: datetime | None = None
    critical_at: tuple[datetime, ...] = ()


class Attempt(Struct, frozen=True, kw_only=True):
    """What came of trying to send a delivery. `next_at` where it stays pending; `title` and `body` as they were sent.

    `also` adds deliveries, those of the channel `handed_to` and edits; one whose id is there already is there.
    """

    delivery: str
    status: DeliveryStatus
    at: datetime
    error: str | None = None
    next_at: datetime | None = None
    handed_to: str | None = None
    title: str | None = None
    body: str | None = None
    handle: str | None = None
    also: tuple[NewDelivery, ...] = ()


_REMARKS = ("at", "prices_left_out")  # of a batch: alone no reason to commit it


class Batch(Struct, kw_only=True):
    """All that one turn of the pipeline changed; committed in one transaction or not at all.

    `entities`: the latest Change of each entity touched. `events`: the Changes whose events are kept as rows.
    `samples` come and go in their order. `unreadable`: rows of the last run's that are set aside before all else.
    `pressed`: buttons, by their ids, that have done what they do. `notes`: small things by their keys, None takes one
    away. `sparser`: alerts, by their ids, of whose trails every second point goes, before `trails` come. `prices_left_out`: of what prices moved not every event is kept. `gone`: entities that are no longer known;
    what `entities` holds of them came after. `beat` is not written: the outbox gets it once the batch is.
    """

    at: datetime
    entities: list[Change] = field(default_factory=list)
    events: list[Change] = field(default_factory=list)
    instances: list[InstanceRow] = field(default_factory=list)
    alerts: list[AlertRow] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    samples: list[Sample | SamplesDropped] = field(default_factory=list)
    held: list[HeldRow] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    acked: list[Acked] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    buttons: list[ButtonRow] = field(default_factory=list)
    pressed: list[str] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)
    gone: list[Key] = field(default_factory=list)
    operations: list[OperationRow] = field(default_factory=list)
    unreadable: list[UnreadableRow] = field(default_factory=list)
    notes: dict[str, str | None] = field(default_factory=dict)
    trails: list[TrailRow] = field(default_factory=list)
    sparser: list[str] = field(default_factory=list)
    equity: list[EquityRow] = field(default_factory=list)
    prices_left_out: bool = False
    beat: NewDelivery | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        return any(getattr(self, name) for name in self.__struct_fields__ if name not in _REMARKS)


class SessionRow(Struct, frozen=True, kw_only=True):
    """Somebody who is signed in to the page: the hash of what their cookie holds, `how` they came in, and whether their token is
    still the same (`proof`; empty for who had none).
    """

    id: str
    person: str
    how: Literal["token", "link"]
    proof: str
    made_at: datetime
    seen_at: datetime


class Loaded(Struct, frozen=True, kw_only=True):
    """What the last run left: entities as they stood, rule instances, and when it was last known to be alive.

    `alive.steady` is of the last run's steady clock: it measures that run's durations, and nothing of this run's.
    """

    entities: Sequence[Change]
    instances: Sequence[InstanceRow]
    alive: Instant | None
    samples: Sequence[Sample] = ()  # in the order in which they were committed
    held: Sequence[HeldRow] = ()  # in the order in which they were held
    silences: Sequence[Silence] = ()  # those that weren't taken back, over or not
    runs: Sequence[RunRow] = ()  # those that aren't over, in order
    sessions: Sequence[SessionRow] = ()
    recent_runs: Sequence[tuple[str, datetime]] = ()  # action and time of what was begun in the last day
    pending: Sequence[Delivery] = ()  # the first that wait to be sent, in order
    more_pending: bool = False  # beside these
    # Channel, target and time of messages of the last hour, oldest first.
    sent: Sequence[tuple[str, int, datetime]] = ()
    notes: Mapping[str, str] = {}  # small things by their keys
    operations: Sequence[tuple[str, str, str]] = ()  # (venue, account, id) of what was told, oldest first
    troubles: tuple[str, ...] = ()  # what people are to be told of the database
    lost: bool = False  # of what was known of alerts some is lost: conditions that hold may be told again
    unreadable: tuple[str, ...] = ()  # rows that this version can't make sense of, and why; left out above


class Retention(BaseModel):
    """How long things are kept, counted from when they were received. What is unsent is never removed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    events: Age = Field(timedelta(days=30), description="how long events are kept")
    alerts: Age = Field(timedelta(days=365), description="how long alerts and their deliveries are kept")
    max_size: Size = Field(2 << 30, description="the database is kept below this; market data goes first")
