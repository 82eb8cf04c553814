"""What the page is told of channels and of the daemon itself: nothing of it is a secret."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from support.daemon_parts import Lines
from tocsin.app import shown
from tocsin.app.heartbeat import HeartbeatTask
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.delivery.pace import Used
from tocsin.delivery.paced_sender import Answered
from tocsin.events import iso

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
SECRETS = ("110201543:AAH", "hunter2hunter2", "6e1f2f5e-beat", "a-token-of-twenty-characters", "hook-secret")
CONFIG = """
venues: {}
channels:
  phone: {urls: ["tgram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/456", "mailto://anna:hunter2hunter2@example.org?smtp=smtp.example.org"], fallback: hook}
  hook: "jsons://anna:hook-secret@hooks.example.org/path/hook-secret"
heartbeat: {url: "https://hc-ping.com/6e1f2f5e-beat", every: 1m}
listen: {address: "127.0.0.1:8080", metrics: a-token-of-twenty-characters}
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    return load_settings(tmp_path / "config.yaml", environ={}, validate_url=None)


def test_channels_are_told_by_their_services_and_with_what_their_tasks_know(settings):
    sending: Any = SimpleNamespace(
        used=[Used(2, 20, 60.0)], answered=Answered(NOW, "Telegram: 200", taken=True), rest=9.0
    )
    phone, hook = shown.channels(settings, {("phone", 0): sending}, NOW)
    assert (phone["channel"], phone["fallback"], hook["fallback"]) == ("phone", "hook", None)
    assert [url["service"] for url in phone["urls"]] == ["Telegram", "smtp.example.org"]
    assert phone["urls"][0] == {
        "url": "phone/0",
        "service": "Telegram",
        "rates": [{"used": 2, "most": 20, "seconds": 60.0}],
        "answered": {"at": "2026-03-01T10:00:00.000000Z", "text": "Telegram: 200", "taken": True},
        "rests_until": "2026-03-01T10:00:09.000000Z",
    }
    assert hook["urls"][0] == {"url": "hook", "service": "JSON", "rates": [], "answered": None, "rests_until": None}  # fmt: skip
    assert not [secret for secret in SECRETS if secret in json.dumps([phone, hook])]


def waits(**more: Any) -> dict[str, Any]:
    row = {
        "channel": "phone", "target": 0, "state_told": "firing", "severity": "info", "status": "pending", "attempts": 0,
        "next_at": iso(NOW), "digest": None, "reason": None,
    }  # fmt: skip
    return row | more


REFUSES, LATER = {"rest": 9.0, "refuses": True}, iso(NOW + timedelta(seconds=4))
TRIES: dict[str, tuple[dict[str, Any], dict[str, Any], float | None]] = {
    "nothing keeps it": ({}, {}, None),
    "it failed": ({"attempts": 1, "next_at": LATER}, {}, 4),
    "it failed, and is due": ({"attempts": 1}, {}, None),
    "it failed longer ago": ({"attempts": 1, "next_at": iso(NOW - timedelta(seconds=1))}, {}, None),
    "its channel refuses": ({}, REFUSES, 9),
    "its channel refuses for longer": ({"attempts": 1, "next_at": LATER}, REFUSES, 9),
    "its channel refuses for less": ({"attempts": 1, "next_at": LATER}, REFUSES | {"rest": 2.0}, 4),
    "its channel refuses, and is due": ({}, REFUSES | {"rest": -1.0}, None),
    "something holds it": ({}, REFUSES | {"holds": "quiet hours"}, None),
    "it waits with others": ({"digest": "digest-1", "reason": "storm"}, REFUSES, None),
    "it was given up": ({"status": "dead", "attempts": 3, "next_at": LATER}, REFUSES, None),
}


@pytest.mark.parametrize("name", TRIES)
async def test_of_what_waits_it_is_told_when_it_is_tried_next(settings, name):
    more, known, seconds = TRIES[name]
    parts: Any = SimpleNamespace(
        clock=ManualClock(NOW),
        templates=SimpleNamespace(render=None),
        rest=lambda channel, target: known.get("rest", 0.0),
        refuses=lambda channel: known.get("refuses", False),
        holds=lambda *told: known.get("holds", ""),
    )
    row = waits(**more)
    await shown.preview([row], settings, parts)
    assert row.get("next_try") == (iso(NOW + timedelta(seconds=seconds)) if seconds is not None else None)
    assert row.get("refuses", False) == (row["status"] == "pending" and "refuses" in known)


@pytest.mark.parametrize(("refused_for", "since"), [(None, None), (30.0, "2026-03-01T09:59:30.000000Z")])
def test_the_daemon_is_told_of_without_its_secrets(settings, refused_for, since):
    clock = ManualClock(NOW)
    steady = clock.now().steady
    parts: Any = SimpleNamespace(
        clock=clock,
        journal=SimpleNamespace(refused_since=None if refused_for is None else steady - refused_for),
    )
    nothing: Any = None
    beat = HeartbeatTask(
        settings.heartbeat[0], judge=nothing, request=nothing, tell=nothing, counted=Counter(), masker=settings.masker, clock=clock, log=Lines(),
    )  # fmt: skip
    about = shown.about(settings, [beat], parts)
    assert about["unrecorded_since"] == since
    assert about["heartbeats"] == [
        {"name": "heartbeat to hc-ping.com", "every": "1m", "taken_at": None, "withheld": None, "failing": None}
    ]  # fmt: skip
    assert about["listen"] == {"address": "127.0.0.1:8080", "public_url": None, "metrics_for": "who has its token"}  # fmt: skip
    assert about["retention"]["max_bytes"] == 2 << 30
    assert [warning for warning in about["config"]["warnings"] if "110201543" in warning] == []
    assert not [secret for secret in SECRETS if secret in json.dumps(about)]
    assert timedelta(0) <= clock.now().wall - NOW
