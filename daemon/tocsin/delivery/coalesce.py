"""What to make of what waits on a channel: one message of several, until when, what to hand over. Pure."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Literal

import msgspec
from msgspec import Struct

from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.plain import flat
from tocsin.alerts.wording import Style, Times, mark_of
from tocsin.delivery.edits import edit_of, newest
from tocsin.delivery.model import Message
from tocsin.delivery.render import render
from tocsin.engine.api import AlertContext
from tocsin.events import from_iso
from tocsin.store.model import EDIT, GATHERED, QUESTION, Delivery, NewDelivery

CRITICAL_WITHIN = timedelta(minutes=1)  # a critical one that isn't delivered by then goes to the fallback too
# A firing undelivered for so long, or tried before, goes with its resolution as one message.
_OVERDUE = timedelta(seconds=5)


Age = Callable[[datetime], timedelta]
"""How long ago a time (UTC) was, whatever the wall-clock was set to since."""


class Coalesced(Struct, frozen=True):
    """Deliveries sent as one message: the one whose context is rendered, those superseded by it, and remarks for the body."""

    carrier: Delivery
    folded: tuple[Delivery, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[Delivery, ...]:
        return (*self.folded, self.carrier)

    def refreshed(self, waiting: Sequence[Delivery]) -> "Coalesced":
        """The same, with each delivery as it stands in `waiting`; one that isn't there (a damaged database) stays as it was."""
        now = {delivery.id: delivery for delivery in waiting}
        folded = tuple(now.get(delivery.id, delivery) for delivery in self.folded)
        return Coalesced(now.get(self.carrier.id, self.carrier), folded, self.notes)

    @property
    def attempts(self) -> int:
        return max(delivery.attempts for delivery in self.all)


def coalesce(waiting: Sequence[Delivery], age: Age, style: Style) -> Coalesced:
    """What to send first of the deliveries that wait for one alert on one target, in order (never empty).

    A firing that was overdue and its resolution become one message, so do that and its ack; a reminder is superseded by a newer
    one or the end.
    Edits come after all else, and only the newest counts.
    """
    edits = [delivery for delivery in waiting if delivery.state_told == EDIT]
    if len(edits) == len(waiting):
        carrier = newest(edits)
        return Coalesced(carrier, tuple(each for each in edits if each is not carrier))
    waiting = [delivery for delivery in waiting if delivery.state_told != EDIT]
    first = waiting[0]
    ends = next((n for n, delivery in enumerate(waiting) if delivery.state_told == "resolved"), None)
    if first.state_told == "firing":
        overdue = first.attempts > 0 or age(first.created_at) >= _OVERDUE
        times = Times(style.tz, first.created_at + age(first.created_at))
        event, began = bool(first.context.get("event")), times.text(_at(first))
        if ends is not None and overdue:
            end = waiting[ends]
            note = (
                f"was {'so' if event else 'firing'} from {began} to {times.text(_at(end))}; not told before"
            )
            return Coalesced(end, tuple(waiting[:ends]), (note,))
        reminders = _reminders(waiting[1:])
        if not reminders or not is_ack(reminders[-1]):
            return Coalesced(first, reminders)
        if not overdue:
            return Coalesced(first, tuple(takewhile(lambda each: not is_ack(each), reminders)))
        note = f"{'it happened' if event else 'firing since'} {began}; not told before"
        return Coalesced(reminders[-1], (first, *reminders[:-1]), (note,))
    if first.state_told == "reminder":
        if ends is not None:
            return Coalesced(waiting[ends], tuple(waiting[:ends]))
        reminders = _reminders(waiting)
        return Coalesced(reminders[-1], reminders[:-1])
    return Coalesced(first)


def is_ack(delivery: Delivery) -> bool:
    """Whether it says that somebody has the alert."""
    return delivery.state_told == "reminder" and bool(delivery.context.get("acked_by"))


def _reminders(waiting: Sequence[Delivery]) -> tuple[Delivery, ...]:
    found: list[Delivery] = []
    for delivery in waiting:
        if delivery.state_told != "reminder":
            break
        found.append(delivery)
    return tuple(found)


def draft(coalesced: Coalesced, style: Style, age: Age) -> partial[Message]:
    """What renders the coalesced as it is sent now. ValueError where its context can't be read."""
    carrier = coalesced.carrier
    context = msgspec.convert(carrier.context, AlertContext)
    notes = (*coalesced.notes, *carrier.notes)
    if carrier.state_told == EDIT:
        return partial(
            render, context, style, delivery_id=carrier.id, now=context.at, notes=notes, edit=edit_of(carrier)
        )
    now = context.at + age(context.at)
    return partial(render, context, style, delivery_id=carrier.id, now=now, notes=notes)


