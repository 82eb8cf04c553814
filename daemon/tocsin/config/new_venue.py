"""A venue written into the text of a config: its lines, and where they go. What stands there stays as it is."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tocsin.config import yaml
from tocsin.document import Mapping
from tocsin.shipped import shipped
from tocsin.venues.base import Adapter

_SECTION = re.compile(r"^venues:[ \t]*(?:#.*)?$", re.MULTILINE)
_NEXT = re.compile(r"^( +)[^ #\n-]", re.MULTILINE)
_CREDENTIAL = re.compile(r"\$\{cred:(\w+)\}")
_STEP = "  "


class NewVenue(NamedTuple):
    """The lines of a venue, without indentation, and the names of the secrets that they refer to."""

    name: str
    lines: tuple[str, ...]

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_CREDENTIAL.findall("\n".join(self.lines))))


def described_venue(name: str, describe: str, adapter: Adapter) -> NewVenue:
    """A venue of `type: json`, with a secret for each thing that its description wants and calls one."""
    lines = [f"{name}:", f"{_STEP}type: json", f"{_STEP}describe: {describe}"]
    wants = adapter.description.wants if adapter.description is not None else {}
    given = [
        (each, about, f"${{cred:{name}_{each}}}" if secret else "") for each, (secret, about) in wants.items()
    ]
    if given:
        lines.append(f"{_STEP}given:")
        widest = max(len(f"{each}: {value}") for each, _, value in given)
        for each, about, value in given:
            comment = f"  # {about}" if about else ""
            lines.append(f"{_STEP * 2}{f'{each}: {value}'.ljust(widest)}{comment}".rstrip())
    return NewVenue(name, tuple(lines))


def example_venue(venue_type: str) -> NewVenue | None:
    """A venue of a built-in type, as the example config has it."""
    text = shipped("config.example.yaml").read_text(encoding="utf-8")
    lines = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#  ")]
    for count, line in enumerate(lines[:-1]):
        if re.match(rf"    type: {re.escape(venue_type)}\b", lines[count + 1]) and re.fullmatch(
            r"  \w+:", line
        ):
            rest = lines[count + 1 :]
            end = next(
                (at for at, each in enumerate(rest) if not each.startswith("    ") or each[4:5] == "#"),
                len(rest),
            )
            return NewVenue(line.strip().removesuffix(":"), tuple(each[2:] for each in (line, *rest[:end])))
    return None


def names_in(text: str) -> Sequence[str]:
    """The venues that a config has."""
    node, _ = yaml.load(text)
    venues = node.get("venues") if isinstance(node, Mapping) else None
    return tuple(venues.entries) if isinstance(venues, Mapping) else ()


def with_venue(text: str, venue: NewVenue) -> str | None:
    """The config's text with the venue; None where its section `venues:` isn't written so that one can be added."""
    section = _SECTION.search(text)
    if section is None:
        return None
    below = text[section.end() :]
    end = re.search(r"^[^ #\n]", below, re.MULTILINE)
    following = _NEXT.search(below[: end.start()] if end is not None else below)
    indent = following[1] if following is not None else _STEP
    added = "".join(f"{indent}{line}\n" for line in venue.lines)
    changed = f"{text[: section.end()]}\n{added}{below.removeprefix(chr(10))}"
    return changed if venue.name in names_in(changed) else None
