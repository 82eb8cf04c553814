"""Making HTTP requests, bounded in time and size, no redirect followed: what adapters describe, and what is sent to people."""

import logging
import zlib
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import trio

from tocsin.errors import ConnectFailed, OutsideError
from tocsin.tls import in_words, tls_context
from tocsin.venues.base import HttpRequest, HttpResponse

_MOST_BODY = 4 << 20  # bytes of one answer
_ANY_HEADER = 32  # zlib's word for gzip's or its own
_REST_WITHIN = 5.0  # seconds for the rest of an answer once it has begun

# At INFO and below they print URLs with all that is in the query, such as tickets and signatures.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class HttpFailed(OutsideError):
    """An HTTP request got no usable answer. `why` is what happened, without the URL; `status` the answer's, where it had begun."""

    def __init__(self, request: HttpRequest, why: str, status: int | None = None) -> None:
        super().__init__(f"{request.shown}: {why}")
        self.why, self.status = why, status


class Http:
    """Makes requests, each on a connection of its own.

    `tls_ca`: a file or folder of CAs that are trusted beside the system's, by what users call the option. `proxies`: by
    way of the proxies that HTTPS_PROXY, ALL_PROXY and NO_PROXY say; else directly. Never with a .netrc.
    """

    def __init__(
        self, tls_ca: str | None, within: float, *, ca_option: str = "tls_ca", proxies: bool = False
    ) -> None:
        self._tls_ca, self._ca_option = tls_ca, ca_option
        self._within = within
        self._proxies = proxies

    async def __call__(self, request: HttpRequest, within: float | None = None) -> HttpResponse:
        """The answer, whatever its status. HttpFailed where none came in time (`within` seconds), or one too large.

        Once an answer has begun it is read to its end even if the task is cancelled: it may hold a refresh token that
        exists nowhere else.
        """
        within = self._within if within is None else within
        begun = _Begun()
        try:
            with trio.fail_after(within) as scope:
                return await self._make(request, scope, begun)
        except trio.TooSlowError:
            raise HttpFailed(request, f"no answer within {within:g} s", begun.status) from None
        except ConnectFailed as error:
            raise HttpFailed(request, str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise HttpFailed(request, in_words(error, self._ca_option), begun.status) from error
        except (ImportError, ValueError) as error:
            if not self._proxies:
                raise
            # From the client's own look at the environment: a kind of proxy that it doesn't speak.
            raise HttpFailed(request, f"the environment's proxy can't be used: {error}") from error

    async def _make(self, request: HttpRequest, scope: trio.CancelScope, begun: "_Begun") -> HttpResponse:
        plain = httpx.URL(request.url).scheme == "http"  # in lower case, however it is written
        tls = None if plain else tls_context(self._tls_ca, "http", self._ca_option)
        async with (
            httpx.AsyncClient(
                verify=tls or False,  # without TLS there is nothing to verify, and no CA store to load
                follow_redirects=False,
                timeout=httpx.Timeout(None),  # `scope` bounds the whole
                trust_env=self._proxies,
            ) as client,
            aclosing(await client.send(_as_sent(client, request), stream=True)) as response,
        ):
            begun.status = response.status_code
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
                raise HttpFailed(request, f"an answer larger than {_MOST_BODY} bytes", begun.status)
            packed = response.headers.get("content-encoding", "identity")
            if packed != "identity":
                body = _unpacked(bytes(body), packed, request, response.status_code)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpResponse(status=response.status_code, headers=headers, body=bytes(body))


class _Begun:
    """What is known of an answer before it is whole."""

    status: int | None = None


class _OnePiece(httpx.AsyncByteStream):
    """A request's body. httpx's own is an async generator, left unfinished where a send is cancelled or refused."""

    def __init__(self, body: bytes) -> None:
        self._pieces = iter([body])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


def _as_sent(client: httpx.AsyncClient, request: HttpRequest) -> httpx.Request:
    made = client.build_request(
        request.method,
        httpx.URL(request.url).copy_merge_params(dict(request.query)),
        headers={"accept-encoding": "identity", **request.headers},
        data=None if request.form is None else dict(request.form),
        json=request.json,
        content=request.content,
    )
    made.stream = _OnePiece(made.content)
    return made


def _unpacked(body: bytes, how: str, request: HttpRequest, status: int) -> bytearray:
    """The body of an answer that is compressed unasked: it may hold a token that comes once. Raises HttpFailed."""
    if how not in ("gzip", "deflate"):
        why = f"an answer compressed as {how[:20]!r}, which was not asked for"
        raise HttpFailed(request, why, status)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | _ANY_HEADER)
    try:
        plain = bytearray(unpacker.decompress(body, _MOST_BODY))
    except zlib.error:
        raise HttpFailed(request, "a compressed answer that can't be unpacked", status) from None
    if not unpacker.eof:
        why = f"a compressed answer that is torn, or larger than {_MOST_BODY} bytes"
        raise HttpFailed(request, why, status)
    return plain
