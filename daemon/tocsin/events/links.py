"""The one entity of a kind that another belongs to: its account, the ticker of its symbol, its venue.

`account.equity` in a rule, a template or an explanation reads it. A link is one entry of this table; the language, the index
of who reads what and the templates follow.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import NamedTuple, Protocol, TypeAlias

from tocsin.events.kinds import KINDS, Entity
from tocsin.events.model import Key, Linked
from tocsin.events.vocabulary import VENUE_KINDS, Field, all_fields, fields, following_fields

KeyTexts: TypeAlias = tuple[str, str, str, str]
"""A Key, or the same four texts as a bare tuple: equal, of equal hash, and cheaper to make for a look-up."""


class Link(NamedTuple):
    """`kind` is what is written before the dot. `key` finds the other by an entity's own key and state; None where nothing
    says which it is. `dated`: what is read of it is told with its age. `whose`: what has one, in words.
    """

    kind: str
    of: frozenset[str]
    key: Callable[[KeyTexts, Entity], KeyTexts | None]
    dated: bool
    whose: str


def _account(key: KeyTexts, _state: Entity) -> KeyTexts | None:
    return (key[0], "account", key[2], key[2]) if key[2] else None


def _ticker(key: KeyTexts, state: Entity) -> KeyTexts | None:
    symbol = getattr(state, "symbol", None)
    return (key[0], "ticker", "", symbol) if symbol.__class__ is str else None


def _venue(key: KeyTexts, _state: Entity) -> KeyTexts | None:
    return (key[0], "venue", "", key[0])


LINKS: Mapping[str, Link] = {
    link.kind: link
    for link in (
        Link("account", frozenset({"order", "position"}), _account, False, "orders and positions"),
        Link(
            "ticker",
            frozenset({"order", "position", "trade", "book"}),
            _ticker,
            True,
            "what has a symbol: orders, positions, trades and books",
        ),
        Link("venue", frozenset(VENUE_KINDS), _venue, True, "everything that a venue tells of"),
    )
}
LINKS_OF: Mapping[str, tuple[Link, ...]] = {
    kind: tuple(link for link in LINKS.values() if kind in link.of) for kind in KINDS
}


def folded(key: KeyTexts) -> KeyTexts:
    """What is called by its symbol is the same in whatever case that is spelled."""
    return key if KINDS[key[1]].named_by is None else (*key[:3], key[3].casefold())


def link_of(field: str) -> Link | None:
    """The link that a field as rules spell it (`ticker.price`) reads; None for a field of the entity's own."""
    head, dot, _ = field.partition(".")
    return LINKS.get(head) if dot else None


def holder_of(field: str) -> str:
    """The link through which a field is read; "" for one of the entity's own."""
    link = link_of(field)
    return link.kind if link is not None else ""


@cache
def linked_fields(kind: str) -> tuple[Field, ...]:
    """The fields that can be read through the link to that kind: its own, and when it was last mentioned."""
    found = fields(kind)
    own = (*all_fields(kind), *following_fields(kind), "last_seen")
    return tuple(found[name] for name in own if name in found)


class Standing(Protocol):
    """An entity as it stands, by whatever keeps it; the attributes as in `Change`."""

    @property
    def key(self) -> Key: ...
    @property
    def state(self) -> Entity: ...
    @property
    def time(self) -> datetime: ...
    @property
    def received(self) -> datetime: ...
    @property
    def last_seen(self) -> datetime | None: ...


def linked_now(
    key: KeyTexts, state: Entity, find: Callable[[KeyTexts], Standing | None]
) -> dict[str, Linked]:
    """What the entity of that key belongs to, as far as `find` knows it."""
    found: dict[str, Linked] = {}
    for link in LINKS_OF[key[1]]:
        at = link.key(key, state)
        if at is not None and (there := find(at)) is not None:
            found[link.kind] = as_linked(there, there.state)
    return found


def as_linked(there: Standing, previous: Entity | None) -> Linked:
    """An entity as those that belong to it see it. `previous`: as in `Linked`."""
    return Linked(
        key=there.key,
        state=there.state,
        previous=previous,
        time=there.time,
        received=there.received,
        seen=max(there.last_seen or there.received, there.received),
    )
