"""The control API: a few JSON endpoints on a Unix socket. What it tells comes from the daemon and from the database."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tocsin.config.settings import UnknownName, UnknownRule
from tocsin.control import measures
from tocsin.control.acts import Acting, ActsApi, firing_held_by, with_silences
from tocsin.control.measures import Measures
from tocsin.control.metrics import exposition
from tocsin.control.people import Nameless, who
from tocsin.control.probes import Probed, Probes
from tocsin.control.snapshot import Snapshot
from tocsin.engine.api import SEVERITIES
from tocsin.loop_budget import metered_in_thread
from tocsin.pipeline.acts import By
from tocsin.pipeline.explaining import RunSync
from tocsin.store.errors import StoreError
from tocsin.store.reader import Reader

Json = dict[str, Any]
_LONGEST_QUERY = 1.0  # seconds that the database may take to tell its part of what is so
_MOST_EXPLAINED = 100_000  # subjects of a rule; larger numbers SQLite doesn't take
_NOT_KEPT = {"Cache-Control": "no-store"}
_NEAR, _LOOKED_AT = 3, 5000  # of what is called nearly so: how many are told of how many


class Log(Protocol):
    """As much of a structlog logger as this uses."""

    def error(self, event: str, **fields: Any) -> Any: ...


class Controlled(Probed, Protocol):
    """What the API asks of the daemon."""

    def measures(self) -> Measures:
        """What is so now."""
        ...

    def snapshot(self) -> Snapshot:
        """What is so now, thing by thing."""
        ...

    def retry(self, venue: str, by: By) -> bool:
        """Have a venue that waits after a refusal try at once; False: none is called that."""
        ...

    async def reload(self) -> Json:
        """`{"reloaded": bool, "changes": [...], "problems": [...]}`."""
        ...

    @property
    def acts(self) -> Acting:
        """What people do to alerts, silences and actions."""
        ...

    async def forget(self, venue: str, kind: str, id_: str, account: str | None, by: By) -> Json:
        """`{"forgotten": bool, "accounts": [those under which such an entity is known], "alerts": [...]}`."""
        ...

    def actions(self) -> Json:
        """The actions that there are, and what stands in their way."""
        ...

    async def preview(self, deliveries: list[Json]) -> None:
        """Of rows of `Reader.deliveries`: those that wait get `next_try`, `refuses`, what holds them, and the title that they would be
        sent with now (see `app.shown.preview`).
        """
        ...

    async def try_channel(self, name: str, urls: str, what: Json, by: By, run_sync: RunSync) -> Json:
        """Send a test message by a channel: `{"same": whether it has the URLs with that hash, "results": [{url, sent, answer}]}`.

        `what` may have a `text`, a `severity`, and a rule's id that it is to be `like`, or a `report`'s. StoreUnavailable, UnknownName.
        """
        ...

    def rules(self) -> list[Json]:
        """The rules that run, in their order, and how often each fired. Blocks; StoreUnavailable."""
        ...

    def page_link(self, person: str) -> Json:
        """What signs somebody in to the page, once: `{"link", "lasts" (seconds), "remark"}`; or why there is none: `{"error", "remedy"}`."""
        ...

    async def page_sign_out(self, person: str | None, by: By) -> Json:
        """Ends the sessions of a person, or of all: `{"ended": how many, "signed_in": who was, "kept": whether a restart undoes no end}`."""
        ...

    async def explain(self, rule: str, id_: str | None, limit: int, run_sync: RunSync) -> Json:
        """Why that rule fires or doesn't; `run_sync` runs what blocks. StoreUnavailable, UnknownRule."""
        ...


_T = TypeVar("_T")


