"""`tocsin explain`, against the store that a run left."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from tocsin.alerts.wording import Style
from tocsin.cli import cli
from tocsin.clock import ManualClock
from tocsin.events import Observation, Order, Position, iso, number
from tocsin.events.synthetic import link
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.simulation import Simulation

RULES = """
rules:
  - {id: in-the-red, watch: position, when: profit < -50 and symbol == "BTCUSD", until: profit > -40, severity: info}
  - {id: long-in-the-red, watch: position, when: profit < -50, for: 2h}
  - {id: unknown, watch: position, when: stop_loss > 1}
  - {id: canceled, watch: order.canceled, where: filled > 0, cooldown: 1d, if_unknown: ignore}
  - {id: off, watch: position, when: profit < 0, enabled: false}
  - {id: settled, watch: contract.settlement_completed_success}
  - {id: away, watch: venue, when: {status: disconnected}}
"""
CONFIG = """
venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}
channels: {phone: 'json://127.0.0.1/', desk: {urls: ['json://127.0.0.1/'], min_severity: warning}}
rules: [rules.yaml]
state_dir: state
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A store in which a position is in the red since a minute, the venue is away, and one order was canceled."""
    folder = tmp_path_factory.mktemp("explain")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "config.yaml").chmod(0o600)
    tests = folder / "it.yaml"
    tests.write_text(
        "rules: rules.yaml\nchannels: [phone]\ntests: [{name: it, steps: [{at: 0s, expect: []}]}]\n"
    )
    rules = read_tests(tests).rules
    clock = ManualClock(datetime.now(UTC) - timedelta(minutes=1))

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            simulation = Simulation(
                style=Style(),
                rules=rules,
                channels=["phone"],
                clock=clock,
                state_dir=folder / "state",
                nursery=nursery,
            )
            await simulation.start(["fx"])
            for id_, symbol, profit in (("p1", "BTCUSD", "-60"), ("p2", "ETHUSD", "-60.50")):
                state = Position(id=id_, symbol=symbol, side="long", profit=number(profit))
                await simulation.say("fx", (Observation(state=state, account="a1"),))
            for id_, filled in (("o1", "2"), ("o2", "0")):
                state = Order(id=id_, symbol="BTCUSD", status="canceled", filled=number(filled))
                await simulation.say("fx", (Observation(state=state),))
            await simulation.run_until(30.0)
            await simulation.say("fx", (link("fx", "disconnected"),))
            await simulation.stop()

    trio.run(run, clock=clock)
    return folder


@pytest.fixture(autouse=True)
def here(left, monkeypatch):
    monkeypatch.chdir(left)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ("explain", *arguments), prog_name="tocsin")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def explained(*arguments: str) -> list[dict]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["explained"]


def barriers(each: dict) -> dict[str, str]:
    return {barrier["what"]: barrier["why"] for barrier in each["held_back_by"]}


def test_what_fires_and_why():
    (p1,) = explained("in-the-red", "p1")
    assert p1["state"].startswith("firing since 20")
    assert [(part["of"], part["asks"], part["holds"], part["saw"]) for part in p1["parts"]] == [
        ("when", "profit < -50", True, "profit -60 < -50"),
        ("when", 'symbol == "BTCUSD"', True, "symbol is BTCUSD"),
        ("until", "profit > -40", False, "profit -60 <= -40"),
    ]


def test_a_venue_was_heard_of_when_it_said_something_not_when_it_was_tried():
    (away,) = explained("away")
    (part,) = away["parts"]
    heard, lost = (datetime.fromisoformat(each["as_of"]) for each in (away, part))
    assert (lost - heard).total_seconds() == pytest.approx(30, abs=1)


def test_what_does_not_fire_and_why_not():
    (p2,) = explained("in-the-red", "p2")
    assert p2["state"] == "inactive"
    assert [part["holds"] for part in p2["parts"]] == [True, False, False]
    assert p2["parts"][0]["saw"] == "profit -60.50 < -50"


def test_what_is_unknown():
    (p1,) = explained("unknown", "p1")
    assert [(part["holds"], part["saw"]) for part in p1["parts"]] == [(None, "stop_loss is missing")]


def test_without_an_id_everything_that_it_is_about():
    assert [each["id"] for each in explained("in-the-red")] == ["p1", "p2"]


def test_what_would_hold_a_message_back():
    (p1,) = explained("in-the-red", "p1")
    assert barriers(p1)["channel desk"] == "below min_severity warning"
    assert barriers(p1)["gap"].startswith("fx is disconnected since 20")
    (pending,) = explained("long-in-the-red", "p1")
    assert pending["state"].startswith("pending since")
    assert barriers(pending)["for"].startswith("stands still at 30s of 2h")
    (off,) = explained("off", "p1")
    assert barriers(off)["enabled"] == "the rule is switched off"


def test_an_event_rule_is_judged_by_its_latest_event():
    (o2,) = explained("canceled")
    assert (o2["id"], o2["what"]) == ("o2", "order.canceled")
    assert o2["state"].startswith("raised no alert; the last one was at 20")
    assert [(part["holds"], part["saw"]) for part in o2["parts"]] == [(False, "filled 0 <= 0")]
    assert barriers(o2)["cooldown"].startswith("until 20")
    (o1,) = explained("canceled", "o1")
    assert o1["state"].startswith("raised an alert at 20")
    assert [part["holds"] for part in o1["parts"]] == [True]


def alert_id(left: Path, rule: str) -> str:
    with closing(sqlite3.connect(left / "state" / "tocsin.db")) as connection:
        ((found,),) = connection.execute("SELECT id FROM alerts WHERE rule = ?", (rule,)).fetchall()
    return found


def test_an_events_alert_by_its_id_is_told_as_it_was(left):
    (told,) = explained("canceled", alert_id(left, "canceled"))
    assert (told["id"], told["what"], told["alert"]) == ("o1", "order.canceled", alert_id(left, "canceled"))
    assert told["state"].startswith("raised an alert at 20")
    assert [(part["asks"], part["holds"], part["saw"]) for part in told["parts"]] == [
        ("filled > 0", True, "filled 2 > 0")
    ]


def test_a_conditions_alert_by_its_id_is_told_as_it_stands(left):
    (told,) = explained("in-the-red", alert_id(left, "in-the-red"))
    assert told["id"] == "p1"
    assert told["state"].startswith("firing since 20")


def test_an_alert_of_an_older_version_that_kept_no_parts(left, tmp_path, monkeypatch):
    """What the event's conditions come to is looked at again."""
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(tmp_path / "state" / "tocsin.db")) as connection, connection:
        connection.execute("UPDATE alerts SET data = json_remove(data, '$.parts')")
    for asked in ("o1", alert_id(tmp_path, "canceled")):
        (told,) = explained("canceled", asked)
        assert told["id"] == "o1"
        assert told["state"].startswith("raised an alert at 20")
        assert [(part["holds"], part["saw"]) for part in told["parts"]] == [(True, "filled 2 > 0")]


