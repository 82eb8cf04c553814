"""Which channels get a notification, and if none, whether it is muted or dropped and why. Pure; `tocsin explain` shows the reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from tocsin.calendars import Calendar
from tocsin.engine.api import SEVERITIES, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What deciding needs to know of a channel. `quiet`: while that is open, what isn't critical waits there."""

    min_severity: Severity = "info"
    send_resolved: bool = True
    quiet: Calendar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The channels by name, and by severity those to which a rule without `notify` goes; one that isn't listed goes to all."""

    channels: Mapping[str, Route]
    defaults: Mapping[Severity, tuple[str, ...]] = field(default_factory=dict)

    def channels_for(self, severity: Severity, notify: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The channels that a rule means, before anything is held back."""
        if notify is not None:
            return notify
        return self.defaults.get(severity, tuple(self.channels))


Told: TypeAlias = Literal["firing", "event", "reminder", "resolved"]
"""What is told: that a state fires, that something happened, that either still waits for somebody, that a state is over."""
Outcome: TypeAlias = Literal["told", "held", "dropped"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that may stand between an alert and people: its `key` in `MuteReasons` and in a rule or command, and what becomes of
    what it meets while it is shut. Of what isn't listed nothing is held.

    `by_engine`: it acts in the engine already, which doesn't raise, counts or remind then.
    """

    key: str
    does: Mapping[Told, Outcome]
    by_engine: bool = False


GATES = (
    Gate("enabled", {"firing": "dropped", "event": "dropped"}, by_engine=True),
    Gate("active", {"firing": "dropped", "event": "dropped"}, by_engine=True),
    Gate("silence", {"firing": "held", "event": "held", "reminder": "dropped"}),
    Gate("inhibited_by", {"firing": "held", "event": "held", "reminder": "dropped"}),
    Gate("notify_during", {"firing": "held", "event": "held", "reminder": "dropped", "resolved": "held"}),
    Gate("cooldown", {"event": "held"}, by_engine=True),
    Gate("acknowledged", {"reminder": "dropped"}, by_engine=True),
)
"""The gates of an alert, in the order in which they are asked; the first that is shut is the reason. Those of a channel come after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteReasons:
    """What stands between an alert and people now, by the keys of `GATES`: each in words, empty where the way is open.

    `until` is when (wall-clock) one of them is known to open, `silence_id` the id of the silence.
    """

    enabled: str = ""
    active: str = ""
    silence: str = ""
    inhibited_by: str = ""
    notify_during: str = ""
    cooldown: str = ""
    acknowledged: str = ""
    until: datetime | None = None
    silence_id: str = ""

    def shut(self) -> Iterator[tuple[Gate, str]]:
        """The gates that are shut, in their order, each with its reason."""
        for gate in GATES:
            if reason := getattr(self, gate.key):
                yield gate, reason

    def first(self, told: Told) -> tuple[Outcome, str, str]:
        """What becomes of this: by the first gate that is shut to it, with its key and reason; told where none is."""
        for gate, reason in self.shut():
            if (outcome := gate.does.get(told)) is not None:
                return outcome, gate.key, reason
        return "told", "", ""


OPEN = MuteReasons()


@dataclass(frozen=True, slots=True)
class Decision:
    """The channels that are told, and for each that isn't, the reason.

    `outcome` is of the whole notification: told, held until nothing stands in its way (`by` and `reason` say what does),
    or dropped. `held_by`: the keys of the config that keep it from channels which it was meant for.
    """

    channels: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    held_by: tuple[str, ...] = ()
    outcome: Outcome = "told"
    by: str = ""
    reason: str = ""


def decide(
    told: Told,
    *,
    severity: Severity,
    notify: tuple[str, ...] | None,
    announced: tuple[str, ...] | None,
    routing: Routing,
    avoid: frozenset[str] = frozenset(),
    reasons: MuteReasons = OPEN,
) -> Decision:
    """Who hears of it, and when: by `GATES`, then channel by channel.

    `announced` are the channels that heard of the firing (None: nobody, or nothing was told before): what was announced
    as firing is announced as resolved, to the same ones, even if the rule names others by now. `avoid` are channels
    that it would be no use to tell (a failing channel's own failure).
    """
    is_first = told in ("firing", "event")
    if not is_first and not announced:
        return Decision(outcome="dropped", reason="nobody was notified of its firing")
    outcome, by, reason = reasons.first(told)
    if outcome != "told":
        return Decision(outcome=outcome, by=by, reason=reason)
    addressed = routing.channels_for(severity, notify) if is_first else (announced or ())
    channels: list[str] = []
    held: dict[str, str] = {}
    held_by: list[str] = []
    for name in dict.fromkeys(addressed):
        by, reason = _held(told, severity, routing.channels.get(name), avoided=name in avoid)
        if reason:
            held[name] = reason
            held_by += [by] if by else []
        else:
            channels.append(name)
    return Decision(tuple(channels), held, tuple(held_by))


def _held(told: str, severity: str, route: Route | None, *, avoided: bool) -> tuple[str, str]:
    """What keeps it from a channel: the key of the config, if it is one, and the reason; empty where nothing does."""
    if route is None:
        return "", "the channel is not configured any more"
    if avoided:
        return "", "the message is about this channel"
    # Who heard of the firing hears of its end, whatever the rule or the channel has been changed to since.
    if told != "resolved" and SEVERITIES.index(severity) < SEVERITIES.index(route.min_severity):
        return "min_severity", f"below min_severity {route.min_severity}"
    if told == "resolved" and not route.send_resolved:
        return "send_resolved", "send_resolved is false"
    return "", ""