class Api:
    """The endpoints. Reading happens in threads, on connections of its own."""

    def __init__(self, daemon: Controlled, database: Path, log: Log) -> None:
        self._daemon, self._database, self._log = daemon, database, log
        self._reader = Reader(database)
        # Of metrics; apart from those whom the database may keep waiting.
        self._writers = trio.CapacityLimiter(1)

    @property
    def routes(self) -> list[Route]:
        """What is asked on the socket, and over TCP by who may."""
        return [
            Route("/api/status", self.status),
            Route("/metrics", self.metrics),
            Route("/api/retry", self.retry, methods=["POST"]),
            Route("/api/forget", self.forget, methods=["POST"]),
            Route("/api/channels/{name}/test", self.try_channel, methods=["POST"]),
            Route("/api/alerts", self.alerts),
            Route("/api/deliveries", self.deliveries),
            Route("/api/rules", self.rules),
            Route("/api/actions", self.actions),
            Route("/api/explain", self.explain),
            *ActsApi(self._daemon.acts, self._reader, in_thread_for_acts).routes,
        ]

    @property
    def socket_routes(self) -> list[Route]:
        """What only who may use the socket may ask."""
        return [
            Route("/api/reload", self.reload, methods=["POST"]),
            Route("/api/page/link", self.page_link, methods=["POST"]),
            Route("/api/page/sign-out", self.page_sign_out, methods=["POST"]),
        ]

    async def page_link(self, request: Request) -> JSONResponse:
        answer = self._daemon.page_link(_by(request).name)
        return JSONResponse(answer, status_code=409 if "error" in answer else 200)

    async def page_sign_out(self, request: Request) -> JSONResponse:
        answer = await self._daemon.page_sign_out(request.query_params.get("person"), _by(request))
        return JSONResponse(answer, status_code=200 if answer["ended"] else 404)

    async def status(self, _request: Request) -> JSONResponse:
        now, known = self._daemon.measures(), await self._stored()
        silenced = await self._silenced() if now.silences_active else 0
        return JSONResponse({**measures.status(now, known), "silenced": silenced})

    async def metrics(self, request: Request) -> Response:
        now, known = self._daemon.measures(), await self._stored()
        accept = request.headers.get("accept", "")
        text, content_type = await trio.to_thread.run_sync(
            metered_in_thread(partial(exposition, now, known, accept)), limiter=self._writers
        )
        return Response(text, headers={"Content-Type": content_type, **_NOT_KEPT})

    async def _stored(self) -> measures.Stored | None:
        """None where the database doesn't answer in time."""
        with trio.move_on_after(_LONGEST_QUERY), suppress(StoreError):
            return await in_thread(partial(measures.stored, self._database))
        return None

    async def _silenced(self) -> int | None:
        """How many alerts that fire silences hold, as `/silences` counts them; None where the database doesn't answer in time."""
        silences, now = self._daemon.acts.silences(), self._daemon.acts.now()
        with trio.move_on_after(_LONGEST_QUERY), suppress(StoreError):
            return len(await in_thread(partial(firing_held_by, self._reader, silences, now)))
        return None

    async def reload(self, _request: Request) -> JSONResponse:
        report = await self._daemon.reload()
        return JSONResponse(report, status_code=200 if report["reloaded"] else 422)

    async def retry(self, request: Request) -> JSONResponse:
        there = self._daemon.retry(request.query_params.get("venue", ""), _by(request))
        return JSONResponse({"retried": there}, status_code=200 if there else 404)

    async def forget(self, request: Request) -> JSONResponse:
        asked = request.query_params
        try:
            name = asked["venue"], asked["kind"], asked["id"]
        except KeyError as missing:
            return JSONResponse({"error": f"asked without {missing}"}, status_code=400)
        report = await self._daemon.forget(*name, asked.get("account"), _by(request))
        several = len(report["accounts"]) > 1
        if not report["accounts"]:
            query = partial(near, self._reader, *name)
            with suppress(StoreError):
                report["near"] = await in_thread(query)
        return JSONResponse(report, status_code=409 if several else 200 if report["forgotten"] else 404)

    async def try_channel(self, request: Request) -> JSONResponse:
        asked = request.query_params
        if asked.get("severity", "info") not in SEVERITIES:
            return JSONResponse({"error": f"a severity is {', '.join(SEVERITIES)}"}, status_code=400)
        try:
            report = await self._daemon.try_channel(
                request.path_params["name"], asked.get("urls", ""), dict(asked), _by(request), in_thread
            )
        except UnknownName as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        return JSONResponse(report, status_code=200 if report["same"] else 409)

    async def alerts(self, request: Request) -> JSONResponse:
        active_only = request.query_params.get("all") != "1"
        silences, now = self._daemon.acts.silences(), self._daemon.acts.now()
        read = partial(self._reader.alerts, active_only=active_only)
        acked = self._daemon.acts.acknowledged()
        return await _read(lambda: with_silences(read(), silences, now, acked))

    async def deliveries(self, request: Request) -> JSONResponse:
        unsent_only = request.query_params.get("all") != "1"
        read = partial(self._reader.deliveries, unsent_only=unsent_only, contexts=True)
        return await _read(read, self._daemon.preview)

    async def actions(self, _request: Request) -> JSONResponse:
        known = self._daemon.actions()
        return await _read(lambda: {**known, "runs": self._reader.runs()})

    async def rules(self, _request: Request) -> JSONResponse:
        return await _read(self._daemon.rules)

    async def explain(self, request: Request) -> JSONResponse:
        asked = request.query_params
        try:
            rule, limit = asked["rule"], min(int(asked["limit"]), _MOST_EXPLAINED)
        except (KeyError, ValueError):
            return JSONResponse({"error": "asked without a rule, or a limit"}, status_code=400)
        try:
            return await json_of(await self._daemon.explain(rule, asked.get("id"), limit, in_thread))
        except UnknownRule as error:
            return JSONResponse({"error": str(error)}, status_code=404)

    async def bug(self, request: Request, error: Exception) -> JSONResponse:
        """One of ours: whoever asked is told where to look."""
        self._log.error("internal error", asked=request.url.path, exc_info=error)
        reason = f"internal error: {type(error).__name__}; the daemon's log has it"
        return JSONResponse({"error": reason}, status_code=500)


