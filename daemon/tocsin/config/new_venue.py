"""A venue written into the text of a config: its lines, and where they go. What stands there stays as it is."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tocsin.config import yaml
from tocsin.document import Mapping, Plain
from tocsin.shipped import shipped
from tocsin.venues.base import Adapter
from tocsin.venues.wire import cut

_SECTION = re.compile(r"^venues:[ \t]*(?:#.*)?$", re.MULTILINE)
_NEXT = re.compile(r"^( +)[^ #\n-]", re.MULTILINE)
_CREDENTIAL = re.compile(r"\$\{cred:(\w+)\}")
_STEP = "  "


class NewVenue(NamedTuple):
    """The lines of a venue, without indentation, and the options that they are to hold."""

    name: str
    lines: tuple[str, ...]
    options: Plain

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the credentials that they refer to."""
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
            comment = f"  # {cut(about)}" if about else ""
            lines.append(f"{_STEP * 2}{f'{each}: {value}'.ljust(widest)}{comment}".rstrip())
    values: Plain = {each: value or None for each, _, value in given}
    options: dict[str, Plain] = {"type": "json", "describe": describe}
    return NewVenue(name, tuple(lines), options | ({"given": values} if given else {}))


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
            written = tuple(each[2:] for each in (line, *rest[:end]))
            name, options = next(iter((_plain("\n".join(written)) or {}).items()))
            return NewVenue(name, written, options)
    return None


def names_in(text: str) -> Sequence[str]:
    """The venues that a config has."""
    node, _ = yaml.load(text)
    venues = node.get("venues") if isinstance(node, Mapping) else None
    return tuple(venues.entries) if isinstance(venues, Mapping) else ()


def with_venue(text: str, venue: NewVenue) -> str | None:
    """The config's text with the venue; None where its section `venues:` isn't written so that it alone can be added.

    What the venue's lines hold may come from a stranger: the text is read again, and has to be the old one's content
    with exactly this venue.
    """
    section = _SECTION.search(text)
    if section is None:
        return None
    below = text[section.end() :]
    end = re.search(r"^[^ #\n]", below, re.MULTILINE)
    following = _NEXT.search(below[: end.start()] if end is not None else below)
    indent = following[1] if following is not None else _STEP
    added = "".join(f"{indent}{line}\n" for line in venue.lines)
    changed = f"{text[: section.end()]}\n{added}{below.removeprefix(chr(10))}"
    before, after = _plain(text), _plain(changed)
    if before is None or after is None:
        return None
    others = before.get("venues") or {}
    if not isinstance(others, dict):
        return None
    wanted: dict[str, Plain] = before | {"venues": {venue.name: venue.options} | others}
    return changed if after == wanted else None


def _plain(text: str) -> "dict[str, Plain] | None":
    """What a config holds; None where something is wrong with it."""
    node, problems = yaml.load(text)
    plain = node.plain() if node is not None and not problems else None
    return plain if isinstance(plain, dict) else None
