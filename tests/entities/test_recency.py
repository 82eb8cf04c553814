"""Which message is the newer one: each stamp alone, and what decides where they differ."""

from datetime import timedelta

import pytest

from tocsin.entities.recency import begins_anew, is_newer, is_of_earlier_life, latest_of, stamps_of
from tocsin.events import Book, Contract, Observation, Order, Position, Stamps, from_iso

T = from_iso("2026-01-01T00:00:00Z")


def stamps(connection=0, **stamps):
    """Times as seconds; a sequence as it is."""
    times = {
        name: value if name == "sequence" else T + timedelta(seconds=value) for name, value in stamps.items()
    }
    return Stamps(connection=connection, **times)


@pytest.mark.parametrize(
    ("new", "known", "newer"),
    [
        (None, None, None),
        (None, stamps(time=1), None),
        (stamps(time=1), None, None),
        (stamps(time=2), stamps(time=1), True),
        (stamps(time=1), stamps(time=1), None),
        (stamps(time=1), stamps(time=2), False),
        (stamps(updated=2), stamps(updated=1), True),
        (stamps(updated=1), stamps(updated=2), False),
        (stamps(updated=1), stamps(time=2), None),
        (stamps(updated=2, time=1), stamps(updated=1, time=2), True),
        (stamps(updated=1, time=1), stamps(updated=1, time=2), False),
        (stamps(sequence=2), stamps(sequence=1), True),
        (stamps(sequence=1), stamps(sequence=1), None),
        (stamps(sequence=1), stamps(sequence=2), False),
        (stamps(sequence=1, connection=1), stamps(sequence=2), None),
        (stamps(time=2, sequence=1), stamps(time=1, sequence=2), True),
        (stamps(time=1, sequence=1), stamps(time=1, sequence=2), False),
        (stamps(begun=60, updated=60), stamps(begun=0, updated=90), True),
        (stamps(begun=0, updated=90), stamps(begun=60, updated=60), False),
        (stamps(begun=0.5, updated=1), stamps(begun=0, updated=2), False),
    ],
)
def test_is_newer(new, known, newer):
    assert is_newer(new, known) is newer
    if new is not None and known is not None:
        assert is_newer(known, new) is (None if newer is None else not newer)


@pytest.mark.parametrize(
    ("new", "known", "ended", "anew"),
    [
        (stamps(begun=1), stamps(begun=0), False, True),
        (stamps(begun=0.9), stamps(begun=0), True, False),
        (stamps(begun=0), stamps(begun=5), True, False),
        (stamps(time=9), stamps(begun=0), True, False),
        (stamps(begun=9), None, True, False),
        # When the known one began wasn't said: it had ended before this one began.
        (stamps(begun=9), stamps(time=5), True, True),
        (stamps(begun=9), stamps(time=5), False, False),
        (stamps(begun=5), stamps(updated=5), True, False),
    ],
)
def test_another_life(new, known, ended, anew):
    assert begins_anew(new, known, ended=ended) is anew
    if anew and known.begun is not None:
        assert is_of_earlier_life(known, new)


def test_what_is_known_never_grows_older():
    known = latest_of(stamps(begun=0, updated=5, time=5), stamps(time=3, sequence=7, connection=2), 0)
    assert known == stamps(begun=0, updated=5, time=5, sequence=7, connection=2)


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (lambda time: Order(id="1", updated=time), "updated"),
        (lambda time: Order(id="1", created=time), "begun"),
        (lambda time: Contract(id="1", created=time), "begun"),
        (lambda time: Position(id="1", opened=time), "begun"),
        (lambda time: Position(id="1", updated=time), "updated"),
    ],
)
@pytest.mark.parametrize(("ahead", "believed"), [(-3600, True), (60, True), (60.001, False), (1e8, False)])
def test_a_stamp_ahead_of_its_receipt_is_no_evidence(state, name, ahead, believed):
    time = T + timedelta(seconds=ahead)
    for told in (Observation(state=state(time)), Observation(state=state(time), time=time)):
        found = stamps_of(told, told.state, T, 0)
        assert (found is not None and getattr(found, name) == time) is believed


def test_what_a_venue_does_not_move_is_no_evidence():
    position = Position(id="1", opened=T, updated=T)
    told = Observation(state=position, time=T, unordered=("updated", "time"))
    assert stamps_of(told, position, T, 3) == Stamps(begun=T, connection=3)


@pytest.mark.parametrize(
    ("text", "number"), [("20", 20), ("007", 7), ("", None), ("-1", None), ("a1", None), ("9" * 40, None)]
)
def test_a_book_has_its_sequence_as_text(text, number):
    book = Book(id="X", sequence=text)
    found = stamps_of(Observation(state=book), book, T, 1)
    assert (found and found.sequence) == number
