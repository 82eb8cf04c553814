"""The vocabulary: what a venue can say and what can happen, in the field's standard words."""

from tocsin.events.instant import Instant, from_iso, iso
from tocsin.events.kinds import (
    KINDS,
    Account,
    Balance,
    Book,
    Contract,
    Daemon,
    Entity,
    Order,
    Position,
    Ticker,
    Trade,
    Venue,
)
from tocsin.events.model import (
    Change,
    Key,
    Observation,
    Observed,
    Occurrence,
    Origin,
    SnapshotBegins,
    SnapshotEnds,
)
from tocsin.events.numbers import EXACT, WireDecimal, json_number, number, number_text

__all__ = [
    "EXACT",
    "KINDS",
    "Account",
    "Balance",
    "Book",
    "Change",
    "Contract",
    "Daemon",
    "Entity",
    "Instant",
    "Key",
    "Observation",
    "Observed",
    "Occurrence",
    "Order",
    "Origin",
    "Position",
    "SnapshotBegins",
    "SnapshotEnds",
    "Ticker",
    "Trade",
    "Venue",
    "WireDecimal",
    "from_iso",
    "iso",
    "json_number",
    "number",
    "number_text",
]
