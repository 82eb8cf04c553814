"""Calls of a service's HTTP API that speaks JSON: httpx on trio, no thread, no redirect, a deadline; each answer judged."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import trio
from msgspec import Struct, structs

from tocsin.alerts.plain import flat
from tocsin.answers import parsed, retry_after
from tocsin.delivery.service_responses import LONGEST, Means, ServiceResponse, said
from tocsin.errors import ConnectFailed
from tocsin.http import Http, HttpFailed
from tocsin.secrets import Secret
from tocsin.tls import tls_context
from tocsin.venues.base import HttpRequest, HttpResponse

WITHIN = 15.0  # seconds for one call
# As `requests` reads them, which sends for Apprise; OpenSSL's own SSL_CERT_FILE and SSL_CERT_DIR hold, too.
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Answer(Struct, frozen=True):
    """What came of a call: `response` says what it means, `fields` is the answer's JSON object, empty where it is none."""

    response: ServiceResponse
    fields: Mapping[str, Any] = {}

    @property
    def accepted(self) -> bool:
        status = self.response.status
        return status is not None and 200 <= status < 300 and self.response.means == "accepted"

    def as_accepted(self, words: str) -> "Answer":
        """The same where what was refused is so already."""
        return Answer(structs.replace(self.response, status=200, text=words, means="accepted"), self.fields)

    def remarked(self, remark: str) -> "Answer":
        return Answer(structs.replace(self.response, text=f"{self.response.text} {remark}"), self.fields)


class WebApi:
    """`base` and the method's name make a call's URL. `means` judges an answer by status and body."""

    def __init__(
        self,
        base: Secret,
        means: Callable[[int, bytes], Means],
        headers: Mapping[str, Secret] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._base, self._means, self._headers = base, means, headers or {}
        self._ca = next((environ[name] for name in _CA_VARIABLES if environ.get(name)), None)
        self._http = Http(self._ca, WITHIN, ca_option="SSL_CERT_FILE", proxies=True)

    async def prepare(self) -> None:
        """Read what certificates are trusted, which takes a moment. What is wrong with them is told by the calls."""
        await trio.lowlevel.checkpoint()
        with suppress(ConnectFailed):
            tls_context(self._ca, "http")

    async def call(
        self, method: str, arguments: Mapping[str, Any], *, to: str | None = None, within: float = WITHIN
    ) -> Answer:
        """One call, about the recipient `to`. Raises nothing for what the outside does."""
        headers = {name: value.reveal() for name, value in self._headers.items()}
        request = HttpRequest(
            method="POST",
            url=self._base.reveal() + method,
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "Tocsin", **headers},
            content=json.dumps(arguments).encode(),
        )
        try:
            response = await self._http(request, within)
        except HttpFailed as failed:
            return Answer(
                ServiceResponse(how="http", status=None, text=flat(failed.why, LONGEST), about=to, to=to)
            )
        return _judged(response, self._means, to)


def _judged(response: HttpResponse, means: Callable[[int, bytes], Means], to: str | None) -> Answer:
    fields, meaning = parsed(response.body), means(response.status, response.body)
    # What was taken is answered with the message itself, which is of no use in a log.
    taken = meaning == "accepted" and 200 <= response.status < 300
    return Answer(
        ServiceResponse(
            how="http",
            status=response.status,
            text="ok" if taken else said(response.body) or _phrase(response.status),
            retry_after=retry_after(response.headers, response.body, datetime.now(UTC)),
            about=to,
            to=to,
            means=meaning,
        ),
        fields if isinstance(fields, dict) else {},
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
