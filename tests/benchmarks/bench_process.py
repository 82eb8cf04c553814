"""What the program weighs, and how long a person waits for it."""

import gc
import json
import os
import socket
import subprocess
import sys
import time
import tracemalloc

import pytest

from support.wants import rules, rules_text, wants
from tocsin.engine.index import Index

PATIENCE = 60  # seconds


# -------------------------------------------------------------------------------------------------------------- memory


def weighed(build):
    """What `build` makes, and the bytes that it takes."""
    gc.collect()
    tracemalloc.start()
    made = build()
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return made, taken


def bench_bytes_of_a_rule(figures):
    compiled = rules(wants(10_000))
    _, taken = weighed(lambda: Index(compiled))
    figures["bytes/rule"] = taken / 10_000


def bench_bytes_of_an_entity(figures):
    """A million orders, as a venue tells of them: texts of its own in each, numbers as they are read from the wire.

    Measured by the process' own memory: tracing would double it.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MILLION], capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    figures["bytes/entity"] = float(done.stdout)


_MILLION = """
import gc, os
from datetime import UTC, datetime
from tocsin.entities import Entities
from tocsin.events import Instant, Observation, Order, number

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

now = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)
entities = Entities()
gc.collect()
before = resident()
for count in range(1_000_000):
    id, symbol, account, price, amount = f"{count} BTCUSD a1 {count} 1".split()
    order = Order(id=id, symbol=symbol, side="buy", status="open", price=number(price), amount=number(amount))
    entities.apply("fx", Observation(state=order, account=account), now, None)
gc.collect()
print((resident() - before) / 1_000_000)
"""


# -------------------------------------------------------------------------------------------------------- the commands


def tocsin(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "tocsin", *words],
        cwd=cwd,
        env=environment(cwd),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )


def environment(folder):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "STATE_", "RUNTIME_"))
    }
    return {**kept, "PYTHONPATH": ":".join(sys.path), "HOME": str(folder)}


@pytest.fixture
def folder(tmp_path):
    config = {
        "venues": {}, "channels": {"phone": {"urls": ["json://127.0.0.1:9/"], "storm": "off"}}, "rules": ["rules.yaml"], "state_dir": "state",
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    (tmp_path / "rules.yaml").write_text(rules_text(wants(10)))
    return tmp_path


def bench_version(measure, folder):
    measure("version", lambda: tocsin("--version", cwd=folder), 1)


def bench_check(measure, folder):
    (folder / "rules.yaml").write_text(rules_text(wants(10_000)))
    measure("check", lambda: tocsin("check", cwd=folder), 1, rounds=3)


class Running:
    """A daemon, and the seconds from its start until it told that it is ready."""

    def __init__(self, folder):
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = folder / "notify"
        path.unlink(missing_ok=True)
        self._told.bind(str(path))
        self._told.settimeout(PATIENCE)
        begun = time.perf_counter()
        self._log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tocsin", "run"],
            cwd=folder,
            env={**environment(folder), "NOTIFY_SOCKET": str(path)},
            stdout=self._log,
            stderr=self._log,
        )
        while b"READY=1" not in self._told.recv(4096):
            pass
        self.ready = time.perf_counter() - begun

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._told.close()
        self._log.close()

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as file:  # noqa: PTH123 - a line of the kernel's
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bench_ready(figures, folder):
    took = []
    for _ in range(3):
        with Running(folder) as daemon:
            took.append(daemon.ready)
    figures["ready"] = sorted(took)[1]


def bench_idle(figures, folder):
    """Some seconds after READY, when all that is loaded late is there too."""
    with Running(folder) as daemon:
        time.sleep(5)
        figures["idle"] = daemon.resident()


def bench_restart(figures, folder):
    """100,000 positions, 1,000 of which are alerts that fire."""
    (folder / "config.yaml").write_text(
        json.dumps(
            {
                "venues": {
                    "fx": {"type": "yourfintech", "url": "ws://127.0.0.1:9/", "secret_key": "${env:HOME}"}
                },
                "channels": {"phone": {"urls": ["json://127.0.0.1:9/"], "storm": "off"}},
                "rules": ["rules.yaml"],
                "state_dir": "state",
            }
        )
    )
    (folder / "rules.yaml").write_text(
        "rules:\n  - {id: red, watch: position, when: profit < -50, notify: phone}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", _FILL], cwd=folder, env=environment(folder), check=True, timeout=PATIENCE * 2,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "1000\n", done.stdout
    took = []
    for _ in range(3):
        with Running(folder) as daemon:
            took.append(daemon.ready)
    figures["restart"] = sorted(took)[1]


_FILL = """
import trio
from decimal import Decimal
from pathlib import Path
from tocsin.app.components import Components
from tocsin.clock import SystemClock
from tocsin.config.load import load_settings
from tocsin.events import Observation, Position
from tocsin.feed.model import Received
from tocsin.store.database import Database

async def main():
    clock = SystemClock()
    settings = load_settings(Path("config.yaml"), validate_url=None)
    database = await Database.open(settings.state_dir, now=clock.now().wall)
    components = Components(settings, await database.load(), database, clock, None, settings.state_dir)
    firing = 0
    for first in range(0, 100_000, 500):
        received = [
            Received(venue="fx", at=clock.now(), observed=(Observation(account="a1", state=Position(
                id=f"p{n}", symbol="BTCUSD", side="long", profit=Decimal(-60 if n % 100 == 0 else 60))),))
            for n in range(first, first + 500)
        ]
        batch = components.turn.messages(received, clock.now())
        firing += len(batch.alerts)
        await database.commit(batch)
    await database.alive(clock.now())
    await database.close()
    print(firing)

trio.run(main)
"""
