"""The endpoints by which people act: acknowledge, silence, take back, pause and resume actions. JSON in, JSON out.

    POST /api/alerts/ID/ack     {"for" or "until" or neither, "by", "via", "why"}
    POST /api/alerts/ID/unack   {"by", "via", "why"}
    GET  /api/silences          ?all=1
    POST /api/silences          {"matchers", "for" or "until", "dry_run", "by", "via", "why"}
    POST /api/silences/ID/end   {"by", "via", "why"}
    POST /api/actions/NAME/pause, /api/actions/NAME/resume   {"by", "via", "why"}; NAME * for all

What was done holds at once, and its answer says whether it is on disk, `kept`: while the disk takes nothing, for some seconds or
more, it holds in memory alone, and is lost with the process.

An ID may be shortened to a beginning that only one has. Of one that isn't there, 404 with what may have been meant (`near`).
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tocsin.alerts.silences import Silences, holds_at
from tocsin.config.settings import Settings
from tocsin.control.people import who
from tocsin.engine.api import SEVERITIES, AlertContext
from tocsin.events import KINDS, iso
from tocsin.events.vocabulary import OURSELVES, did_you_mean
from tocsin.pipeline.acts import FIRING, Became, By, Target
from tocsin.pipeline.stops import EVERY
from tocsin.store.model import Acked, Silence
from tocsin.store.reader import Reader

Json = dict[str, Any]
SHORTEST = 4  # characters of an id
_NEAR = 3
_MOST_MEANT = 5
_MOST_BODY = 16 << 10  # bytes
_T = TypeVar("_T")
InThread = Callable[[Callable[[], _T]], Awaitable[_T]]


class Acting(Protocol):
    """What the daemon does for people: it holds when that returns, and is on disk, unless `kept` says otherwise."""

    async def acknowledge(
        self, alert: Target, by: By, lasts: str | None = None, until: str | None = None
    ) -> Became:
        """ValueError, fit to be shown."""
        ...

    async def unacknowledge(self, alert: Target, by: By) -> bool:
        """False: it isn't acknowledged."""
        ...

    async def silence(self, matchers: str, lasts: str | None, until: str | None, by: By) -> Silence:
        """ValueError, fit to be shown."""
        ...

    async def unsilence(self, id_: str, by: By) -> bool:
        """False: there is none of that id that isn't over."""
        ...

    async def pause(self, action: str, by: By) -> bool:
        """No more runs of that action, `*` for all. False: it is paused already."""
        ...

    async def resume(self, action: str, by: By) -> bool:
        """False: nothing stood in the way."""
        ...

    def stopped(self) -> list[str]:
        """The actions that failures in a row have stopped."""
        ...

    def paused(self) -> str:
        """By whom and since when all are; "" where they aren't."""
        ...

    def actions(self) -> Collection[str]:
        """The names of those that there are."""
        ...

    def foreseen(self, matchers: str, lasts: str | None, until: str | None) -> Silences:
        """As one that is begun now would hold. ValueError, fit to be shown."""
        ...

    def kept(self) -> bool:
        """Whether what was done is on disk. False: it is lost if the process ends before the disk takes something again."""
        ...

    def now(self) -> datetime: ...

    def acknowledged(self) -> Mapping[str, Acked]:
        """What became of late of acknowledgements, by alert: the database may be behind."""
        ...

    def silences(self) -> Silences:
        """Those that aren't over, as they stand."""
        ...


class _Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """A body; each endpoint reads its part."""

    by: str = ""
    via: str = "cli"
    why: str = ""
    matchers: str = ""
    lasts: str | None = msgspec.field(default=None, name="for")
    until: str | None = None
    dry_run: bool = False

    def who(self, request: Request) -> By:
        return who(request.scope, By(self.by, self.via, self.why))


