"""`kill -9` again and again around the runs of actions; then what must be true: no command was run twice, and what was run is known.

The venue says one position's profit up and down; each fall runs a command, which writes its run's id to a file, and a webhook.
"""

import random
from collections import Counter
from pathlib import Path

import trio

from support.daemon import Folder
from support.mission import connected, profit
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange

_OVER = {"ok", "failed", "unknown", "dropped"}


class RunKills:
    """One daemon and what it runs."""

    def __init__(self, folder: Folder, exchange: Exchange, hook: HttpReceiver, seed: int) -> None:
        self.folder, self.exchange, self.hook = folder, exchange, hook
        self.random = random.Random(seed)
        self._written = folder.path / "written"
        self.outcomes = Counter[tuple[str, str]]()
        """By action and status."""

    def write(self) -> None:
        script = self.folder.path / "note"
        script.write_text(f'#!/bin/sh\nsleep 0.02\necho "$TOCSIN_RUN" >> {self._written}\nsleep 0.02\n')
        script.chmod(0o755)
        self.folder.write(
            venues={"fx": self.exchange.yourfintech.settings() | {"silent_after": "1h"}},
            channels={"hook": {"urls": [self.hook.url], "storm": "off"}},
            actions={
                "note": {"command": [str(script)]},
                "post": {"webhook": f"http://127.0.0.1:{self.hook.port}/post"},
            },
            rules=[{"id": "red", "watch": "position", "when": "profit < -0.5", "run": ["note", "post"]}],
        )

    async def run(self, kills: int) -> None:
        """So many kills at random moments around runs, then peace, and everything that must be true."""
        async with self.folder.running(secrets=self.exchange.secrets) as daemon:
            await connected(daemon, "fx")
            profit(self.exchange, 0.5, "created")
            for _ in range(kills):
                for _ in range(self.random.randrange(1, 4)):
                    profit(self.exchange, 0.5)
                    profit(self.exchange, -0.51)
                    await trio.sleep(self.random.random() * 0.1)
                daemon.kill()
                await daemon.start()
                await connected(daemon, "fx")
            profit(self.exchange, 0.5)
            before = self._done()
            profit(self.exchange, -0.51)
            await daemon.until(lambda: self._done() > before, "in peace all is run")
            await daemon.until(lambda: {row[0] for row in self._rows()} <= _OVER, "no run is open")
        self._check()

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (status, action, id_)
            for status, action, id_ in self.folder.rows("SELECT status, action, id FROM actions")
        ]

    def _done(self) -> int:
        return sum(1 for status, action, _ in self._rows() if (status, action) == ("ok", "note"))

    def _check(self) -> None:
        rows = self._rows()
        self.outcomes = Counter((action, status) for status, action, _ in rows)
        of = {id_: (action, status) for status, action, id_ in rows}
        written = Counter(_lines(self._written))
        assert [run for run, count in written.items() if count > 1] == [], "a command was run twice"
        done = {id_ for id_, (action, status) in of.items() if (action, status) == ("note", "ok")}
        known = {
            id_ for id_, (action, status) in of.items() if action == "note" and status in ("ok", "unknown")
        }
        assert done <= set(written) <= known, "what was run is recorded, and what is recorded as done was run"
        posted = Counter(
            request.headers["idempotency-key"] for request in self.hook.requests if request.path == "/post"
        )
        told = {id_ for id_, (action, status) in of.items() if (action, status) == ("post", "ok")}
        assert told <= set(posted) <= {id_ for id_, (action, _) in of.items() if action == "post"}
        unknown = {id_ for id_, (action, status) in of.items() if status == "unknown"}
        told_of = {
            alert for (alert,) in self.folder.rows("SELECT alert FROM deliveries WHERE state_told = 'action'")
        }
        assert unknown <= told_of, "what nobody knows is told"


def _lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
