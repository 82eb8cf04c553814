"""sd_notify over a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin.app.sdnotify import SystemdNotifier

pytestmark = pytest.mark.real


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def test_what_it_sends(systemd: socket.socket) -> None:
    SystemdNotifier({"NOTIFY_SOCKET": systemd.getsockname()}).send(READY="1", STATUS="5 venues, 3 rules")
    assert systemd.recv(1000) == b"READY=1\nSTATUS=5 venues, 3 rules"


def test_an_abstract_socket() -> None:
    name = f"tocsin-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        SystemdNotifier({"NOTIFY_SOCKET": f"@{name}"}).send(WATCHDOG="1")
        assert listening.recv(1000) == b"WATCHDOG=1"


def test_nobody_listens(tmp_path: Path) -> None:
    SystemdNotifier({}).send(READY="1")
    SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send(READY="1")


def test_a_full_socket_holds_nobody_up(systemd: socket.socket) -> None:
    notifier = SystemdNotifier({"NOTIFY_SOCKET": systemd.getsockname()})
    for _ in range(2000):
        notifier.send(WATCHDOG="1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_patience(environ: dict[str, str], seconds: float | None) -> None:
    assert SystemdNotifier(environ).watchdog_seconds == seconds
