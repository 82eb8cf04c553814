"""What a screen is: parts, each of which is plain data made of what is so and what was, and a template that shows it.

    /alerts              the whole screen, as HTML               /alerts?part=history     one part, to be put in its place
    /api/alerts-screen   the data of all parts, as JSON

HTML and JSON tell the same, because the one is made of the other.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

from tocsin.alerts.decide import MuteReasons
from tocsin.alerts.wording import Style
from tocsin.config.settings import Settings
from tocsin.control.server import Controlled
from tocsin.control.snapshot import Point, Snapshot, Watched, WatchedRule
from tocsin.engine.rule import Rule
from tocsin.errors import TocsinError
from tocsin.store.reader import Reader

Json: TypeAlias = dict[str, Any]
_T = TypeVar("_T")


class RulesSeen(Protocol):
    """How it stands with single rules."""

    @property
    def settings(self) -> Settings:
        """The config that runs."""
        ...

    async def watched(self, rule: str, most: int) -> WatchedRule:
        """What a rule that lasts is about, `most` of it: what fires first, then what is nearest to its limit. Of one on events, or that
        doesn't run, nothing.
        """
        ...

    def mute_reasons(self, rule: Rule, about: Watched | None) -> MuteReasons:
        """What would hold a message of the rule back now, whatever the channel: one about that, or (None) any."""
        ...

    def holds(self, channel: str, told: str, severity: str) -> str:
        """What on a channel holds what is told (`firing`, say) of a severity now, in words; "" for nothing."""
        ...


class Host(Controlled, Protocol):
    """What the page asks of the daemon."""

    def snapshot(self) -> Snapshot:
        """What is so now; the same one when asked again at once."""
        ...

    def equity(self, venue: str, account: str) -> Sequence[Point]:
        """What an account was worth in the last 48 hours, a point a minute, the oldest first."""
        ...

    def trail(self, rule: str, instance: str) -> Sequence[Point]:
        """How the number of an instance that is pending or fires went, from half an hour before it on; empty where it has none."""
        ...

    def urls_hash(self, channel: str) -> str | None:
        """By what `try_channel` knows a channel's URLs; None: none is called that."""
        ...

    async def tell(self, event: str, reason: str, subject: str | None = None) -> None:
        """An event of ourselves, for the rules."""
        ...

    def channels(self) -> list[Json]:
        """Each channel with what is behind its URLs, the use of their rates and their last answers (`app.shown.channels`); no secrets."""
        ...

    def about(self) -> Json:
        """Config, retention, who listens and heartbeats (`app.shown.about`); no secrets."""
        ...

    @property
    def style(self) -> Style:
        """The names, links and time zone of people."""
        ...

    @property
    def rules_seen(self) -> RulesSeen: ...


class NoSuch(TocsinError):
    """There is nothing of that id. The text is fit to be shown; `near` are what may have been meant: names and paths."""

    def __init__(self, text: str, near: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.near = near


class Several(NoSuch):
    """What is asked for could be each of those in `near`."""


class Elsewhere(TocsinError):
    """What is asked for is the same screen's with these parameters of its address."""

    def __init__(self, **path: str) -> None:
        super().__init__(" ".join(path.values()))
        self.path = {name: quote(text, safe="") for name, text in path.items()}


class InThread(Protocol):
    """Runs what blocks."""

    async def __call__(self, query: Callable[[], _T]) -> _T: ...


class Asked(NamedTuple):
    """What a part's data is made of. `versions`: of each topic, as the snapshot has it. `path` are the parameters of the address, `query` the
    first value of each behind it.
    """

    snapshot: Snapshot
    versions: Mapping[str, int]
    host: Host
    reader: Reader
    in_thread: InThread
    path: Mapping[str, str]
    query: Mapping[str, str]

    @property
    def now(self) -> datetime:
        return self.snapshot.measures.now

    @property
    def style(self) -> Style:
        return self.host.style


class Part(NamedTuple):
    """One part: the topics whose news change it, beside the config, and its data. NoSuch where there is none; StoreUnavailable."""

    topics: tuple[str, ...]
    data: Callable[[Asked], Awaitable[Json]]


class Screen(NamedTuple):
    """A screen at `path`, with `templates/NAME/screen.html` and beside it a template for each part; `nav` is its place in the navigation.

    `api`: where its data are asked for. `still`: what `screen.html` shows by itself, outside of the parts, which are live: a filter's
    text, the fields of a form. NoSuch; StoreUnavailable. `find` is asked before anything is made: NoSuch, or Elsewhere for what has
    another address.
    """

    name: str
    path: str
    nav: str
    api: str
    parts: Mapping[str, Part]
    still: Callable[[Asked], Awaitable[Json]] | None = None
    find: Callable[[Asked], Awaitable[None]] | None = None
