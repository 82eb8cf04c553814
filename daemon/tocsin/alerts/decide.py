"""One decision: is this told, to whom, and if not, why not. Pure; `tocsin explain` shows the reason it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["info", "warning", "critical"]
_RANK: Mapping[str, int] = {"info": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What deciding needs to know of a channel."""

    min_severity: Severity = "info"
    send_resolved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The channels by name, and to which of them a rule without `notify` goes (None: to all)."""

    channels: Mapping[str, Route]
    defaults: Mapping[str, tuple[str, ...]] | None = None

    def addressed(self, severity: str, notify: tuple[str, ...] | None) -> tuple[str, ...]:
        """The channels that a rule means, before anything is held back."""
        if notify is not None:
            return notify
        if self.defaults is None:
            return tuple(self.channels)
        return self.defaults.get(severity, tuple(self.channels))


@dataclass(frozen=True, slots=True)
class Decision:
    """The channels that are told, and for each that isn't, the reason."""

    channels: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)


def decide(
    told: Literal["firing", "reminder", "resolved"],
    *,
    severity: Severity,
    notify: tuple[str, ...] | None,
    announced: tuple[str, ...] | None,
    routing: Routing,
    avoid: frozenset[str] = frozenset(),
) -> Decision:
    """Who hears of it.

    `announced` are the channels that heard of the firing (None: nobody, or nothing was told before): what was announced
    as firing is announced as resolved, to the same ones, even if the rule names others by now. `avoid` are channels
    that it would be no use to tell (a failing channel's own failure).
    """
    addressed = routing.addressed(severity, notify) if told == "firing" else (announced or ())
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
    if told != "resolved" and _RANK[severity] < _RANK[route.min_severity]:
        return f"below min_severity {route.min_severity}"
    if told == "resolved" and not route.send_resolved:
        return "send_resolved is false"
    return ""
