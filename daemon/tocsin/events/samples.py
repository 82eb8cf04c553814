"""Samples: values at times, of which windows are made and which outlast a restart. The engine gives them, the store keeps them."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct


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
