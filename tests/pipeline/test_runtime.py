"""A runtime on what a store holds: it stands as the daemon's does, and looking changes nothing."""

from decimal import Decimal

from support.stored import T0
from support.story import compiled, options
from tocsin.events import Instant, Observation, Position
from tocsin.feed.model import Received
from tocsin.pipeline.runtime import Runtime, open_stored
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE, Store

RULES = compiled([{"id": "loss", "watch": "position", "when": "profit < -50", "for": "1m"}])


def stored(folder) -> bytes:
    """A store after 20 s with a position that loses; its file's bytes."""
    store = Store.open(folder, now=T0)
    runtime = Runtime(RULES, options(), iter(map(str, range(99))).__next__)
    for at, profit in ((0.0, "-60"), (20.0, "-70")):
        state = Position(id="p1", symbol="BTCUSD", side="long", profit=Decimal(profit))
        said = Received(venue="fx", observed=(Observation(account="a1", state=state),), at=Instant(T0, at))
        store.commit(runtime.turn.messages([said], said.at))
    store.alive(Instant(T0, 20.0))
    store.close()
    return (folder / DATABASE).read_bytes()


def restored(folder, rules=RULES, now=None):
    with Reader(folder / DATABASE).snapshot() as reader:
        return open_stored(reader, rules, options(), now)


def test_it_stands_as_the_store_does_and_nothing_is_written(tmp_path):
    before = stored(tmp_path)
    runtime, now = restored(tmp_path)
    assert now.steady == 20.0, "timers stand as they stood when the daemon was last alive"
    (position,) = runtime.entities.live("position")
    assert (position.state.profit, position.unconfirmed_since) == (Decimal(-70), None)
    assert runtime.turn.deadline() == 60.0, "of the minute, 20 s have passed"
    assert (tmp_path / DATABASE).read_bytes() == before


def test_beside_a_daemon_it_has_the_daemons_time(tmp_path):
    stored(tmp_path)
    runtime, now = restored(tmp_path, now=Instant(T0, 30.0))
    assert now == Instant(T0, 30.0)
    assert runtime.turn.deadline() == 60.0, "of the minute, 30 s have passed"


def test_under_rules_that_were_edited_since_it_stands_as_after_a_start(tmp_path):
    stored(tmp_path)
    runtime, _ = restored(tmp_path, compiled([{"id": "loss", "watch": "position", "when": "profit < -90"}]))
    assert runtime.turn.deadline() is None, "what was pending isn't so by the rule as it is now"
