"""Alerts that somebody is to react to: how long nobody has, when the next step of their rule's escalation is due, and until when an
acknowledgement holds. Pure but for what it remembers; kept in the store's notes, a note an alert.

Times are of the wall-clock, also across restarts. What counts is how long the way to people was open: not while the alert is held.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from tocsin.engine.api import AlertContext
from tocsin.engine.rule import EscalationStep, Rule

AN_EVENT_S = timedelta(hours=24)
"""How long an event's alert escalates."""
UNTAKEN_AFTER = timedelta(minutes=1)
"""Where no channel takes the first message for so long, the time counts from then."""
_NOTE = "followed "  # the beginning of a note's key; the alert's id follows


class Followed(Struct, kw_only=True):
    """One alert. `told_at`: its first message was handed out. `begun`: that was taken, or nobody takes any. `passed`: seconds that
    counted before `since`, which is None while nothing counts (`held`: the way to people is shut). `done`: up to where (of those seconds) steps were told.

    `announced`: who was told of the firing, `escalated` of those only by a step, `handed` whoever else knows as another's fallback. `acked_by` "": nobody. `acked_until` None: for good.
    """

    rule: str
    told_at: datetime
    context: AlertContext | None = None
    announced: tuple[str, ...] = ()
    ends_at: datetime | None = None
    begun: bool = False
    held: bool = False
    passed: float = 0.0
    since: datetime | None = None
    done: float = 0.0
    escalated: tuple[str, ...] = ()
    handed: tuple[str, ...] = ()
    acked_by: str = ""
    acked_until: datetime | None = None
    resumed: str = ""  # whose acknowledgement is over, to be said with what is told next

    @property
    def over_at(self) -> datetime | None:
        """When it is followed no more, whatever becomes of its instance: an event's, not before its acknowledgement ends."""
        if self.ends_at is None or self.acked_until is None:
            return self.ends_at
        return max(self.ends_at, self.acked_until)

    @property
    def ends_by_itself(self) -> bool:
        """Whether it needs no end to be told: an event's, or one that is followed because of its acknowledgement alone."""
        return self.ends_at is not None or (self.context is None and self.acked_until is not None)

    def counted(self, now: datetime) -> float:
        return self.passed + (max(0.0, (now - self.since).total_seconds()) if self.since is not None else 0.0)


class Due(Struct, frozen=True):
    """A step that is due: it was to be told `at`, when nobody had reacted for `after` seconds."""

    alert: str
    step: EscalationStep
    at: datetime
    after: float


