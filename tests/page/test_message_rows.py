"""In which words the page's lists tell what became of a message: one row for all of them."""

from typing import Any

import pytest

from support.looked import HOSTILE, text_of
from support.stored import T0, alert, at, attempt, delivery, opened
from tocsin.page import alert_life
from tocsin.page.message_rows import message_row
from tocsin.page.rendering import environment
from tocsin.page.words import times
from tocsin.store import alert_history, lists
from tocsin.store.model import Batch
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

CASES: dict[str, tuple[dict[str, Any], str, str, list[str], str]] = {
    "sent": ({"status": "sent", "took_seconds": 0.4, "attempts": 1}, "sent", "good", ["taken after 0.4 s"], "told phone"),
    "sent at last": ({"status": "sent", "took_seconds": 38.2, "attempts": 3, "error": None}, "sent", "good", ["3 tries", "taken after 38 s"], "told phone"),
    "about to go": ({}, "waits", "warn", ["about to go"], "waits for phone"),
    "held": ({"reason": "quiet"}, "waits", "warn", ["held by quiet"], "waits for phone"),
    "failed once": (
        {"attempts": 1, "error": "429", "next_try": "2026-03-01T10:00:30.000000Z", "handed_to": "desk"},
        "waits", "warn", ["1 try", "429", "handed to desk"], "waits for phone",
    ),
    "failed, and is due": ({"attempts": 1, "error": "429"}, "waits", "warn", ["1 try", "429", "about to go"], "waits for phone"),
    "its channel refuses": (
        {"refuses": True, "next_try": "2026-03-01T10:00:30.000000Z"}, "waits", "warn", ["phone refuses"], "waits for phone",
    ),
    "its channel refuses, and is due": ({"refuses": True}, "waits", "warn", ["phone refuses"], "waits for phone"),
    "its channel refused it, too": (
        {"refuses": True, "attempts": 2, "error": "429"}, "waits", "warn", ["2 tries", "429"], "waits for phone",
    ),
    "held where the channel refuses": ({"refuses": True, "reason": "quiet"}, "waits", "warn", ["held by quiet"], "waits for phone"),
    "given up": ({"status": "dead", "attempts": 5, "error": "403"}, "given up", "bad", ["5 tries", "403"], "didn't reach phone"),
    "in a digest": ({"digest": "digest-1", "reason": "storm"}, "waits", "warn", ["in a digest", "held by storm"], "waits for phone"),
    "superseded": ({"status": "superseded"}, "superseded", "off", ["in another message"], "in another message, to phone"),
    "of another version": ({"status": "lost", "error": HOSTILE}, "lost", "warn", [HOSTILE], "lost: phone"),
}  # fmt: skip


def kept(**more: Any) -> dict[str, Any]:
    """As the database has one that waits."""
    row = {
        "id": "d1", "about": "a1", "title": "🟠 Loss", "state_told": "firing", "severity": "warning", "channel": "phone",
        "status": "pending", "attempts": 0, "created_at": "2026-03-01T10:00:00.000000Z", "sent_at": None, "took_seconds": None,
        "next_at": "2026-03-01T10:00:00.000000Z", "digest": None, "reason": None, "error": None, "handed_to": None,
    }  # fmt: skip
    return row | more


@pytest.mark.parametrize("name", CASES)
def test_what_became_of_it_in_words(name):
    more, status, tone, outcome, life = CASES[name]
    found = message_row(kept(**more))
    assert (found["status"], found["tone"], found["outcome"]) == (status, tone, outcome)
    (told,) = alert_life.messages([kept(**more)])
    assert (f"{told['says']}{told['name']}", told["tone"], told["sub"]) == (life, tone, ", ".join(outcome))
    assert found["next_try"] == told["next_try"] == more.get("next_try")


def shown(macro: str, *arguments: Any) -> str:
    module: Any = environment().get_template("frame/message_outcome.html").module
    return text_of(getattr(module, macro)(*arguments)).replace("&nbsp;", "")


@pytest.mark.parametrize(
    ("more", "subject"),
    [
        ({}, '<a href="/a/a1">■ Loss</a>'),
        ({"title": None}, '<a href="/a/a1">■ an alert</a>'),
        ({"about": None, "state_told": "after_loss", "title": None}, "■ after loss"),
    ],
)
def test_it_leads_to_the_alert_that_it_is_about(more, subject):
    module: Any = environment().get_template("frame/message_outcome.html").module
    assert str(module.subject(message_row(kept(**more)), lambda path: path)) == subject


def test_when_the_next_try_is_stands_last_and_is_a_time():
    more = CASES["failed once"][0]
    filters = times(T0.tzinfo, T0.date())
    said = shown("outcome", message_row(kept(**more)), filters["clock"], filters["local_words"])
    assert said == "1 try · 429 · handed to desk · next try 10:00:30"
    assert shown("status", message_row(kept(status="sent"))) == "✓ sent"


def test_the_life_of_an_alert_has_the_next_try_as_a_time_too():
    (waits,) = alert_life.messages([kept(**CASES["its channel refuses"][0])])
    filters: dict[str, Any] = times(T0.tzinfo, T0.date())
    page = environment().get_template("alert/life.html").render(life=[waits], cut=False, now=T0, **filters)
    assert "waits for phone phone refuses, next try 10:00:30" in text_of(page)


def test_rows_of_either_list_become_the_same(tmp_path):
    store = opened(tmp_path)
    store.commit(Batch(at=T0, alerts=[alert("a1")], deliveries=[delivery("d1"), delivery("d2")]))
    store.outbox.record([attempt("d1", "sent", at(0.4))])
    store.close()
    reader = Reader(tmp_path / DATABASE)
    latest = [message_row(row) for row in lists.deliveries(reader, None, limit=9)]
    assert latest[::-1] == [message_row(row) for row in alert_history.messages(reader, "a1", limit=9)]