def near(reader: Reader, venue: str, kind: str, id_: str) -> list[str]:
    """What may have been meant by a name that nothing has, each as `VENUE KIND ID`. Blocks; StoreUnavailable."""
    if venue not in (venues := reader.told_of("venue")):
        return [
            f"{other} {kind} {id_}" for other in get_close_matches(venue, venues, n=_NEAR) or venues[:_NEAR]
        ]
    if kinds := reader.kinds_of(venue, id_):
        return [f"{venue} {other} {id_}" for other in kinds if other != kind]
    ids = reader.ids_of(venue, kind, limit=_LOOKED_AT)
    asked = id_.removesuffix("…").casefold()
    begin = [each for each in ids if each.casefold().startswith(asked)]
    return [f"{venue} {kind} {each}" for each in begin[:_NEAR] or get_close_matches(id_, ids, n=_NEAR)]


def make_app(daemon: Controlled, database: Path, log: Log, screens: Sequence[Route] = ()) -> ASGIApp:
    """What is asked on the Unix socket, with the page's screens as JSON. A bug is logged with its trace, and answered with 500."""
    api = Api(daemon, database, log)
    routes = [*api.routes, *api.socket_routes, *screens]
    handlers = {Exception: api.bug, StoreError: unavailable, Nameless: nameless}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Probes(app, daemon, reasons=lambda _scope: True)


async def unavailable(_request: Request, error: Exception) -> JSONResponse:
    """A StoreError, whatever was asked: the database can't be read."""
    return JSONResponse({"error": str(error)}, status_code=503)


async def nameless(_request: Request, error: Exception) -> JSONResponse:
    """A Nameless: something is done by somebody, or not at all."""
    return JSONResponse({"error": str(error)}, status_code=400)


def _by(request: Request) -> By:
    """Who does what is asked in a query. Nameless."""
    asked = request.query_params
    return who(request.scope, By(asked.get("by", ""), "cli", asked.get("why", "")))


async def _read(query: Callable[[], _T], then: Callable[[_T], Awaitable[None]] | None = None) -> JSONResponse:
    """What it finds; `then` changes that for whoever asks."""
    if then is None:
        return await in_thread(lambda: JSONResponse(query()))
    found = await in_thread(query)
    await then(found)
    return await json_of(found)


async def json_of(found: Any, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer that is written beside the loop, on which no alert would go out meanwhile: ten thousand rows take a fifth of a second."""
    return await in_thread(lambda: JSONResponse(found, headers=headers))


async def in_thread(query: Callable[[], _T]) -> _T:
    """What blocks, run in one of the few threads for readers."""
    return await _in_few_threads(_readers, query)


async def in_thread_for_acts(query: Callable[[], _T]) -> _T:
    """The same for what somebody does, which waits behind nobody who looks."""
    return await _in_few_threads(_actors, query)


_Threads: TypeAlias = trio.lowlevel.RunVar[trio.CapacityLimiter]
_readers: _Threads = trio.lowlevel.RunVar("tocsin-control-readers")
_actors: _Threads = trio.lowlevel.RunVar("tocsin-control-actors")


async def _in_few_threads(threads: _Threads, query: Callable[[], _T]) -> _T:
    """Few, and apart from those that the daemon lives on. What they compute counts for who asks, where that is metered."""
    try:
        limiter = threads.get()
    except LookupError:
        limiter = trio.CapacityLimiter(2)
        threads.set(limiter)
    return await trio.to_thread.run_sync(metered_in_thread(query), abandon_on_cancel=True, limiter=limiter)
