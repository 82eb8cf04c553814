"""`tocsin venues`."""

from collections.abc import Iterator
from datetime import timedelta
from inspect import cleandoc
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tocsin.cli.options import format_option, paint, print_json, print_rows, unknown
from tocsin.config.descriptions import DESCRIBED, adapter_named, shipped_descriptions
from tocsin.config.shape import model_of
from tocsin.events.vocabulary import fields
from tocsin.quantities import duration_text
from tocsin.venues.base import Adapter, Described, VenueSettings
from tocsin.venues.registry import adapter, venue_types

_TRIED = {
    "documents": "the messages of the venue's documents",
    "stand-in": "a stand-in for the venue",
    "live": "the venue itself",
}


@click.command("venues")
@click.argument("venue_type", metavar="[TYPE]", required=False)
@format_option
def command(venue_type: str | None, output: str) -> None:
    """The venues that can be watched: the options each takes in the config, and the fields it supplies.

    Of a described one (`type: json`) TYPE is its name, or the path of your own description.

    \b
    Examples:
      tocsin venues
      tocsin venues yourfintech
      tocsin venues bybit
      tocsin venues ./deribit.yaml --json
    """
    if venue_type is not None:
        name, found = venue_type, _find(venue_type)
        print_json(_as_json(name, found)) if output == "json" else _tell(name, found)
        return
    types, described = venue_types(), shipped_descriptions()
    if output == "json":
        print_json([_as_json(name, _find(name)) for name in (*types, *described)])
        return
    print_rows([_in_a_line(name) for name in types], indent="")
    click.echo("\nDescribed, for type: json")
    print_rows([_in_a_line(name) for name in described], indent="")
    click.echo("\ntocsin venues NAME shows the options and fields of one.")


def _in_a_line(name: str) -> tuple[str, str, str]:
    """What it is called, the kinds that it supplies, what it is."""
    found = _find(name)
    return name, " ".join(sorted(found.supplies)), found.summary


def _find(name: str) -> Adapter:
    """The adapter of a type, of a shipped description, or of one's own."""
    found = adapter(DESCRIBED) if name == DESCRIBED else adapter_named(name)
    if found is None:
        raise unknown("venue", name, (*venue_types(), *shipped_descriptions()))
    return found


def _tell(name: str, found: Adapter) -> None:
    click.echo(f"{paint(name, 'cyan', bold=True)}: {found.summary}\n")
    if found.description is not None:
        print_rows(_about(name, found.description), indent="")
        click.echo()
    click.echo("Options:")
    print_rows([(name, value, description) for name, value, description in _options(found)])
    if found.settings.__doc__ and found.settings is not VenueSettings:
        click.echo(f"\n{cleandoc(found.settings.__doc__)}")
    click.echo("\nSupplies:")
    print_rows([(kind, " ".join(names)) for kind, names in supplied(found).items()])


def _about(name: str, description: Described) -> list[tuple[str, str]]:
    """What a description says of itself, which is a stranger's word."""
    return [
        ("in the config", f"type: json, describe: {name}"),
        ("connects to", ", ".join(description.hosts)),
        ("tried with", _TRIED[description.tried]),
        *(("documented at", source) for source in description.sources),
    ]


def supplied(found: Adapter) -> dict[str, list[str]]:
    """The fields that a venue gives, kind by kind: those that rules and templates can use."""
    return {
        kind: [name for name in sorted(names) if name in fields(kind)]
        for kind, names in sorted(found.supplies.items())
    }


def _options(found: Adapter) -> list[tuple[str, str, str]]:
    """Name, default as it is written in the config, description."""
    common = VenueSettings.model_fields
    return [
        (
            name,
            "required" if option.is_required() else _written(option),
            option.description or (common[name].description if name in common else "") or "",
        )
        for name, option in _flat(found.settings)
        if name != "type"
    ]


def _flat(settings: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The options, those within another by its name and theirs: `given.key`."""
    for name, option in settings.model_fields.items():
        if (inner := model_of(option.annotation)) is not None:
            yield from ((f"{name}.{below}", each) for below, each in _flat(inner))
        else:
            yield name, option


def _written(option: Any) -> str:
    value = option.get_default(call_default_factory=True)
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, int) and value and value % (1 << 20) == 0:
        return f"{value >> 30}GiB" if value % (1 << 30) == 0 else f"{value >> 20}MiB"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(str, value))}]"
    return "{}" if value == {} else str(value) or '""'


def _as_json(name: str, found: Adapter) -> dict[str, Any]:
    description = found.description
    about = (
        {}
        if description is None
        else {
            "describe": name,
            "hosts": list(description.hosts),
            "tried": description.tried,
            "sources": list(description.sources),
        }
    )
    return {
        "type": found.name,
        "summary": found.summary,
        **about,
        "options": [
            {
                "name": name,
                "default": None if value in ("required", "none") else value,
                "required": value == "required",
            }
            | ({"description": description} if description else {})
            for name, value, description in _options(found)
        ],
        "supplies": supplied(found),
    }