def bare_message(coalesced: Coalesced, error: Exception, style: Style) -> Message:
    """The message of last resort, where the context can't be read or rendered: its facts as JSON, and the error."""
    carrier = coalesced.carrier
    facts = flat(json.dumps(carrier.context, default=str, ensure_ascii=False), 3000)
    severity: Literal["critical", "warning"] = "critical" if carrier.severity == "critical" else "warning"
    return Message(
        title=f"{mark_of(severity, style)} {carrier.state_told}: alert {carrier.alert}",
        body=f"(its context can't be read: {flat(f'{type(error).__name__}: {error}')})\n{facts}",
        severity=severity,
        delivery_id=carrier.id,
    )


def hand_over(
    coalesced: Coalesced, to: str, targets: int, now: datetime, because: str = ""
) -> tuple[NewDelivery, ...]:
    """The same message for each URL of the fallback. `because` is what the failing service answered.

    Its id says of which alert it is, what it tells and when that happened, of a digest all that of its alerts: whoever else
    hands the same over (another URL of the channel, another channel) gives it the same id, and it is stored once.
    """
    carrier = coalesced.carrier
    context = carrier.context.get("elsewhere") or carrier.context  # of a digest
    # "Not told before" is not so there, if the fallback has what was folded in.
    notes = [] if any(each.handed_to for each in coalesced.folded) else list(coalesced.notes)
    notes += carrier.notes
    if because:
        notes.append(f"sent here because {carrier.channel} did not take it: {flat(because, 200)}")
    what = context.get("key") or f"{carrier.alert}-{carrier.state_told}-{_at(carrier):%Y%m%dT%H%M%S%f}"
    return tuple(
        NewDelivery(
            id=f"{what}-{to}-{target}",
            alert=carrier.alert,
            state_told=carrier.state_told,
            channel=to,
            target=target,
            severity=str(context.get("severity") or carrier.severity),
            created_at=now,
            expires_at=now + (carrier.expires_at - carrier.created_at),
            context={**context, "notes": notes},
        )
        for target in range(targets)
    )


def tells_of_failure(delivery: Delivery) -> bool:
    """Whether it reports a channel's failure or recovery: its own failing raises no event, which would report itself without end."""
    return delivery.context.get("event") in ("daemon.delivery_failed", "daemon.delivery_recovered")


def is_expired(coalesced: Coalesced, age: Age, gates: ChannelGates) -> bool:
    """Whether its time to live (`expire` of the channel) is over."""
    return life_left(coalesced.carrier, age, gates) <= timedelta(0)


def life_left(delivery: Delivery, age: Age, gates: ChannelGates) -> timedelta:
    """How long it may still be tried; zero or less once it has expired. While a gate of the channel holds it, it isn't tried."""
    old = age(delivery.created_at)
    left = delivery.expires_at - delivery.created_at - old
    if left <= timedelta(0) and delivery.state_told in GATHERED:
        left += gates.held(delivery.severity, delivery.created_at, delivery.created_at + old)
    return left


def _at(delivery: Delivery) -> datetime:
    at = delivery.context.get("at")
    if isinstance(at, datetime):
        return at
    try:
        return from_iso(str(at))
    except ValueError:
        return delivery.created_at


# ------------------------------------------------------------------------------------------------------------- fallback


class Fallback:
    """A channel's fallback, where it has one: (name, how many URLs it has)."""

    def __init__(self, fallback: tuple[str, int] | None) -> None:
        self._fallback = fallback

    @property
    def name(self) -> str | None:
        return self._fallback[0] if self._fallback else None

    def serves(self, delivery: Delivery) -> bool:
        """Whether there is a fallback, and the alert wasn't addressed to it anyway. A question is for those who may answer it."""
        if self._fallback is None or delivery.state_told == QUESTION:
            return False
        return self._fallback[0] not in delivery.context.get("channels", ())

    def take(self, coalesced: Coalesced, now: datetime, because: str = "") -> tuple[NewDelivery, ...]:
        """The deliveries for it; none where there is no fallback, or it has the message already or gets its own.

        `because` is what the failing service answered.
        """
        if self._fallback is None or coalesced.carrier.handed_to or not self.serves(coalesced.carrier):
            return ()
        return hand_over(coalesced, *self._fallback, now=now, because=because)

    def has_heard(self, told: Iterable[Delivery]) -> bool:
        """Whether it got an alert that wasn't addressed to it. `told`: all its deliveries for that alert."""
        return any(each.channel not in each.context.get("channels", ()) for each in told)

    def take_end(self, coalesced: Coalesced, now: datetime, *, heard: bool) -> tuple[NewDelivery, ...]:
        """What was announced as firing there is announced as resolved there, also when it is told here by now.

        `heard` is what `has_heard` said a moment ago; what was handed over since, the coalesced knows.
        """
        if coalesced.carrier.state_told != "resolved" or not (
            heard or any(each.handed_to for each in coalesced.all)
        ):
            return ()
        return self.take(coalesced, now)
