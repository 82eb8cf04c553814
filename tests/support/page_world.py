"""The page's application on a daemon that is only looked at, asked in this process or by raw sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import trio

from support.daemon_parts import Lines
from support.looked import running
from support.measured import measured
from support.snapshots import World
from support.stored import opened
from tocsin.alerts.silences import Silences
from tocsin.alerts.wording import Style
from tocsin.config.listening import Address, Listen, address_of
from tocsin.control.serving import TcpPort
from tocsin.page.access import Access
from tocsin.page.addresses import Addresses
from tocsin.page.app import make_page_app
from tocsin.pipeline.acts import By
from tocsin.secrets import Secret
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import SessionRow
from tocsin.store.store import DATABASE

ANNA, BEN = "annas-token-of-twenty-characters", "bens-token-of-twenty-characters-too"
METRICS = "a-token-of-twenty-characters"
HOST = "127.0.0.1:8080"
OURS = {"Sec-Fetch-Site": "same-origin"}


class Acting:
    """Pauses actions, and remembers who did it; of `bug` it stumbles."""

    def __init__(self) -> None:
        self.done: list[tuple[str, By]] = []

    def actions(self) -> list[str]:
        return ["hedge", "bug"]

    def now(self) -> Any:
        return measured().now

    def silences(self) -> Silences:
        return Silences()

    def acknowledged(self) -> dict[str, Any]:
        return {}

    def kept(self) -> bool:
        return True

    def foreseen(self, matchers: str, _lasts: str | None, _until: str | None) -> Silences:
        found = Silences()
        found.begin("", matchers, self.now() + timedelta(hours=1), self.now())
        return found

    async def pause(self, action: str, by: By) -> bool:
        if action == "bug":
            raise ZeroDivisionError("a bug of ours")
        self.done.append((action, by))
        return True


class FakeHost:
    """As much of the daemon as the page asks."""

    ready = True
    style = Style()
    rules_seen = running(("loss",), ("fx",))

    def __init__(self) -> None:
        self.acts = Acting()
        self.wrong: tuple[str, ...] = ()
        self.forgot: list[By] = []
        self._world = World()

    def health(self) -> list[str]:
        return [*self.wrong]

    def measures(self) -> Any:
        return measured()

    def snapshot(self) -> Any:
        return self._world.snapshots.snapshot()

    def about(self) -> dict[str, Any]:
        return {
            "config": {"sources": [], "warnings": []},
            "retention": {"events": "30d", "alerts": "365d", "max_bytes": 2 << 30},
            "listen": None,
            "heartbeats": [],
            "unrecorded_since": None,
        }

    def rules(self) -> list[Any]:
        return []

    async def preview(self, _deliveries: Any) -> None:
        """No more is known of what waits."""

    def actions(self) -> dict[str, Any]:
        return {"paused": "", "actions": []}

    async def forget(self, *name: str | None) -> dict[str, Any]:
        *_, by = name
        self.forgot.append(by)  # type: ignore[arg-type] - the last is who
        return {"forgotten": True, "accounts": ["a"], "alerts": []}


class Page:
    """The application as `listen` says, and what it is made of. `tokens` are people's."""

    def __init__(
        self, folder: Path, *kept: SessionRow, tokens: dict[str, str] | None = None, **listen: Any
    ) -> None:
        opened(folder).close()
        self.host, self.log = FakeHost(), Lines()
        self.tokens = {name: Secret(token) for name, token in (tokens or {"anna": ANNA, "ben": BEN}).items()}
        self.now = self.host.measures().now
        self.kept: dict[str, SessionRow | None] = {}
        self.written: list[Mapping[str, SessionRow | None]] = []
        self.full = ""  # why nothing can be written
        self.access = Access(kept, lambda: self.tokens, lambda: self.now, self, self.log)
        self.listen = Listen(**{"address": HOST, **listen})
        self.addresses = Addresses(self.listen, address_of(self.listen.address))
        self.app = make_page_app(
            self.host, folder / DATABASE, self.log, access=self.access, addresses=self.addresses,
            metrics=self.listen.metrics,
        )  # fmt: skip

    async def keep_sessions(self, sessions: Mapping[str, SessionRow | None]) -> None:
        if self.full:
            raise StoreUnavailable(self.full)
        self.kept.update(sessions)
        self.written.append(sessions)

    def browser(
        self, base: str = f"http://{HOST}", *, peer: str = "127.0.0.1", **headers: str
    ) -> httpx.AsyncClient:
        """One that keeps cookies and follows no redirect."""
        transport = httpx.ASGITransport(self.app, client=(peer, 4711), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)

    async def signed_in(self, base: str = f"http://{HOST}", **more: Any) -> httpx.AsyncClient:
        """A browser of anna's."""
        browser = self.browser(base, **more)
        answer = await sign_in(browser)
        assert answer.status_code == 303, answer.text
        return browser


async def sign_in(
    browser: httpx.AsyncClient, token: str = ANNA, path: str = "/login", **form: str
) -> httpx.Response:
    return await browser.post(path, data={"token": token, **form}, headers=OURS)


class Sockets:
    """An app on a port of its own, which is called 8080 by whoever asks."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address)

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; status 0 where the connection is closed without an answer."""
        stream = await self.connect()
        async with stream:
            with suppress(trio.BrokenResourceError):  # what is too long isn't read to its end
                await stream.send_all(request)
            try:
                return await answered(stream, whole=not request.startswith(b"HEAD"))
            except trio.BrokenResourceError:
                return 0, {}, b""


async def answered(stream: trio.SocketStream, *, whole: bool = True) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while chunk := await stream.receive_some():
        data += chunk
        head, ended, body = data.partition(b"\r\n\r\n")
        if ended:
            first, *lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            if not whole or len(body) >= int(headers.get("content-length", 0)):
                return int(first.split()[1]), headers, body
    return 0, {}, data


def get(path: str, *, host: str = HOST, method: str = "GET", body: bytes = b"", **more: str) -> bytes:
    headers = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode() + body


def post(path: str, body: bytes = b"", **more: str) -> bytes:
    return get(path, method="POST", body=body, **{"Content_Length": str(len(body)), **more})


@asynccontextmanager
async def on_sockets(app: Any) -> AsyncIterator[Sockets]:
    """Served for as long as the block lasts, half a minute at most."""

    async def trouble(reason: str) -> None:
        raise AssertionError(reason)

    async def serve(task_status: trio.TaskStatus[Address]) -> None:
        await TcpPort(Address("127.0.0.1", 0), Lines(), trouble).serve(app, task_status=task_status)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            yield Sockets(await nursery.start(serve))
            nursery.cancel_scope.cancel()
