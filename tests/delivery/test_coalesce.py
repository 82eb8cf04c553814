"""What one message is made of, of all that waits for an alert on one URL of a channel."""

from datetime import timedelta

import pytest
from msgspec import structs

from support.outboxes import START, delivery
from tocsin.alerts.wording import Style
from tocsin.delivery.coalesce import Coalesced, bare_message, coalesce, hand_over
from tocsin.store.model import EDIT, Delivery

FROM = "was firing from 00:00:00 UTC to 00:00:03; not told before"
NOW = 4.0  # seconds from the start


def waiting(state, *, at=0.0, attempts=0, **says):
    new = delivery(f"{state}{at:g}", state, at=at, says=says)
    return Delivery(**structs.asdict(new), next_at=START, attempts=attempts)


FIRING, TRIED = waiting("firing"), waiting("firing", attempts=1)
HAPPENED = waiting("firing", attempts=1, event="position.opened")
FIRST, SECOND = waiting("reminder", at=1), waiting("reminder", at=2)
ACK = waiting("reminder", at=2, acked_by="anna")
END = waiting("resolved", at=3)
EDITED, EDITED_AGAIN = waiting(EDIT, at=1), waiting(EDIT, at=2)


@pytest.mark.parametrize(
    ("waits", "now", "carrier", "folded", "notes"),
    [
        ([FIRING], NOW, FIRING, [], ()),
        ([FIRING, END], 4.9, FIRING, [], ()),
        ([FIRING, END], 5.0, END, [FIRING], (FROM,)),
        ([TRIED, END], NOW, END, [TRIED], (FROM,)),
        ([HAPPENED, END], NOW, END, [HAPPENED], (FROM.replace("firing", "so"),)),
        ([TRIED, FIRST, END], NOW, END, [TRIED, FIRST], (FROM,)),
        ([FIRING, FIRST, SECOND, END], NOW, FIRING, [FIRST, SECOND], ()),
        ([FIRING, FIRST, ACK], NOW, FIRING, [FIRST], ()),
        ([FIRING, ACK], NOW, FIRING, [], ()),
        ([TRIED, FIRST], NOW, TRIED, [FIRST], ()),
        ([TRIED, FIRST, ACK], NOW, ACK, [TRIED, FIRST], ("firing since 00:00:00 UTC; not told before",)),
        ([HAPPENED, ACK], NOW, ACK, [HAPPENED], ("it happened 00:00:00 UTC; not told before",)),
        ([FIRST], NOW, FIRST, [], ()),
        ([FIRST, SECOND], NOW, SECOND, [FIRST], ()),
        ([FIRST, SECOND, END], NOW, END, [FIRST, SECOND], ()),
        ([END], NOW, END, [], ()),
        ([EDITED, EDITED_AGAIN], NOW, EDITED_AGAIN, [EDITED], ()),
        ([EDITED, FIRING], NOW, FIRING, [], ()),  # edits come after all else
        ([EDITED, FIRST, SECOND], NOW, SECOND, [FIRST], ()),
    ],
)  # fmt: skip
def test_what_goes_as_one(waits, now, carrier, folded, notes):
    made = coalesce(waits, lambda of: START + timedelta(seconds=now) - of, Style())
    assert (made.carrier, list(made.folded), made.notes) == (carrier, folded, notes)


@pytest.mark.parametrize(
    ("because", "notes"), [("", []), ("503", ["sent here because desk did not take it: 503"])]
)
def test_what_is_handed_over_says_why(because, notes):
    made = hand_over(Coalesced(TRIED), "phone", 2, START, because)
    assert [(each.channel, each.target, each.context["notes"]) for each in made] == [
        ("phone", 0, notes), ("phone", 1, notes),
    ]  # fmt: skip


@pytest.mark.parametrize(("handed_to", "notes"), [(None, [FROM]), ("phone", [])])
def test_what_the_fallback_has_was_told_there_before(handed_to, notes):
    folded = structs.replace(TRIED, handed_to=handed_to)
    (made,) = hand_over(Coalesced(END, (folded,), (FROM,)), "phone", 1, START)
    assert made.context["notes"] == notes


@pytest.mark.parametrize(
    ("severity", "shown"), [("critical", "critical"), ("warning", "warning"), ("info", "warning")]
)
def test_what_can_not_be_read_is_as_loud_as_it_is(severity, shown):
    carrier = structs.replace(FIRING, severity=severity)
    assert bare_message(Coalesced(carrier), ValueError("torn"), Style()).severity == shown
