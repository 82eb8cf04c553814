"""What a phone needs to know to put the page on its home screen: https://www.w3.org/TR/appmanifest/"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tocsin.page import assets

MANIFEST = "/manifest.webmanifest"
_ICONS = {"icon.svg": ("any", "image/svg+xml"), "icon-180.png": ("180x180", "image/png"), "icon-512.png": ("512x512", "image/png")}  # fmt: skip


def manifest_route(url: Callable[[str], str]) -> Route:
    """`url` makes the link to one of our paths. Browsers ask for it without saying who they are."""

    async def manifest(_request: Request) -> Response:
        says = {
            "name": "Tocsin",
            "short_name": "Tocsin",
            "description": "What fires, and what was told",
            "id": url("/"),
            "start_url": url("/"),
            "scope": url("/"),
            "display": "standalone",
            "background_color": "#ffffff",
            "theme_color": "#ffffff",
            "icons": [
                {"src": url(assets.path(name)), "sizes": sizes, "type": kind}
                for name, (sizes, kind) in _ICONS.items()
            ],
        }
        return JSONResponse(says, media_type="application/manifest+json")

    return Route(MANIFEST, manifest, methods=["GET"])