class Escalations:
    """`rule` finds the rule of an id, if it runs."""

    def __init__(self, rule: Callable[[str], Rule | None]) -> None:
        self._rule = rule
        self._followed: dict[str, Followed] = {}
        self._unwritten: dict[str, None] = {}
        self._deadline: datetime | None = None  # or sooner than that, for those that changed since
        self._is_known = False
        self._sooner: set[str] = set()

    def restore(self, notes: Mapping[str, str]) -> None:
        """Go on where the last run stopped; the time in between counts. A note of another version's is left out."""
        for key, note in notes.items():
            if key.startswith(_NOTE):
                alert = key.removeprefix(_NOTE)
                try:
                    self._followed[alert] = msgspec.json.decode(note, type=Followed)
                except ValueError:
                    self._changed(alert)

    def __contains__(self, alert: str) -> bool:
        return alert in self._followed

    def __len__(self) -> int:
        return len(self._followed)

    def __iter__(self) -> Iterator[tuple[str, Followed]]:
        """A snapshot."""
        return iter(list(self._followed.items()))

    def get(self, alert: str) -> Followed | None:
        return self._followed.get(alert)

    def notes(self) -> dict[str, str | None]:
        """What is to be kept of what changed since the last call."""
        found: dict[str, str | None] = {}
        for alert in self._unwritten:
            followed = self._followed.get(alert)
            found[_NOTE + alert] = msgspec.json.encode(followed).decode() if followed is not None else None
        self._unwritten.clear()
        return found

    # ---------------------------------------------------------------------------------------------------- what happens

    def told(self, alert: str, context: AlertContext, channels: tuple[str, ...], now: datetime) -> None:
        """Its firing is handed out; one that is acknowledged already stays so."""
        found, known = self._rule(context.rule), self._followed.get(alert)
        if found is None or not found.escalate or not channels:
            return
        ends_at = now + AN_EVENT_S if context.event is not None else None
        followed = Followed(
            rule=context.rule, context=context, told_at=now, announced=channels, ends_at=ends_at
        )
        if known is not None:
            followed.acked_by, followed.acked_until = known.acked_by, known.acked_until
            followed.handed = known.handed
        self._put(alert, followed)

    def taken(self, alert: str, now: datetime) -> None:
        """A channel took one of its messages."""
        followed = self._followed.get(alert)
        if followed is not None and not followed.begun:
            self._begin(alert, followed, now)

    def handed(self, alert: str, channel: str) -> None:
        """That channel got one of its messages as the fallback of another."""
        followed = self._followed.get(alert)
        if followed is not None and channel not in followed.handed:
            followed.handed = (*followed.handed, channel)
            self._changed(alert)

    def acknowledged(self, alert: str, by: str, now: datetime, until: datetime | None) -> tuple[str, ...]:
        """Somebody has it, up to `until` (None: for good). Who was told by a step only, and is to hear of that."""
        followed = self._followed.get(alert)
        if followed is None:
            return ()
        self._stop(followed, now)
        followed.acked_by, followed.acked_until, followed.resumed = by, until, ""
        self._changed(alert)
        return followed.escalated

    def follow_acknowledged(self, alert: str, rule: str, by: str, until: datetime, now: datetime) -> None:
        """One without escalation is acknowledged for a time: followed because of that alone."""
        self._put(alert, Followed(rule=rule, told_at=now, begun=True, acked_by=by, acked_until=until))

    def unacknowledged(self, alert: str, now: datetime, *, over: bool) -> None:
        """Nobody has it any more: it was taken back, or its time is `over`."""
        followed = self._followed.get(alert)
        if followed is not None and followed.acked_by:
            followed.resumed = followed.acked_by if over else ""
            followed.acked_by, followed.acked_until = "", None
            followed.since = now if followed.begun and not followed.held else None
            self._changed(alert)

    def ended(self, alert: str) -> None:
        if self._followed.pop(alert, None) is not None:
            self._changed(alert)

    # ------------------------------------------------------------------------------------------------------- time goes on

    def hold(self, alert: str, now: datetime, *, held: bool) -> None:
        """Whether the way to people is shut to that alert from now on."""
        followed = self._followed[alert]
        if held == followed.held:
            return
        followed.held = held
        if held:
            self._stop(followed, now)
        elif followed.begun and not followed.acked_by:
            followed.since = now
        self._changed(alert)

    def expired(self, now: datetime) -> Iterable[str]:
        """The alerts whose acknowledgement was for a time that is over."""
        at = self.deadline(now)
        if at is None or now < at:
            return ()
        return [
            alert
            for alert, each in self
            if each.acked_by and each.acked_until is not None and each.acked_until <= now
        ]

    def due(self, now: datetime) -> Iterator[Due]:
        """The steps to be told now, of each alert one: of several that were missed the last."""
        at = self.deadline(now)
        if at is None or now < at:
            return
        self._is_known = False
        for alert, followed in self:
            rule = self._rule(followed.rule)
            if rule is None or ((over_at := followed.over_at) is not None and over_at <= now):
                self.ended(alert)
                continue
            if not followed.begun and now - followed.told_at >= UNTAKEN_AFTER:
                self._begin(alert, followed, followed.told_at + UNTAKEN_AFTER)
            if followed.since is None:
                continue
            counted = followed.counted(now)
            found = [
                (last, step) for step in rule.escalate if (last := _last_time(step, counted)) > followed.done
            ]
            if found:
                last, step = max(found, key=lambda each: (each[0], each[1].after))
                followed.done = last
                self._changed(alert)
                yield Due(alert, step, now - timedelta(seconds=counted - last), last)

    def deadline(self, now: datetime) -> datetime | None:
        """When (wall-clock) something is next due, if nothing happens before."""
        changed, self._sooner = self._sooner, set()
        if not self._is_known:
            times = [at for each in self._followed.values() for at in self._times(each, now)]
        else:
            known = (each for alert in changed if (each := self._followed.get(alert)) is not None)
            times = [at for each in known for at in self._times(each, now)]
            times += [self._deadline] if self._deadline is not None else []
        self._deadline, self._is_known = min(times, default=None), True
        return self._deadline

    def next(self, alert: str, now: datetime) -> tuple[datetime, EscalationStep] | None:
        """Who is told of it next, and when, if nothing happens before; None where nobody is, or its time stands still."""
        followed = self._followed.get(alert)
        rule = self._rule(followed.rule) if followed is not None else None
        if followed is None or rule is None or followed.since is None:
            return None
        counted = followed.counted(now)
        times = [(at, step) for step in rule.escalate if (at := _next_time(step, followed.done)) is not None]
        at, step = min(times, key=lambda each: each[0], default=(None, None))
        return (now + timedelta(seconds=at - counted), step) if at is not None and step is not None else None

    def look_anew(self) -> None:
        """The rules were changed."""
        self._is_known = False

    def _times(self, followed: Followed, now: datetime) -> Iterator[datetime]:
        if (over_at := followed.over_at) is not None:
            yield over_at
        if followed.acked_by:
            if followed.acked_until is not None:
                yield followed.acked_until
        elif not followed.begun:
            yield followed.told_at + UNTAKEN_AFTER
        elif followed.since is not None and (rule := self._rule(followed.rule)) is not None:
            counted = followed.counted(now)
            for step in rule.escalate:
                if (following := _next_time(step, followed.done)) is not None:
                    yield now + timedelta(seconds=max(0.0, following - counted))

    def resumed(self, alert: str) -> str:
        """Whose acknowledgement is over, where nothing has been told since: to be said once."""
        followed = self._followed.get(alert)
        if followed is None or not followed.resumed:
            return ""
        by, followed.resumed = followed.resumed, ""
        self._changed(alert)
        return by

    def heard(self, alert: str, channels: tuple[str, ...]) -> None:
        """A step told these, who hadn't heard of it before."""
        followed = self._followed[alert]
        followed.announced = tuple(dict.fromkeys((*followed.announced, *channels)))
        followed.escalated = tuple(dict.fromkeys((*followed.escalated, *channels)))
        self._changed(alert)

    # --------------------------------------------------------------------------------------------------------- parts

    def _changed(self, alert: str) -> None:
        self._unwritten[alert] = None
        self._sooner.add(alert)

    def _put(self, alert: str, followed: Followed) -> None:
        self._followed[alert] = followed
        self._changed(alert)

    def _begin(self, alert: str, followed: Followed, at: datetime) -> None:
        followed.begun = True
        followed.since = None if followed.acked_by or followed.held else at
        self._changed(alert)

    def _stop(self, followed: Followed, now: datetime) -> None:
        followed.passed, followed.since = followed.counted(now), None


_HAIR = 1e-6  # seconds: a sum of floats may fall so far short of the time that was meant


def _last_time(step: EscalationStep, counted: float) -> float:
    """When the step was last due, up to then; 0 where it wasn't."""
    over = counted - step.after + _HAIR
    if over < 0:
        return 0.0
    return step.after + (math.floor(over / step.repeat) * step.repeat if step.repeat else 0.0)


def _next_time(step: EscalationStep, done: float) -> float | None:
    """When it is next due, after what is `done`."""
    if step.after > done + _HAIR:
        return step.after
    if not step.repeat:
        return None
    return step.after + (math.floor((done - step.after + _HAIR) / step.repeat) + 1) * step.repeat
