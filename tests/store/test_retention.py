"""What is forgotten and in which order; what is unsent or still firing never is."""

from datetime import timedelta

import pytest
from msgspec import structs

from support.stored import T0, alert, at, attempt, commit, delivery, due_ids, opened, order
from tocsin.events import Key, Ticker
from tocsin.store.model import HeldRow, Retention, RunRow
from tocsin.store.retention import CHUNK, Pruned

DAY = 86400
KEEP = Retention(events=timedelta(days=30), alerts=timedelta(days=365))


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path / "state")
    yield store
    store.close()


def ticker(id_="BTC", *, when=T0, raw="t" * 500):
    key = Key("fx", "ticker", "", id_)
    return order(key=key, state=Ticker(id=id_), events=("ticker.updated",), when=when, raw=raw)


def column(store, query):
    return [value for (value,) in store._db.execute(query)]


def prune_all(store, retention, now):
    total = Pruned(more=True)
    for _ in range(200):
        if not total.more:
            return total
        total += store.apply_retention(retention, now)
    raise AssertionError("retention never ends")


def used(store):
    pages, free, size = (
        column(store, f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def test_events_go_after_their_time_counted_from_when_they_were_received(store):
    old = order("old", when=at(-31 * DAY), time=T0)  # the venue dates it now, we had it a month ago
    commit(
        store,
        events=[old, order("young", when=at(-29 * DAY), time=at(-90 * DAY)), ticker(when=at(-31 * DAY))],
    )
    assert prune_all(store, KEEP, T0) == Pruned(events=2)
    assert column(store, "SELECT entity FROM events") == ["young"]


def test_entities_go_when_they_have_ended_and_their_time_is_over(store):
    long_ago = at(-31 * DAY)
    commit(
        store,
        entities=[
            order("ended", when=long_ago, ended=True),
            order("alive", when=long_ago),
            order("just ended", ended=True),
            order("still firing", when=long_ago, ended=True),
        ],
        alerts=[alert(entity="still firing")],
    )
    assert prune_all(store, KEEP, T0) == Pruned(entities=(Key("fx", "order", "acc", "ended"),))
    assert [change.key.id for change in store.load().entities] == ["alive", "just ended", "still firing"]


def test_alerts_go_when_they_are_over_and_told(store):
    year_ago, later = at(-366 * DAY), at(-364 * DAY)
    past = {"fired_at": year_ago, "started_at": year_ago}
    commit(
        store,
        alerts=[
            alert("resolved", state="resolved", resolved_at=year_ago, **past),
            alert("event", state="event", **past),
            alert("firing", **past),
            alert("resolved later", state="resolved", resolved_at=later, **past),
            alert("untold", state="resolved", resolved_at=year_ago, **past),
            alert("young", state="event"),
        ],
        deliveries=[
            delivery("sent", alert="resolved", created_at=year_ago),
            delivery("dead", alert="event", created_at=year_ago),
            delivery("waits", alert="untold", created_at=year_ago),
            delivery("of no alert", alert="report", created_at=year_ago),
            delivery("of no alert, waits", alert="report 2", created_at=year_ago),
        ],
    )
    store.outbox.record([attempt("sent"), attempt("dead", "dead"), attempt("of no alert")])
    assert prune_all(store, KEEP, T0) == Pruned(alerts=2, deliveries=3)
    assert column(store, "SELECT id FROM alerts") == ["firing", "resolved later", "untold", "young"]
    assert due_ids(store, T0) == ["waits", "of no alert, waits"]


def test_what_is_held_back_never_goes(store):
    year_ago = at(-366 * DAY)
    commit(
        store,
        alerts=[alert("held", state="event", fired_at=year_ago, started_at=year_ago)],
        held=[HeldRow(alert="held", rule="r", reason="closed", data={"alert": "held"})],
    )
    assert prune_all(store, KEEP, T0) == Pruned()
    commit(store, held=[HeldRow(alert="held")])
    assert prune_all(store, KEEP, T0) == Pruned(alerts=1)


def test_the_alert_of_a_run_that_is_open_stays(store):
    """Nobody would know what became of it after a crash."""
    run = RunRow(id="r1", action="hedge", alert="a", status="begun", created_at=at(-400 * DAY))
    commit(store, alerts=[alert("a", state="event", fired_at=at(-400 * DAY))], runs=[run])
    prune_all(store, KEEP, T0)
    assert column(store, "SELECT id FROM actions") == ["r1"]
    commit(store, runs=[structs.replace(run, status="ok")])
    prune_all(store, KEEP, T0)
    assert column(store, "SELECT id FROM actions") == []


def test_each_call_removes_a_chunk_so_that_commits_come_in_between(store):
    commit(store, events=[order(f"o{n}", when=at(-40 * DAY)) for n in range(CHUNK + 10)])
    first = store.apply_retention(KEEP, T0)
    assert (first.events, first.more) == (CHUNK, True)
    second = store.apply_retention(KEEP, T0)
    assert (second.events, second.more) == (10, True)
    assert store.apply_retention(KEEP, T0) == Pruned()


def test_when_it_grows_too_large_market_data_goes_first(store):
    for n in range(10):
        when = at(n)
        commit(store, when=when, events=[ticker(when=when) for _ in range(300)])
        commit(
            store, when=when, events=[order(f"o{n}-{m}", when=at(-100), raw="y" * 500) for m in range(100)]
        )
    before = used(store)
    pruned = prune_all(store, Retention(max_size=before * 6 // 10), T0)
    assert 0 < pruned.events < 3000
    assert column(store, "SELECT count(*) FROM events WHERE event LIKE 'order.%'") == [1000]
    left = column(store, "SELECT min(received_at) FROM events WHERE event LIKE 'ticker.%'")
    assert left > ["2026-03-01T10:00:01"]  # the oldest of them went first
    assert used(store) <= before * 6 // 10


def test_then_what_is_told_and_over_but_never_what_is_unsent(store):
    finished = [alert(f"old{n}", state="event", body="z" * 3000) for n in range(100)]
    commit(
        store,
        entities=[order("ended", ended=True), order("alive")],
        events=[order(), ticker()],
        alerts=[*finished, alert("firing"), alert("untold", state="event")],
        deliveries=[delivery("d1", alert="untold")],
    )
    pruned = prune_all(store, Retention(max_size=1), T0)
    assert (pruned.events, pruned.alerts, len(pruned.entities)) == (2, 100, 1)
    assert pruned.over  # no more can go, and it says so
    assert column(store, "SELECT id FROM alerts") == ["firing", "untold"]
    assert [change.key.id for change in store.load().entities] == ["alive"]
    assert due_ids(store, T0) == ["d1"]


def test_the_file_gives_space_back_when_it_is_too_large(store):
    commit(store, events=[ticker(raw="t" * 3000) for _ in range(1500)])
    store.checkpoint()
    before = store.path.stat().st_size
    prune_all(store, Retention(max_size=before // 4), T0)
    store.checkpoint()
    assert store.path.stat().st_size <= before // 4


def test_within_its_time_and_size_nothing_goes(store):
    commit(store, entities=[order(ended=True)], events=[order(), ticker()], alerts=[alert(state="event")])
    assert store.apply_retention(KEEP, at(60)) == Pruned()
