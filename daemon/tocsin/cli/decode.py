"""`tocsin decode`."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli.options import format_option, paint, print_json, unknown

if TYPE_CHECKING:
    from tocsin.venues.base import Adapter

_STDIN = "-"
_WIDEST = 100  # columns


@click.command("decode")
@click.argument("description")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@format_option
def command(description: str, files: tuple[Path, ...], output: str) -> None:
    """What a venue's messages mean, and which of their parts nothing is said of.

    DESCRIPTION is the path of a description, the name of a shipped one, or a type of venue. A file holds one message, or one
    a line, as recordings do; without any, the messages are read from the standard input. What is printed of a message is
    what an example of a description has under `gives:`.

    \b
    Examples:
      tocsin decode bybit order.json
      tocsin decode ./deribit.yaml samples/*.json
      tocsin decode okx < okx.jsonl
    """
    from tocsin.config.descriptions import adapter_named, names_of_adapters

    adapter = adapter_named(description)
    if adapter is None:
        raise unknown("description", description, names_of_adapters())
    told = []
    for name, text in _messages(files):
        found = _meant(adapter, name, text)
        told.append(found)
        if output == "text":
            _tell(found)
    if output == "json":
        print_json(told)


def _messages(files: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    """Each message with where it stands."""
    for path in files or (Path(_STDIN),):
        name = "standard input" if str(path) == _STDIN else str(path)
        try:
            text = sys.stdin.read() if str(path) == _STDIN else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"can't read {name}: {getattr(error, 'strerror', 'not UTF-8')}") from None
        lines = text.splitlines()
        if len(lines) < 2 or _is_json(text):
            yield name, _recorded(text.strip())
            continue
        for count, line in enumerate(lines, 1):
            if line.strip():
                yield f"{name}:{count}", _recorded(line)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _recorded(text: str) -> str:
    """The message in a line of a recording; any other line is one itself."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_ours = isinstance(said, dict) and isinstance(said.get("message"), str) and "received" in said
    return str(said["message"]) if is_ours else text


def _meant(adapter: "Adapter", name: str, text: str) -> dict[str, Any]:
    from tocsin.venues.meaning import meanings

    found: dict[str, Any] = {"message": name, "gives": meanings(adapter, text, datetime.now(UTC))}
    unread = getattr(adapter, "unread", None)
    return found | ({"unread": unread(text)} if unread is not None else {})


def _tell(found: dict[str, Any]) -> None:
    import textwrap

    import yaml

    click.echo(paint(found["message"], "cyan", bold=True))
    written = yaml.safe_dump(found["gives"], sort_keys=False, allow_unicode=True, width=_WIDEST)
    click.echo(textwrap.indent(written.rstrip(), "  "))
    if unread := found.get("unread"):
        said = textwrap.fill(
            ", ".join(unread),
            _WIDEST,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
        click.echo(f"  {paint('nothing is said of:', 'yellow')}\n{said}")
    click.echo()
