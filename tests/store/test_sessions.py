"""Who is signed in to the page outlasts the daemon, until it isn't used for thirty days."""

from datetime import timedelta

import pytest

from support.stored import T0, opened
from tocsin.store.model import SESSION_LASTS, Retention, SessionRow
from tocsin.store.retention import Pruned

KEEP = Retention(events=timedelta(days=365), alerts=timedelta(days=365))


def session(id_="a" * 64, *, person="anna", seen_at=T0):
    return SessionRow(id=id_, person=person, how="token", proof="p", made_at=T0, seen_at=seen_at)


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path / "state")
    yield store
    store.close()


def test_they_are_kept_changed_and_dropped(store):
    first, second = session("1"), session("2", person="ben")
    store.keep_sessions({"1": first, "2": second})
    assert sorted(store.load().sessions, key=lambda each: each.id) == [first, second]
    later = session("1", seen_at=T0 + timedelta(hours=2))
    store.keep_sessions({"1": later, "2": None, "3": None})
    assert store.load().sessions == [later]


def test_they_go_thirty_days_after_their_last_use(store):
    store.keep_sessions({"1": session("1"), "2": session("2", seen_at=T0 + timedelta(seconds=1))})
    assert not store.apply_retention(KEEP, T0 + SESSION_LASTS)
    assert store.apply_retention(KEEP, T0 + SESSION_LASTS + timedelta(microseconds=1)) == Pruned(
        sessions=1, more=True
    )
    assert [each.id for each in store.load().sessions] == ["2"]


def test_what_cannot_be_read_signs_nobody_in(store):
    store.keep_sessions({"1": session("1"), "2": session("2")})
    store._db.execute("UPDATE sessions SET seen_at = 'yesterday' WHERE id = '1'")
    found = store.load()
    assert [each.id for each in found.sessions] == ["2"]
    assert len(found.unreadable) == 1
