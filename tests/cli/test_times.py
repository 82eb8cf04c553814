"""The commands tell people times in the config's zone, which each time names; JSON has them as the state does."""

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from support.stored import T0, alert, at, attempt, commit, delivery, opened, order
from tocsin.alerts.plain import plain, time_of, times_in
from tocsin.cli import cli

SOCKET = Path("/run/tocsin/control.sock")
STATUS = {
    "version": "1", "pid": 1, "started_at": "2026-03-01T09:00:00.000000Z", "healthy": True, "wrong": [], "config": "c",
    "state_dir": "s", "rules": 1, "channels": [], "firing": 0, "held": 0, "unsent": 0, "dead": 0, "dry_run": False,
    "now": "2026-03-01T10:00:00.000000Z", "attention": ["channel a does not take messages, since 2026-03-01 09:30:00 UTC: x"],
    "venues": [{
        "venue": "fx", "type": "piexgo", "status": "disconnected", "since": "2026-03-01T09:58:00.000000Z",
        "next_attempt": "2026-03-01T10:01:00.000000Z", "reason": "refused at 2026-03-01T09:57:00Z",
    }],
}  # fmt: skip


class Noon(datetime):
    """The machine's clock, outside the hours in which the rule is active."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2026, 3, 1, 12, tzinfo=tz)


class Soon(datetime):
    """When what was refused waits yet."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime(2026, 3, 1, 10, 0, 3, tzinfo=tz)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    store = opened(tmp_path / "st")
    commit(
        store,
        alerts=[alert("a1", rule="low", fired_at=T0, state="resolved", resolved_at=at(60))],
        deliveries=[delivery("d1", created_at=at(1))],
        entities=[order("o1")],
    )
    store.outbox.record(
        [attempt("d1", "pending", at(2), error="retried at 2026-03-01 10:00:03 UTC", next_at=at(4))]
    )
    store.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setattr("tocsin.pipeline.runtime.datetime", Noon)
    monkeypatch.setattr("tocsin.cli.ask.datetime", Soon)
    monkeypatch.setattr("tocsin.cli.status.ask_running", lambda *_args: (200, STATUS, SOCKET))
    return tmp_path


def said(folder: Path, zone: str, *command: str) -> str:
    (folder / "config.yaml").write_text(
        f"state_dir: st\n{zone}\nrules: [{{id: low, watch: order, when: price < 1, active: {{open: '01:00-02:00'}}}}]\n"
    )
    (folder / "config.yaml").chmod(0o600)
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    return result.output


NEW_YORK = {
    ("alerts", "--all"): ["2026-03-01 05:00:00 EST to 2026-03-01 05:01:00 EST  resolved  low"],
    ("deliveries",): ["2026-03-01 05:00:01 EST  desk", "next try 2026-03-01 05:00:04 EST", "retried at 2026-03-01 05:00:03 EST"],
    ("rules",): ["fired 1 time, last 2026-03-01 05:00:00 EST"],
    ("explain", "low"): ["last heard of 2026-03-01 05:00:00 EST", "as of 2026-03-01 05:00:00 EST", "held back by active: closed until 2026-03-02 01:00:00 EST"],
    ("status",): [
        "since 2026-03-01 04:00:00 EST: healthy", "since 2026-03-01 04:30:00 EST: x", "since 2026-03-01 04:58:00 EST",
        "next try 2026-03-01 05:01:00 EST", "refused at 2026-03-01 04:57:00 EST",
    ],
}  # fmt: skip


@pytest.mark.parametrize("command", NEW_YORK, ids=lambda command: command[0])
def test_in_the_configs_zone(folder, command):
    output = said(folder, "tz: America/New_York", *command)
    for words in NEW_YORK[command]:
        assert words in output
    assert "UTC" not in output


def test_a_time_that_is_past_is_no_next_try(folder, monkeypatch):
    monkeypatch.setattr("tocsin.cli.ask.datetime", Noon)
    output = said(folder, "tz: UTC", "deliveries")
    assert "retried at 2026-03-01 10:00:03 UTC" in output
    assert "next try" not in output


@pytest.mark.parametrize("zone", ["", "tz: UTC", "tz: Nowhere/Land"])
@pytest.mark.parametrize(
    "command", [("alerts", "--all"), ("deliveries",), ("status",)], ids=lambda command: command[0]
)
def test_in_utc_without_one(folder, zone, command):
    output = said(folder, zone, *command)
    for words in NEW_YORK[command]:
        assert words.replace("EST", "UTC").replace(" 05:", " 10:").replace(" 04:", " 09:") in output


def test_programs_get_the_states_own(folder):
    assert '"fired_at": "2026-03-01T10:00:00.000000Z"' in said(
        folder, "tz: America/New_York", "alerts", "--all", "--json"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("closed until 2026-07-01 22:30:00 UTC; x", "closed until 2026-07-02 00:30:00 CEST; x"),
        ("opened 2026-01-01T00:00:00.123456Z", "opened 2026-01-01 01:00:00 CET"),
        ("from 2026-01-01T00:00:00+00:00 to 2026-01-01 00:00:01 UTC", "from 2026-01-01 01:00:00 CET to 2026-01-01 01:00:01 CET"),
        ("2026-01-01 00:00:00", "2026-01-01 00:00:00"),
        ("at 2026-13-41 25:00:00 UTC", "at 2026-13-41 25:00:00 UTC"),
        ("", ""),
    ],
)  # fmt: skip
def test_times_within_words(words, told):
    assert times_in(words, ZoneInfo("Europe/Prague")) == told


@pytest.mark.parametrize("text", ["", "x", "0001-01-01T00:00:00Z"])
def test_what_is_no_time_is_shown_as_it_is(text):
    assert time_of(text, ZoneInfo("America/New_York")) == text
    assert time_of("2026-01-01T00:00:00Z", UTC) == "2026-01-01 00:00:00 UTC"


def test_what_the_database_does_not_say_is_not_made_up(folder, monkeypatch):
    state = {**STATUS, **dict.fromkeys(("unsent", "dead", "acknowledged"))}
    monkeypatch.setattr("tocsin.cli.status.ask_running", lambda *_args: (200, state, SOCKET))
    told = said(folder, "", "status")
    assert "0 firing, 0 messages held back, unsent unknown: the database doesn't answer\n" in told


def test_a_url_of_the_status_can_be_copied_and_obeys_nothing(folder, monkeypatch):
    reason = plain("https://api.nearby.example/orders?at=1: HTTP 500\x1b[31m @all")
    state = {**STATUS, "venues": [{**STATUS["venues"][0], "reason": reason}]}
    monkeypatch.setattr("tocsin.cli.status.ask_running", lambda *_args: (200, state, SOCKET))
    assert "https://api.nearby.example/orders?at=1: HTTP 500␛[31m @all" in said(folder, "", "status")
