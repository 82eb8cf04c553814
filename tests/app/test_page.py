"""The command `tocsin page` and a running daemon: a link, what it opens, and how that ends."""

import json
import os
import pwd
import re
import socket
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from click.testing import CliRunner

from support.measured import watched
from support.terminal import on_a_terminal
from tocsin.app.page import PageListener
from tocsin.cli import cli
from tocsin.config.load import load_settings
from tocsin.control import serving
from tocsin.page.screens import SCREENS
from tocsin.store.store import DATABASE

pytestmark = pytest.mark.real

ME = pwd.getpwuid(os.geteuid()).pw_name
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
        return number


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(port: int | None, **more: str) -> str:
    listen = {"address": f"127.0.0.1:{port}", **more}
    return f"state_dir: state\nlisten: {json.dumps(listen)}\n" if port else "state_dir: state\n"


async def call(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    found = await trio.to_thread.run_sync(partial(CliRunner().invoke, cli, list(arguments)))
    return found.exit_code, found.stdout, found.stderr


async def test_a_link_signs_in_once_and_a_restart_ends_nothing(folder, port):
    async with httpx.AsyncClient(headers=OURS) as browser, httpx.AsyncClient(headers=OURS) as late:
        at = f"http://127.0.0.1:{port}"
        async with watched(folder, config(port)) as seen:
            code, link, said = await call("page")
            assert (code, said) == (0, f"signs in as {ME}, once, within 5 minutes\n")
            assert re.fullmatch(rf"{at}/login\?link=[\w-]{{43}}\n", link)
            assert f"Sign in as {ME}" in (await browser.get(link.strip())).text
            secret = {"link": link.strip().partition("=")[2]}
            assert (await browser.post(f"{at}/login", data=secret)).status_code == 303
            assert (await late.post(f"{at}/login", data=secret)).status_code == 403
            assert (await browser.get(f"{at}/api/who")).json() == {"name": ME, "how": "session"}
            overview = await browser.get(f"{at}/")
            assert (overview.status_code, f"signed in as {ME}" in overview.text) == (200, True)
            assert (await browser.get(f"{at}/api/status")).json()["healthy"] is True
            assert secret["link"] not in repr(seen.log.fields)
        async with watched(folder, config(port)):
            assert (await browser.get(f"{at}/api/who")).status_code == 200
            assert (await call("page", "--sign-out", "nobody"))[2] == (
                f"tocsin: nobody isn't signed in\n  = there are {ME}\n"
            )
            code, said, _ = await call("page", "--sign-out")
            assert (code, said.partition(" (")[0]) == (0, "signed out: everybody, of 1 session")
            assert (await browser.get(f"{at}/api/who")).status_code == 401
            assert (await call("page", "--sign-out"))[1] == "nobody is signed in\n"
        async with watched(folder, config(port)):
            assert (await browser.get(f"{at}/api/who")).status_code == 401


@pytest.mark.parametrize("by", ["command", "page"])
async def test_a_stop_keeps_who_was_signed_out_while_the_disk_took_nothing(folder, port, by):
    at = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(headers=OURS, timeout=30) as browser:
        async with watched(folder, config(port)) as seen:
            link = (await call("page"))[1].strip()
            await browser.post(f"{at}/login", data={"link": link.partition("=")[2]})
            cookies = httpx.Cookies(browser.cookies)
            await seen.until(lambda: sessions_kept(folder) == 1)
            with closing(sqlite3.connect(folder / "state" / DATABASE, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                if by == "command":
                    code, said, wrong = await call("page", "--sign-out", ME)
                    assert (code, said.partition(" (")[0]) == (1, f"signed out: {ME}, of 1 session")
                    assert "until Tocsin starts again: the disk takes nothing now\n  = " in wrong
                else:
                    said = (await browser.post(f"{at}/logout")).text
                    assert "You are signed out until Tocsin starts again" in said
                other.execute("ROLLBACK")
        assert not sessions_kept(folder)
        browser.cookies = cookies
        async with watched(folder, config(port)):
            assert (await browser.get(f"{at}/api/who")).status_code == 401


@pytest.mark.parametrize(
    ("ended", "kept", "exit_code", "says"),
    [
        (1, True, 0, "signed out: anna, of 1 session ("),
        (2, False, 1, "until Tocsin starts again"),
        (0, False, 1, "until Tocsin starts again"),  # asked once more, while others are signed in
        (0, True, 1, "anna isn't signed in\n  = there are ben"),
    ],
)
def test_a_sign_out_says_whether_it_is_kept(monkeypatch, ended, kept, exit_code, says):
    answer = {"ended": ended, "signed_in": ["ben"], "kept": kept}
    monkeypatch.setattr("tocsin.cli.page.ask_running", lambda *_asked, **_more: (200, answer, "a socket"))
    found = CliRunner().invoke(cli, ["page", "--sign-out", "anna"])
    assert (found.exit_code, says in found.output) == (exit_code, True)


def sessions_kept(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "state" / DATABASE)) as database:
        (count,) = database.execute("SELECT count(*) FROM sessions").fetchone()
        return int(count)


async def test_screens_are_json_on_the_socket_too(folder, port):
    async with watched(folder, config(port)):
        transport = httpx.AsyncHTTPTransport(uds=str(folder / "state" / "control.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin", timeout=60) as socket_:
            for screen in SCREENS:
                path = screen.api.replace("{topic}", "rules")
                answer = await socket_.get(path)
                if "{" in path:
                    assert answer.status_code == 404, path
                else:
                    assert answer.json().keys() == screen.parts.keys(), path


async def test_where_people_reach_it(folder, port):
    more = {"public_url": "https://example.org/tocsin"}
    async with watched(folder, config(port, **more)):
        code, answer, _ = await call("page", "--json")
        assert code == 0
        assert json.loads(answer)["link"].startswith("https://example.org/tocsin/login?link=")


async def test_without_listen_it_says_what_to_write(folder):
    async with watched(folder, config(None)):
        code, link, said = await call("page")
    assert (code, link) == (1, "")
    assert "the config has no `listen`\n  = write listen: {address: 127.0.0.1:8080} into the config" in said


async def test_a_port_that_is_taken_is_said(folder, port):
    with socket.create_server(("127.0.0.1", port)):
        async with watched(folder, config(port)) as seen:
            await seen.until(lambda: "error: nobody can listen there" in seen.log.lines)
            code, _, said = await call("page")
    assert code == 0
    assert f"note: nobody can listen there yet, which is tried again: 127.0.0.1:{port}: " in said


async def test_without_a_daemon(folder):
    (folder / "config.yaml").write_text(config(None))
    code, _, said = await call("page")
    assert code == 1
    assert said.startswith("tocsin: no Tocsin daemon is running here")
    assert "\n  = " in said


async def test_a_name_alone_is_a_mistake(folder):
    code, _, said = await call("page", "anna")
    assert code == 2
    assert "a name is for --sign-out" in said


async def test_on_a_terminal(folder, port, monkeypatch):
    async with watched(folder, config(port)):
        code, seen = await trio.to_thread.run_sync(on_a_terminal, monkeypatch, "page")
    assert code == 0
    link, said, *_ = seen.split("\r\n")
    assert link.startswith(f"http://127.0.0.1:{port}/login?link=")
    assert said == f"signs in as {ME}, once, within 5 minutes"


async def test_a_dry_run_says_that_it_serves_none(folder, port):
    (folder / "config.yaml").write_text(config(port))
    settings = load_settings(folder / "config.yaml", environ={})
    nothing: Any = None
    page = PageListener(nothing, nothing, folder, lambda: settings, nothing, dry_run=True)
    assert not page.wanted
    assert page.link("anna") == {
        "error": "a dry run serves no page",
        "remedy": "ask the daemon that really runs",
    }


async def test_a_listener_that_crashed_and_that_nobody_wants_any_more_lets_its_port_go(
    folder, port, monkeypatch
):
    crashed = trio.Event()
    serve = serving.serve_http

    async def crash(app: Any, bound: socket.socket, log: Any, *, task_status: Any) -> None:
        if bound.family == socket.AF_UNIX:
            await serve(app, bound, log, task_status=task_status)
        bound.listen()
        bound.close()
        crashed.set()
        raise RuntimeError

    monkeypatch.setattr(serving, "serve_http", crash)
    async with watched(folder, config(port)):
        with trio.fail_after(20):
            await crashed.wait()
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
        (folder / "config.yaml").write_text(config(None))
        assert (await call("reload"))[0] == 0
        socket.create_server(("127.0.0.1", port)).close()
