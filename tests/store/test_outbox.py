"""Deliveries wait in order, are told once they are due, and never overtake one another for one alert."""

import pytest

from support.stored import T0, alert, at, attempt, commit, delivery, due_ids, opened


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path / "state")
    commit(store, alerts=[alert("a1"), alert("a2")])
    yield store
    store.close()


def put(store, *deliveries):
    commit(store, deliveries=list(deliveries))


def test_a_delivery_comes_back_as_it_was_put(store):
    put(store, delivery(context={"rule": "loss", "fields": {"profit": "-60.50"}}, target=0))
    (found,) = store.outbox.due("desk", 0, T0, 10)
    assert (found.id, found.alert, found.state_told, found.channel, found.target) == (
        "d1",
        "a1",
        "firing",
        "desk",
        0,
    )
    assert (found.status, found.attempts, found.severity) == ("pending", 0, "warning")
    assert (found.created_at, found.next_at, found.expires_at) == (T0, T0, at(86400))
    assert (found.sent_at, found.error) == (None, None)
    assert found.context == {"rule": "loss", "fields": {"profit": "-60.50"}}


def test_a_resolution_waits_for_its_firing(store):
    put(store, delivery("firing"), delivery("other", alert="a2"))
    put(store, delivery("resolved", state_told="resolved"))
    assert due_ids(store, T0) == ["firing", "other"]
    store.outbox.record([attempt("firing", "pending", error="503", next_at=at(30))])
    assert due_ids(store, at(10)) == ["other"]
    store.outbox.record([attempt("firing", "sent", at(31))])
    assert due_ids(store, at(31)) == ["other", "resolved"]


