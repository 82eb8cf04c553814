"""The real program as a process of its own: a folder with a config, `tocsin run` on it, and what can be seen from outside.

What it did is read where a user would read it: in the database, on the wire, on standard error. Nothing waits for a fixed
time; everything waits for something to be seen, and has a deadline.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from support.receivers import (
    SLACK,
    TELEGRAM,
    MailReceiver,
    Reply,
    Request,
    Services,
    slack_text,
    telegram_text,
)
from tocsin.events import iso

PATIENCE = 180.0  # seconds for anything to happen; a machine under load is slow
_LOOK_EVERY = 0.03  # seconds

SLACK_TOKENS = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM_TOKEN = "123456789:abcdefg_hijklmnop"
MAIL_PASSWORD = "hunter2secret"
CHANNEL_SECRETS = ("TIiajkdnlazkcOXrIdevi7FQ", "abcdefg_hijklmnop", MAIL_PASSWORD)

# What of a venue's settings stands in the config by reference.
_SECRET_SETTINGS = ("secret_key", "app_key", "api_key", "api_secret", "refresh_token", "password", "token")
# Of our own surroundings, what would change how the program behaves.
_NOT_INHERITED = (
    "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "NO_COLOR", "XDG_STATE_HOME",
    "XDG_CONFIG_HOME", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy",
)  # fmt: skip


class Folder:
    """A config with its secrets beside it, as a user would have it; and the state directory below."""

    def __init__(self, path: Path, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.state = path / "state"
        self.database = self.state / "tocsin.db"
        self.stdout, self.stderr = path / "stdout", path / "stderr"
        self.secrets: set[str] = set(CHANNEL_SECRETS)
        self.contents: dict[str, Any] = {}
        # The runtime directory keeps the commands from a service that this machine may run.
        runtime = path / "run"
        runtime.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        self.environment = {
            **kept,
            "RUNTIME_DIRECTORY": str(runtime),
            "HOME": str(path),
            **(environment or {}),
        }

    def write(self, **sections: Any) -> None:
        """Put these sections of the config in the place of what they were."""
        self.contents |= sections
        whole = {"state_dir": "state", **self.contents}
        whole["venues"] = {
            name: self._by_reference(name, settings) for name, settings in whole.get("venues", {}).items()
        }
        self.config.touch(mode=0o600)  # so nobody is warned of what stands in it
        self.config.write_text(json.dumps(whole, indent=1, ensure_ascii=False))

    def secret(self, name: str, value: str) -> str:
        """Keep a secret where the config may refer to it; the reference."""
        folder = self.path / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(value + "\n")
        self.secrets.add(value)
        return f"${{cred:{name}}}"

    def _by_reference(self, venue: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            name: self.secret(f"{venue}_{name}", value) if name in _SECRET_SETTINGS else value
            for name, value in settings.items()
        }
        if "given" in found:  # of a described venue all that it wants
            given = found["given"].items()
            found["given"] = {name: self.secret(f"{venue}_{name}", value) for name, value in given}
        return found

    # ----------------------------------------------------------------------------------------------------- the database

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database answers; nothing as long as there is none."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as db:
            try:
                return db.execute(query, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):  # it is being made
                    return []
                raise

    def events(self, *names: str) -> list[tuple[str, str, str, str]]:
        """(venue, event, entity, origin) of the events of these names, in order."""
        marks = ", ".join("?" * len(names))
        return self.rows(
            f"SELECT venue, event, entity, origin FROM events WHERE event IN ({marks}) ORDER BY id", *names
        )

    def unsent(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT channel, state_told, status, error FROM deliveries WHERE status = 'pending'")

    def leaks(self, secrets: set[str]) -> list[str]:
        """Where any of the secrets can be read: the files of the state directory but credentials/, and what was printed."""
        files = [self.stdout, self.stderr, *(file for file in self.state.rglob("*") if file.is_file())]
        found = []
        for file in files:
            if file.is_relative_to(self.state / "credentials"):
                continue
            data = file.read_bytes()
            found += [f"{secret!r} in {file}" for secret in secrets if secret.encode() in data]
        return found

    # ------------------------------------------------------------------------------------------------------ the program

    async def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command of ours, to its end."""
        with trio.fail_after(PATIENCE):
            done = await trio.run_process(
                [sys.executable, "-m", "tocsin", *arguments, "--config", str(self.config)],
                stdin=stdin.encode(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env=self.environment,
                cwd=self.path,
            )
        told = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )
        for secret in self.secrets:
            assert secret not in told.stdout + told.stderr, f"{arguments} showed {secret!r}"
        return told

    async def command_until(
        self, says: Callable[[str], object], *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """A command of ours, again until it says so: what it tells of comes about beside it. Fails with what it said."""
        deadline = trio.current_time() + PATIENCE
        while not says((done := await self.command(*arguments)).stdout):
            assert trio.current_time() < deadline, (
                f"{arguments} said to the last:\n{done.stdout}{done.stderr}"
            )
        return done

    @asynccontextmanager
    async def running(self, *options: str, secrets: Callable[[], set[str]] = set) -> AsyncIterator["Daemon"]:
        """The daemon, up; stopped at the end, which is when what it left is searched for secrets."""
        daemon = Daemon(self, options)
        await daemon.start()
        try:
            yield daemon
            if daemon.runs:
                assert await daemon.stop() == 0, daemon.told()
        finally:
            daemon.kill()
        found = self.leaks(self.secrets | secrets())
        assert not found, "\n".join(found)
        assert "Traceback" not in daemon.log(), daemon.told()
        assert self.stdout.read_text() == "", "what it has to say goes to standard error"


class Daemon:
    """One `tocsin run` after another on the same folder."""

    def __init__(self, folder: Folder, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.since = ""  # when it was started last, as the database writes times

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it, and return when it says that it has."""
        begun, self.since = self.log().count('"started"'), iso(datetime.now(UTC))
        self._launch()
        arguments = Path(f"/proc/{self.pid}/cmdline").read_bytes()  # noqa: ASYNC240 - no disk is behind it
        assert not any(secret.encode() in arguments for secret in self.folder.secrets)
        await self.until(lambda: self.log().count('"started"') > begun, "it says that it has started")

    def _launch(self) -> None:
        with self.folder.stdout.open("ab") as out, self.folder.stderr.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "run", *self._options, "--config", str(self.folder.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.folder.environment,
                cwd=self.folder.path,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """`kill -9`: no time for anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit code. (What it promises, ten seconds, its own log tells where it takes longer.)"""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self, within: float = PATIENCE) -> int:
        assert self._process is not None
        process = self._process
        with trio.fail_after(within):
            while process.poll() is None:  # noqa: ASYNC110 - another process has no event
                await trio.sleep(_LOOK_EVERY)
        return process.returncode

    async def restart(self) -> None:
        """`kill -9`, and begun anew."""
        self.kill()
        await self.start()

    def log(self) -> str:
        return self.folder.stderr.read_text() if self.folder.stderr.exists() else ""

    def told(self) -> str:
        """The end of what it printed, for a failing test."""
        return self.log()[-8000:]

    async def until(self, seen: Callable[[], Any], what: str, *, within: float = PATIENCE) -> Any:
        """Wait for something to be seen. Fails with what the daemon said when it isn't, or when the daemon ends."""
        with trio.move_on_after(within):
            while not (found := seen()):
                assert self.runs, f"the daemon ended while waiting until {what}:\n{self.told()}"
                await trio.sleep(_LOOK_EVERY)
            return found
        raise AssertionError(f"not within {within:g} s: {what}\n{self.told()}")

    async def until_all_sent(self, deliveries: int) -> None:
        """Until so many deliveries have been made, and none is left."""

        def sent() -> bool:
            (count,) = self.folder.rows("SELECT count(*) FROM deliveries WHERE status = 'sent'")[0]
            return count >= deliveries and not self.folder.unsent()

        await self.until(sent, f"{deliveries} deliveries are made, and none waits")


class People:
    """Those who are told: Slack and Telegram behind a proxy and TLS, and a mail server."""

    def __init__(self, services: Services, mail: MailReceiver) -> None:
        self.services, self.mail = services, mail

    def refuse(self) -> None:
        """From now on nothing is accepted; it may be tried again."""
        for host in (SLACK, TELEGRAM):
            self.services.always(host, Reply(503, "not now"))
        self.mail.replies.extend(["451 4.3.0 not now"] * 100)

    def accept(self) -> None:
        """From now on everything is; what was refused before is forgotten."""
        self.services.requests.clear()
        self.services.always(SLACK, Reply(200, "ok"))
        self.services.always(TELEGRAM, Reply(200, '{"ok":true,"result":{}}'))
        self.mail.replies.clear()

    def channels(self, folder: Folder) -> dict[str, Any]:
        """The config's `channels`: desk (Slack), phone (Telegram) and mail."""
        return {
            "desk": f"slack://{folder.secret('slack', SLACK_TOKENS)}/#desk",
            "phone": f"tgram://{folder.secret('telegram', TELEGRAM_TOKEN)}/12315544",
            "mail": self.mail.url("PASSWORD").replace("PASSWORD", folder.secret("smtp", MAIL_PASSWORD)),
        }

    def told(self) -> dict[str, list[str]]:
        """What arrived at each, in the order of arrival, as a person reads it."""
        requests: list[Request] = list(self.services.requests)
        return {
            "desk": [slack_text(request) for request in requests if request.host == SLACK],
            "phone": [telegram_text(request) for request in requests if request.host == TELEGRAM],
            "mail": [f"{mail['Subject']}\n{mail.get_content()}" for mail in list(self.mail.mails)],
        }

    def count(self) -> dict[str, int]:
        return {channel: len(texts) for channel, texts in self.told().items()}
