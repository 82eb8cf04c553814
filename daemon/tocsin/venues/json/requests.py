"""Requests of a sign-in, a snapshot or a question: put together of templates, judged by what the description says of answers."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tocsin.venues import web
from tocsin.venues.base import HttpRequest, HttpResponse, Malformed, SignInFailed, SignInRefused
from tocsin.venues.hosts import Hosts
from tocsin.venues.json.conditions import Test, plain, read_condition
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.messages import read_whole
from tocsin.venues.json.paths import Path, read_path
from tocsin.venues.json.recipes import read_recipes
from tocsin.venues.json.templates import (
    Composed,
    Names,
    Scope,
    Template,
    Unfillable,
    read_composed,
    read_structure,
    read_template,
)
from tocsin.venues.wire import cut

_LONGEST_TAKEN = 16_384  # characters of a value that an answer has
_LONGEST_REASON = 2000
_HEADER_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
# What the client says of the connection itself, or where one message ends: with another word there, what is read of it
# differs from what was sent, or goes to another host than the one that was looked at.
_OWN_HEADERS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key",
    "sec-websocket-version",
})  # fmt: skip
_NOTHING: Mapping[str, str] = {}
_FIXED_HOST = re.compile(r"[^:]*://[^/?#]*[/?#]")


class Step:
    """One request. `names` are those known after it, what it takes of the answer included."""

    def __init__(self, at: Cursor, names: Names, check_url: Callable[[Cursor, Template], None]) -> None:
        """What is wrong in the description is noted. `check_url` looks at the URL's host, as far as it is known."""
        self._recipes, names = read_recipes(at.get("let"), names)
        self._secret = names.secret
        ways = [way for way in ("get", "post") if at.has(way)]
        if len(ways) != 1:
            at.refuse_whole("must have either `get` or `post`, with a URL")
        self._method = ways[0] if ways else "get"
        url = at.get(self._method)
        self._url = read_template(url, names) if url is not None else Template(("",))
        if url is not None:
            check_url(url, self._url)
        self._headers = read_headers(at.get("headers"), names)
        self._query, self._form = _read_all(at.get("query"), names), _read_all(at.get("form"), names)
        self._has_form, body = at.has("form"), at.get("json")
        self._structure = read_structure(body, names) if body is not None else None
        if self._has_form and body is not None:
            at.refuse("a body is either `form` or `json`")
        if self._method == "get" and (self._has_form or body is not None):
            at.refuse("a `get` has no body", "query: adds to the URL")
        self._refusals = [_Refusal(each) for each in at.items_at("refused")]
        self._take: dict[str, Path] = {
            entry.key.text: read_path(entry) for entry in at.entries_at("take") if entry.key
        }
        self.taken = tuple(self._take)
        self.names = names.also(*self.taken, secret=True)

    def request(
        self, scope: Scope, now: datetime, hosts: Hosts, said: Mapping[str, str] = _NOTHING
    ) -> tuple[HttpRequest, Scope]:
        """What to ask, and the scope with what was put together for it. Raises Unfillable and SignInRefused.

        `said`: values that messages have, percent-encoded in the URL and in what the headers sign of it.
        """
        encoded = {name: _encoded(value) for name, value in said.items()}
        in_url = self._recipes.fill({**scope, **encoded}, now)
        scope = self._recipes.fill({**scope, **said}, now) if said else in_url
        url = self._url.fill(in_url)
        if why := refusal_of(self._url, url, hosts):
            raise SignInRefused(why)
        bare = self._method == "post" and not self._has_form and self._structure is None
        secrets = (value for each in (scope, in_url) for name, value in each.items() if name in self._secret)
        return (
            HttpRequest(
                method="GET" if self._method == "get" else "POST",
                url=url,
                headers=fill_headers(self._headers, in_url),
                query={name: template.fill(scope) for name, template in self._query},
                form={name: template.fill(scope) for name, template in self._form}
                if self._has_form
                else None,
                json=self._structure(scope) if self._structure is not None else None,
                content=b"" if bare else None,
                secrets=tuple(dict.fromkeys(each for each in secrets if not each.isdecimal())),
            ),
            scope,
        )

    def answer(self, response: HttpResponse, what: str) -> Any:
        """What the answer holds, None where it says that there is nothing. `what` says what was asked for.

        Raises SignInRefused and SignInFailed.
        """
        try:
            whole = read_whole(response.body)
        except Malformed as malformed:
            if web.classify(response) != "good":
                raise web.fault(what, response) from None
            raise SignInFailed(
                f"{what}: an odd answer (HTTP {response.status}): {cut(str(malformed))}"
            ) from None
        for refusal in self._refusals:
            if refusal.fits(whole, whole):
                if refusal.verdict == "empty":
                    return None
                raise refusal.error(what, whole)
        if web.classify(response) != "good":
            raise web.fault(what, response)
        return whole

    def take(self, whole: Any, what: str) -> dict[str, str]:
        """The values that the answer has, by name. Raises SignInFailed where one is missing."""
        found = {}
        for name, path in self._take.items():
            value = plain(path(whole))
            if not value or len(value) > _LONGEST_TAKEN:
                raise SignInFailed(f"{what}: an answer without {name}")
            found[name] = value
        return found


class _Refusal:
    """By what an answer is known for a refusal."""

    def __init__(self, at: Cursor) -> None:
        self.fits: Test = read_condition(at.get("when")) or (lambda part, whole: False)
        reason = at.get("reason")
        self._reason = read_composed(reason) if reason is not None else Composed(("refused",))
        self.verdict = at.text_at("verdict", "retry")

    def error(self, what: str, whole: Any) -> SignInRefused | SignInFailed:
        reason = f"{what}: {cut(self._reason.say(whole, whole, _LONGEST_REASON)) or 'refused'}"
        return SignInRefused(reason) if self.verdict == "auth_failed" else SignInFailed(reason)


def _encoded(value: str) -> str:
    """A value for one segment of a URL's path, or one of its query. Raises Unfillable where it would be another path."""
    if value in (".", ".."):
        raise Unfillable("a name of dots alone, which no URL can have")
    return quote(value, safe="", errors="replace")


def refusal_of(template: Template, url: str, hosts: Hosts) -> str:
    """Why the template, filled, may not be connected to; a host that was put together isn't told: it may be anything."""
    is_fixed = len(template.pieces) == 1 or _FIXED_HOST.match(template.pieces[0]) is not None
    return hosts.refusal(url, "" if is_fixed else "the host that was put together")


_Templates = tuple[tuple[str, Template], ...]


def _read_all(at: Cursor | None, names: Names) -> _Templates:
    if at is None:
        return ()
    return tuple((entry.key.text, read_template(entry, names)) for entry in at.entries() if entry.key)


def read_headers(at: Cursor | None, names: Names) -> _Templates:
    """Headers, whose names are those of headers, and of none that are the connection's own."""
    for entry in at.entries() if at is not None else ():
        name = entry.key.text if entry.key is not None else ""
        if not (name and _HEADER_NAME.issuperset(name)):
            entry.refuse_key("not the name of a header")
        elif name.lower() in _OWN_HEADERS or name.lower().startswith("proxy-"):
            entry.refuse_key(f"the header {name} is the connection's own")
    return _read_all(at, names)


def fill_headers(headers: _Templates, scope: Scope) -> Mapping[str, str]:
    """Raises Unfillable for a value that no header can have."""
    filled = {name: template.fill(scope) for name, template in headers}
    for name, value in filled.items():
        if not (value.isascii() and value.isprintable()):
            raise Unfillable(f"the header {name} would hold what no header can")
    return filled
