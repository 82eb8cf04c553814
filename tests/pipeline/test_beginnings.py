"""The end of something bad is told as the end of the message that it began, also where the daemon was restarted between."""

import pytest

from support.stored import T0, at, opened
from support.story import compiled, options
from tocsin.events import Daemon, Instant, Occurrence
from tocsin.feed.model import Received
from tocsin.pipeline.runtime import Runtime
from tocsin.store.model import Batch

RULES = compiled([
    {"id": "failed", "watch": "daemon.delivery_failed", "notify": ["desk"]},
    {"id": "again", "watch": "daemon.delivery_recovered", "notify": ["desk"]},
])  # fmt: skip


class Life:
    """One run of the daemon's inside on what a store holds."""

    def __init__(self, folder, names):
        self._store = opened(folder)
        loaded = self._store.load()
        self.runtime = Runtime(RULES, options(), lambda: next(names), loaded)
        self.commit(self.runtime.turn.restore(loaded, Instant(T0, 0.0))[0])

    def commit(self, batch: Batch) -> Batch:
        self._store.commit(batch)
        return batch

    def happens(self, event: str, seconds: float) -> list[tuple[str, str]]:
        """What it tells: alert and state."""
        now = Instant(at(seconds), seconds)
        state = Daemon(id="mail", subject="mail", reason="500 oops")
        occurred = Occurrence(state=state, event=event, origin="synthetic", time=now.wall)
        batch = self.commit(
            self.runtime.turn.messages([Received(venue="tocsin", observed=(occurred,), at=now)], now)
        )
        return [(each.alert, each.state_told) for each in batch.deliveries]

    def end(self):
        self._store.close()


@pytest.mark.parametrize("restarts", [False, True])
def test_the_end_belongs_to_the_beginning(tmp_path, restarts):
    names = iter(f"n{n}" for n in range(100))
    life = Life(tmp_path, names)
    ((alert, state),) = life.happens("daemon.delivery_failed", 1)
    assert state == "firing"
    ends = []
    for seconds in (60, 120):
        if restarts:
            life.end()
            life = Life(tmp_path, names)
        ends += life.happens("daemon.delivery_recovered", seconds)
    life.end()
    assert ends[0] == (alert, "resolved")
    assert ends[1][0] != alert  # there is nothing any more that it would be the end of
    assert ends[1][1] == "firing"
