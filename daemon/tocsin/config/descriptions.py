"""Venues' descriptions: those that are shipped, and one's own, found by name or path and read."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tocsin import venues
from tocsin.config import yaml
from tocsin.config.reading import Reading
from tocsin.document import Entry, Mapping, Node, Scalar
from tocsin.errors import ConfigError, Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.venues.base import Adapter
from tocsin.venues.registry import adapter, venue_types

if TYPE_CHECKING:
    from tocsin.venues.json.adapter import JsonVenue
    from tocsin.venues.json.examples import Tried

_SHIPPED = Path(venues.__file__).parent / "descriptions"
_SUFFIX = ".yaml"
_LARGEST = 1 << 20  # bytes; the largest that is shipped has 10,000
DESCRIBED = "json"
"""The type of venues that have a description."""


def shipped_descriptions() -> tuple[str, ...]:
    """The names of the descriptions that come with Tocsin, sorted."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob(f"*{_SUFFIX}")))


def find_description(name: str, folder: Path) -> Path:
    """The file: of a shipped description by its name, else a path, from that folder on. It need not be there."""
    return _SHIPPED / f"{name}{_SUFFIX}" if name in shipped_descriptions() else folder / name


def read_description(node: Node) -> "tuple[JsonVenue | None, list[Problem]]":
    """The adapter that a description makes, or None, and what is wrong with it."""
    # By the registry: what reads descriptions is loaded only where there is one.
    return cast("JsonVenue", adapter(DESCRIBED)).described(node)


def described(name: str, folder: Path = Path()) -> "JsonVenue":
    """The adapter of a description, by its name or path. Raises ConfigError."""
    node, problems = yaml.load(find_description(name, folder))
    if node is not None and not problems:
        found, problems = read_description(node)
        if found is not None:
            return found
    raise ConfigError(problems)


def is_description(path: Path) -> bool:
    """Whether a file is meant as a venue's description, however wrong."""
    node, _ = yaml.load(path)
    return isinstance(node, Mapping) and {"sockets", "things"} <= node.entries.keys()


def names_of_adapters() -> tuple[str, ...]:
    """What `adapter_named` knows besides paths: the types that need no description, and the descriptions."""
    return (*names_of_types(), *shipped_descriptions())


def names_of_types() -> tuple[str, ...]:
    """The types of venues that need no description."""
    return tuple(name for name in venue_types() if name != DESCRIBED)


def adapter_named(name: str, folder: Path = Path()) -> Adapter | None:
    """The adapter of a type, of a shipped description, or of the file at a path; None where there is none.

    Raises ConfigError for a description that is wrong.
    """
    if name != DESCRIBED and name in venue_types():
        return adapter(name)
    return described(name, folder) if find_description(name, folder).is_file() else None


def read_described(reading: Reading, entry: Entry, node: Mapping) -> "JsonVenue | None":
    """The adapter of a venue in the config, by its `describe:`; what is wrong is noted."""
    where = f"venues.{entry.key.text}"
    names = shipped_descriptions()
    either = f"one of {', '.join(names)}, or the path of a file"
    said = node.get("describe")
    if not isinstance(said, Scalar) or not said.text:
        place = entry.key.place if said is None else said.place
        message = "the key `describe` is missing" if said is None else "must be a text"
        reading.add(Problem(message, place, where if said is None else f"{where}.describe", either))
        return None
    path = find_description(said.text, reading.folder)
    if path.is_file() and path.stat().st_size > _LARGEST:
        reading.add(Problem(f"larger than {_LARGEST >> 20} MiB", said.place, f"{where}.describe"))
        return None
    if not path.is_file():
        hint = did_you_mean(said.text, names, either)
        reading.add(Problem("there is no such description", said.place, f"{where}.describe", hint))
        return None
    document = reading.load(path)
    if document is None:
        return None
    found, problems = read_description(document)
    reading.add(*problems)
    return found


def try_examples(venue: "JsonVenue", received: datetime) -> "list[Tried]":
    """Each example of a description, and whether it is so."""
    from tocsin.venues.json import examples  # noqa: PLC0415 - what reads descriptions is loaded only where there is one

    return list(examples.try_examples(venue, received))
