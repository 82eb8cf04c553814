"""What people do on the page: plain forms, which work without JavaScript. The same functions as behind the commands and the chats.

A POST answers 303 back to where it was made (`next`), or, where htmx asked, 204: what changed comes by the live topics. What was done
and isn't on disk yet is told, with 202.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tocsin.alerts.plain import NOT_KEPT
from tocsin.alerts.silences import NotATime, end_of
from tocsin.config.settings import UnknownName
from tocsin.control.acts import alerts_meant, firing_held_by, silence_meant
from tocsin.control.server import in_thread, in_thread_for_acts
from tocsin.page.alert_rows import alert_rows, context_of, in_short, matchers
from tocsin.page.posted import posted
from tocsin.page.rendering import Renderer
from tocsin.page.routes import Screens, html, own_path, person_of
from tocsin.page.screen import Asked, Host, Json
from tocsin.pipeline.acts import By, Target
from tocsin.pipeline.stops import EVERY
from tocsin.quantities import parse_duration
from tocsin.store import lists
from tocsin.store.errors import StoreError

_MOST_SHOWN = 5
_MONDAY = 0
_Form = dict[str, str]
_Handler = Callable[[Request, _Form], Awaitable[Response]]


class _Refused(Exception):
    """What was asked can't be done, in words."""