DAMAGE = {
    "a context that is no JSON": ("context", "{'rule'"),
    "a context that is no object": ("context", "[1]"),
    "a context that is no text": ("context", b"\xff\xfe{}"),
    "an empty context": ("context", ""),
    "a time of creation": ("created_at", "yesterday"),
    "a time to expire": ("expires_at", ""),
    "a time that is no text": ("expires_at", b"2026\xff"),
    "a time to be tried": ("next_at", ""),
    "one that never comes": ("next_at", "when it suits"),
    "an error that is no text": ("error", b"500 \xc3"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("asked", ["due", "next_due", "waiting", "not_escalated"])
def test_one_row_that_can_t_be_read_is_set_aside_and_the_rest_goes_on(store, damage, asked):
    put(store, delivery("before", severity="critical"))
    put(
        store,
        delivery("bad", alert="a2", severity="critical"),
        delivery("after", alert="a2", severity="critical"),
    )
    column, value = DAMAGE[damage]
    store._db.execute(f"UPDATE deliveries SET {column} = CAST(? AS TEXT) WHERE id = 'bad'", [value])
    if asked == "next_due":
        store.outbox.next_due("desk", 0)
    elif asked == "waiting":
        assert store.outbox.waiting("a1", "desk", 0)
        store.outbox.waiting("a2", "desk", 0)
    elif asked == "not_escalated":
        store.outbox.not_escalated("desk", 0, None, 10)
    store.outbox.due("desk", 0, at(1), 10)  # a head that can't be read gives its place to the next
    store.outbox.record([attempt(id_) for id_ in due_ids(store, at(1)) if id_ == "before"])
    store.outbox.next_due("desk", 0)
    assert due_ids(store, at(1)) == ["after"]
    assert store._db.execute("SELECT status FROM deliveries WHERE id = 'bad'").fetchone() == ("dead",)
    (told,) = store.take_troubles()
    assert "firing of alert a2 for desk (delivery bad)" in told
    assert store.take_troubles() == []


def test_what_was_sent_and_can_t_be_read_any_more_is_left_alone(store):
    put(store, delivery("d1"))
    store.outbox.record([attempt("d1")])
    store._db.execute("UPDATE deliveries SET context = 'x' WHERE id = 'd1'")
    assert store.outbox.history("a1", "desk") == []
    assert store.take_troubles() == []
    assert store._db.execute("SELECT status FROM deliveries").fetchone() == ("sent",)


def test_notes_outlast_the_store(tmp_path):
    store = opened(tmp_path / "other")
    store.note({"a": "1", "b": "2"})
    store.note({"a": None, "b": "3"})
    store.close()
    store = opened(tmp_path / "other")
    assert store.load().notes == {"b": "3"}
    store.close()


@pytest.mark.parametrize("end", ["sent", "dead", "superseded"])
def test_whatever_ends_the_older_lets_the_next_go(store, end):
    put(store, delivery("firing"), delivery("resolved", state_told="resolved"))
    store.outbox.record([attempt("firing", end)])
    assert due_ids(store, T0) == ["resolved"]


def test_order_is_that_of_commits_whatever_the_clock_said(store):
    put(store, delivery("firing", created_at=at(100)))
    put(store, delivery("resolved", created_at=at(40)))  # the wall clock was set back in between
    assert due_ids(store, at(50)) == []
    assert due_ids(store, at(100)) == ["firing"]
    assert store.outbox.next_due("desk", 0) == at(100)


def test_alerts_and_targets_do_not_wait_for_one_another(store):
    put(
        store,
        delivery("a1-desk"),
        delivery("a1-second-url", target=1),
        delivery("a1-mail", channel="mail"),
        delivery("a2-desk", alert="a2"),
    )
    store.outbox.record([attempt("a1-desk", "pending", next_at=at(300))])
    assert due_ids(store, T0) == ["a2-desk"]
    assert due_ids(store, T0, target=1) == ["a1-second-url"]
    assert due_ids(store, T0, channel="mail") == ["a1-mail"]


def test_due_gives_the_oldest_first_and_no_more_than_asked(store):
    commit(store, alerts=[alert(f"a{n}") for n in range(20)])
    put(store, *(delivery(f"d{n}", alert=f"a{n}") for n in range(20)))
    assert due_ids(store, T0, limit=3) == ["d0", "d1", "d2"]


def test_next_due_is_when_due_will_have_something(store):
    assert store.outbox.next_due("desk", 0) is None
    put(store, delivery("firing"), delivery("resolved"), delivery("other", alert="a2"))
    assert store.outbox.next_due("desk", 0) == T0
    store.outbox.record(
        [attempt("firing", "pending", next_at=at(60)), attempt("other", "pending", next_at=at(20))]
    )
    # "resolved" was due at T0, but stands behind "firing".
    assert store.outbox.next_due("desk", 0) == at(20)
    store.outbox.record([attempt("other")])
    assert store.outbox.next_due("desk", 0) == at(60)
    assert due_ids(store, at(59)) == []
    assert due_ids(store, at(60)) == ["firing"]


def test_attempts_are_counted_and_their_answers_kept(store):
    put(store, delivery("d1"), delivery("d2", alert="a2"))
    store.outbox.record([attempt("d1", "pending", error="503 Service Unavailable", next_at=at(1))])
    store.outbox.record([attempt("d1", "pending", error="timed out", next_at=at(3))])
    (waiting,) = store.outbox.waiting("a1", "desk", 0)
    assert (waiting.attempts, waiting.error, waiting.next_at) == (2, "timed out", at(3))
    store.outbox.record([attempt("d1", "sent", at(4)), attempt("d2", "superseded")])
    found = store._db.execute(
        "SELECT status, attempts, sent_at, error FROM deliveries ORDER BY sequence"
    ).fetchall()
    assert found == [("sent", 3, "2026-03-01T10:00:04.000000Z", None), ("superseded", 0, None, None)]


def test_what_waited_in_vain_can_be_seen_as_one(store):
    put(store, delivery("firing"), delivery("reminder"), delivery("resolved"), delivery("other", alert="a2"))
    store.outbox.record([attempt("firing", "pending", next_at=at(600))])
    assert [found.id for found in store.outbox.waiting("a1", "desk", 0)] == ["firing", "reminder", "resolved"]
    assert store.outbox.waiting("a1", "desk", 1) == []
    store.outbox.record(
        [attempt("firing", "superseded"), attempt("reminder", "superseded"), attempt("resolved")]
    )
    assert store.outbox.waiting("a1", "desk", 0) == []


def test_a_fallback_is_put_in_the_same_transaction(store):
    put(store, delivery("d1"))
    store.outbox.record([attempt("d1", "dead", error="gone", also=(delivery("f1", channel="mail"),))])
    assert due_ids(store, T0) == []
    assert due_ids(store, T0, channel="mail") == ["f1"]


def test_what_somebody_else_changed_is_passed_over_and_told_and_the_rest_is_recorded(store):
    put(store, delivery("d1"), delivery("d2", alert="a2"))
    fallback = delivery("f1", channel="mail")
    assert store.outbox.record([attempt("unheard-of", "dead", also=(fallback,)), attempt("d1")]) == [
        "unheard-of"
    ]
    assert due_ids(store, T0) == ["d2"]
    assert due_ids(store, T0, channel="mail") == []
    (trouble,) = store.take_troubles()
    assert trouble.startswith("somebody else changed the database while Tocsin runs: 1 message(s)")


def test_what_was_sent_is_never_pending_again(store):
    put(store, delivery("d1"))
    store.outbox.record([attempt("d1", "sent")])
    assert store.outbox.record([attempt("d1", "pending", next_at=at(1))]) == ["d1"]
    assert due_ids(store, at(10)) == []


def test_channels_that_nobody_serves_any_more_can_be_found(store):
    put(
        store,
        delivery("d1"),
        delivery("d2", channel="old", target=1),
        delivery("d3", channel="old", target=1),
    )
    store.outbox.record([attempt("d1")])
    assert store.outbox.pending_targets() == {("old", 1): 2}


def test_the_outbox_survives_a_restart(tmp_path):
    store = opened(tmp_path)
    put(store, delivery("firing"), delivery("resolved"))
    store.outbox.record([attempt("firing", "pending", next_at=at(5), error="no route")])
    store.close()
    store = opened(tmp_path, now=at(4))
    (found,) = store.outbox.due("desk", 0, at(4), 10)
    assert (found.id, found.attempts, found.error) == ("firing", 1, "no route")
    store.close()


@pytest.mark.parametrize("back", [1, 3600, 86400])
def test_what_waits_is_due_at_the_start_however_far_the_clock_was_set_back_meanwhile(tmp_path, back):
    store = opened(tmp_path)
    commit(store, alerts=[alert("a1"), alert("a2"), alert("a3")])
    put(store, *(delivery(f"d{n}", alert=f"a{n}") for n in (1, 2, 3)))
    store.outbox.record([attempt("d2", "pending", next_at=at(30)), attempt("d3", "sent")])
    store.close()
    store = opened(tmp_path, now=at(-back))
    assert due_ids(store, at(-back)) == ["d1", "d2"]
    assert store.outbox.next_due("desk", 0) == at(-back)
    store.close()


def test_what_two_hand_over_is_stored_once(store):
    put(store, delivery("d0"), delivery("d1", target=1))
    handed = delivery("handed", channel="mail")
    store.outbox.record([attempt("d0", "dead", also=(handed,))])
    store.outbox.record([attempt("handed")])
    store.outbox.record([attempt("d1", "dead", also=(handed,))])
    assert due_ids(store, T0, channel="mail") == []


def test_two_edits_of_one_moment_are_one_and_the_later_counts(store):
    edits = [delivery("e1", state_told="edit", context={"edit": words}) for words in ("acked", "silenced")]
    put(store, edits[0])
    put(store, edits[1])
    (found,) = store.outbox.due("desk", 0, T0, 10)
    assert found.context == {"edit": "silenced"}
    store.outbox.record([attempt("e1")])
    put(store, edits[0])  # it is made already
    assert [(each.status, each.context) for each in store.outbox.history("a1", "desk")] == [
        ("sent", {"edit": "silenced"})
    ]
