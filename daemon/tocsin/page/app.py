"""The one application behind the TCP listener: guards, who may ask, and then what is asked for.

    Failsafe     a bug is logged with its trace, and answered in words
    Headers      what every answer tells browsers
    Guarded      `Host`, sizes
    Below        a reverse proxy's sub-path is taken away
    Probes       /healthz, /readyz
    Who          a session or a token
    Whole        a form that isn't there yet waits, as does half of one
    FewAtOnce    requests of people, of scrapers and of strangers, what they do apart: so many of each, each for so long
    Admitted     who looks waits until alerting leaves time for it, or leaves; who does something doesn't

Each knows nothing of those behind it.
"""

from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.control.guards import QUICK, SLOW, FewAtOnce, Guarded, Noted, Share, Whole
from tocsin.control.people import person_of
from tocsin.control.probes import Probes
from tocsin.control.server import Api, Log
from tocsin.page.access import Access
from tocsin.page.addresses import Addresses
from tocsin.page.admission import Admission, Admitted
from tocsin.page.assets import asset
from tocsin.page.forms import Forms
from tocsin.page.live import Live, Versions
from tocsin.page.login import Login
from tocsin.page.manifest import manifest_route
from tocsin.page.rendering import Renderer
from tocsin.page.routes import Screens, html
from tocsin.page.routes import person_of as named
from tocsin.page.screen import Host
from tocsin.page.what_if import WhatIfs
from tocsin.page.what_if_form import WHAT_IF, WhatIfForm
from tocsin.page.who import METRICS, Who, is_still_proved
from tocsin.secrets import Secret
from tocsin.store.errors import StoreError

LIVE = "/live"
_TEST = "/test"  # a message by a channel, which its service may keep waiting
# A browser that isn't signed in asks for six files at a time.
PEOPLE, SCRAPERS, STRANGERS = Share("people", 64), Share("scrapers", 8), Share("strangers", 16)
# What is done doesn't wait behind what is looked at, which waits for alerting.
ACTS, SIGN_INS = Share("what people do", 64), Share("sign-ins", 16)
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_page_app(
    host: Host, database: Path, log: Log, *, access: Access, addresses: Addresses, metrics: Secret | None
) -> ASGIApp:
    """`metrics` as of `listen.metrics`."""
    admissions = {share: Admission() for share in (PEOPLE, SCRAPERS, STRANGERS)}
    versions = Versions(host.snapshot, admissions[PEOPLE].has_time)
    renderer = Renderer(addresses.root)
    screens, words = Screens(host, database, versions), _Words(renderer)
    live = Live(versions, _whose, partial(is_still_proved, access, addresses), admissions[PEOPLE])
    app = Starlette(
        routes=[
            *Login(access, addresses, renderer).routes,
            Route("/static/{hash}/{name:path}", asset, methods=["GET"]),
            manifest_route(addresses.url),
            *Api(host, database, log).routes,
            *screens.api_routes(addresses.url),
            *screens.html_routes(renderer),
            *Forms(host, screens, renderer).routes,
            *WhatIfForm(screens, renderer, WhatIfs(Path(host.measures().config), log)).routes,
            Route(LIVE, live, methods=["GET"]),
        ],
        exception_handlers={
            Exception: words.of_a_bug,
            HTTPException: words.of_a_refusal,
            StoreError: words.of_the_store,
        },
    )
    app.router.redirect_slashes = False

    def admission(scope: Scope) -> tuple[Admission, str] | None:
        if scope["path"] == LIVE:  # where each look is admitted
            return None
        found = admissions.get(_share(scope))
        return (found, _session_of(scope)) if found is not None else None

    answers = FewAtOnce(Admitted(app, admission), _shares, _within)
    who = Who(Whole(answers), access, addresses, metrics)
    probes = Probes(who, host, reasons=who.may_know_reasons)
    return Failsafe(Headers(Guarded(Below(probes, addresses), addresses.names)), log)


def _share(scope: Scope) -> Share:
    """Metrics are apart, whoever may read them: strangers' forms don't keep a scrape waiting, nor a scrape people."""
    looks = scope["method"] in ("GET", "HEAD")
    if person_of(scope) is not None:
        return PEOPLE if looks else ACTS
    if scope["path"] == METRICS:
        return SCRAPERS
    return STRANGERS if looks else SIGN_INS


def _shares(scope: Scope) -> tuple[Share, ...]:
    """Of one who is signed in also a quarter of it for each session: one who asks without end keeps no other out."""
    share, session = _share(scope), _session_of(scope)
    return (share, Share(f"{share.of}: {session}", share.most // 4)) if session else (share,)


def _within(path: str) -> float | None:
    """Seconds that an answer may take; None: it lasts, and isn't counted."""
    if path == LIVE:
        return None
    return SLOW if path == WHAT_IF or path.endswith(_TEST) else QUICK


def _whose(scope: Scope) -> tuple[str, str]:
    """The person and the session whose streams are counted together; empty of who isn't signed in."""
    person = person_of(scope)
    return (person.name, person.session or person.name) if person is not None else ("", "")


def _session_of(scope: Scope) -> str:
    """Who waits together; empty of who isn't signed in."""
    return _whose(scope)[1]


class Below:
    """`app` as if it lay at the top: below a path of a reverse proxy's, that is taken away."""

    def __init__(self, app: ASGIApp, addresses: Addresses) -> None:
        self._app, self._addresses = app, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(self._addresses.local(scope) if scope["type"] == "http" else scope, receive, send)


class Headers:
    """What every answer tells browsers; one that says nothing of it isn't kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, told)


class Failsafe:
    """A bug in what answers is logged with its trace; who asked is told so, where nothing was answered yet."""

    def __init__(self, app: ASGIApp, log: Log) -> None:
        self._app, self._log = app, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the server's own start and stop, which ends with the daemon's task
            await self._app(scope, receive, send)
            return
        noted = Noted(send)
        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # one request's, of many
            self._log.error("internal error", asked=scope.get("path"), exc_info=error)
            if noted.begun:
                raise  # and the connection ends
            await JSONResponse({"error": _said(error)}, 500, {"Cache-Control": "no-store"})(
                scope, receive, send
            )


class _Words:
    """What went wrong, as who asks can read it."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    async def of_a_bug(self, request: Request, error: Exception) -> Response:
        return self._answer(request, 500, "Tocsin has a bug here", _said(error))

    async def of_a_refusal(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  what it is registered for
        heading = "There is no such page" if error.status_code == 404 else error.detail
        response = self._answer(
            request, error.status_code, heading, f"{request.url.path:.200}: {error.detail}"
        )
        response.headers.update(error.headers or {})
        return response

    async def of_the_store(self, request: Request, error: Exception) -> Response:
        return self._answer(
            request, 503, "The database can't be read", f"{error}. Alerting goes on; try again."
        )

    def _answer(self, request: Request, status: int, heading: str, text: str) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"error": text}, status)
        page = self._renderer.bare("frame/message.html", heading=heading, text=text, person=named(request))
        return html(request, page, status)


def _said(error: Exception) -> str:
    return f"internal error: {type(error).__name__}; alerting goes on, and the daemon's log has it"
