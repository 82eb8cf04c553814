"""What an adapter is: the pure description of one venue. The feed does all the I/O that it asks for.

An adapter has no memory, reads no clock and opens no socket: given its settings and a session it says what to
connect to and what to say there; given a message it says what it means. Sign-in and snapshots, which need HTTP, are
generators that yield requests and are sent the responses, so that they can be tested by handing them answers.
"""

from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, Field

from tocsin.errors import TocsinError
from tocsin.events import Observed
from tocsin.quantities import Duration, Size
from tocsin.secrets import Secret


class Malformed(TocsinError):
    """A message that is not what the venue documents: not JSON, the wrong shape, too deep. Told as venue.malformed."""


class SignInRefused(TocsinError):
    """The venue refused these credentials: tried again only after minutes. The text holds the venue's words.

    `remedy` is what the user should do, with `{venue}` for the venue's name: `run: tocsin login {venue}`.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def remedy_for(self, venue: str) -> str:
        """The remedy for the venue that has this name in the config; empty where there is none to tell."""
        return self.remedy.replace("{venue}", venue)


class SignInFailed(TocsinError):
    """Sign-in didn't work this time (the venue's fault, or too early): tried again with back-off."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


# ---------------------------------------------------------------------------------------------------- HTTP, described


class HttpRequest(Struct, frozen=True, kw_only=True):
    """One request that the feed is to make. At most one of `form`, `json` and `content` is given.

    `spends`: it uses up a stored refresh token, so the feed tries before whether its successor could be stored.
    `secrets`: values that were made or taken for it, which are hidden before it is sent: an answer may repeat them.
    """

    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    json: Any = None
    content: bytes | None = None
    spends: bool = False
    secrets: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Method, scheme, host and port; the URL's other parts may hold secrets."""
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return self.method
        return f"{self.method} {parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class HttpResponse(Struct, frozen=True, kw_only=True):
    """What came back; header names are lower case. A response of any status is one: the adapter judges it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Keep(Struct, frozen=True):
    """Store these values for the next sign-in, before anything else happens. They replace those stored before."""

    values: Mapping[str, str]


class Pause(Struct, frozen=True):
    """Wait so long (seconds) before going on; `why` is shown to the user."""

    seconds: float
    why: str


class Session(Struct, frozen=True, kw_only=True):
    """What sign-in gave. `token` and `values` may be secret, but for the `values` that `plain` names; `renew_at` (UTC) is
    when a new one is due, if ever.
    """

    token: str | None = None
    renew_at: datetime | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()


SignIn: TypeAlias = Generator[HttpRequest | Keep | Pause, HttpResponse | None, Session]


# ------------------------------------------------------------------------------------------- sockets, what to say there


class Request(Struct, frozen=True, kw_only=True):
    """What is sent when a socket is open. `name` is what `Accepted` and `Refused` call it.

    `answered`: an answer is awaited (10 s). Without one a `required` request (an auth message) makes the connection a
    failed one; any other is `venue.refused` and the rest goes on. `market_data`: its pushes come all the time, so
    their absence is a silence.
    """

    name: str
    text: str
    answered: bool = True
    required: bool = False
    market_data: bool = False


class Ping(Struct, frozen=True):
    """A text that the venue wants to hear every so many seconds, besides the protocol's own pings.

    Where those are off, something must have come within `every` after each, else the link is dead.
    """

    text: str
    every: float


class Endpoint(Struct, frozen=True, kw_only=True):
    """One socket to hold. The scheme of `url` decides: ws, wss; or tcp, tls with CRLF-framed lines.

    `url` may hold secrets. `origin` None leaves the header out, "" sends it empty.
    """

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None
    opening: tuple[Request, ...] = ()
    market_data: bool = False
    follow_redirect: bool = False  # once, to the same host
    ping: Ping | None = None


# ----------------------------------------------------------------------------------------------- what a message means


class Reply(Struct, frozen=True):
    """The venue expects this text back (an application-level pong)."""

    text: str


class Accepted(Struct, frozen=True):
    """The venue acknowledged the request of that name."""

    request: str


class Refused(Struct, frozen=True):
    """The venue refused the request of that name ("" = it didn't say which), with its words.

    `verdict`: `refused` (this stream only), `auth_failed` (the credentials), `retry` (their fault: connect again).
    """

    request: str
    reason: str
    verdict: Literal["refused", "auth_failed", "retry"] = "refused"


class Control(Struct, frozen=True):
    """Understood, and of no interest: a greeting, a pong. What is `private` isn't kept in recordings either."""

    private: bool = False


class Unrecognized(Struct, frozen=True):
    """Well-formed, but of a type that we don't know: told as venue.unrecognized, never dropped."""

    reason: str


class Unreadable(Struct, frozen=True):
    """A part of a message that can't be read, while the rest of it counts.

    A field, which is missing then: told as venue.unrecognized. Or (`row`) an element of a list, which is left out: told
    as venue.malformed, since what it was about isn't known. Told once an hour for each `part`, which names the message
    type and the field in our words, never in the venue's: `order.stop_price`.
    """

    part: str
    reason: str
    row: bool = False


Snapshot: TypeAlias = Generator[HttpRequest, HttpResponse, list[Observed | Unreadable]]
Item: TypeAlias = Observed | Reply | Accepted | Refused | Control | Unrecognized | Unreadable


class Decoded(Struct, frozen=True, gc=False):
    """The meaning of one message, in order. `stream` is the Request (or Endpoint) name it was pushed for, if known."""

    items: tuple[Item, ...]
    stream: str | None = None


# ------------------------------------------------------------------------------------------------------------ settings


class VenueSettings(BaseModel):
    """What every venue can be told in the config; each adapter adds its own in a subclass.

    Secrets arrive as `Secret`. Validators raise ValueError with a text fit to be shown and without the value.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    type: str
    url: str = Field(description="where to connect")
    silent_after: Duration | None = Field(
        None, description="no data for so long is venue.silent; else each stream is judged by its own pauses"
    )
    connect_timeout: Duration = Field(timedelta(seconds=10), description="a connection must stand by then")
    ping_every: Duration | None = Field(
        timedelta(seconds=20),
        description="pings; the link is dead when a pong is missing for as long again; null: none, where a server answers none",
    )
    max_message_size: Size = Field(4 << 20, description="a larger message closes the connection")
    origin: str | None = Field(None, description='the Origin header; "" sends it empty, null leaves it out')
    headers: dict[str, str] = Field({}, description="further headers of the handshake")
    tls_ca: str | None = Field(None, description="a file with a further certificate authority")
    plaintext: bool = Field(False, description="lets URLs without TLS go to other machines")
    record: bool = Field(
        False, description="keeps every raw message in files, recordings/NAME.jsonl in state_dir"
    )
    record_size: Size = Field(
        512 << 20,
        ge=1 << 20,
        description="so much of them is kept, in files of an eighth of it; the oldest go",
    )

    def secrets_given(self) -> list[str]:
        """The names of the options that hold a secret."""
        return [name for name in type(self).model_fields if isinstance(getattr(self, name), Secret)]

    def addresses(self) -> dict[str, str]:
        """The URLs that it was given, by the dotted names of their options."""
        names = [name for name in type(self).model_fields if name == "url" or name.endswith("_url")]
        return {name: value for name in names if isinstance(value := getattr(self, name), str)}

    def plaintext_urls(self) -> list[str]:
        """The names of URL options that would go unencrypted to another machine: an error unless `plaintext`."""
        return [name for name, url in self.addresses().items() if not _private(url)]


def _private(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("wss", "https", "tls") or parts.hostname in ("localhost", "127.0.0.1", "::1")


class HostRule(Protocol):
    """Which hosts a venue may be connected to, where not everything that says so is trusted. Pure."""

    def refusal(self, url: str) -> str:
        """Why this URL may not be connected to; "" where it may. Of an address in place of a name this alone decides."""
        ...

    def refusal_of_address(self, host: str, port: int, address: str) -> str:
        """Why not to this address at that port, which the host's name was found to stand for; "" where it may."""
        ...


class Described(Protocol):
    """What a description says of itself: to which hosts it may connect, and how far it was tried (`documents`, `stand-in`, `live`)."""

    @property
    def hosts(self) -> tuple[str, ...]: ...
    @property
    def tried(self) -> str: ...
    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def wants(self) -> Mapping[str, tuple[bool, str]]:
        """What the config has to give, by name: whether it is secret, and what it is."""
        ...


class Adapter(Protocol):
    """One venue type, to be inherited from. Its instance is `ADAPTER` in the `adapter.py` of a package that `registry.py` names."""

    name: str
    """The word that `type:` has in the config: `yourfintech`."""
    summary: str
    """One line for `tocsin venues`."""
    settings: type[VenueSettings]
    """The options this venue takes."""
    supplies: Mapping[str, frozenset[str]]
    """Kind -> the fields that this venue can give, derived ones included; `check` warns about rules on others."""
    hosts: HostRule | None = None
    """What each request and each socket is held to, wherever its URL comes from; no redirect is followed then. None: nothing."""
    description: Described | None = None
    """Where the venue is described in YAML: what its description says of itself."""
    polled: bool = False
    """The server closes after each snapshot; the feed connects again every `settings.poll` (then a timedelta)."""

    def configured(self, settings: Any) -> "Adapter":
        """The adapter of one configured venue: itself, as here, or one of its own where its settings say what messages mean."""
        del settings
        return self

    def sign_in(self, settings: Any, kept: Mapping[str, str], now: datetime) -> SignIn:
        """Get a session. `kept` is what an earlier sign-in's `Keep` stored. Raises SignInRefused or SignInFailed.

        A stored value that equals the token of a session which the venue refused at the door is left out of `kept`.
        """
        ...

    def endpoints(self, settings: Any, session: Session) -> tuple[Endpoint, ...]:
        """The sockets to hold with this session."""
        ...

    def decode(self, message: str, received: datetime) -> Decoded:
        """What one message means. Raises Malformed; any other exception is a bug of ours."""
        ...

    def snapshot(
        self, settings: Any, session: Session, now: datetime, since: datetime | None
    ) -> Snapshot | None:
        """The venue's REST snapshot after a connect; None, as here, where its documents name none.

        `now` is for signatures. `since` is when the venue was last heard before this connection, None at first. Both UTC.
        """
        del settings, session, now, since
        return None

    def ask(
        self, settings: Any, session: Session, known: Any, account: str | None, now: datetime
    ) -> Snapshot | None:
        """What became of one order or position that a full snapshot no longer has; `known`: an `Order` or `Position`, as last seen.

        None, as here, where the venue can't be asked; an answer without an observation of that id: it knows nothing of it.
        """
        del settings, session, known, account, now
        return None
