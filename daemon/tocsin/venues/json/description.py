"""What a description says, compiled: what to ask, what to say, and what messages mean."""

from collections.abc import Callable
from datetime import timedelta

from msgspec import Struct

from tocsin.document import Node
from tocsin.venues.base import Endpoint, Ping, Request
from tocsin.venues.json.messages import Messages, Picker
from tocsin.venues.json.recipes import Recipes
from tocsin.venues.json.requests import Step, fill_headers
from tocsin.venues.json.templates import Metered, Scope, Template


class Given(Struct, frozen=True):
    """Something that the config has to give."""

    secret: bool
    default: str | None
    about: str


class SignInSteps(Struct, frozen=True):
    steps: tuple[Step, ...]
    recipes: Recipes
    renew_after: timedelta | None
    plain: frozenset[str]  # names of what it gives that is made of no secret


class Socket(Struct, frozen=True):
    """One connection, whose texts are made of a scope. `opening`: name, text, answered, required, market data."""

    name: str
    url: Template
    headers: tuple[tuple[str, Template], ...]
    ping: tuple[Callable[[Scope], str], float] | None
    opening: tuple[tuple[str, Callable[[Scope], str], bool, bool, bool], ...]
    market_data: bool

    def endpoint(self, scope: Scope) -> Endpoint:
        """Raises Unfillable."""
        handshake = Metered(scope)
        return Endpoint(
            name=self.name,
            url=self.url.fill(handshake),
            headers=fill_headers(self.headers, handshake),
            opening=tuple(
                Request(name=name, text=text(scope), answered=answered, required=required, market_data=data)
                for name, text, answered, required, data in self.opening
            ),
            market_data=self.market_data,
            ping=Ping(self.ping[0](scope), self.ping[1]) if self.ping is not None else None,
        )


class SnapshotStep(Struct, frozen=True):
    """A request, and what its answer's parts give; `complete` ones are a full picture unless there are `limit` rows."""

    step: Step
    pickers: tuple[tuple[Picker, bool], ...]
    limit: int | None


class Question(Struct, frozen=True):
    """How one order or position is asked for."""

    step: Step
    picker: Picker


class Example(Struct, frozen=True):
    """A message, and what it means in the words of `tocsin decode`."""

    about: str
    message: Node
    gives: Node


class Description(Struct, frozen=True):
    """All that a description says. `hosts` are those that it declares; `urls` its own."""

    summary: str
    sources: tuple[str, ...]
    tried: str
    hosts: tuple[str, ...]
    given: dict[str, Given]
    urls: dict[str, str]
    sign_in: SignInSteps
    sockets: tuple[Socket, ...]
    messages: Messages
    supplies: dict[str, frozenset[str]]
    snapshot: tuple[SnapshotStep, ...]
    ask: dict[str, tuple[Question, ...]]  # by the kind of what is asked for
    examples: tuple[Example, ...]

    @property
    def wants(self) -> dict[str, tuple[bool, str]]:
        """What the config has to give, by name: whether it is secret, and what it is."""
        return {name: (how.secret, how.about) for name, how in self.given.items() if how.default is None}
