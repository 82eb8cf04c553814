"""`tocsin venues`."""

from datetime import timedelta
from inspect import cleandoc
from typing import Any

import click

from tocsin.cli.options import format_option, paint, print_json, print_rows, unknown
from tocsin.events.vocabulary import fields
from tocsin.quantities import duration_text
from tocsin.venues.base import Adapter, VenueSettings
from tocsin.venues.registry import adapter, venue_types


@click.command("venues")
@click.argument("venue_type", metavar="[TYPE]", required=False)
@format_option
def command(venue_type: str | None, output: str) -> None:
    """The types of venues: the options each takes in the config, and the fields it supplies.

    \b
    Examples:
      tocsin venues
      tocsin venues yourfintech
      tocsin venues piexgo --json
    """
    types = venue_types()
    if venue_type is not None and venue_type not in types:
        raise unknown("type of venue", venue_type, types)
    if output == "json":
        print_json(
            _as_json(adapter(venue_type)) if venue_type else [_as_json(adapter(name)) for name in types]
        )
    elif venue_type:
        _tell(adapter(venue_type))
    else:
        print_rows([(name, adapter(name).summary) for name in types], indent="")
        click.echo("\ntocsin venues TYPE shows the options and fields of one.")


def _tell(found: Adapter) -> None:
    click.echo(f"{paint(found.name, 'cyan', bold=True)}: {found.summary}\n\nOptions:")
    print_rows([(name, value, description) for name, value, description in _options(found)])
    if found.settings.__doc__ and found.settings is not VenueSettings:
        click.echo(f"\n{cleandoc(found.settings.__doc__)}")
    click.echo("\nSupplies:")
    print_rows([(kind, " ".join(names)) for kind, names in supplied(found).items()])


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
        for name, option in found.settings.model_fields.items()
        if name != "type"
    ]


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


def _as_json(found: Adapter) -> dict[str, Any]:
    return {
        "type": found.name,
        "summary": found.summary,
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
