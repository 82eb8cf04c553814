"""States of a daemon that get damaged, and what is to be told all the same."""

import json
import random
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import msgspec
import trio

from support.daemon import Folder
from support.outboxes import context
from support.receivers import HttpReceiver
from support.stored import alert, commit, order
from tocsin.events import from_iso
from tocsin.store.model import Attempt, NewDelivery
from tocsin.store.store import DATABASE, Store

UNSENT_EVERY, PAGE = 50, 4096
KINDS = ("bytes", "bytes", "pages", "pages", "cut", "beginning", "no log", "no database", "empty")


def prepare(folder: Path, alerts: int) -> Path:
    """A state of a daemon that was killed: its newest alerts are in the log only. One of UNSENT_EVERY is unsent."""
    state = folder / "state"
    now = datetime.now(UTC) - timedelta(minutes=1)
    store = Store.open(state, now=now)
    for first in range(0, alerts, 50):
        numbers = range(first, first + 50)
        orders = [order(f"o{n}", when=now, raw="x" * 1200) for n in numbers]
        commit(
            store,
            when=now,
            entities=orders,
            events=orders,
            alerts=[
                alert(
                    f"a{n}",
                    rule="order-canceled",
                    state="event",
                    fired_at=now,
                    started_at=now,
                    data={"pad": "y" * 800},
                )
                for n in numbers
            ],
            deliveries=[message(n, now) for n in numbers],
        )
        store.outbox.record(
            [Attempt(delivery=f"d{n}", status="sent", at=now) for n in numbers if n % UNSENT_EVERY]
        )
        if first == alerts // 2:
            store.checkpoint()
    store._noted_at = float("-inf")
    commit(store, when=now, alerts=[alert("last", state="event")])
    killed = state.with_name("killed")
    shutil.copytree(state, killed, ignore=shutil.ignore_patterns("reserve", "tocsin.lock"))
    store.close()
    return killed


def message(number: int, now: datetime) -> NewDelivery:
    said = context(
        rule="order-canceled", state="firing", entity=f"o{number}", at=now, time=now, started_at=now
    )
    return NewDelivery(
        id=f"d{number}", alert=f"a{number}", state_told="event", channel="phone", target=0, severity="warning",
        created_at=now, expires_at=now + timedelta(days=1), context=msgspec.to_builtins(said),
    )  # fmt: skip


def hurt(state: Path, seed: int) -> str:
    chance = random.Random(seed)
    kind = chance.choice(KINDS)
    file = state / DATABASE
    log = state / f"{DATABASE}-wal"
    if kind in ("no database", "empty"):
        log.unlink()
        file.unlink() if kind == "no database" else file.write_bytes(b"")
        return kind
    if kind == "no log":
        log.unlink()
        return kind
    if (
        chance.random() < 0.7
    ):  # the log is moved in first, so that all of it can be hit; else it mends some of what is hurt
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = file.stat().st_size
    with file.open("r+b") as written:
        if kind == "bytes":
            for _ in range(chance.choice((1, 10, 100, 1000))):
                written.seek(chance.randrange(size))
                written.write(chance.randbytes(1))
        elif kind == "pages":
            for _ in range(chance.choice((1, 5, 50, 500))):
                written.seek(chance.randrange(size // PAGE) * PAGE)
                written.write(chance.randbytes(PAGE))
        elif kind == "cut":
            written.truncate(chance.randrange(size))
        else:
            written.write(chance.randbytes(chance.choice((1, 100, PAGE, 5 * PAGE))))
    return kind


def readable(state: Path) -> set[str]:
    """The unsent messages that can be read without any skill."""
    found: set[str] = set()
    copy = state.with_name(f"{state.name}-looked-at")
    shutil.copytree(state, copy)
    # Of the table alone: an index may still have the words that a damaged row had.
    # And the whole row: of one whose last cells can't be read SQLite finds the first ones all the same.
    query = "SELECT context, id, next_at, expires_at, created_at, * FROM deliveries NOT INDEXED WHERE status = 'pending' AND channel = 'phone'"
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(copy / DATABASE)) as db:
        for said, id_, *cells in db.execute(query):
            times = cells[:3]
            with suppress(ValueError):
                [from_iso(each) for each in times]
                json.loads(said)
                found.add(id_)
    shutil.rmtree(copy)
    return found


async def started(
    seed: int, prepared: Path, folder: Path, phone: HttpReceiver, alerts: int
) -> tuple[float, int]:
    """Hurt a copy of the state, start the daemon on it, and see that all is told that it carried over. How long it took to
    be up, and how many unsent messages weren't told that SQLite itself still finds.
    """
    made = Folder(folder / str(seed))
    rules = [
        {"id": "order-canceled", "watch": "order.canceled", "notify": "phone"},
        {"id": "degraded", "watch": "daemon.degraded", "notify": "ours"},
    ]
    made.write(
        channels={
            "phone": phone.channel | {"urls": [f"{phone.url}/{seed}"]},
            "ours": f"{phone.url}/ours-{seed}",
        },
        rules=rules,
    )
    await trio.to_thread.run_sync(shutil.copytree, prepared, made.state)
    kind = hurt(made.state, seed)
    expected = await trio.to_thread.run_sync(readable, made.state)

    def told(to: str) -> list[str]:
        requests = [request for request in list(phone.requests) if request.path.endswith(to)]
        return [unquote(request.headers.get("x-tocsin-delivery", "")) for request in requests]

    begun = time.monotonic()
    async with made.running() as daemon:
        took = time.monotonic() - begun
        await daemon.until(
            # A damaged byte may name a channel that there isn't: such a message waits for it, and the log says so.
            lambda: not [row for row in made.unsent() if row[0] in ("phone", "ours")],
            f"{kind}, seed {seed}: nothing is left",
        )
        missed = len(expected - set(told(f"/{seed}")))
        if len(told(f"/{seed}")) < alerts // UNSENT_EVERY:
            await daemon.until(
                lambda: told(f"/ours-{seed}"), f"{kind}, seed {seed}: somebody is told of what is lost"
            )
    sent = told(f"/{seed}")
    assert len(sent) == len(set(sent)), f"{kind}, seed {seed}: each once"
    phone.requests[:] = [
        request for request in phone.requests if not request.path.endswith((f"/{seed}", f"ours-{seed}"))
    ]
    shutil.rmtree(made.path)
    return took, missed
