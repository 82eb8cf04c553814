"""A reverse proxy that speaks TLS: what it gets it sends on at once, below another path where it is told so.

await nursery.start(partial(trio.serve_ssl_over_tcp, partial(forward, backend=("127.0.0.1", 8080), strips=True), 0, tls))
"""

import re

import trio

PREFIX = "/tocsin"


async def forward(
    client: trio.SSLStream, *, backend: tuple[str, int], strips: bool, host: str | None = None
) -> None:
    """One request after the other would do for a browser; here one a connection. `strips`: the path below which the page lies is taken away."""
    async with client, await trio.open_tcp_stream(*backend) as behind:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (chunk := await _received(client)):
                return
            head += chunk
        line, rest = head.split(b"\r\n", 1)
        if strips:
            line = line.replace(f" {PREFIX}/".encode(), b" /", 1)
        if host is not None:
            rest = re.sub(rb"(?i)host: [^\r]*", f"Host: {host}".encode(), rest, count=1)
        said = b"X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n"
        await behind.send_all(line + b"\r\n" + said + re.sub(rb"(?i)connection: [^\r]*\r\n", b"", rest))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pump, behind, client, nursery.cancel_scope)
            nursery.start_soon(_pump, client, behind, None)


async def _received(client: trio.SSLStream) -> bytes:
    """Nothing of one that opened a connection and never asked."""
    try:
        return await client.receive_some()
    except trio.BrokenResourceError:
        return b""


async def _pump(
    source: trio.abc.ReceiveStream, target: trio.abc.SendStream, scope: trio.CancelScope | None
) -> None:
    try:
        async for chunk in source:
            await target.send_all(chunk)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    if scope is not None:
        scope.cancel()
