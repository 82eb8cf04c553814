"""Silences outlast a restart; what was taken back is kept, and not loaded."""

from datetime import timedelta

from support.stored import T0, opened
from tocsin.store.model import Batch, Silence


def silence(id_: str, **changes) -> Silence:
    times = {"created_at": T0, "starts_at": T0, "ends_at": T0 + timedelta(hours=2)}
    return Silence(**{"id": id_, "matchers": "venue=fx", "reason": "why not", **times, **changes})


def test_they_are_there_after_a_restart(tmp_path):
    kept, ended = silence("s1"), silence("s2", created_at=T0 + timedelta(seconds=1))
    store = opened(tmp_path / "state")
    store.commit(Batch(at=T0, silences=[kept, ended]))
    assert list(store.load().silences) == [kept, ended]
    store.commit(Batch(at=T0, silences=[silence("s2", ended_at=T0 + timedelta(minutes=1))]))
    store.close()
    store = opened(tmp_path / "state")
    assert list(store.load().silences) == [kept]
    store.close()
