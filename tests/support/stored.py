"""Rows for the store's tests: small, with what a test doesn't care about filled in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tocsin.events import Change, Key, Order, number
from tocsin.store.model import AlertRow, Attempt, Batch, NewDelivery, RunRow
from tocsin.store.store import Store

T0 = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def opened(state_dir: Path, *, now: datetime = T0) -> Store:
    return Store.open(state_dir, now=now)


def order(
    id_: str = "o1", *, when: datetime = T0, events: tuple[str, ...] = ("order.created",), **more
) -> Change:
    fields = {"status": "open", "price": number("0.08132"), "amount": number("1e-8")} | more.pop("fields", {})
    given = {
        "key": Key("fx", "order", "acc", id_),
        "events": events,
        "state": Order(id=id_, symbol="BTC-EUR", **fields),
        "previous": None,
        "origin": "live",
        "time": when,
        "received": when,
        "known_since": when,
        "symbol": "BTC-EUR",
        "raw": '{"id":"' + id_ + '"}',
    }
    return Change(**(given | more))


def alert(id_: str = "a1", **more) -> AlertRow:
    given = {
        "id": id_,
        "rule": "loss",
        "instance": "fx/position//p1",
        "venue": "fx",
        "account": None,
        "entity": "p1",
        "symbol": "BTC-EUR",
        "state": "firing",
        "severity": "warning",
        "started_at": T0,
        "fired_at": T0,
        "resolved_at": None,
        "title": "Loss on BTC-EUR",
        "body": "profit is -0.49939999999990503",
        "data": {"fields": {"profit": "-0.49939999999990503"}},
    }
    return AlertRow(**(given | more))


def delivery(id_: str = "d1", **more) -> NewDelivery:
    given = {
        "id": id_,
        "alert": "a1",
        "state_told": "firing",
        "channel": "desk",
        "target": 0,
        "severity": "warning",
        "created_at": T0,
        "expires_at": at(86400),
        "context": {"rule": "loss"},
    }
    return NewDelivery(**(given | more))


def run(status: str = "ok", **more) -> RunRow:
    given = {
        "id": f"r-{status}",
        "action": "note",
        "alert": "a1",
        "created_at": T0,
        "command": '["/bin/echo", "BTC-EUR"]',
    }
    return RunRow(status=status, **(given | more))


def attempt(delivery_id: str = "d1", status: str = "sent", when: datetime = T0, **more) -> Attempt:
    return Attempt(delivery=delivery_id, status=status, at=when, **more)


def commit(store: Store, *, when: datetime = T0, **parts) -> None:
    store.commit(Batch(at=when, **parts))


def due_ids(
    store: Store, now: datetime, *, channel: str = "desk", target: int = 0, limit: int = 100
) -> list[str]:
    return [found.id for found in store.outbox.due(channel, target, now, limit)]
