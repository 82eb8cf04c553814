"""What the page's screens are made of, without a daemon: a snapshot as it is given, and a small database."""

import re
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import structs

from support.measured import measured
from tocsin.alerts.silences import Silences
from tocsin.alerts.wording import Names, Style
from tocsin.control.snapshot import Snapshot
from tocsin.page.live import Versions
from tocsin.page.rendering import Renderer
from tocsin.page.screen import Asked, Screen
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m"
"""What a venue, or a service, may call anything."""
ROOT = "/below"


def snapshot(*, measures: dict[str, Any] | None = None, **other: Any) -> Snapshot:
    """Of a daemon that is well and knows nothing; `measures` by their names."""
    nothing: dict[str, Any] = {
        "measures": structs.replace(measured(), **(measures or {})),
        "entities": {},
        "away": {},
        "alerts": (),
        "closest": (),
        "watched": 0,
        "nearest": {},
        "trails": {},
        "rates": {},
        "changes": {},
        "silences": Silences(),
        "outages": {},
        "shut": frozenset(),
    }
    return Snapshot(**{**nothing, **other})


class FakeHost:
    """As much of a daemon as a screen asks for: what is given, by its name."""

    def __init__(self, **given: Any) -> None:
        self.style = Style(names=Names(), tz=ZoneInfo("Europe/Prague"))
        self.rules_seen = running()
        self.actions = lambda: {"paused": "", "actions": []}
        self.__dict__.update(given)

    async def preview(self, _deliveries: Any) -> None:
        """No more is known of what waits."""


def running(rules: Collection[str] = (), venues: Collection[str] = ()) -> Any:
    """As `rules_seen`, where no more is asked than what there is."""
    of = SimpleNamespace(rules=[SimpleNamespace(id=name) for name in rules], venues=dict.fromkeys(venues))
    return SimpleNamespace(settings=of)


async def at_once(query: Any) -> Any:
    """In the place of a thread."""
    return query()


def asked(
    folder: Path,
    now: Snapshot | None = None,
    *,
    path: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    **host: Any,
) -> Asked:
    """What a screen's data is made of; the database lies in `folder`, `host` is what the daemon answers."""
    so = now or snapshot()
    return Asked(
        snapshot=so,
        versions={},
        host=FakeHost(**host),
        reader=Reader(folder / DATABASE),
        in_thread=at_once,
        path=path or {},
        query=query or {},
    )


def asked_now(folder: Path, versions: Versions) -> Asked:
    """What somebody asks for at this moment, as a route makes it."""
    return asked(folder, versions.refresh(at_once=True))._replace(versions=versions.newer({}))


async def page_of(screen: Screen, of: Asked, here: str | None = None) -> str:
    """The screen as HTML, which is sound: see `refuse_unsound`."""
    renderer = Renderer(ROOT)
    html = (await renderer.screen(screen, of, here or screen.path, person="Anna")).html.decode()
    refuse_unsound(html)
    return html


def refuse_unsound(html: str) -> None:
    """AssertionError where a page has what our CSP forbids, leaves tags open, or where a hostile text became markup."""
    _Tags.check(html)
    assert "<img" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html


def text_of(html: str) -> str:
    """What is read of it, with single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


class _Tags(HTMLParser):
    """Each tag that is opened is closed, in its order."""

    _VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})
    _DRAWN = frozenset({"path", "circle", "rect", "line", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    @classmethod
    def check(cls, html: str) -> None:
        tags = cls()
        tags.feed(html)
        tags.close()
        assert tags.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert "style" not in names, attrs
        assert not [name for name in names if name.startswith("on")], attrs
        assert len(names) == len(set(names)), attrs
        assert tag != "script" or dict(attrs).get("src"), "inline script"
        assert tag != "style"
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self._DRAWN | self._VOID, tag
        assert "style" not in dict(attrs), attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.open[-3:])
