"""A change together with what is remembered: the history of its entity, the events counted, the group as it stands.

Conditions stay pure: what needs more than one change gets it handed in with the change.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from msgspec import structs

from tocsin.engine.windows import Extremes, Window
from tocsin.events import Change

EVENT_TIME_WITHIN = timedelta(seconds=5)
"""How far the venue's time may be off ours to be the one that windows go by."""


class Aggregates(Protocol):
    """What a group's live entities come to. Values are named by their canonical spelling."""

    @property
    def members(self) -> int: ...

    @property
    def entities(self) -> int:
        """How many it has, whether they take part or not."""
        ...

    @property
    def heard(self) -> datetime | None:
        """When something last happened to any of those; None where there are none."""
        ...

    @property
    def per(self) -> Mapping[str, str | None]: ...

    def shown(self, values: Sequence[str]) -> Sequence[Mapping[str, str | bool | tuple[str, ...]]]:
        """The members' fields, of the first of them, which have the lowest of these values."""
        ...

    def unconfirmed_since(self) -> datetime | None:
        """Since when it isn't known of one of the members, the longest, whether it still is so."""
        ...

    def left_out(self, values: Sequence[str] | None = None) -> Sequence[str]:
        """The members without one of these values, or of all that are put together, by their ids."""
        ...

    def sum(self, value: str) -> Decimal | None: ...

    def mean(self, value: str) -> Decimal | None: ...

    def min(self, value: str) -> Decimal | None: ...

    def max(self, value: str) -> Decimal | None: ...

    def nothing(self, value: str) -> str | None:
        """Why no member can have the value; None where one may."""
        ...

    def currencies(self, value: str) -> tuple[str, ...]:
        """The unlike currencies because of which the value can't be worked out; empty where they are alike."""
        ...


class EnrichedChange(Change, frozen=True, kw_only=True):
    """`windows`: by `Followed.name`. `counts`: events by the length of the window. `last_known`: by `Crossing.name`, what was
    known before a hole that is over with this change. Each is empty where nothing is known.
    """

    windows: Mapping[str, Window | Extremes]
    counts: Mapping[timedelta, int]
    group: Aggregates | None = None
    last_known: Mapping[str, tuple[datetime, tuple[Decimal, Decimal]]] = {}


_FIELDS = Change.__struct_fields__
_NO_WINDOWS: Mapping[str, Window | Extremes] = {}
_NO_COUNTS: Mapping[timedelta, int] = {}


def inform(
    change: Change,
    windows: Mapping[str, Window | Extremes] | None = None,
    counts: Mapping[timedelta, int] | None = None,
    group: Aggregates | None = None,
    last_known: Mapping[str, tuple[datetime, tuple[Decimal, Decimal]]] | None = None,
) -> EnrichedChange:
    """The change with these beside what it already knows."""
    known: dict[str, Any] = {}
    if windows is not None:
        known["windows"] = windows
    if counts is not None:
        known["counts"] = counts
    if group is not None:
        known["group"] = group
    if last_known is not None:
        known["last_known"] = last_known
    if isinstance(change, EnrichedChange):
        return structs.replace(change, **known)
    values = {name: getattr(change, name) for name in _FIELDS}
    return EnrichedChange(**values, **{"windows": _NO_WINDOWS, "counts": _NO_COUNTS, **known})


def event_time(change: Change) -> datetime:
    """When it happened, as windows go: when it was read, or the venue's time where it is close to that."""
    return change.time if abs(change.time - change.received) <= EVENT_TIME_WITHIN else change.received
