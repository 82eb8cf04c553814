"""Reports, in the real daemon: one that was missed is told at the start, whatever holds the channel back, and once however it is killed."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import trio.lowlevel

from support.mission import RULES, connected, profit
from support.receivers import SLACK, Reply

pytestmark = pytest.mark.real

_LATE = re.compile(r"\blate \d+ min: ")
DUE = datetime.now(UTC) - timedelta(minutes=30)
# The rules' alerts go by mail, so that what arrives at the desk is the report.
REPORTS = [
    {"id": "evening", "at": [f"{DUE:%H:%M}"], "notify": ["desk"]},
    {"id": "own", "at": f"{DUE + timedelta(hours=12):%H:%M}", "notify": ["desk"], "title": "{{ totals(positions, 'profit') }}", "message": "{% for p in positions %}{{ p.symbol }}{% endfor %}"},
]  # fmt: skip


def was_told(folder, *, days: int) -> None:
    """As if the daemon had last told its report so long ago."""
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    note = json.dumps({"seen": at, "schedule": f"{DUE:%H:%M} UTC", "told": at})
    with closing(sqlite3.connect(folder.database)) as db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('note report evening', ?)", [note])
        db.commit()


def told(folder, *columns):
    return folder.rows(f"SELECT {', '.join(columns)} FROM deliveries WHERE state_told = 'report' ORDER BY id")


async def test_what_was_missed_is_told_at_the_start(folder, people, exchange):
    channels = people.channels(folder)
    desk = {"urls": [channels["desk"]], "quiet": ["00:00-24:00"], "digest": "1h", "min_severity": "critical"}
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        channels={"desk": desk, "mail": channels["mail"]},
        rules=[{**RULES[0], "notify": "mail"}],
        reports=REPORTS,
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await daemon.until_all_sent(1)
        status = await folder.command("status")
        assert f"report evening: next {datetime.now(UTC) + timedelta(hours=23):%Y}" in status.stdout
        assert people.count()["desk"] == 0
        assert await daemon.stop() == 0
        was_told(folder, days=2)
        await daemon.start()
        await daemon.until_all_sent(2)
        shown = await folder.command("report", "own")
        sent = await folder.command("report", "evening", "--send", "--json")
        listed = await folder.command("deliveries", "--all")
    late, asked = people.told()["desk"]
    title, first, *_ = _LATE.sub("late: ", late).splitlines()
    assert title.startswith("🔵 late: evening: 1 firing, 1 alert since ")
    assert first.startswith("🔴 -0.51")
    assert asked.startswith("🔵 evening: 1 firing, no alert since ")
    assert shown.stdout == "🔵 -0.51 USD\nBTCUSD\n"
    (answer,) = json.loads(sent.stdout)["sent"]
    assert (answer["sent"], answer["by"]) == (True, "daemon")
    assert listed.stdout.count("  desk  report  sent, 1 attempt  🔵 late ") == 1
    assert told(folder, "status", "severity") == [("sent", "info")]


async def test_killed_at_any_moment_it_is_told_once(folder, people):
    folder.write(channels={"desk": people.channels(folder)["desk"]}, reports=REPORTS[:1])
    async with folder.running() as daemon:
        assert await daemon.stop() == 0
        was_told(folder, days=2)
        people.services.always(SLACK, Reply(503, "not now"))
        begun = daemon.log().count('"report"')
        for wait in (
            lambda: daemon.log().count('"report"') > begun,
            lambda: told(folder, "id"),
            lambda: folder.rows("SELECT 1 FROM deliveries WHERE attempts > 0"),
        ):
            await daemon.start()
            await daemon.until(wait, "the next moment")
            daemon.kill()
        people.accept()
        await daemon.start()
        await daemon.until_all_sent(1)
        await trio.lowlevel.checkpoint()
        assert await daemon.stop() == 0
    assert [len(told(folder, "id")), people.count()["desk"]] == [1, 1]
    assert _LATE.search(people.told()["desk"][0])
