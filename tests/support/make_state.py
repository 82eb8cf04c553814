"""Makes a state as the daemon of this checkout leaves it: `python -m support.make_state FILE` (with tests/ on PYTHONPATH).

Make one before a release that added a migration step: `tests/e2e/test_takeover.py` opens each of these with the code of
today. FILE is `tests/fixtures/states/STEP.sql`, named for the newest step, and holds the database as SQL: a rule that fires
and was told, one whose `for` runs, one that is held back, and a message that could not be sent.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import trio

from tocsin.simulator import Exchange, yourfintech

POSITION = "be06c5da-35d4-4ca1-8865-f9b24b9038a3"
RULES = [
    {"id": "deep-red", "watch": "position", "when": "profit < -50", "severity": "critical"},
    {"id": "slow-red", "watch": "position", "when": "profit < -20", "for": "1h"},
    {"id": "held-red", "watch": "position", "when": "profit < -30", "inhibited_by": ["deep-red"]},
]


def config(url: str, key: str, desk: str, away: str) -> dict:
    """The config that this state is of. `desk` was reached, `away` wasn't."""
    return {
        "state_dir": "state",
        "venues": {"fx": {"type": "yourfintech", "url": url, "secret_key": key}},
        "channels": {"desk": desk, "away": away},
        "rules": RULES,
        "defaults": {"notify": ["desk", "away"]},
    }


async def make(target: Path) -> None:
    """Run the daemon against a simulated venue until the state is as it is to be; then stop it, and write it down."""
    exchange = Exchange()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        async with trio.open_nursery() as nursery:
            await nursery.start(exchange.serve)
            settings = exchange.yourfintech.settings()
            made = config(
                settings["url"], settings["secret_key"], "json://127.0.0.1:1/", "json://127.0.0.1:1/"
            )
            file = here / "config.yaml"
            file.touch(0o600)
            file.write_text(json.dumps(made))
            environment = {**os.environ, "RUNTIME_DIRECTORY": folder, "HOME": folder}
            daemon = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, "-m", "tocsin", "run", "--config", str(file)], env=environment, cwd=folder
            )
            try:
                with trio.fail_after(60):
                    while not exchange.yourfintech.clients:  # noqa: ASYNC110 - another process has no event
                        await trio.sleep(0.1)
                    await trio.sleep(2)
                    exchange.yourfintech.push(
                        yourfintech.position("created", POSITION, profit=-60, entry=89788.01)
                    )
                    await trio.sleep(3)
            finally:
                daemon.terminate()
                daemon.wait(20)
            nursery.cancel_scope.cancel()
        write(here / "state" / "tocsin.db", target)


def write(database: Path, target: Path) -> None:
    with closing(sqlite3.connect(database)) as db:
        # What went to the desk arrived, as far as this state knows.
        db.execute(
            "UPDATE deliveries SET status = 'sent', sent_at = created_at, error = NULL WHERE channel = 'desk'"
        )
        db.commit()
        target.write_text("\n".join(db.iterdump()) + "\n")


if __name__ == "__main__":
    trio.run(make, Path(sys.argv[1]).absolute())
