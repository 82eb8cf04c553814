"""An upgrade: the state of each earlier version is taken over, with what fires, waits, is held back and is unsent.

`tests/fixtures/states` holds the states as the daemons of their time left them (`support/make_state.py` makes one more).
"""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.daemon import Folder
from support.make_state import POSITION, config
from support.receivers import HttpReceiver
from tocsin.events import from_iso, iso
from tocsin.simulator import yourfintech
from tocsin.store.migrations import all_steps

pytestmark = pytest.mark.real

STATES = sorted((Path(__file__).parents[1] / "fixtures" / "states").glob("*.sql"))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def as_if_left_a_minute_ago(script: str) -> str:
    """The same with all its times moved: what waits in it hasn't expired."""
    made = max(from_iso(time) for time in re.findall(r"'alive_at','([^']+)'", script))
    ahead = datetime.now(UTC) - timedelta(minutes=1) - made
    return _TIME.sub(lambda found: iso(from_iso(found[0]) + ahead), script)


@pytest.fixture
def desk():
    with HttpReceiver() as desk:
        yield desk


@pytest.fixture
def away():
    with HttpReceiver() as away:
        yield away


def said(receiver: HttpReceiver) -> list[tuple[str, str]]:
    """(rule, state) of what came, in order."""
    found = []
    for request in list(receiver.requests):
        text = f"{request.json['title']}\n{request.json['message']}"
        (rule,) = re.findall(r"^rule: ([\w-]+)", text, re.MULTILINE)
        found.append((rule, "resolved" if "resolved" in text or "no longer" in text else "firing"))
    return found


@pytest.mark.parametrize("state", STATES, ids=lambda path: path.stem)
async def test_all_goes_on_where_it_stood(tmp_path, exchange, desk, away, state):
    folder = Folder(tmp_path / "tocsin")
    settings = exchange.yourfintech.settings()
    folder.write(**config(settings["url"], settings["secret_key"], desk.url, away.url))
    folder.state.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder.database)) as db:
        db.executescript(as_if_left_a_minute_ago(state.read_text()))
    before = dict(folder.rows("SELECT rule, data FROM instances"))
    ((opened,),) = folder.rows("SELECT data ->> 'opened' FROM entities WHERE id = ?", POSITION)
    began = int(from_iso(opened).timestamp() * 1e6)

    def profit(value: float) -> None:
        """The very position that the state knows: opened later it would be another."""
        message = yourfintech.position(
            "updated", POSITION, profit=value, entry=89788.01, create_date=began, open_date=began
        )
        assert exchange.yourfintech.push(message)

    async with folder.running(secrets=exchange.secrets) as daemon:
        await daemon.until(lambda: said(away), "what was unsent is sent")
        await daemon.until(lambda: exchange.yourfintech.clients, "it is connected")
        assert (said(desk), said(away)) == ([], [("deep-red", "firing")])
        profit(-40)
        both = [("deep-red", "resolved"), ("held-red", "firing")]
        await daemon.until(lambda: len(said(desk)) >= 2 and len(said(away)) >= 3, "both are told")
        assert (sorted(said(desk)), sorted(said(away)[1:])) == (both, both)
        after = dict(folder.rows("SELECT rule, data FROM instances"))
        assert set(after) == {"slow-red", "held-red"}
        assert "pending" in after["slow-red"]
        assert json.loads(after["slow-red"])["alert_id"] == json.loads(before["slow-red"])["alert_id"]
        profit(-1)
        await daemon.until(lambda: ("held-red", "resolved") in said(desk), "it ends")
    assert "can't be read" not in daemon.log()
    assert not folder.rows("SELECT rule FROM instances")
    copies = [path.name for path in folder.state.glob("tocsin.db.before-*")]
    missing = all_steps()[all_steps().index(state.stem) + 1 :]
    assert copies == [f"tocsin.db.before-{step}" for step in missing[:1]]
