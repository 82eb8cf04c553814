"""A database that another process holds, and a disk whose fsync hangs; and what people hear of alerts meanwhile."""

import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from support.daemon import Daemon, Folder
from support.mission import connected
from support.receivers import HttpReceiver
from tocsin.delivery.outbox import NOTE
from tocsin.simulator import Exchange, topone

RULES = [{"id": "order-canceled", "watch": "order.canceled"}]
GRACE = 6.0  # seconds after which each alert is told at once, whatever the disk does

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
/* While the file that HANG_WHILE names is there, no fsync returns. */
static void hang(void) {
    const char *while_there = getenv("HANG_WHILE");
    struct timespec pause = {0, 20 * 1000 * 1000};
    while (while_there && access(while_there, F_OK) == 0) nanosleep(&pause, NULL);
}
int fsync(int fd) {
    static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, "fsync");
    hang(); return real(fd);
}
int fdatasync(int fd) {
    static int (*real)(int); if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    hang(); return real(fd);
}
"""


def why_no_shim() -> str:
    """Why fsync can't be made to hang here; "" where it can."""
    return "" if shutil.which("cc") else "there is no C compiler (cc) for the shim that makes fsync hang"


def build_shim(folder: Path) -> Path:
    source, library = folder / "hang.c", folder / "hang.so"
    source.write_text(_SHIM)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True, timeout=180
    )
    return library


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Another process holds the database, as a backup or a VACUUM by hand does."""
    other = sqlite3.connect(folder.database, isolation_level=None, timeout=5)
    try:
        other.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        other.close()


@contextmanager
def hanging(folder: Folder) -> Iterator[None]:
    """No fsync returns; the daemon was started with the shim (`with_shim`)."""
    gate = Path(folder.environment["HANG_WHILE"])
    gate.touch()
    try:
        yield
    finally:
        gate.unlink()


def with_shim(folder: Folder) -> None:
    folder.environment |= {
        "LD_PRELOAD": str(build_shim(folder.path)),
        "HANG_WHILE": str(folder.path / "hang"),
    }


KINDS = {"locked": locked, "hanging": hanging}


class Phone(HttpReceiver):
    """Notes when each message arrived."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, dict[str, Any]]] = []
        super().__init__()
        self._noting = threading.Thread(target=self._note, daemon=True)
        self._noting.start()

    def told(self, order: int) -> list[tuple[float, str]]:
        """When, and with what text, an order was told of."""
        return [
            (at, said["message"])
            for at, said in list(self.arrived)
            if f" {order} " in f" {said['title']} {said['message']} ".replace(",", " ").replace("\n", " ")
        ]

    def _note(self) -> None:
        count = 0
        while not self._closing.is_set():
            with self._changed:
                if len(self.requests) == count:
                    self._changed.wait(timeout=1.0)
                new = self.requests[count:]
            now = time.monotonic()
            self.arrived += [(now, request.json) for request in new]
            count += len(new)


class Trade:
    """Orders that are canceled, some a second; `pushed` says when."""

    def __init__(self, exchange: Exchange, rate: float) -> None:
        self._exchange, self._rate = exchange, rate
        self.pushed: dict[int, float] = {}

    async def go_on(self, seconds: float) -> None:
        begun = trio.current_time()
        first = 700_000 + len(self.pushed)
        for number in range(int(seconds * self._rate)):
            await trio.sleep_until(begun + number / self._rate)
            text = topone.order(first + number, 3, price="0.08132", amount="1.389")
            if self._exchange.topone.push(text, "sub_orders"):
                self.pushed[first + number] = time.monotonic()


async def begin(daemon: Daemon, phone: Phone, trade: Trade) -> None:
    """Until the daemon is connected, a first alert has been told, and that is recorded: what is told just before would be told again."""
    await connected(daemon, "spot")
    await trade.go_on(1 / trade._rate)
    await daemon.until(lambda: phone.told(next(iter(trade.pushed))), "the first alert is told")
    await daemon.until_all_sent(len(trade.pushed))


def heard(phone: Phone, trade: Trade, since: float, until: float, *, strict: bool = True) -> list[float]:
    """How long each alert took that came from GRACE after `since` on, before `until` (monotonic). All others were told by then.

    AssertionError where one wasn't told before `until`, or without its mark; if `strict` also where it took long.
    """
    took = []
    for order, at in trade.pushed.items():
        if not since <= at < until - 2:
            continue
        told = [(arrived, text) for arrived, text in phone.told(order) if arrived < until]
        assert told, f"{order}, {at - since:.1f} s after the beginning, wasn't told meanwhile"
        arrived, text = told[0]
        if at >= since + GRACE:
            assert NOTE in text, f"{order} was told without the mark: {text}"
            took.append(arrived - at)
        elif strict:
            assert arrived <= max(since + GRACE + 2, at + 2), (
                f"{order} was told {arrived - since:.1f} s after the beginning"
            )
    return took
