"""An action of the config, and what came of a try to perform it."""

import re
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tocsin.quantities import Duration, SecretText, duration_text
from tocsin.secrets import Masker, Secret

_RATE = r"^([1-9][0-9]{0,4})/(min|h|d)$"
_LENGTHS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_OUTPUT = 4096  # bytes that are kept of what an action answered


def _rate(value: Any) -> Any:
    if value is not None and not re.fullmatch(_RATE, str(value)):
        raise ValueError("not so many runs in a time; write it like 5/h, 1/min or 20/d")
    return value


def _address(value: Any) -> Any:
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str):
        raise ValueError("must be a URL")
    if "{{" in text or "{%" in text:
        raise ValueError("the URL is no template; what happened is in the body")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text:
        raise ValueError("not a URL; write it like https://example.com/hook")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("would go unencrypted to another machine; write https://")
    return value


def _program(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and "{" in str(value[0]):
        raise ValueError("the program itself can't be a template: venues' texts must not choose what is run")
    if isinstance(value, str):
        raise ValueError(
            'must be a list of arguments, which no shell sees: ["/usr/local/bin/page", "{{ symbol }}"]'
        )
    return value


class Confirm(BaseModel):
    """Who is asked before an action is run."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, title="Confirm")

    on: str = Field(description="the channel that is asked; its `answers` says who may")
    within: Duration = Field(
        timedelta(minutes=10),
        gt=timedelta(0),
        le=timedelta(hours=24),
        description="so long, from when the channel took the question, somebody can answer",
    )


def _short_confirm(value: Any) -> Any:
    return {"on": value} if isinstance(value, str) else value


class ActionSettings(BaseModel):
    """An action: a webhook or a command."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True, title="Action"
    )

    webhook: Annotated[SecretText, BeforeValidator(_address)] | None = Field(
        None, description="a URL that gets a POST with JSON; http on loopback only, redirects aren't followed"
    )
    secret: SecretText | None = Field(None, description="signs the webhook: X-Tocsin-Signature")
    command: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_program)] | None = Field(
        None,
        description="a program and its arguments, which may be templates; never through a shell",
        examples=[["/usr/local/bin/page", "--", "{{ symbol }}"]],
    )
    timeout: Duration | None = Field(
        None, gt=timedelta(0), description="how long it may take; 10s for a webhook, 30s for a command"
    )
    max_age: Duration = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        description="not started, or tried again, so long after what it is about",
    )
    rate: Annotated[str | None, BeforeValidator(_rate)] = Field(
        None, pattern=_RATE, description="at most so many runs: 5/h"
    )
    confirm: Annotated[Confirm | None, BeforeValidator(_short_confirm)] = Field(
        None,
        description="run only when somebody says so: a channel whose `answers` may, or {on: phone, within: 10m}",
        examples=[{"on": "phone", "within": "10m"}],
    )
    dry_run: bool = Field(False, strict=True, description="only record what would be run")

    @model_validator(mode="after")
    def _one_of_both(self) -> "ActionSettings":
        if (self.webhook is None) == (self.command is None):
            raise ValueError("an action is either a webhook or a command")
        if self.secret is not None and self.webhook is None:
            raise ValueError("`secret` signs a webhook; a command gets none")
        return self

    @property
    def time_limit(self) -> float:
        """Seconds."""
        default = 10.0 if self.webhook is not None else 30.0
        return self.timeout.total_seconds() if self.timeout is not None else default

    @property
    def limit(self) -> tuple[int, timedelta] | None:
        """How many runs in which time."""
        found = re.fullmatch(_RATE, self.rate or "")
        return (int(found[1]), _LENGTHS[found[2]]) if found else None


class Result(Struct, frozen=True, kw_only=True):
    """What came of one try. `result` in short (`200`, `exit 1`), `output` the first of what was printed or answered, `reason` why it is no success. `again`: another try may succeed."""

    ok: bool
    result: str = ""
    output: str = ""
    reason: str = ""
    again: bool = False


class Refused(Exception):
    """It can't be performed as it is written, for this alert. The message is fit to be shown."""


def address(webhook: Secret) -> str:
    """As much of a webhook's URL as may be shown: the rest may be secret."""
    parts = urlsplit(webhook.reveal())
    return f"POST {parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def described(action: ActionSettings, masker: Masker) -> dict[str, Any]:
    """What it does and how often it may, JSON-able; without secrets."""
    return {
        "does": address(action.webhook)
        if action.webhook is not None
        else [*map(masker.mask, action.command or ())],
        "rate": action.rate,
        "max_age": duration_text(action.max_age),
        "confirm": action.confirm.on if action.confirm is not None else None,
        "dry_run": action.dry_run,
    }
