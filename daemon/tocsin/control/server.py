"""The control API: a few JSON endpoints on a Unix socket. What it tells comes from the daemon and from the database."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tocsin.config.settings import UnknownRule
from tocsin.store.errors import StoreUnavailable
from tocsin.store.reader import Reader

Json = dict[str, Any]


class Controlled(Protocol):
    """What the API asks of the daemon."""

    def status(self) -> Json:
        """Version, process, venues as they stand, counts, and what is wrong, if anything."""
        ...

    async def reload(self) -> Json:
        """`{"reloaded": bool, "changes": [...], "problems": [...]}`."""
        ...

    def rules(self) -> list[Json]:
        """The rules that run, in their order, and how often each fired. Blocks; StoreUnavailable."""
        ...

    def explain(self, rule: str, id_: str | None, limit: int) -> Json:
        """Why that rule fires or doesn't. Blocks; StoreUnavailable, UnknownRule."""
        ...


def make_app(daemon: Controlled, database: Path) -> Starlette:
    """The endpoints. Reading happens in threads, on connections of its own."""
    reader = Reader(database)

    async def status(_request: Request) -> JSONResponse:
        state = daemon.status()  # here, not in the thread: the loop changes what it is made of
        return await _read(lambda: {**state, **reader.counts()})

    async def health(_request: Request) -> JSONResponse:
        state = daemon.status()
        return JSONResponse(
            {"healthy": state["healthy"], "wrong": state["wrong"]},
            status_code=200 if state["healthy"] else 503,
        )

    async def reload(_request: Request) -> JSONResponse:
        report = await daemon.reload()
        return JSONResponse(report, status_code=200 if report["reloaded"] else 422)

    async def alerts(request: Request) -> JSONResponse:
        return await _read(partial(reader.alerts, active_only=request.query_params.get("all") != "1"))

    async def deliveries(request: Request) -> JSONResponse:
        return await _read(partial(reader.deliveries, unsent_only=request.query_params.get("all") != "1"))

    async def rules(_request: Request) -> JSONResponse:
        return await _read(daemon.rules)

    async def explain(request: Request) -> JSONResponse:
        asked = request.query_params
        try:
            rule, limit = asked["rule"], int(asked["limit"])
        except (KeyError, ValueError):
            return JSONResponse({"error": "asked without a rule, or a limit"}, status_code=400)
        try:
            return await _read(partial(daemon.explain, rule, asked.get("id"), limit))
        except UnknownRule as error:
            return JSONResponse({"error": str(error)}, status_code=404)

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/healthz", health),
            Route("/reload", reload, methods=["POST"]),
            Route("/alerts", alerts),
            Route("/deliveries", deliveries),
            Route("/rules", rules),
            Route("/explain", explain),
        ]
    )


async def serve_control(
    app: Starlette, path: Path, mode: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve on the Unix socket at `path`, made with permissions `mode`, until cancelled. A socket left behind is replaced."""
    config = Config()
    config.bind = [f"unix:{path}"]
    config.umask = 0o777 & ~mode
    config.loglevel = "ERROR"
    config.errorlog = None
    config.graceful_timeout = 0.5
    try:
        started: Callable[[], Awaitable[None]] = trio.sleep_forever
        async with trio.open_nursery() as nursery:
            # Hypercorn types ASGI apps more narrowly than Starlette types itself.
            asgi: Any = app
            await nursery.start(partial(serve, asgi, config, shutdown_trigger=started, mode="asgi"))
            task_status.started()
    finally:
        path.unlink(missing_ok=True)  # noqa: ASYNC240 — one system call, while being cancelled


async def _read(query: Callable[[], list[Json] | Json]) -> JSONResponse:
    try:
        return JSONResponse(await trio.to_thread.run_sync(query, abandon_on_cancel=True, limiter=_readers()))
    except StoreUnavailable as error:
        return JSONResponse({"error": str(error)}, status_code=503)


_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("tocsin-control-readers")


def _readers() -> trio.CapacityLimiter:
    """Threads for readers: few, and apart from those that the daemon lives on."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(2)
        _limiter.set(limiter)
        return limiter
