"""Who reads whom through a link (`events.links`): of an account, a ticker or a venue those entities that rules read it from.

Kept for the kinds and links that rules read only. A change of the one is then a change of each that reads it, to which itself
nothing happened.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import structs

from tocsin.engine.api import World
from tocsin.engine.rule import Rule
from tocsin.events import Change, Key
from tocsin.events.links import LINKS, KeyTexts, Link, as_linked, folded


class Readers:
    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: dict[str, tuple[Link, ...]] = {}  # by the kind that reads
        self._built = True
        self._readers: dict[KeyTexts, dict[Key, None]] = {}
        self._read: dict[Key, dict[str, KeyTexts]] = {}  # by whom: what, by link

    def ask(self, rules: Iterable[Rule]) -> None:
        """These rules run from now on. Who reads is looked for when the first change comes."""
        asked: dict[str, set[str]] = {}
        for rule in rules:
            # What an event rule reads is as at its event; only what it follows over time goes on in between.
            if not rule.is_event_rule or any(condition.remembers for condition in rule.conditions):
                for kind in rule.kinds:
                    asked.setdefault(kind, set()).update(rule.links)
        self._asked = {
            kind: tuple(link for name, link in LINKS.items() if name in names and kind in link.of)
            for kind, names in asked.items()
            if names
        }
        self._readers, self._read, self._built = {}, {}, not self._asked

    def put(self, change: Change) -> None:
        """The entity is now so: it may read another one from here on."""
        if not self._built:
            self._build()
        links = self._asked.get(change.key[1])
        if links is not None and not change.passing:
            self._place(change, links)

    def of(self, change: Change) -> Iterator[Change]:
        """Those that read what this is a change of, as they stand, nothing having happened to themselves."""
        if not self._built:
            self._build()
        if change.key[1] not in LINKS or change.passing:
            return
        link = change.key[1]
        linked = as_linked(change, moved=True)
        for key in tuple(self._readers.get(folded(change.key), ())):
            reader = self._world.get(key)
            if reader is not None:
                links = {**reader.linked, link: linked}
                yield structs.replace(reader, events=(), previous=reader.state, linked=links)

    def forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._leave(key)

    def forget_venue(self, venue: str) -> None:
        self.forget([key for key in self._read if key.venue == venue])

    def _build(self) -> None:
        self._built = True
        for kind, links in self._asked.items():
            for change in self._world.live(kind):
                self._place(change, links)

    def _place(self, change: Change, links: Iterable[Link]) -> None:
        before = self._read.get(change.key, _NOTHING)
        now: dict[str, KeyTexts] = {}
        if not change.ended:
            for link in links:
                if (at := link.key(change.key, change.state)) is not None:
                    now[link.kind] = folded(at)
        if now == before:
            return
        self._leave(change.key)
        if now:
            self._read[change.key] = now
            for read in now.values():
                self._readers.setdefault(read, {})[change.key] = None

    def _leave(self, key: Key) -> None:
        for read in self._read.pop(key, _NOTHING).values():
            readers = self._readers[read]
            del readers[key]
            if not readers:
                del self._readers[read]


_NOTHING: Mapping[str, KeyTexts] = {}
