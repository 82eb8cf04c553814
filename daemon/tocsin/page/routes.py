"""Where the screens are found: each as HTML, part by part, and as JSON."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tocsin.control import people
from tocsin.control.server import in_thread, json_of
from tocsin.page.assets import takes_gzip
from tocsin.page.live import Versions
from tocsin.page.rendering import Rendered, Renderer, parts_of
from tocsin.page.screen import Asked, Elsewhere, Host, Json, NoSuch, Screen, Several
from tocsin.page.screens import SCREENS
from tocsin.store.reader import Reader

_QUERY_WITHIN = 2.0  # seconds that the database may take for one query
_NOT_KEPT = {"Cache-Control": "no-store"}


class Screens:
    """The screens of this daemon."""

    def __init__(self, host: Host, database: Path, versions: Versions) -> None:
        self._host, self._versions = host, versions
        self.reader = Reader(database, within=_QUERY_WITHIN)

    def asked(self, request: Request, *, at_once: bool = True) -> Asked:
        """What a request asks for, and what is so at this moment. `at_once`: as `Versions.refresh` takes it."""
        return Asked(
            snapshot=self._versions.refresh(at_once=at_once),
            versions=self._versions.newer({}),
            host=self._host,
            reader=self.reader,
            in_thread=in_thread,
            path=request.path_params,
            query=dict(reversed(request.query_params.multi_items())),
        )

    def look_anew(self) -> None:
        """Somebody has done something: whatever is asked for from now on shows it, however little time there is."""
        self._versions.refresh(at_once=True)

    def api_routes(
        self, url: Callable[[str], str] = lambda path: path, screens: Sequence[Screen] = SCREENS
    ) -> list[Route]:
        """The data of each screen, as JSON. `url` makes a link of a path of ours."""
        return [Route(screen.api, self._json(screen, url), methods=["GET"]) for screen in screens]

    def html_routes(self, renderer: Renderer, screens: Sequence[Screen] = SCREENS) -> list[Route]:
        """Each screen as HTML, whole or (`part=NAME`, once or more) parts of it."""
        return [Route(screen.path, self._html(screen, renderer), methods=["GET"]) for screen in screens]

    def _json(self, screen: Screen, url: Callable[[str], str]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            asked = self.asked(request)
            found: Json = {}
            try:
                if screen.find is not None:
                    await screen.find(asked)
                for name, part in screen.parts.items():
                    found[name] = await part.data(asked)
            except Elsewhere as error:
                return RedirectResponse(url(screen.api.format(**error.path)), 307)
            except NoSuch as error:
                return JSONResponse({"error": str(error), "near": error.near}, status_code=_status(error))
            return await json_of(found, _NOT_KEPT)

        return answer

    def _html(self, screen: Screen, renderer: Renderer) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            here, person = _here(request), person_of(request)
            parts = tuple(dict.fromkeys(request.query_params.getlist("part")))
            asked = self.asked(request, at_once=not parts)
            try:
                if not parts:
                    if screen.find is not None:
                        await screen.find(asked)
                    return html(request, await renderer.screen(screen, asked, here, person=person))
                if parts_of(screen).keys() >= set(parts):
                    return html(request, await renderer.parts(screen, parts, asked, here))
            except Elsewhere as error:
                return RedirectResponse(renderer.url(screen.path.format(**error.path)), 303)
            except NoSuch as error:
                page = await renderer.page(
                    "frame/message.html",
                    asked,
                    here,
                    heading="Which one?" if isinstance(error, Several) else "Not here",
                    text=str(error),
                    near=error.near,
                    person=person,
                )
                return html(request, page, _status(error))
            return RedirectResponse(renderer.url(here), 303)

        return answer


def _status(error: NoSuch) -> int:
    return 409 if isinstance(error, Several) else 404


def html(request: Request, rendered: Rendered, status: int = 200) -> Response:
    """An answer that no browser keeps."""
    headers = {**_NOT_KEPT, "Vary": "Accept-Encoding"}
    if takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
    body = rendered.zipped if takes_gzip(request) else rendered.html
    return Response(body, status, headers, "text/html; charset=utf-8")


def person_of(request: Request) -> str:
    """The name of who is signed in."""
    person = people.person_of(request.scope)
    return person.name if person is not None else ""


def _here(request: Request) -> str:
    """The screen's own path and query, without the part, however that is written."""
    pairs = (each for each in request.url.query.split("&") if each)
    query = "&".join(each for each in pairs if unquote_plus(each.partition("=")[0]) != "part")
    path: str = request.scope["path"]
    return f"{path}?{query}" if query else path


def own_path(text: str) -> str | None:
    """A path of ours to go on to; None of anything that could lead elsewhere."""
    sound = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if sound and " " not in text else None
