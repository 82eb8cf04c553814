"""A channel's settings, a rendered message, and the outcome of a try to send it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.wording import Marks, Style
from tocsin.calendars import Window
from tocsin.engine.api import Severity
from tocsin.quantities import Duration, SecretText

EndTold: TypeAlias = Literal["reply", "edit", "never"]


def _window(value: Any) -> str:
    Window.parse(str(value))
    return str(value)


def _quiet_form(value: Any) -> str:
    return "windows" if isinstance(value, list | tuple) else "name"


def _hours_name(value: Any) -> str:
    if isinstance(value, dict):
        raise ValueError(
            '`open` reads as the contrary here: write when it is quiet as a list: ["22:00-07:00"]'
        )
    if not isinstance(value, str) or not value:
        raise ValueError('a calendar\'s name or a list of windows: quiet: ["22:00-07:00"]')
    return value


def _in_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) and ":" in value else value


QuietHours: TypeAlias = Annotated[
    Annotated[str, BeforeValidator(_hours_name), Tag("name")]
    | Annotated[tuple[Annotated[str, BeforeValidator(_window)], ...], Field(min_length=1), Tag("windows")],
    Discriminator(_quiet_form),
    BeforeValidator(_in_a_list),
]
"""A calendar's name, or windows of its own; one needs no list."""


_RATE, _STORM = r"^[1-9][0-9]{0,4}/(s|min|h)$", r"^([1-9][0-9]{0,4}/min|off)$"


def _rate(value: Any) -> Any:
    if value is not None and not re.fullmatch(_RATE, str(value)):
        raise ValueError("not so many messages in a time; write it like 20/min, 1/s or 100/h")
    return value


def _storm(value: Any) -> Any:
    if value is False:  # YAML's off
        return "off"
    if not re.fullmatch(_STORM, str(value)):
        raise ValueError("not so many alerts in a minute; write it like 30/min, or off")
    return value


class ChannelSettings(BaseModel):
    """A channel of the config. A bare URL there is the short form of `{urls: [URL]}`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    urls: tuple[SecretText, ...] = Field(
        min_length=1, description="Apprise URLs; each gets its own copy of a message"
    )
    fallback: str | None = Field(None, description="the channel that is told when this one can't be")
    rate: Annotated[str | None, BeforeValidator(_rate)] = Field(
        None, pattern=_RATE, description="at most so many messages: 20/min"
    )
    digest: Duration = Field(
        timedelta(0), description="what comes within that time goes as one message, critical alerts at once"
    )
    quiet: QuietHours | None = Field(
        None,
        description="while that calendar is open, or in these windows, all but critical alerts is held; then it goes as one message",
    )
    storm: Annotated[str, BeforeValidator(_storm)] = Field(
        "30/min",
        pattern=_STORM,
        description="over so many alerts in a minute go as one message a minute; off: never",
    )
    min_severity: Severity = Field("info", description="nothing below this goes here")
    resolved: EndTold = Field(
        "reply",
        description="the end of an alert: in reply to its message, which is edited too (services that can't: a message); edited only; or never",
    )
    send_resolved: bool = Field(
        True,
        description="false, an older spelling: `resolved: edit` where the service can edit, else `never`",
    )
    silent: tuple[Literal["critical", "warning", "info", "resolved"], ...] = Field(
        ("info", "resolved"),
        description="what makes no sound on the phone, where the service can say that: Telegram",
    )
    marks: Marks = Field(
        "emoji", description="what stands before a title: emoji, or text (CRITICAL, WARNING, INFO, OK, ENDED)"
    )
    answers: tuple[str, ...] = Field(
        (),
        description="names of `people` who may press buttons and ask here: Telegram's bots; nobody where nothing is said",
    )
    expire: Duration = Field(timedelta(hours=24), description="give up on a message after so long")

    @property
    def urls_hash(self) -> str:
        """Tells whether two processes mean the same URLs, and nothing of them."""
        return sha256("\n".join(url.reveal() for url in self.urls).encode()).hexdigest()

    @property
    def end_told(self) -> EndTold:
        """How the end of an alert is told where the service can edit."""
        return self.resolved if self.send_resolved else "edit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One URL of one channel, and what its task must know. `fallback` is (channel, how many URLs it has)."""

    name: str
    target: int
    settings: ChannelSettings
    style: Style
    gates: ChannelGates = field(default_factory=ChannelGates)
    fallback: tuple[str, int] | None = None


Ability: TypeAlias = Literal["edit", "reply", "buttons"]
Handle: TypeAlias = Mapping[str, tuple[str, str]]
"""A message where it was sent to: recipient as the URL names it -> the chat's id and the message's, as the service has them."""


class Button(Struct, frozen=True):
    """What a person can press below a message; `id` comes back then."""

    text: str
    id: str


class Message(Struct, frozen=True, kw_only=True):
    """A rendered notification, ready for any service: plain text, no markup, control characters removed.

    `resolved`: it is over; the services that colour their messages show it green. `ended`: by something else than the
    rule's own end condition. `acked`: it tells that somebody has it, which wakes nobody. `link`: the web address that
    people may want next, and `page`: where the page shows the alert; both are below the body. `silent`: the phone makes no sound, where the service can say that.
    `buttons` are rows of them.
    """

    title: str
    body: str
    severity: Severity
    delivery_id: str
    link: str | None = None
    page: str | None = None
    alert: str = ""
    resolved: bool = False
    ended: bool = False
    acked: bool = False
    silent: bool = False
    buttons: tuple[tuple[Button, ...], ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """Those that there are, in their order."""
        return tuple(each for each in (self.link, self.page) if each)


class Outcome(Struct, frozen=True, kw_only=True):
    """What the service answered, in its words with secrets masked. `permanent`: trying again can't help.

    `refused`: of the URL's recipients some refused for good, and others may still be reached: what those answered.
    `moved`: chats that have another id since, former id to present one. `handle`: by what the message can be edited or
    replied to. `gone`: there is no message to edit, or it can't be edited any more.
    """

    sent: bool
    answer: str
    permanent: bool = False
    retry_after: float | None = None  # seconds
    refused: tuple[str, ...] = ()
    moved: Mapping[str, str] = {}
    handle: Handle | None = None
    gone: bool = False


class Sender(Protocol):
    """One URL of one channel. Nothing here raises for what the outside does, or takes longer than its own deadline.

    What isn't sending is only asked of those who say that they `can`.
    """

    name: str  # safe to show
    can: frozenset[Ability] = frozenset()

    async def prepare(self) -> None:
        """Load what sending takes, so that the first message needn't wait."""
        return

    async def send(self, message: Message, handle: Handle | None = None) -> Outcome:
        """A new message, in reply to that of `handle`."""
        ...

    async def edit(self, handle: Handle, message: Message) -> Outcome:  # noqa: ARG002 - for those who can
        """Put `message` in the place of the one that was sent."""
        raise AssertionError(f"{self.name} doesn't say that it can edit")
