"""A channel's settings, a rendered message, and the outcome of a try to send it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from tocsin.alerts.wording import Marks
from tocsin.engine.api import Severity
from tocsin.quantities import Duration, SecretText


class ChannelSettings(BaseModel):
    """A channel of the config. A bare URL there is the short form of `{urls: [URL]}`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    urls: tuple[SecretText, ...] = Field(
        min_length=1, description="Apprise URLs; each gets its own copy of a message"
    )
    fallback: str | None = Field(None, description="the channel that is told when this one can't be")
    rate: str | None = Field(
        None, pattern=r"^[1-9][0-9]{0,4}/(s|min|h)$", description="at most so many messages: 20/min"
    )
    min_severity: Severity = Field("info", description="nothing below this goes here")
    send_resolved: bool = Field(True, description="whether the end of an alert is told here")
    marks: Marks = Field(
        "emoji", description="what stands before a title: emoji, or text (CRITICAL, WARNING, INFO, OK, ENDED)"
    )
    expire: Duration = Field(timedelta(hours=24), description="give up on a message after so long")


class Message(Struct, frozen=True, kw_only=True):
    """A rendered notification, ready for any service: plain text, no markup, control characters removed."""

    title: str
    body: str
    severity: Severity
    delivery_id: str
    resolved: bool = False  # it is over: the services that colour their messages show it green


class Outcome(Struct, frozen=True, kw_only=True):
    """What the service answered, in its words with secrets masked. `permanent`: trying again can't help.

    `refused`: of the URL's recipients some refused for good, and others may still be reached: what those answered.
    `moved`: chats that have another id since, former id to present one.
    """

    sent: bool
    answer: str
    permanent: bool = False
    retry_after: float | None = None  # seconds
    refused: tuple[str, ...] = ()
    moved: Mapping[str, str] = {}


class Sender(Protocol):
    """One URL of one channel. `send` never raises for what the outside does; it takes at most its own deadline."""

    name: str  # safe to show

    async def send(self, message: Message) -> Outcome: ...
