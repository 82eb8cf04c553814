"""`/healthz` and `/readyz`: what machines ask all the time, so that it is answered before anything else, and costs next to nothing."""

from collections.abc import Callable
from typing import Protocol

import msgspec
import trio
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "HEAD")
# Answers a second, and at once: the server's part of one costs half a millisecond of the loop.
_RATE, _BURST = 200.0, 20
_PATIENCE = 1.0  # seconds that who asks more often waits at most


class Probed(Protocol):
    """What is asked of the daemon; both cost nothing."""

    def health(self) -> list[str]:
        """What is wrong, in words; empty when healthy."""
        ...

    @property
    def ready(self) -> bool:
        """Whether all is up, and nobody wants it to stop."""
        ...


class Probes:
    """Answers these two, and leaves the rest to `app`. `reasons`: to whom health says what is wrong."""

    def __init__(self, app: ASGIApp, daemon: Probed, *, reasons: Callable[[Scope], bool]) -> None:
        self._app, self._daemon, self._reasons = app, daemon, reasons
        self._free_at = 0.0
        self._answers = {"/healthz": self._health, "/readyz": self._ready}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in _METHODS:
            await PlainTextResponse("GET or HEAD\n", 405, {"Allow": ", ".join(_METHODS)})(
                scope, receive, send
            )
            return
        if not await self._turn():
            await PlainTextResponse("asked too often\n", 503, {"Cache-Control": "no-store"})(
                scope, receive, send
            )
            return
        well, said = answer(scope)
        body = msgspec.json.encode(said)
        headers = [
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200 if well else 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _turn(self) -> bool:
        """Whoever asks too often waits, since alerts go first; False: it would be for too long."""
        now = trio.current_time()
        free_at = max(self._free_at, now - _BURST / _RATE) + 1 / _RATE
        if free_at - now > _PATIENCE:
            return False
        self._free_at = free_at
        if free_at > now:
            await trio.sleep(free_at - now)
        return True

    def _health(self, scope: Scope) -> tuple[bool, dict[str, object]]:
        wrong = self._daemon.health()
        return not wrong, {"healthy": not wrong, **({"wrong": wrong} if self._reasons(scope) else {})}

    def _ready(self, _scope: Scope) -> tuple[bool, dict[str, object]]:
        ready = self._daemon.ready
        return ready, {"ready": ready}
