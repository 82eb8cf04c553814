"""Every command as a person sees it: on a terminal, with colours, over a state in which there is some of everything."""

import re
from pathlib import Path
from typing import get_args

import pytest

from support.stored import T0, alert, at, attempt, commit, delivery, opened, order, run
from support.terminal import on_a_terminal
from tocsin.cli import COMMANDS
from tocsin.store.model import DeliveryStatus, RunStatus

CONFIG = """\
venues: {px: {type: piexgo, streams: [dealinfo.btc_usdt]}}
channels: {desk: "json://127.0.0.1:9/"}
actions: {note: {command: ["/bin/echo", "{{ symbol }}"], rate: 5/h}, hook: {webhook: "http://127.0.0.1:9/", dry_run: true}}
rules:
  - {id: loss, watch: order, when: price < 5, for: 5m, run: {on_firing: [note, hook], on_resolved: [note]}}
  - {id: canceled, watch: order.canceled}
  - {id: off, watch: order.filled, enabled: false}
state_dir: st
"""
STATUSES: tuple[DeliveryStatus, ...] = ("pending", "sent", "dead", "superseded")
SEVERITIES = ("info", "warning", "critical")
STATES = ("firing", "recovering", "resolved", "event")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config.yaml").touch(mode=0o600)
    (tmp_path / "config.yaml").write_text(CONFIG)
    store = opened(tmp_path / "st")
    for count, (state, severity) in enumerate((state, one) for state in STATES for one in SEVERITIES):
        ended = at(60) if state == "resolved" else None
        row = alert(f"a{count}", state=state, severity=severity, resolved_at=ended)
        sent = [delivery(f"a{count}-{status}", alert=f"a{count}", severity=severity) for status in STATUSES]
        commit(store, alerts=[row], deliveries=sent)
        for status in STATUSES:
            store.outbox.record(
                [attempt(f"a{count}-{status}", status, T0, error="503 not now", next_at=at(5))]
            )
    canceled = order("o2", events=("order.canceled",), fields={"status": "canceled"})
    runs = [run(status, reason="exit 3: no", attempts=2) for status in get_args(RunStatus)]
    commit(store, entities=[order("o1"), canceled], events=[canceled], runs=runs)
    store.close()
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.chdir(tmp_path)
    return tmp_path


CALLS = [
    (["--help"], 0), (["--version"], 0),
    *((([name, "--help"], 0)) for name in COMMANDS),
    (["check"], 0), (["alerts"], 0), (["alerts", "--all"], 0), (["deliveries"], 0), (["deliveries", "--all"], 0),
    (["rules"], 0), (["explain", "loss"], 0), (["explain", "loss", "o1"], 0), (["explain", "canceled"], 0), (["explain", "off"], 0), (["explain", "nothing"], 2),
    (["silences"], 0), (["silences", "--all"], 0), (["ack", "a1"], 1), (["silence", "venue=px", "--for", "1h"], 1), (["unsilence", "s1"], 1), (["silence"], 2),
    (["actions"], 0), (["actions", "--all"], 0), (["try", "note", "--like", "loss"], 0), (["try", "nothing", "--like", "loss"], 2),
    (["pause"], 1), (["pause", "note"], 1), (["resume"], 1), (["resume", ""], 2),
    (["status"], 1), (["reload"], 1), (["fields"], 0), (["fields", "order"], 0), (["venues"], 0), (["venues", "piexgo"], 0),
    (["schema", "config"], 0), (["schema", "rules"], 0), (["init", "new"], 0), (["help"], 0), (["help", "rules"], 0), (["help", "replay"], 0), (["help", "rlues"], 2), (["replay", "st/tocsin.db"], 0),
    (["test"], None), (["notify", "nobody"], 2), (["notify"], 2), (["login", "px"], None), (["record", "nowhere", "--out", "x"], 2),
    (["record", "px", "--out", "no/folder/x"], 2),
    (["alrets"], 2), (["check", "--format", "xml"], 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code"), CALLS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_each_command(folder, monkeypatch, arguments, code):
    found, seen = on_a_terminal(monkeypatch, *arguments)
    assert "Traceback" not in seen
    assert "Error(" not in seen
    assert code is None or found == code, seen
    assert seen.strip()


def test_each_status_is_shown(folder, monkeypatch):
    _, seen = on_a_terminal(monkeypatch, "deliveries", "--all")
    plain = re.sub("\x1b\\[[0-9;]*m", "", seen)
    assert all(f"desk  firing  {status}" in plain for status in STATUSES)
    assert "\x1b[" in seen


def test_each_run_is_shown(folder, monkeypatch):
    _, seen = on_a_terminal(monkeypatch, "actions", "--all")
    plain = re.sub("\x1b\\[[0-9;]*m", "", seen)
    assert all(f"note  firing  {status.replace('_', ' ')}" in plain for status in get_args(RunStatus))
    assert "\x1b[" in seen