class Forms:
    """`screens` say what is so; `renderer` makes the forms' own pages."""

    def __init__(self, host: Host, screens: Screens, renderer: Renderer) -> None:
        self._host, self._screens, self._renderer = host, screens, renderer
        self._reader = screens.reader

    @property
    def routes(self) -> list[Route]:
        def post(path: str, does: _Handler) -> Route:
            return Route(path, self._posted(does), methods=["POST"])

        return [
            post("/a/{id}/ack", self.acknowledge),
            post("/a/{id}/unack", self.unacknowledge),
            Route("/silences/new", self.new_silence, methods=["GET"]),
            Route("/silences/try", self.try_silence, methods=["GET"]),
            post("/silences", self.silence),
            post("/silences/{id}/end", self.unsilence),
            post("/actions/{name}/pause", self.pause),
            post("/actions/{name}/resume", self.resume),
            post("/channels/{name}/test", self.try_channel),
        ]

    # ------------------------------------------------------------------------------------------------------- alerts

    async def acknowledge(self, request: Request, form: _Form) -> Response:
        target = await self._alert(request)
        lasts, until = form.get("for") or None, form.get("until") or None
        if await self._host.acts.acknowledge(target, _by(request, form), lasts, until) == "over":
            raise _Refused("it is over meanwhile: there is nothing left to acknowledge")
        return await self._done(request, form, f"/a/{target.id}")

    async def unacknowledge(self, request: Request, form: _Form) -> Response:
        target = await self._alert(request)
        if not await self._host.acts.unacknowledge(target, _by(request, form)):
            raise _Refused("it isn't acknowledged")
        return await self._done(request, form, f"/a/{target.id}")

    async def _alert(self, request: Request) -> Target:
        found = await in_thread_for_acts(partial(alerts_meant, self._reader, request.path_params["id"]))
        if isinstance(found, dict):
            raise _Refused("there is no such alert")
        if found[0]["state"] == "resolved":
            raise _Refused("it is over: nothing is acknowledged or taken back any more")
        return Target.of(found[0])

    # ----------------------------------------------------------------------------------------------------- silences

    async def new_silence(self, request: Request) -> Response:
        """The form, with these `matchers`, or those that silence an `alert` and its like, or as a `silence` was, by its id: what venues call
        things may be longer than an address. `part=form`: without the frame, for a dialog.
        """
        query = request.query_params
        given = await in_thread(partial(self._given, {**query}))
        if given is None:
            what = "alert" if "alert" in query else "silence"
            text = "What is older than the retention is gone. What is to be silenced can be written by hand."
            return await self._message(
                request, f"There is no such {what}", text, 404, near=[("New silence", "/silences/new")]
            )
        return await self._silence_form(request, given, part=query.get("part") == "form")

    def _given(self, query: _Form) -> _Form | None:
        """What stands in the form at first; None: there is no such alert or silence. Blocks; StoreUnavailable."""
        if "alert" in query:
            found = alerts_meant(self._reader, query["alert"])
            if isinstance(found, dict):
                return None
            return {**query, "matchers": matchers(found[0], context_of(found[0]))}
        if "silence" in query:
            row = lists.silence(self._reader, query["silence"])
            return {**query, "matchers": row["matchers"], "why": row["reason"]} if row is not None else None
        return query

    async def try_silence(self, request: Request) -> Response:
        """Which alerts that fire now these matchers would hold, in a few words."""
        holds = await self._holds(request.query_params.get("matchers", ""))
        asked = self._screens.asked(request)
        return html(
            request, await self._renderer.page("silences/holds.html", asked, "/silences/new", **holds)
        )

    async def silence(self, request: Request, form: _Form) -> Response:
        matching, lasts, until = (
            form.get("matchers", "").strip(),
            form.get("for") or None,
            form.get("until") or None,
        )
        if lasts is until is None:  # what was written, and no button
            ends = form.get("ends", "").strip()
            lasts, until = (ends, None) if _is_duration(ends) else (None, ends)
        if refused := self._refusals(matching, lasts, until):
            return await self._silence_form(request, form, refused=refused, status=400)
        await self._host.acts.silence(matching, lasts, until, _by(request, form))
        return await self._done(request, form, "/silences")

    def _refusals(self, matchers: str, lasts: str | None, until: str | None) -> _Form:
        """What is wrong with a silence, by the field where that stands."""
        acts, found = self._host.acts, {}
        try:
            acts.foreseen(matchers, "1h", None)
        except ValueError as error:
            found["matchers"] = str(error)
        try:
            if not (lasts or until):
                raise ValueError("say for how long: press a button, or write 2h, 20:00 or 2026-01-31 08:00")  # noqa: TRY301
            end_of(lasts, until, acts.now(), self._host.style.tz)
        except NotATime:
            found["ends"] = (
                f"neither a length nor a time: {until:.40}; write it like 2h, 20:00 or 2026-01-31 08:00"
            )
        except ValueError as error:
            found["ends"] = str(error)
        return found

    async def _silence_form(
        self,
        request: Request,
        given: _Form,
        *,
        part: bool = False,
        refused: _Form | None = None,
        status: int = 200,
    ) -> Response:
        asked = self._screens.asked(request)
        holds = await self._holds(given.get("matchers", ""))
        page = await self._renderer.page(
            "silences/form.html" if part else "silences/new.html",
            asked,
            "/silences/new",
            given={key: given.get(key, "") for key in ("matchers", "ends", "why")},
            next=own_path(given.get("next", "")) or "/silences",
            monday=next_monday(asked),
            refused=refused or {},
            person=person_of(request),
            nav="silences",
            **holds,
        )
        return html(request, page, status)

    async def _holds(self, matchers: str) -> Json:
        """`holds`: the titles of the first of the alerts that fire now and that these would hold, of `holds_count` (None: nothing is written yet);
        or `trouble` with them.
        """
        if not matchers.strip():
            return {"holds": [], "holds_count": None, "trouble": ""}
        try:
            foreseen = self._host.acts.foreseen(matchers, "1h", None)
        except ValueError as error:
            return {"holds": [], "holds_count": 0, "trouble": str(error)}
        found = await in_thread(partial(firing_held_by, self._reader, foreseen, self._host.acts.now()))
        first = alert_rows(found[:_MOST_SHOWN], self._host.snapshot(), self._host.style)
        return {"holds": [*map(in_short, first)], "holds_count": len(found), "trouble": ""}

    async def unsilence(self, request: Request, form: _Form) -> Response:
        acts = self._host.acts
        found = silence_meant(acts.silences(), request.path_params["id"], acts.now())
        if isinstance(found, tuple):
            await acts.unsilence(found[0]["id"], _by(request, form))
        elif found["several"]:
            raise _Refused("more than one silence is called so")
        return await self._done(request, form, "/silences")

    # --------------------------------------------------------------------------------------------- actions, channels

    async def pause(self, request: Request, form: _Form) -> Response:
        await self._host.acts.pause(self._action(request), _by(request, form))
        return await self._done(request, form, "/delivery")

    async def resume(self, request: Request, form: _Form) -> Response:
        await self._host.acts.resume(self._action(request), _by(request, form))
        return await self._done(request, form, "/delivery")

    def _action(self, request: Request) -> str:
        name = str(request.path_params["name"])
        if name != EVERY and name not in self._host.acts.actions():
            raise _Refused(f"no action is called {name:.80}")
        return name

    async def try_channel(self, request: Request, form: _Form) -> Response:
        """Sends a test message, and shows what the service answered."""
        name = str(request.path_params["name"])
        urls = self._host.urls_hash(name)
        if urls is None:
            raise _Refused(f"no channel is called {name:.80}")
        by = _by(request, form)
        try:
            report = await self._host.try_channel(name, urls, {}, by, in_thread)
        except UnknownName as error:
            raise _Refused(str(error)) from None
        asked = self._screens.asked(request)
        page = await self._renderer.page(
            "delivery/tried.html",
            asked,
            "/delivery",
            channel=name,
            results=report.get("results", []),
            person=by.name,
            nav="delivery",
        )
        return html(request, page)

    # -------------------------------------------------------------------------------------------------------- parts

    def _posted(self, does: _Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            form = await posted(request)
            try:
                answered = await does(request, form)
            except (_Refused, ValueError) as error:
                return await self._refused(request, str(error), 409)
            except StoreError as error:
                return await self._refused(request, f"{error}: try again", 503)
            self._screens.look_anew()
            return answered

        return answer

    async def _refused(self, request: Request, why: str, status: int) -> Response:
        if "hx-request" in request.headers:
            return PlainTextResponse(why, status, {"Cache-Control": "no-store"})
        return await self._message(request, "That wasn't done", why, status)

    async def _message(self, request: Request, heading: str, text: str, status: int, **more: Any) -> Response:
        said = {"heading": heading, "text": text, "person": person_of(request), **more}
        page = await self._renderer.page("frame/message.html", self._screens.asked(request), "/", **said)
        return html(request, page, status)

    async def _done(self, request: Request, form: _Form, otherwise: str) -> Response:
        """What was asked for is so now; whether it outlasts the process is said where it may not."""
        back, kept = own_path(form.get("next", "")) or otherwise, self._host.acts.kept()
        if "hx-request" in request.headers:
            headers = {"Cache-Control": "no-store"}
            if kept:
                return Response(status_code=204, headers=headers)
            return PlainTextResponse(f"Done, but {NOT_KEPT}", 202, headers)
        if kept:
            return RedirectResponse(self._renderer.url(back), 303)
        text = f"It holds, but is {NOT_KEPT}"
        return await self._message(request, "That was done", text, 202, near=[("Back", back)])


def next_monday(asked: Asked) -> str:
    """When the next Monday begins where people are, as `until` is written."""
    local: datetime = asked.now.astimezone(asked.style.tz)
    day = local.date() + timedelta(days=(_MONDAY - local.weekday() - 1) % 7 + 1)
    return f"{day} 00:00"


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _by(request: Request, form: _Form) -> By:
    return By(person_of(request), "page", form.get("why", "").strip())
