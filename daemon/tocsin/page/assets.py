"""The page's own files, and those of the libraries it uses: each under a path that names its content, so that browsers keep it.

assets.path("app.css")  -> /static/5f2c91d04b7a/app.css
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
_YEAR = 365 * 86400  # seconds
_HASH_SHOWN = 12  # hex digits


class Asset(NamedTuple):
    """One file. `zipped` is gzip's, empty where that is no shorter."""

    content: bytes
    zipped: bytes
    media_type: str
    hash: str


@cache
def _assets() -> dict[str, Asset]:
    found = {}
    for file in sorted(_FOLDER.rglob("*.*")):
        content = file.read_bytes()
        zipped = gzip.compress(content, mtime=0)
        found[file.relative_to(_FOLDER).as_posix()] = Asset(
            content,
            zipped if len(zipped) < len(content) else b"",
            _TYPES[file.suffix],
            hashlib.sha256(content).hexdigest()[:_HASH_SHOWN],
        )
    return found


def path(name: str) -> str:
    """Below the page's own address. KeyError where there is no such file."""
    return f"/static/{_assets()[name].hash}/{name}"


def takes_gzip(request: Request) -> bool:
    """Whether who asks can unpack gzip's."""
    return "gzip" in request.headers.get("accept-encoding", "")


async def asset(request: Request) -> Response:
    """Answers `/static/{hash}/{name:path}`; with another hash it is another version's, and isn't here."""
    found = _assets().get(request.path_params["name"])
    if found is None or found.hash != request.path_params["hash"]:
        return PlainTextResponse("there is no such file\n", 404, {"Cache-Control": "no-store"})
    headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable", "Vary": "Accept-Encoding"}
    if found.zipped and takes_gzip(request):
        return Response(
            found.zipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=found.media_type
        )
    return Response(found.content, headers=headers, media_type=found.media_type)
