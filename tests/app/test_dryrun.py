"""A dry run plays with a copy: what counts as sent there is still to be sent."""

from datetime import UTC, datetime

from support.outboxes import delivery
from tocsin.app.dryrun import copied_state
from tocsin.store.model import Attempt, Batch
from tocsin.store.store import DATABASE, Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_copy_is_the_state_and_the_state_stays_as_it_is(tmp_path):
    state = tmp_path / "state"
    real = Store.open(state, now=NOW)
    real.commit(Batch(at=NOW, deliveries=[delivery("d1")]))
    (state / "credentials").mkdir()
    (state / "credentials" / "fx.json").write_text("{}")
    with copied_state(state) as copy:
        played = Store.open(copy, now=NOW)
        assert [row.id for row in played.outbox.due("desk", 0, NOW, 10)] == ["d1"]
        played.outbox.record([Attempt(delivery="d1", status="sent", at=NOW)])
        played.close()
        assert (copy / "credentials" / "fx.json").exists()
        assert (copy / DATABASE).stat().st_mode & 0o777 == 0o600
    assert not copy.exists()
    assert [row.id for row in real.outbox.due("desk", 0, NOW, 10)] == ["d1"]
    real.close()
    assert (state / "credentials" / "fx.json").exists()


def test_no_state_yet(tmp_path):
    with copied_state(tmp_path / "none") as copy:
        assert list(copy.iterdir()) == []
    assert not (tmp_path / "none").exists()
