"""Who may ask: what stands between the listener and everything that isn't meant for all.

A session or a person's token (`Authorization: Bearer`) lets in; changes are POSTs of our own pages, or of programs with a token.
"""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.config.listening import OPEN
from tocsin.control.guards import is_bearer
from tocsin.control.people import Person, asked_by, person_of
from tocsin.page.access import Access
from tocsin.page.addresses import Addresses
from tocsin.page.manifest import MANIFEST
from tocsin.page.signing_in import Tries, whose_token
from tocsin.secrets import Secret

LOGIN = "/login"
METRICS = "/metrics"
_FOR_ALL = (LOGIN, MANIFEST, "/favicon.ico")
_STATIC = "/static/"
_PROGRAMS = ("/api/", METRICS, "/live")  # what asks for these reads no HTML
_METHODS = ("GET", "HEAD", "POST")
_NOT_KEPT = {"Cache-Control": "no-store"}


class Who:
    """`app` for who may ask; in the scope it finds who that is (`control.people.person_of`). `metrics` as of `listen.metrics`."""

    def __init__(self, app: ASGIApp, access: Access, addresses: Addresses, metrics: Secret | None) -> None:
        self._app, self._access, self._addresses, self._metrics = app, access, addresses, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        person = self._person(scope, self._access.bearers)
        if (refused := self._refusal(scope, person)) is not None:
            await refused(scope, receive, send)
        else:
            await self._app(scope if person is None else asked_by(scope, person), receive, send)

    def may_know_reasons(self, scope: Scope) -> bool:
        """Whether who asks for the health may. All may ask for it: tokens that are wrong there keep their address from nothing else."""
        return self._person(scope, self._access.probers) is not None

    def _person(self, scope: Scope, tries: Tries) -> Person | None:
        """Who asks, as far as it is proved. A token that is nobody's is counted, but where all may ask: there none is looked at."""
        asked = HTTPConnection(scope)
        if (given := _bearer(asked.headers)) is not None and not self._is_for_all(scope):
            return self._by_token(self._addresses.asker(scope), given, tries)
        row = self._access.sessions.of(asked.cookies.get(self._addresses.cookie(scope), ""))
        return Person(row.person, "session", row.id) if row is not None else None

    def _by_token(self, asker: str, given: str, tries: Tries) -> Person | None:
        if tries.wait(asker) > 0:
            return None
        name = whose_token(given, self._access.tokens())
        if name is not None:  # no other token ends a row of wrong ones, else who has that could try for ever
            tries.was_right(asker)
            return Person(name, "token")
        if not self._is_of_metrics(given):
            tries.was_wrong(asker)
        return None

    def _is_of_metrics(self, given: str) -> bool:
        """Whether that is the token which reads only these."""
        if self._metrics is None or self._metrics.reveal() == OPEN:
            return False
        return is_bearer(f"Bearer {given}", self._metrics)

    def _is_for_all(self, scope: Scope) -> bool:
        """Whether everybody may have what is asked for, whatever they show."""
        path = scope["path"]
        if path == METRICS:
            return self._metrics is not None and self._metrics.reveal() == OPEN
        return path in _FOR_ALL or path.startswith(_STATIC)

    def _refusal(self, scope: Scope, person: Person | None) -> Response | None:
        """What is answered in the place of what was asked for; None: it may be asked."""
        if scope["method"] not in _METHODS:
            allowed = {"Allow": ", ".join(_METHODS), **_NOT_KEPT}
            return PlainTextResponse("GET, HEAD or POST\n", 405, allowed)
        headers = HTTPConnection(scope).headers
        if scope["method"] == "POST" and not self._is_our_own(scope, person):
            return PlainTextResponse("a change is made on this page, or with a token\n", 403, _NOT_KEPT)
        if person is not None or self._is_for_all(scope):
            return None
        given = _bearer(headers)
        return self._unknown(scope) if given is None else self._refused_token(scope, given)

    def _refused_token(self, scope: Scope, given: str) -> Response | None:
        """Of one that is no person's; None: it may read what is asked for."""
        if (wait := self._access.bearers.wait(self._addresses.asker(scope))) > 0:
            headers = {"Retry-After": str(int(wait) + 1), **_NOT_KEPT}
            return PlainTextResponse("too many wrong tokens: wait a minute\n", 429, headers)
        if not self._is_of_metrics(given):
            return _unauthorized("nobody has that token")
        return None if scope["path"] == METRICS else _unauthorized("that token reads metrics alone")

    def _is_our_own(self, scope: Scope, person: Person | None) -> bool:
        """Whether a POST comes from a page of ours, as the browser says; else from no browser, with a token."""
        headers = HTTPConnection(scope).headers
        sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
        if sites:
            return sites == ["same-origin"]
        if origins:
            return len(origins) == 1 and self._addresses.is_own(origins[0], scope)
        return person is not None and person.how == "token"

    def _unknown(self, scope: Scope) -> Response:
        """Browsers are led to the sign-in, and back; programs are told."""
        path, headers = scope["path"], HTTPConnection(scope).headers
        if path.startswith(_PROGRAMS):
            return _unauthorized("sign in, or send a token: see tocsin help page")
        query = scope["query_string"].decode("ascii", errors="replace")
        written = scope["raw_path"].decode("ascii", errors="replace")
        here = f"{written}?{query}" if query else written
        fragment = "hx-request" in headers
        back = here if scope["method"] != "POST" and not fragment else "/"
        login = self._addresses.url(f"{LOGIN}?next={quote(back, safe='/')}")
        if fragment:  # in which no whole page can be put
            return PlainTextResponse("sign in again\n", 401, {"HX-Redirect": login, **_NOT_KEPT})
        return RedirectResponse(login, 303, _NOT_KEPT)


def is_still_proved(access: Access, addresses: Addresses, scope: Scope) -> bool:
    """Whether what let a request in still does: nobody has ended the session since, nor taken the token away."""
    asked, person = HTTPConnection(scope), person_of(scope)
    if person is None:
        return False
    if person.how == "token":
        return whose_token(_bearer(asked.headers) or "", access.tokens()) == person.name
    row = access.sessions.of(asked.cookies.get(addresses.cookie(scope), ""))
    return row is not None and row.id == person.session


def _bearer(headers: Mapping[str, str]) -> str | None:
    """The token that is shown; None where none is."""
    kind, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if kind.casefold() == "bearer" else None


def _unauthorized(why: str) -> Response:
    return JSONResponse({"error": why}, 401, {"WWW-Authenticate": "Bearer", **_NOT_KEPT})
