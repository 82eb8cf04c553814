"""Muted notifications: sent once nothing mutes them any more, dropped where their alert has ended by then. Pure.

The store keeps them across restarts. A resolution is muted only where its firing was sent.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tocsin.alerts.message import title
from tocsin.alerts.wording import Style
from tocsin.engine.api import SEVERITIES, AlertContext

_TOGETHER = frozenset({"silence", "notify_during"})
"""Mute reasons after which the events of a rule are sent as one notification; after any other, one by one."""


class MutedNotification(Struct, frozen=True, kw_only=True):
    """One notification that waits, its context frozen when it happened.

    `lasting`: a state rule's, told as firing only while it fires. `goes_on`: more will be told of this alert. `by`
    and `reason` say what held it back. `announced` are the channels that heard of the firing, for its resolution.
    `acked_by` ("": nobody) has acknowledged it while it waits, up to `acked_until` (None: for good).
    """

    alert: str
    rule: str
    context: AlertContext
    lasting: bool
    goes_on: bool
    by: str
    reason: str
    notify: tuple[str, ...] | None = None
    announced: tuple[str, ...] | None = None
    acked_by: str = ""
    acked_until: datetime | None = None

    def is_acked(self, now: datetime) -> bool:
        return bool(self.acked_by) and (self.acked_until is None or now < self.acked_until)


class NotificationGroup(Struct, frozen=True):
    """One notification for several muted ones: the last of them, the context to render (with their count), and all of them."""

    carrier: MutedNotification
    context: AlertContext
    all: tuple[MutedNotification, ...]


def to_record(held: MutedNotification) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(held)
    return record


def from_record(record: Any) -> MutedNotification:
    """ValueError where another version had written it."""
    return msgspec.convert(record, MutedNotification)


def group_released(released: Iterable[MutedNotification], style: Style) -> Iterator[NotificationGroup]:
    """The notifications to send of those released: one for the events of a rule, one for each other.

    A group has the context of its last event, with the count of all and the titles of the others.
    """
    waiting = list(released)
    groups: dict[str, list[MutedNotification]] = {}
    for held in waiting:
        if _is_grouped(held):
            groups.setdefault(held.rule, []).append(held)
    for held in waiting:
        if not _is_grouped(held):
            yield NotificationGroup(held, held.context, (held,))
        elif held is (group := groups[held.rule])[-1]:
            count = sum(max(1, each.context.suppressed) for each in group)
            titles = tuple(title(each.context, style, each.context.at) for each in group[:-1])
            yield NotificationGroup(
                held, msgspec.structs.replace(held.context, suppressed=count, together=titles), tuple(group)
            )


def after_silence(held: Sequence[MutedNotification], style: Style) -> NotificationGroup:
    """One notification for several that a silence held: the worst of them, the latest first, with the titles of the others."""
    ordered = sorted(held, key=lambda each: each.context.fired_at or each.context.at, reverse=True)
    ordered.sort(key=lambda each: -SEVERITIES.index(each.context.severity))
    carrier, *others = ordered
    context = msgspec.structs.replace(
        carrier.context,
        suppressed=sum(max(1, each.context.suppressed) for each in held),
        together=tuple(title(each.context, style, each.context.at) for each in others),
        after_silence=tuple(dict.fromkeys(each.reason.partition(", until ")[0] for each in held)),
    )
    return NotificationGroup(carrier, context, tuple(held))


def _is_grouped(held: MutedNotification) -> bool:
    return not held.lasting and held.by in _TOGETHER
