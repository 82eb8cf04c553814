"""What a simulation says by itself, of venues' links and of the daemon: no venue's message says it."""

from typing import Any

from msgspec import UNSET

from tocsin.events.kinds import Daemon, Entity, Venue
from tocsin.events.model import Observation, Occurrence
from tocsin.events.vocabulary import OURSELVES, all_fields

_STATUSES = all_fields("venue")["status"].values
_SILENT = "all"  # the streams of a venue that is said to be silent, and no more


def link(venue: str, status: str) -> Observation:
    """The venue's link comes up or goes down."""
    return _of_venue(f"venue.{status}", Venue(id=venue, status=status, reason=None))  # type: ignore[arg-type]  # connected, disconnected


def venue_event(venue: str, event: str, reason: str | None = None) -> Observation:
    """A venue's own event, which sets its status, or that of its credentials, where it names one."""
    word = event.partition(".")[2]
    status: Any = "connected" if word == "resumed" else word if word in _STATUSES else UNSET
    kept: Any = word.removeprefix("credentials_") if word.startswith("credentials_") else UNSET
    silent: Any = {"silent": _SILENT, "resumed": None}.get(word, UNSET)
    state = Venue(
        id=venue,
        status=status,
        credentials=kept,
        silent_streams=silent,
        reason=UNSET if reason is None else reason,
    )
    return _of_venue(event, state)


def daemon_event(event: str, reason: str | None = None, subject: str | None = None) -> Occurrence:
    return Occurrence(
        state=Daemon(id=OURSELVES, reason=reason, subject=subject), event=event, origin="synthetic"
    )


def _of_venue(event: str, state: Entity) -> Observation:
    return Observation(state=state, event=event, origin="synthetic")
