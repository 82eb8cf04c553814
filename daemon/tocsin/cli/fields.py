"""`tocsin fields`."""

from typing import Any

import click

from tocsin.cli.options import format_option, paint, print_json, print_rows, unknown
from tocsin.events.kinds import KINDS
from tocsin.events.links import LINKS_OF
from tocsin.events.vocabulary import COMMON, events, fields


@click.command("fields")
@click.argument("kind", metavar="[KIND]", required=False)
@format_option
def command(kind: str | None, output: str) -> None:
    """The vocabulary that rules and templates speak: kinds, their fields, what can happen to them.

    \b
    Examples:
      tocsin fields
      tocsin fields position
      tocsin fields order --json
    """
    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, list(KINDS))
    if output == "json":
        print_json(_as_json(kind) if kind else {name: _as_json(name) for name in KINDS})
    elif kind:
        _tell(kind)
    else:
        print_rows([(name, _doc(name)) for name in KINDS], indent="")
        click.echo("\nEach has, besides its own fields:")
        print_rows([(field.name, field.type, field.doc) for field in COMMON.values()])
        click.echo("\ntocsin fields KIND shows the fields and events of one.")


def _doc(kind: str) -> str:
    return (KINDS[kind].__doc__ or "").strip().partition("\n")[0]


def _tell(kind: str) -> None:
    click.echo(f"{paint(kind, 'cyan', bold=True)}: {_doc(kind)}\n\nFields:")
    own = [field for name, field in fields(kind).items() if name not in COMMON]
    rows = []
    for field in own:
        words = f" ({', '.join(field.values)})" if field.values else ""
        none = f"; none while {field.none_when.of} is {field.none_when.value}" if field.none_when else ""
        rows.append((field.name, field.type, f"{field.doc}{words}{none}"))
    print_rows(rows)
    click.echo(f"  and {', '.join(COMMON)}")
    if links := LINKS_OF[kind]:
        click.echo(f"  and of what it belongs to {', '.join(f'{link.kind}.FIELD' for link in links)}")
    click.echo("\nEvents:")
    for event in events(kind):
        click.echo(f"  {event}")
    if KINDS[kind].open_status:
        click.echo(f"  {kind}.… with any other word that a venue uses")


def _as_json(kind: str) -> dict[str, Any]:
    return {
        "description": _doc(kind),
        "fields": [
            {"name": field.name, "type": field.type, "description": field.doc}
            | ({"values": list(field.values)} if field.values else {})
            for field in fields(kind).values()
        ],
        "links": [link.kind for link in LINKS_OF[kind]],
        "events": list(events(kind)),
        "other_events": KINDS[kind].open_status,
    }
