"""Who asks over TCP: what the page finds out, and the API goes by."""

from msgspec import Struct
from starlette.types import Scope

from tocsin.pipeline.acts import By

_STATE = "person"


class Person(Struct, frozen=True):
    """Who asks, `how` they proved it (`session`, `token`), and which `session` of theirs it is (empty: none)."""

    name: str
    how: str
    session: str = ""


def person_of(scope: Scope) -> Person | None:
    """Who asks over TCP; None on the Unix socket, and of who isn't signed in."""
    found: Person | None = scope.get("state", {}).get(_STATE)
    return found


def asked_by(scope: Scope, person: Person) -> Scope:
    """The request, of which it is known who makes it."""
    return {**scope, "state": {**scope.get("state", {}), _STATE: person}}


class Nameless(Exception):
    """Something is to be done, and nobody says who does it."""

    def __init__(self) -> None:
        super().__init__("asked without `by`: who does that?")


def who(scope: Scope, said: By) -> By:
    """Who does what is asked: over TCP who is signed in, whatever they say; on the socket whom the command names. Nameless."""
    person = person_of(scope)
    if person is not None:
        return By(person.name, "page", said.why)
    if not said.name:
        raise Nameless
    return said
