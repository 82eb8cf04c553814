"""`tocsin ack`, `silence`, `silences`, `unsilence`, `pause`, `resume` on a terminal, by what the daemon answers; whatever texts hold."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from support.terminal import on_a_terminal

SOCKET = Path("/run/tocsin/control.sock")
HOSTILE = "-60 USD \x1b[31mXAU\nUSD <!channel> long: profit < -50 · fx"
SHOWN = "-60 USD"
ALERT = {
    "id": "01a224aa285d19b435c490ce6b781466",
    "rule": "red",
    "state": "firing",
    "entity": "p1",
    "title": HOSTILE,
    "acked_at": None,
    "acked_by": None,
    "acked_until": None,
}
ACKED = {**ALERT, "acked_at": "2026-01-01T00:00:00.000000Z", "acked_by": "an\x1b[1mna"}
SILENCE = {
    "id": "01a224aa285d19b435c490ce6b781467",
    "matchers": "symbol=\x1b[31mXAU",
    "reason": "main\ntenance",
    "created_by": "an\x1b[1mna",
    "created_at": "2026-01-01T00:00:00.000000Z",
    "ends_at": "2026-01-01T02:00:00.000000Z",
    "ended_at": None,
    "held": 1,
}
DONE = {"acknowledged": True, "over": False, "already": False, "alert": ALERT}
RESUMED = {"resumed": True, "paused": "", "stopped": []}
NOT_FOUND: dict[str, Any] = {"several": [], "near": []}


@pytest.mark.parametrize(
    ("command", "answered", "code", "says"),
    [
        ("ack 01a2", (200, DONE), 0, "acknowledged: red  -60 USD"),
        ("ack 01a2 --for 4h", (200, {**DONE, "alert": {**ACKED, "acked_until": "2026-01-01T04:00:00.000000Z"}}), 0, "acknowledged until 2026-01-01 04:00:00 UTC: red  -60 USD"),
        ("ack 01a2", (200, {**DONE, "already": True, "alert": ACKED}), 0, "acknowledged before, at 2026-01-01 00:00:00 UTC by "),
        ("ack 01a2", (409, {**DONE, "acknowledged": False, "over": True}), 1, "tocsin: it is over, there is nothing to acknowledge: red"),
        ("ack 01a2", (409, {**NOT_FOUND, "several": [ALERT, ACKED]}), 1, "tocsin: several alerts begin with 01a2:"),
        ("ack red", (404, {**NOT_FOUND, "near": [ALERT]}), 1, f"knows no alert red; did you mean:\n  {ALERT['id']}  firing  red  -60 USD"),
        ("ack red", (404, NOT_FOUND), 1, "tocsin: the daemon at /run/tocsin/control.sock knows no alert red"),
        ("ack 01a2 --undo", (200, {"unacknowledged": True, "alert": ALERT}), 0, "no longer acknowledged: red"),
        ("ack 01a2 --undo", (409, {"unacknowledged": False, "alert": ALERT}), 1, "tocsin: it isn't acknowledged: red"),
        ("ack 01a2 --undo --for 1h", (200, {}), 2, "--undo goes without --for and --until"),
        ("silence venue=fx --for 2h", (200, {"silence": SILENCE, "holds": []}), 0, "  holds 0 alerts of those that fire now\n"),
        ("silence venue=fx --for 2h", (200, {"silence": SILENCE, "holds": [ALERT] * 30}), 0, "    and 10 more\n"),
        ("silence venue=fx --for 2h --dry-run", (200, {"silence": SILENCE, "holds": [ALERT]}), 0, "  would hold 1 alert of those that fire now:\n    red  -60 USD"),
        ("unsilence 01a2", (200, {"ended": True, "silence": SILENCE}), 0, "no longer silenced: symbol="),
        ("unsilence 01a2", (409, {"ended": False, "silence": SILENCE}), 1, "tocsin: that silence is over already: symbol="),
        ("unsilence 01a2", (404, {**NOT_FOUND, "near": [SILENCE]}), 1, f"knows no silence 01a2; did you mean:\n  {SILENCE['id']}  symbol="),
        ("pause", (200, {"paused": True}), 0, "paused: all actions (the daemon at /run/tocsin/control.sock)\n"),
        ("pause hedge", (409, {"paused": False}), 0, "hedge: paused already; tocsin actions says by whom\n"),
        ("pause ''", (200, {"paused": True}), 2, "the name of an action is empty; for all of them leave it away"),
        ("pause a/b", (200, {"paused": True}), 2, "there is no / in any"),
        ("resume", (200, {**RESUMED, "stopped": ["hedge"]}), 0, "hedge stays stopped, after failures in a row: tocsin resume hedge\nresumed: all actions"),
        ("resume hedge", (200, {**RESUMED, "paused": "by an\x1b[1mna"}), 0, "hedge: all actions are paused by "),
        ("resume hedge", (409, {**RESUMED, "resumed": False}), 0, "hedge: nothing stood in the way\n"),
        ("resume ' '", (200, RESUMED), 2, "the name of an action is empty; for all of them leave it away"),
    ],
)  # fmt: skip
def test_it_says_what_came_of_it(monkeypatch, command, answered, code, says):
    asked = []

    def act(_config, path, why, **what):
        asked.append((path, why, what))
        return *answered, SOCKET

    name, *arguments = shlex.split(command)
    monkeypatch.setattr(f"tocsin.cli.{name}.act", act)
    monkeypatch.setenv("TERM", "xterm")
    found, seen = on_a_terminal(monkeypatch, name, *arguments, "--why", "so")
    seen = seen.replace("\r\n", "\n")
    assert says in seen
    assert (found, "Traceback" in seen, "\x1b[31m" in seen, "an\x1b" in seen) == (code, False, False, False)
    assert bool(asked) is (code != 2)
    assert all(why == "so" for _, why, _ in asked)


def test_the_silences(monkeypatch, tmp_path):
    monkeypatch.setattr("tocsin.cli.silences.listed", lambda *_asked, **_how: [SILENCE, {**SILENCE, "ended_at": SILENCE["ends_at"]}])  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, seen = on_a_terminal(monkeypatch, "silences")
    assert (code, "\x1b[31m" in seen) == (0, False)
    assert "until 2026-01-01 02:00:00 UTC, taken back 2026-01-01 02:00:00 UTC" in seen
    assert "held 1 message" in seen
