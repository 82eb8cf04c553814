"""Which channels get a notification, and if none, whether it is muted or dropped and why. Pure; `tocsin explain` shows the reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from tocsin.engine.api import SEVERITIES, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What deciding needs to know of a channel."""

    min_severity: Severity = "info"
    send_resolved: bool = True


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteReasons:
    """What stands between an alert and people now: each in words, empty where the way is open.

    `until` is when (wall-clock) one of them is known to open, `silence` the id of the silence.
    """

    silenced: str = ""
    inhibited: str = ""
    closed: str = ""
    until: datetime | None = None
    silence: str = ""

    def shut(self) -> Iterator[tuple[str, str]]:
        """Those that are shut, in the order in which they are asked: key and reason."""
        for key, reason in (
            ("silence", self.silenced),
            ("inhibited_by", self.inhibited),
            ("notify_during", self.closed),
        ):
            if reason:
                yield key, reason

    def first(self) -> tuple[str, str]:
        """The first that is shut; empty texts where none is."""
        return next(self.shut(), ("", ""))


OPEN = MuteReasons()
Outcome: TypeAlias = Literal["told", "held", "dropped"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The channels that are told, and for each that isn't, the reason.

    `outcome` is of the whole notification: told, held until nothing stands in its way (`by` and `reason` say what does),
    or dropped.
    """

    channels: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome = "told"
    by: str = ""
    reason: str = ""


def decide(
    told: Literal["firing", "reminder", "resolved"],
    *,
    severity: Severity,
    notify: tuple[str, ...] | None,
    announced: tuple[str, ...] | None,
    routing: Routing,
    avoid: frozenset[str] = frozenset(),
    reasons: MuteReasons = OPEN,
) -> Decision:
    """Who hears of it, and when.

    |  | firing, event | reminder | resolved |
    |---|---|---|---|
    | silence, `inhibited_by` | held | dropped | told if the firing was told |
    | `notify_during` | held | dropped | held if the firing was told |
    | `min_severity`, `send_resolved` | not on that channel | not | not |

    `announced` are the channels that heard of the firing (None: nobody, or nothing was told before): what was announced
    as firing is announced as resolved, to the same ones, even if the rule names others by now. `avoid` are channels
    that it would be no use to tell (a failing channel's own failure).
    """
    if told != "firing" and not announced:
        return Decision(outcome="dropped", reason="nobody was notified of its firing")
    by, reason = (
        reasons.first() if told != "resolved" else ("notify_during" if reasons.closed else "", reasons.closed)
    )
    if reason:
        return Decision(outcome="dropped" if told == "reminder" else "held", by=by, reason=reason)
    addressed = routing.channels_for(severity, notify) if told == "firing" else (announced or ())
    channels: list[str] = []
    held: dict[str, str] = {}
    for name in dict.fromkeys(addressed):
        reason = _held(told, severity, routing.channels.get(name), avoided=name in avoid)
        if reason:
            held[name] = reason
        else:
            channels.append(name)
    return Decision(tuple(channels), held)


def _held(told: str, severity: str, route: Route | None, *, avoided: bool) -> str:
    if route is None:
        return "the channel is not configured any more"
    if avoided:
        return "the message is about this channel"
    # Who heard of the firing hears of its end, whatever the rule or the channel has been changed to since.
    if told != "resolved" and SEVERITIES.index(severity) < SEVERITIES.index(route.min_severity):
        return f"below min_severity {route.min_severity}"
    if told == "resolved" and not route.send_resolved:
        return "send_resolved is false"
    return ""