class ActsApi:
    """`in_thread` runs what blocks."""

    def __init__(self, acting: Acting, reader: Reader, in_thread: Any) -> None:
        self._acting, self._reader, self._in_thread = acting, reader, in_thread

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/api/alerts/{id}/ack", _refusing(self.acknowledge), methods=["POST"]),
            Route("/api/alerts/{id}/unack", _refusing(self.unacknowledge), methods=["POST"]),
            Route("/api/silences", _refusing(self.silences), methods=["GET"]),
            Route("/api/silences", _refusing(self.silence), methods=["POST"]),
            Route("/api/silences/{id}/end", _refusing(self.unsilence), methods=["POST"]),
            Route("/api/actions/{name}/pause", _refusing(self.pause), methods=["POST"]),
            Route("/api/actions/{name}/resume", _refusing(self.resume), methods=["POST"]),
        ]

    async def acknowledge(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        alert = await self._meant(request)
        if alert["state"] == "resolved":
            return JSONResponse({"acknowledged": False, "over": True, "alert": alert}, status_code=409)
        target = Target.of(alert)
        try:
            became = await self._acting.acknowledge(target, asked.who(request), asked.lasts, asked.until)
        except ValueError as error:
            raise _Refused(str(error)) from None
        over, already = became == "over", became == "already"
        if not over:
            alert = await self._meant(request)  # with its end, as it is now
        return self._done(not over, acknowledged=not over, over=over, already=already, alert=alert)

    async def unacknowledge(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        alert = await self._meant(request)
        done = await self._acting.unacknowledge(Target.of(alert), asked.who(request))
        return self._done(done, unacknowledged=done, alert=alert)

    def _done(self, done: bool, **answer: Any) -> JSONResponse:
        return JSONResponse({**answer, "kept": self._acting.kept()}, status_code=200 if done else 409)

    async def _meant(self, request: Request) -> Json:
        found = await self._in_thread(partial(alerts_meant, self._reader, request.path_params["id"]))
        if isinstance(found, dict):
            raise _Unclear(found)
        return as_acknowledged(found[0], self._acting.acknowledged())

    async def silences(self, request: Request) -> JSONResponse:
        now, silences = self._acting.now(), self._acting.silences()
        everything = request.query_params.get("all") == "1"

        def read() -> JSONResponse:
            hold = silence_rows(silences, now)
            if not everything:
                return JSONResponse(hold)
            known = {row["id"]: row for row in [*self._reader.silence_rows("", everything=True), *hold]}
            return JSONResponse(sorted(known.values(), key=lambda row: row["created_at"], reverse=True))

        answer: JSONResponse = await self._in_thread(read)
        return answer

    async def silence(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        try:
            foreseen = self._acting.foreseen(asked.matchers, asked.lasts, asked.until)
        except ValueError as error:
            raise _Refused(str(error)) from None
        held = partial(firing_held_by, self._reader, foreseen, self._acting.now())
        holds = await self._in_thread(held)
        if asked.dry_run:
            (begun,) = foreseen
            silence = msgspec.to_builtins(begun)
            return JSONResponse({"silenced": False, "silence": silence, "holds": holds})
        begun = await self._acting.silence(asked.matchers, asked.lasts, asked.until, asked.who(request))
        return self._done(True, silenced=True, silence=msgspec.to_builtins(begun), holds=holds)

    async def unsilence(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        found = silence_meant(self._acting.silences(), request.path_params["id"], self._acting.now())
        if isinstance(found, dict):
            raise _Unclear(found)
        done = await self._acting.unsilence(found[0]["id"], asked.who(request))
        return self._done(done, ended=done, silence=found[0])

    async def pause(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        done = await self._acting.pause(self._action(request), asked.who(request))
        return self._done(done, paused=done)

    async def resume(self, request: Request) -> JSONResponse:
        asked = await _body(request)
        done = await self._acting.resume(self._action(request), asked.who(request))
        return self._done(done, resumed=done, paused=self._acting.paused(), stopped=self._acting.stopped())

    def _action(self, request: Request) -> str:
        name, known = str(request.path_params["name"]), list(self._acting.actions())
        if name != EVERY and name not in known:
            there = f"there are {', '.join(known)}" if known else "the config has no `actions`"
            raise _Refused(f"no action is called {name:.80}; {did_you_mean(name, known) or there}")
        return name


_NO_ACKS: Mapping[str, Acked] = MappingProxyType({})
MOST_FIRING = 10_000
"""Alerts that fire, of which it is told whether something holds them."""


def matched_names(settings: Settings) -> dict[str, Collection[str]]:
    """What matchers can name, by their fields, as `refuse_unmet` asks for it: the rules and venues of the config, and what is built in."""
    rules, venues = [rule.id for rule in settings.rules], [*settings.venues, OURSELVES]
    return {"rule": rules, "venue": venues, "severity": SEVERITIES, "kind": KINDS}


def firing_held_by(reader: Reader, silences: Silences, now: datetime) -> list[Json]:
    """The alerts that fire now and that one of these holds. Blocks; StoreUnavailable."""
    firing = reader.alerts(active_only=True, limit=MOST_FIRING)
    return [row for row in firing if silenced(row, silences, now) is not None]


def silenced(alert: Json, silences: Silences, now: datetime) -> Silence | None:
    """The silence that holds an alert (a row of the store); None also where this version can't read its context."""
    try:
        return silences.over(msgspec.convert(alert["data"], AlertContext), now)
    except ValueError:
        return None


def as_acknowledged(alert: Mapping[str, Any], last: Mapping[str, Acked]) -> Json:
    """An alert (a row of the store) as what was done about it of late left it."""
    acked = last.get(alert["id"])
    if acked is None:
        return {**alert}
    at, until = (iso(each) if each is not None else None for each in (acked.at, acked.until))
    return {**alert, "acked_at": at, "acked_by": acked.by if at else None, "acked_until": until}


def silence_rows(silences: Iterable[Silence], now: datetime) -> list[Json]:
    """Those that hold, as rows of the store, those that end first before others."""
    holding = sorted(
        (each for each in silences if holds_at(each, now)), key=lambda each: (each.ends_at, each.id)
    )
    return [
        {
            name: iso(value) if isinstance(value, datetime) else value
            for name, value in structs.asdict(each).items()
        }
        for each in holding
    ]


def with_silences(
    alerts: list[Json], silences: Silences, now: datetime, last: Mapping[str, Acked] = _NO_ACKS
) -> list[Json]:
    """Each alert with `silenced_until` (ISO 8601; None: it isn't silenced), and acknowledged as `last` says."""
    alerts = [as_acknowledged(row, last) for row in alerts]
    for row in alerts:
        found = silenced(row, silences, now) if row["state"] in FIRING else None
        row["silenced_until"] = iso(found.ends_at) if found is not None else None
    return alerts


def alerts_meant(reader: Reader, called: str) -> Json | tuple[Json]:
    """The alert of that id, or whose id alone begins so, those that fire before others. Else which there are (`several`), or
    what may have been meant (`near`), each an alert. Blocks; StoreUnavailable.
    """
    beginning = _beginning(called)
    rows = reader.alerts_called(beginning, limit=_MOST_MEANT) if len(beginning) >= SHORTEST else []
    firing = [row for row in rows if row["state"] in FIRING]
    if meant := _the_one(called, rows) or (firing if len(firing) == 1 else None):
        return (meant[0],)
    if rows:
        return {"several": rows, "near": []}
    active = reader.alerts(active_only=True)
    named = [row for row in active if called in (row["rule"], row["entity"], row["symbol"])]
    ids = [row["id"] for row in active]
    alike = {*(id_ for id_ in ids if id_.startswith(beginning)), *get_close_matches(called, ids, n=_NEAR)}
    return {"several": [], "near": (named or [row for row in active if row["id"] in alike])[:_MOST_MEANT]}


def silence_meant(silences: Iterable[Silence], called: str, now: datetime) -> Json | tuple[Json]:
    """As `alerts_meant`, of the silences that aren't over."""
    there = silence_rows(silences, now)
    beginning = _beginning(called)
    rows = [row for row in there if len(beginning) >= SHORTEST and row["id"].startswith(beginning)]
    if meant := _the_one(called, rows):
        return (meant[0],)
    return {"several": rows[:_MOST_MEANT], "near": [] if rows else there[:_MOST_MEANT]}


def _beginning(called: str) -> str:
    return called.removesuffix("…").removesuffix("...")


def _the_one(called: str, rows: list[Json]) -> list[Json] | None:
    """The one of exactly that id, or the only one."""
    return [row for row in rows if row["id"] == called] or (rows if len(rows) == 1 else None)


class _Refused(Exception):
    """What was asked can't be done, in words."""


class _Unclear(Exception):
    """No one thing is called so; `answer` says which may be meant."""

    def __init__(self, answer: Json) -> None:
        super().__init__()
        self.answer = answer


async def _body(request: Request) -> _Asked:
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > _MOST_BODY:
        raise _Refused("a body of known length is needed, of at most 16 KiB")
    read = await request.body()
    try:
        asked = msgspec.json.decode(read, type=_Asked)
        json.loads(read, object_pairs_hook=_each_once)
    except ValueError as error:
        raise _Refused(str(error)) from None
    if "" in (asked.lasts, asked.until):
        raise _Refused("`for` and `until` say a duration and a time: leave away what isn't meant")
    return asked


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    """ValueError where a key is given twice: nobody can tell which is meant."""
    for key, count in Counter(key for key, _ in pairs).items():
        if count > 1:
            raise ValueError(f"`{key}` is given twice")


def _refusing(
    endpoint: Callable[[Request], Awaitable[JSONResponse]],
) -> Callable[[Request], Awaitable[JSONResponse]]:
    """What is wrong with what was asked is said."""

    async def answer(request: Request) -> JSONResponse:
        try:
            return await endpoint(request)
        except _Refused as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except _Unclear as unclear:
            return JSONResponse(unclear.answer, status_code=409 if unclear.answer["several"] else 404)

    return answer
