"""The page of a real daemon, for tests that drive a browser, which aren't asynchronous themselves.

    with Site(tmp_path) as site:
        site.start(venues=…, rules=…)       # the daemon as a process; simulated venues beside it in a thread
        site.exchange.yourfintech           # is spoken to by `site.at_the_venues(push, …)`
        site.until(lambda: …, "it is told")

People are told on Telegram and Slack, which remember (`chats`), and at `desk`.
"""

import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import trio

from support.chats import ChatServers
from support.daemon import PATIENCE, TELEGRAM_TOKEN, Daemon, Folder
from support.receivers import HttpReceiver
from tocsin.control.client import SOCKET, ControlClient
from tocsin.simulator import Exchange

CHAT = "12315544"
_T = TypeVar("_T")


class Site(AbstractContextManager["Site"]):
    """`url` is where the page is found. `person` may sign in with `token`, and may answer on Telegram."""

    daemon: Daemon
    person, token = "anna", "annas-token-of-twenty-characters"

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.exchange = Exchange()
        self._stack = ExitStack()
        self._ready = threading.Event()
        self._thread: Future[None] | None = None

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.chats = stack.enter_context(ChatServers(self._path))
            self.desk = stack.enter_context(HttpReceiver())
            self.folder = Folder(self._path / "tocsin", self.chats.environment)
            self.phone = f"tgram://{self.folder.secret('telegram', TELEGRAM_TOKEN)}/{CHAT}"
            executor = stack.enter_context(ThreadPoolExecutor(1))
            self._thread = executor.submit(trio.run, self._live)
            stack.callback(self._end)
            assert self._ready.wait(PATIENCE)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failed: object) -> None:
        self._stack.__exit__(*failed)  # type: ignore[arg-type]

    async def _live(self) -> None:
        self._token, self._over = trio.lowlevel.current_trio_token(), trio.Event()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self.exchange.serve)
            self._ready.set()
            await self._over.wait()
            await self._stopped()
            nursery.cancel_scope.cancel()

    def _end(self) -> None:
        assert self._thread is not None
        if not self._thread.done():
            self._token.run_sync_soon(self._over.set)
        self._thread.result(PATIENCE)

    # ------------------------------------------------------------------------------------------------------- the daemon

    def start(self, *, listen: dict[str, Any] | None = None, **sections: Any) -> None:
        """Run it with this config; it is up when this returns, and stopped at the end."""
        token = self.folder.secret("page", self.token)
        people = {self.person: {"telegram": int(CHAT), "token": token}}
        self.folder.write(listen={"address": self.address, **(listen or {})}, people=people, **sections)
        self._leave, self._left = trio.Event(), trio.Event()
        self.daemon = self.do(self._nursery.start, self._run)

    async def _run(self, *, task_status: trio.TaskStatus[Daemon]) -> None:
        async with self.folder.running(secrets=self.exchange.secrets) as daemon:
            await self._listens()
            task_status.started(daemon)
            await self._leave.wait()
        self._left.set()

    async def _listens(self) -> None:
        """Until the page can be asked: the daemon is up before."""
        host, _, port = self.address.partition(":")
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    stream = await trio.open_tcp_stream(host, int(port))
                except OSError:
                    await trio.sleep(0.05)
                else:
                    return await stream.aclose()

    async def _stopped(self) -> None:
        if hasattr(self, "daemon"):
            self._leave.set()
            await self._left.wait()

    def command(self, *arguments: str) -> str:
        """What a command of ours prints."""
        done = self.do(self.folder.command, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def post(self, path: str, **asked: Any) -> Any:
        """What the daemon answers on its socket, which is asked as commands do."""
        client = ControlClient([Path(self.folder.environment["RUNTIME_DIRECTORY"]) / SOCKET])
        status, answer = client.post(path, {"by": "ben", **asked})
        assert status == 200, answer
        return answer

    def link(self) -> str:
        """One that signs in once."""
        return next(word for word in self.command("page").split() if word.startswith("http"))

    # --------------------------------------------------------------------------------------------- from the test's thread

    def do(self, does: Callable[..., Awaitable[_T]], *arguments: Any) -> _T:
        """Run it where the venues are, and wait for what it gives."""
        return trio.from_thread.run(partial(does, *arguments), trio_token=self._token)

    def at_the_venues(self, does: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        """The same for what isn't asynchronous: venues say something."""
        return trio.from_thread.run_sync(partial(does, *arguments, **named), trio_token=self._token)

    def beside(self, serve: Callable[..., Awaitable[Any]]) -> Any:
        """Have it serve as well, until the end; what it says when it does."""
        return self.do(self._nursery.start, serve)

    def until(self, seen: Callable[[], _T], what: str) -> _T:
        """Wait for something to be seen. Fails with what the daemon said."""
        return self.do(partial(self.daemon.until, seen, what))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