def test_a_silence_is_seen(left):
    now = datetime.now(UTC)
    row = ("s1", "symbol=~BTC.*", "maintenance", iso(now), iso(now), iso(now + timedelta(hours=1)), None)
    connection = sqlite3.connect(left / "state" / "tocsin.db")
    try:
        with connection:
            connection.execute("INSERT INTO silences VALUES (?, ?, ?, ?, ?, ?, ?, '', 0)", row)
        (p1, p2) = explained("in-the-red")
        assert barriers(p1)["silence"].startswith("symbol=~BTC.*, until 20")
        assert "silence" not in barriers(p2)
    finally:
        with connection:
            connection.execute("DELETE FROM silences")
        connection.close()


def test_it_is_told_to_people():
    output = run("in-the-red", "p1").output
    assert "position p1 (BTCUSD) on fx: firing since 20" in output
    assert "  when profit < -50: yes, profit -60 < -50, as of 20" in output
    assert "  until profit > -40: no, profit -60 <= -40 (20 to go, 33.3%), as of 20" in output
    assert "  held back by channel desk: below min_severity warning\n" in output


def test_what_nobody_knows_of():
    result = run("settled")
    assert result.exit_code == 1
    assert (
        result.stdout == "settled watches contract.settlement_completed_success, and nothing such is known\n"
    )
    assert run("in-the-red", "p9").exit_code == 1


def test_a_rule_that_there_is_none_of():
    result = run("in-the-rde")
    assert result.exit_code == 2
    assert "no rule is called in-the-rde; did you mean in-the-red?" in result.stderr
