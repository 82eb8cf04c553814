"""From a part's data to bytes: the templates and what they can use; each part is made once a version, for all who look."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
import trio
from markupsafe import Markup

from tocsin import __version__
from tocsin.alerts.plain import shown
from tocsin.alerts.wording import counted, without_mark
from tocsin.page import assets, charts, words
from tocsin.page.alert_chart import alert_chart, thinned
from tocsin.page.render_cache import RenderCache
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.page.status import STATUS
from tocsin.store.errors import StoreError

_COMPRESSION = 5
_PAGES = (
    ("overview", "/", "Overview"),
    ("alerts", "/alerts", "Alerts"),
    ("rules", "/rules", "Rules"),
    ("delivery", "/delivery", "Delivery"),
    ("silences", "/silences", "Silences"),
)
"""The navigation: as screens call it (`Screen.nav`), where it leads, and its word."""


class Rendered(NamedTuple):
    """A text for browsers, as UTF-8 and as gzip's of that."""

    html: bytes
    zipped: bytes

    @classmethod
    def of(cls, text: str) -> "Rendered":
        html = text.encode()
        return cls(html, gzip.compress(html, _COMPRESSION, mtime=0))


class _Kept(NamedTuple):
    """`mark` is this one's alone: by it an answer of several knows what it was made of, without holding that."""

    versions: tuple[int, ...]
    markup: Markup
    mark: object

    def is_older(self, versions: tuple[int, ...]) -> bool:
        return any(own < other for own, other in zip(self.versions, versions, strict=True))


def parts_of(screen: Screen) -> Mapping[str, Part]:
    """Also what stands above every screen. Names, time zone and links are in all of them, so that a reload makes each anew."""
    parts = {"status": STATUS, **screen.parts}
    return {name: part._replace(topics=(*part.topics, "config")) for name, part in parts.items()}


def environment() -> jinja2.Environment:
    """The templates; what they show of others is escaped."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("tocsin.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        grouped=words.grouped,
        signed=words.signed,
        tone=words.tone,
        shown=shown,
        span=words.span,
        seconds=words.seconds,
        per=words.per,
        size=words.size,
        row_id=words.row_id,
        severity_mark=words.severity_mark,
        via_words=words.via_words,
        yaml_line=words.yaml_line,
        counted=counted,
        without_mark=without_mark,
    )
    made.globals.update(
        meter=charts.meter,
        sparkline=charts.sparkline,
        equity_chart=charts.equity_chart,
        alert_chart=alert_chart,
        thinned=thinned,
        lasted=words.lasted,
        moment=words.moment,
        strip=charts.strip,
        spans=charts.spans,
        sentence=words.sentence,
        topic_html=_topic_html,
        static=assets.path,
        version=__version__,
        missing=words.MISSING,
        pages=_PAGES,
    )
    return made


def _topic_html(topic: str, url: Callable[[str], str]) -> Markup:
    """As of `prose.topic_html`."""
    from tocsin.page.prose import topic_html  # noqa: PLC0415 - who reads no help doesn't wait for its library

    return topic_html(topic, url)


class Renderer:
    """`root` is the path below which the page lies, without a slash at its end."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._environment = environment()
        self._cache = RenderCache()
        self._making: dict[tuple[str, ...], trio.Lock] = {}

    def url(self, path: str) -> str:
        """An address of ours, by its path below the page's own."""
        return f"{self._root}{path}"

    async def parts(self, screen: Screen, names: Sequence[str], asked: Asked, here: str) -> Rendered:
        """Some of `parts_of` the screen, each with the id of its place there. `here` is the screen's path and query."""
        found = [await self._fragment(screen, name, asked, here) for name in names]
        of, marks = ("parts", screen.name, here, *names), [each.mark for each in found]
        known: tuple[list[object], Rendered] | None = self._cache.get(of)
        if known is not None and known[0] == marks:
            return known[1]
        rendered = await asked.in_thread(lambda: Rendered.of("".join(each.markup for each in found)))
        self._cache.put(of, (marks, rendered), rendered.html, rendered.zipped)
        return rendered

    async def screen(self, screen: Screen, asked: Asked, here: str, **beside: Any) -> Rendered:
        """The whole screen. `beside`: what the frame shows of who looks."""
        found = {name: (await self._fragment(screen, name, asked, here)).markup for name in parts_of(screen)}
        still = await screen.still(asked) if screen.still is not None else {}
        template = self._environment.get_template(f"{screen.name}/screen.html")
        frame = {"firing": asked.snapshot.measures.firing, "nav": screen.nav, "parts": found}
        values = {**self._values(asked, here), **beside, **still, **frame}
        return await asked.in_thread(lambda: Rendered.of(template.render(values)))

    async def page(self, template: str, asked: Asked, here: str, **values: Any) -> Rendered:
        """A page that is no screen: a form, an error."""
        whole = {**self._values(asked, here), **values}
        made = self._environment.get_template(template)
        return await asked.in_thread(lambda: Rendered.of(made.render(whole)))

    def bare(self, template: str, **values: Any) -> Rendered:
        """A page for who isn't signed in: nothing of the daemon is in it."""
        made = self._environment.get_template(template)
        return Rendered.of(made.render(url=self.url, **values))

    async def _fragment(self, screen: Screen, name: str, asked: Asked, here: str) -> _Kept:
        part = parts_of(screen)[name]
        of = ("fragment", screen.name, here, name)
        lock = self._making.setdefault(of, trio.Lock())
        try:
            async with lock:
                # Those of the snapshot that it is made of: while one waits here there may be newer ones.
                versions = tuple(asked.versions.get(topic, 0) for topic in part.topics)
                kept: _Kept | None = self._cache.get(of)
                if kept is None or kept.is_older(versions):
                    kept = await self._made(screen, name, asked, here, versions)
                    self._cache.put(of, kept, kept.markup)
                return kept
        finally:
            if not lock.locked():  # by who waited for it
                self._making.pop(of, None)

    async def _made(
        self, screen: Screen, name: str, asked: Asked, here: str, versions: tuple[int, ...]
    ) -> _Kept:
        part = parts_of(screen)[name]
        folder = "frame" if name == "status" else screen.name
        try:
            data, template = await part.data(asked), f"{folder}/{name}.html"
        except StoreError as error:
            data, template = {"error": str(error)}, "frame/unavailable.html"
        values = {**self._values(asked, here), **data, "nav": screen.nav}

        def made() -> Markup:
            inner = Markup(self._environment.get_template(template).render(values))  # noqa: S704 - of our template
            frame = self._environment.get_template("frame/part.html")
            return Markup(frame.render(inner=inner, name=name, topics=part.topics))  # noqa: S704 - of our template

        return _Kept(versions, await asked.in_thread(made), object())

    def _values(self, asked: Asked, here: str) -> Json:
        style = asked.style
        today = asked.now.astimezone(style.tz).date()
        return {
            "url": self.url,
            "here": here,
            "now": asked.now,
            "style": style,
            "place": lambda venue, account=None: words.place(venue, account, style),
            "subject": lambda id_, symbol=None, account=None, *, whole=False: words.subject(
                id_, symbol, account, style, whole=whole
            ),
            **words.times(style.tz, today),
        }
