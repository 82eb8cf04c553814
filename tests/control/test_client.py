"""How a command finds the daemon, and what it says where it may not ask it."""

import grp
import os
import pwd
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tocsin.cli import cli
from tocsin.control import client
from tocsin.control.client import SOCKET, ControlClient, NotAllowed, NotRunning, is_running
from tocsin.errors import TocsinError

pytestmark = pytest.mark.real

NOBODY = 65534
GROUP = next(group for group in grp.getgrall() if group.gr_gid not in (0, NOBODY) and not group.gr_mem)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that anybody may look into, as /run/tocsin."""
    path = Path(tempfile.mkdtemp(prefix="tocsin-control-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextmanager
def listening(folder: Path, mode: int, gid: int) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen()
        os.chown(folder / SOCKET, -1, gid)
        (folder / SOCKET).chmod(mode)
        yield folder / SOCKET


@contextmanager
def as_user(uid: int) -> Iterator[str]:
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield pwd.getpwuid(uid).pw_name
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def asked(*paths: Path) -> str:
    with pytest.raises(NotRunning) as caught:
        ControlClient([*paths]).request("GET", "/api/status")
    return str(caught.value)


@needs_root
def test_who_is_not_in_the_group_is_told_how_to_get_there(folder):
    with listening(folder, 0o660, GROUP.gr_gid) as path, as_user(NOBODY) as name:
        with pytest.raises(NotAllowed) as caught:
            ControlClient([path]).request("GET", "/api/status")
        assert str(caught.value) == (
            f"a Tocsin daemon is there, at {path}, but {name} may not ask it: {name} is not in its group, {GROUP.gr_name}\n"
            f"  = sudo usermod -aG {GROUP.gr_name} {name}, then log in anew"
        )
        assert not is_running([path])


@needs_root
def test_who_joined_the_group_since_is_told_to_log_in_anew(folder, monkeypatch):
    with listening(folder, 0o660, GROUP.gr_gid) as path, as_user(NOBODY) as name:
        joined = grp.struct_group((GROUP.gr_name, "x", GROUP.gr_gid, [name]))
        monkeypatch.setattr(client.grp, "getgrgid", lambda _gid: joined)
        assert asked(path).endswith(
            f"in its group, {GROUP.gr_name}, only from the next login on\n  = log in anew, or: newgrp {GROUP.gr_name}"
        )


@needs_root
def test_of_a_daemon_that_is_its_users_own_it_says_whose(folder):
    with listening(folder, 0o600, 0) as path, as_user(NOBODY):
        assert asked(path).endswith("only root may\n  = sudo tocsin …")


@needs_root
def test_of_a_folder_that_is_shut_it_says_that_it_cant_be_told(folder):
    (folder / "state").mkdir(mode=0o700)
    with listening(folder / "state", 0o600, 0) as path, as_user(NOBODY) as name:
        with pytest.raises(NotAllowed) as caught:
            ControlClient([path]).request("GET", "/api/status")
        assert str(caught.value) == (
            f"{name} may not look into {path.parent}, where a daemon's socket would be\n  = sudo tocsin …"
        )
        assert "no Tocsin daemon is running here" in asked(path, folder / "none.sock")


def test_an_answer_that_is_no_json_is_told(folder):
    """Of a daemon of another version, which knows no such path."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen()

        def answer() -> None:
            listener.accept()[0].close()  # the knock
            with listener.accept()[0] as asking:
                asking.recv(65536)
                asking.sendall(b"HTTP/1.1 404 \r\ncontent-length: 9\r\n\r\nnot found")

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        with pytest.raises(TocsinError, match=r"\(404\); is it of another version\?"):
            ControlClient([folder / SOCKET]).request("GET", "/api/new")
        answering.join(30)


@pytest.mark.parametrize("end", ["says nothing", "ends"])
def test_a_daemon_that_does_not_answer_is_told_and_is_running(folder, monkeypatch, end):
    monkeypatch.setattr(client, "_TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen()

        def answer() -> None:
            for _ in range(2):
                listener.accept()[0].close()  # the knock
                asking = listener.accept()[0]
                asking.recv(65536)
                if end == "says nothing":
                    asking.recv(65536)  # until who asks has gone
                asking.close()

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        with pytest.raises(
            TocsinError, match=rf"^the daemon at {folder / SOCKET} doesn't answer: "
        ) as caught:
            ControlClient([folder / SOCKET]).request("GET", "/api/status")
        assert not isinstance(caught.value, NotRunning)
        assert is_running([folder / SOCKET])
        answering.join(30)


def test_where_nothing_listens_none_is_running(folder):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / SOCKET))
    assert "no Tocsin daemon is running here" in asked(folder / SOCKET)
    assert "Connection refused" in asked(folder / SOCKET)
    assert f"no socket at {folder / 'none.sock'}" in asked(folder / "none.sock")


@needs_root
@pytest.mark.parametrize("command", ["status", "alerts", "deliveries", "reload"])
def test_every_command_that_asks_says_so(folder, command, monkeypatch):
    monkeypatch.setattr(client, "_SERVICE", folder)
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    assert CliRunner().invoke(cli, [command], prog_name="tocsin").exit_code == 1  # all is imported by now
    with listening(folder, 0o660, GROUP.gr_gid), as_user(NOBODY) as name:
        result = CliRunner().invoke(cli, [command], prog_name="tocsin")
    assert result.exit_code == 1, result.output
    assert f"sudo usermod -aG {GROUP.gr_name} {name}" in result.stderr
    assert "no Tocsin daemon is running" not in result.stderr
