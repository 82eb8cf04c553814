"""Making the HTTP requests that adapters describe: bounded in time and size, no redirect followed."""

import logging
import zlib

import httpx
import trio

from tocsin.feed.errors import ConnectFailed, HttpFailed
from tocsin.feed.transport import in_words, tls_context
from tocsin.venues.base import HttpRequest, HttpResponse

_MOST_BODY = 4 << 20  # bytes of one answer
_ANY_HEADER = 32  # zlib's word for gzip's or its own
_REST_WITHIN = 5.0  # seconds for the rest of an answer once it has begun

# At INFO and below they print URLs with all that is in the query, such as tickets and signatures.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Http:
    """Makes requests, each on a connection of its own, directly: no proxy, no .netrc (sockets don't use them either)."""

    def __init__(self, tls_ca: str | None, within: float) -> None:
        self._tls_ca = tls_ca
        self._within = within

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status. HttpFailed where none came in time, or one too large.

        Once an answer has begun it is read to its end even if the task is cancelled: it may hold a refresh token that
        exists nowhere else.
        """
        try:
            with trio.fail_after(self._within) as scope:
                return await self._make(request, scope)
        except trio.TooSlowError:
            raise HttpFailed(f"{_shown(request)}: no answer within {self._within:g} s") from None
        except ConnectFailed as error:
            raise HttpFailed(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HttpFailed(f"{_shown(request)}: {in_words(error)}") from error

    async def _make(self, request: HttpRequest, scope: trio.CancelScope) -> HttpResponse:
        encrypted = request.url.startswith("https:")
        tls = tls_context(self._tls_ca, "http") if encrypted else None
        async with (
            httpx.AsyncClient(
                verify=tls or False,  # without TLS there is nothing to verify, and no CA store to load
                follow_redirects=False,
                timeout=httpx.Timeout(None),  # `scope` bounds the whole
                trust_env=False,
            ) as client,
            client.stream(
                request.method,
                httpx.URL(request.url).copy_merge_params(dict(request.query)),
                headers={"accept-encoding": "identity", **request.headers},
                data=None if request.form is None else dict(request.form),
                json=request.json,
                content=request.content,
            ) as response,
        ):
            scope.shield = True
            scope.deadline = min(scope.deadline, trio.current_time() + _REST_WITHIN)
            body = bytearray()
            with trio.CancelScope() as enough:
                async for chunk in response.aiter_raw():
                    body += chunk
                    # Of many in one read: others have a turn.
                    await trio.lowlevel.cancel_shielded_checkpoint()
                    if len(body) > _MOST_BODY:
                        enough.cancel()  # an error raised here would leave generators further down unfinished
            if enough.cancelled_caught:
                raise HttpFailed(f"{_shown(request)}: an answer larger than {_MOST_BODY} bytes")
            packed = response.headers.get("content-encoding", "identity")
            if packed != "identity":
                body = _unpacked(bytes(body), packed, request)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(status=response.status_code, headers=headers, body=bytes(body))


def _unpacked(body: bytes, how: str, request: HttpRequest) -> bytearray:
    """The body of an answer that is compressed unasked: it may hold a token that comes once. Raises HttpFailed."""
    if how not in ("gzip", "deflate"):
        raise HttpFailed(f"{_shown(request)}: an answer compressed as {how[:20]!r}, which was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | _ANY_HEADER)
    try:
        plain = bytearray(unpacker.decompress(body, _MOST_BODY))
    except zlib.error:
        raise HttpFailed(f"{_shown(request)}: a compressed answer that can't be unpacked") from None
    if not unpacker.eof:
        raise HttpFailed(
            f"{_shown(request)}: a compressed answer that is torn, or larger than {_MOST_BODY} bytes"
        )
    return plain


def _shown(request: HttpRequest) -> str:
    """Method and URL without the query, which may hold secrets."""
    return f"{request.method} {request.url.partition('?')[0]}"
