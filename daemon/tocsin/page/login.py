"""Signing in and out: by a person's token, or by a link of `tocsin page`, which only a press of its button uses up.

    GET  /login      ?next=/a/ID   the form             POST /login     token or link, next
    GET  /login      ?link=…       the link's button    POST /logout
    GET  /api/who                  {"name", "how"}

All of it works without JavaScript.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tocsin.control.people import Person, person_of
from tocsin.page.access import Access
from tocsin.page.addresses import Addresses
from tocsin.page.posted import posted
from tocsin.page.rendering import Renderer
from tocsin.page.routes import html, own_path
from tocsin.page.signing_in import whose_token
from tocsin.page.who import LOGIN

_COOKIE_KEPT = (
    400 * 86400
)  # seconds, the longest that browsers allow; whether it still counts is the server's to say
_USED_UP = "That link has been used, or is older than five minutes. Ask for a new one: tocsin page"
_NOBODYS = "Nobody has that token. It is the one that stands in the config under people, with your name."


class Login:
    def __init__(self, access: Access, addresses: Addresses, renderer: Renderer) -> None:
        self._access, self._addresses, self._renderer = access, addresses, renderer

    @property
    def routes(self) -> list[Route]:
        return [
            Route(LOGIN, self.show, methods=["GET"]),
            Route(LOGIN, self.sign_in, methods=["POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
            Route("/api/who", self.who, methods=["GET"]),
        ]

    async def who(self, request: Request) -> Response:
        person = person_of(request.scope)
        assert person is not None  # noqa: S101  else it isn't reached
        return JSONResponse({"name": person.name, "how": person.how}, headers={"Cache-Control": "no-store"})

    async def show(self, request: Request) -> Response:
        further = _next(request.query_params.get("next", ""))
        if (link := request.query_params.get("link")) is not None:
            if (person := self._access.links.whose(link)) is None:
                return self._form(request, further, _USED_UP, 410)
            page = self._renderer.bare("login/link.html", link=link, person=person, next=further)
            return html(request, page)
        if (signed_in := person_of(request.scope)) is not None:
            return html(request, self._renderer.bare("login/in.html", person=signed_in.name, next=further))
        return self._form(request, further)

    async def sign_in(self, request: Request) -> Response:
        form = await posted(request)
        further, asker, tries = (
            _next(form.get("next", "")),
            self._addresses.asker(request.scope),
            self._access.logins,
        )
        if tries.wait(asker) > 0 or not await tries.turn(asker) or tries.wait(asker) > 0:
            said = "Too many wrong tries from your address: wait a minute, then try again."
            response = self._form(request, further, said, 429)
            response.headers["Retry-After"] = "60"
            return response
        if "link" in form:
            by_token, person = False, self._access.links.use(form["link"])
        else:
            by_token, person = True, whose_token(form.get("token", "").strip(), self._access.tokens())
        if person is None:
            tries.was_wrong(asker)
            return self._form(request, further, _NOBODYS if by_token else _USED_UP, 403)
        tries.was_right(asker)
        self._end(person_of(request.scope))
        response = RedirectResponse(self._addresses.url(further), 303, {"Cache-Control": "no-store"})
        self._set_cookie(request, response, self._access.sessions.begin(person, by_token=by_token))
        how = "token" if by_token else "link"
        self._access.log.info("signed in to the page", by=person, how=how, address=asker)
        return response

    async def sign_out(self, request: Request) -> Response:
        person = person_of(request.scope)
        assert person is not None  # noqa: S101  else it isn't reached
        self._end(person)
        kept = await self._access.sessions.kept()
        self._access.log.info("signed out of the page", by=person.name, kept=kept)
        response = html(request, self._renderer.bare("login/out.html", kept=kept, person=person.name))
        response.delete_cookie(
            self._addresses.cookie(request.scope),
            path="/",
            secure=self._addresses.is_secure(request.scope),
            httponly=True,
            samesite="lax",
        )
        return response

    def _end(self, person: Person | None) -> None:
        """The session that the request came with."""
        if person is not None and person.session:
            self._access.sessions.end(person.session)

    def _set_cookie(self, request: Request, response: Response, value: str) -> None:
        response.set_cookie(
            self._addresses.cookie(request.scope),
            value,
            max_age=_COOKIE_KEPT,
            path="/",
            secure=self._addresses.is_secure(request.scope),
            httponly=True,
            samesite="lax",
        )

    def _form(self, request: Request, further: str, wrong: str = "", status: int = 200) -> Response:
        return html(request, self._renderer.bare("login/form.html", next=further, wrong=wrong), status)


def _next(text: str) -> str:
    return own_path(text) or "/"
