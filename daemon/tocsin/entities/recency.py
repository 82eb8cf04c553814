"""Which of two messages about one entity is the newer one, by what the venue itself says. Pure.

    begun      `opened`, `created`: what is said of a later life is newer than all that was said of an earlier one
    updated    when the entity last changed
    time       the venue's time of the message
    sequence   the venue's number of the message, within one connection

The first of these that both messages have, and in which they differ, decides; where none does they can't be told apart,
and a message may then be believed: equal is not older. A stamp more than a minute ahead of its receipt is no evidence.
"""

from datetime import datetime, timedelta

from tocsin.events import KINDS, Book, Entity, Observation, Stamps

AHEAD = timedelta(minutes=1)
"""A stamp further ahead of its receipt than this orders nothing (the feed tells it as `venue.clock_skew`)."""
# Rounding, or seconds in one kind of message and microseconds in another, don't make another life.
_SAME_BEGINNING = timedelta(seconds=1)
_BEGINNINGS = {"position": "opened", "order": "created", "contract": "created"}
_UPDATED = frozenset(name for name, kind in KINDS.items() if "updated" in kind.__struct_fields__)
_MOST_DIGITS = 30  # of a sequence number


def stamps_of(observation: Observation, observed: Entity, at: datetime, connection: int) -> Stamps | None:
    """What orders this message, received `at` (UTC) in the connection of that number; None where nothing does.

    `observed` is its state, as it is to be merged.
    """
    time, sequence = observation.time, observation.sequence
    begun = updated = None
    if time is not None and (time - at > AHEAD or "time" in observation.unordered):
        time = None
    if (beginning := _BEGINNINGS.get(observed.kind)) is not None:
        begun = _credible(observation, observed, beginning, at)
    if observed.kind in _UPDATED:
        updated = _credible(observation, observed, "updated", at)
    elif sequence is None and isinstance(observed, Book) and isinstance(observed.sequence, str):
        sequence = _number(observed.sequence)
    if begun is None and updated is None and time is None and sequence is None:
        return None
    return Stamps(begun=begun, updated=updated, time=time, sequence=sequence, connection=connection)


def _credible(observation: Observation, observed: Entity, name: str, at: datetime) -> datetime | None:
    value = getattr(observed, name)
    if not isinstance(value, datetime) or value - at > AHEAD or name in observation.unordered:
        return None
    return value


def when_changed(observed: Entity, at: datetime) -> datetime | None:
    """When an order or position that is found otherwise than it was known became so, as far as it says; never after `at`."""
    if observed.kind not in _BEGINNINGS:
        return None
    times = (getattr(observed, name, None) for name in ("closed", "updated"))
    return next((time for time in times if isinstance(time, datetime) and time <= at), None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def is_newer(new: Stamps | None, known: Stamps | None) -> bool | None:
    """Whether the message is provably newer (True) or older (False); None where that can't be told."""
    if new is None or known is None:
        return None
    if (lives := _lives(new, known)) is not None:
        return lives
    for one, other in ((new.updated, known.updated), (new.time, known.time)):
        if one is not None and other is not None and one != other:
            return one > other
    if new.sequence is None or known.sequence is None or new.connection != known.connection:
        return None
    return None if new.sequence == known.sequence else new.sequence > known.sequence


def is_of_earlier_life(new: Stamps | None, known: Stamps | None) -> bool:
    """Whether the message speaks of what had the id before the present one."""
    return new is not None and known is not None and _lives(new, known) is False


def begins_anew(new: Stamps | None, known: Stamps | None, *, ended: bool) -> bool:
    """Whether the message speaks of another life under the same id. `ended`: the known one is over."""
    if new is None or new.begun is None or known is None:
        return False
    if known.begun is not None:
        return _lives(new, known) is True
    last = max((at for at in (known.updated, known.time) if at is not None), default=None)
    return ended and last is not None and new.begun - last >= _SAME_BEGINNING


def _lives(new: Stamps, known: Stamps) -> bool | None:
    """Whether the life that the message speaks of began later, or earlier; None where it is the same, or not known."""
    if new.begun is None or known.begun is None or abs(new.begun - known.begun) < _SAME_BEGINNING:
        return None
    return new.begun > known.begun


def latest_of(known: Stamps, new: Stamps, fields: int) -> Stamps:
    """What orders these fields after a message that was believed: never less than what was known."""
    updated, time = new.updated, new.time
    if known.updated is not None and (updated is None or updated < known.updated):
        updated = known.updated
    if known.time is not None and (time is None or time < known.time):
        time = known.time
    counts = new if new.sequence is not None else known
    return Stamps(
        begun=new.begun or known.begun,
        updated=updated,
        time=time,
        sequence=counts.sequence,
        connection=counts.connection,
        fields=fields,
    )
