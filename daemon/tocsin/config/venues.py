"""The section `venues`: each checked by its own adapter's options."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel

from tocsin.config import shape
from tocsin.config.descriptions import DESCRIBED, read_described
from tocsin.config.literals import is_secret_name, looks_secret
from tocsin.config.reading import Reading
from tocsin.config.settings import VenueConfig
from tocsin.document import Entry, Mapping, Node, Plain, Scalar, find
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean, nearest
from tocsin.secrets import Secret
from tocsin.venues.base import Adapter, VenueSettings
from tocsin.venues.registry import adapter, venue_types


def read_venues(reading: Reading, node: Node | None) -> dict[str, VenueConfig]:
    """The venues that are right; what is wrong with the others is noted."""
    section = reading.section(node, "venues", "its settings")
    found = (_venue(reading, entry) for entry in section or ())
    return {venue.name: venue for venue in found if venue}


def _venue(reading: Reading, entry: Entry) -> VenueConfig | None:
    name, node = entry.key.text, entry.value
    path = ("venues", name)
    well_named = reading.check_name(entry, "venue", path)
    if not isinstance(node, Mapping):
        reading.refuse_value(entry, "a mapping with a type", path)
        return None
    found = _adapter(reading, entry, node)
    if found is None:
        _hide_all(reading, node)
        return None
    _mind_literals(reading, node, found.settings)
    values = _values(reading, node, path)
    settings, problems = shape.check(found.settings, node, path, values, entry.key.place)
    reading.add(*problems)
    safe = _urls_are_safe(reading, node, settings or _urls_alone(found.settings, values), path)
    if settings is None or not safe or not well_named:
        return None
    _remember_secrets(reading, settings)
    return VenueConfig(name, found.configured(settings), settings)


def _adapter(reading: Reading, entry: Entry, node: Mapping) -> Adapter | None:
    kind, path = node.get("type"), f"venues.{entry.key.text}"
    types = venue_types()
    either = f"one of {', '.join(types)}"
    if kind is None:
        reading.add(Problem("the key `type` is missing", entry.key.place, path, either))
        return None
    if isinstance(kind, Scalar) and kind.text == DESCRIBED:
        return read_described(reading, entry, node)
    if isinstance(kind, Scalar) and kind.text in types:
        return adapter(kind.text)
    hint = did_you_mean(kind.text, types, either) if isinstance(kind, Scalar) else either
    reading.add(Problem("no such type of venue", kind.place, f"{path}.type", hint))
    return None


def _values(reading: Reading, node: Mapping, path: shape.Path) -> Plain:
    values = reading.plain(node)
    ca = node.get("tls_ca")
    if isinstance(values, dict) and isinstance(ca, Scalar) and isinstance(values.get("tls_ca"), str):
        file = reading.folder / Path(str(values["tls_ca"]))
        values["tls_ca"] = str(file.absolute())
        if not file.is_file():
            reading.add(Problem(f"there is no file {file}", ca.place, shape.dotted((*path, "tls_ca"))))
    return values


def _urls_are_safe(reading: Reading, node: Mapping, settings: VenueSettings, path: shape.Path) -> bool:
    """That each URL is one, and that none goes unencrypted to another machine unless the venue says so."""
    bad = {name: "not a URL" for name, url in settings.addresses().items() if not _is_url(url)}
    if not bad and not settings.plaintext:
        bad = dict.fromkeys(settings.plaintext_urls(), "would go unencrypted to another machine")
    for name, message in bad.items():
        hint = (
            "write wss://host/path" if message == "not a URL" else "use TLS, or say plaintext: true beside it"
        )
        steps = tuple(name.split("."))
        where = shape.dotted((*path, *steps))
        if not any(problem.path == where for problem in reading.problems):  # one complaint is enough
            reading.add(Problem(message, find(node, steps).place, where, hint))
    return not bad


def _urls_alone(model: type[VenueSettings], values: Plain) -> VenueSettings:
    """The URLs of settings that are wrong elsewhere, so that all that is wrong is told at once."""
    given: dict[str, Any] = {"type": None, "url": None}
    if isinstance(values, dict):
        given |= {
            key: value
            for key, value in values.items()
            if key in model.model_fields and isinstance(value, str)
        }
        given["plaintext"] = values.get("plaintext") is True
    return model.model_construct(**given)


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname)


def _mind_literals(reading: Reading, node: Mapping, settings: type[BaseModel]) -> None:
    """Hides what may be a secret, and warns where one stands in a file that others can read."""
    secret = _secret_options(settings)
    for name, entry in node.entries.items():
        value = entry.value
        part = _part(settings, name)
        if part is not None and isinstance(value, Mapping):
            _mind_literals(reading, value, part)
        elif name not in settings.model_fields:
            _hide_unknown(reading, entry, list(settings.model_fields), secret)
        elif name == "headers":
            reading.hide(value)
            for header in value if isinstance(value, Mapping) else ():
                _mind(reading, header.value, secret=is_secret_name(header.key.text))
        else:
            _mind(reading, value, secret=name in secret)


def _mind(reading: Reading, value: Node, *, secret: bool) -> None:
    if secret:
        reading.hide(value)
    if not isinstance(value, Scalar) or value.value is None:
        return
    literal = not value.text.lstrip().startswith("${")
    if literal and (secret or ("://" in value.text and looks_secret(value.text))):
        reading.warn_of_literal(value)


def _hide_unknown(reading: Reading, entry: Entry, options: list[str], secret: frozenset[str]) -> None:
    """The value of a misspelt option is a secret if it was meant as one of those."""
    name = entry.key.text
    if name in secret or nearest(name, options) in secret:
        reading.hide(entry.value)
    else:
        reading.hide_doubtful(entry.value, name)


def _hide_all(reading: Reading, node: Mapping) -> None:
    """Of a venue of unknown type: what any type calls a secret, and what may be one."""
    types = [adapter(kind).settings for kind in venue_types()]
    options = [name for settings in types for name in settings.model_fields]
    secret = frozenset().union(*map(_secret_options, types))
    for name, entry in node.entries.items():
        if name not in VenueSettings.model_fields:
            _hide_unknown(reading, entry, options, secret)


def _part(settings: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The options that are in one of these, where it has its own."""
    option = settings.model_fields.get(name)
    return shape.model_of(option.annotation) if option is not None else None


def _secrets(value: object) -> Iterator[Secret]:
    """Every secret in an option's value."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _secrets(item)


def _secret_options(settings: type[BaseModel]) -> frozenset[str]:
    return frozenset(
        name for name, option in settings.model_fields.items() if shape.holds_secret(option.annotation)
    )


def _remember_secrets(reading: Reading, settings: VenueSettings) -> None:
    """Tells the masker of every secret that these settings hold, the literal ones too."""
    for item in _secrets(settings):
        reading.masker.add(item)
    for header, text in settings.headers.items():
        if is_secret_name(header):
            reading.masker.add(text)
    for url in settings.addresses().values():
        parts = urlsplit(url)
        for secret in (
            parts.password,
            *(value for key, value in parse_qsl(parts.query) if is_secret_name(key)),
        ):
            if secret:
                reading.masker.add(secret)
