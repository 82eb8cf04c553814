"""`tocsin init`."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.alerts.plain import shown
from tocsin.cli.options import counted, unknown
from tocsin.config.references import how_to_keep
from tocsin.errors import TocsinError
from tocsin.shipped import shipped

if TYPE_CHECKING:
    from tocsin.config.new_venue import NewVenue
    from tocsin.venues.base import Adapter


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--venue", metavar="NAME", help="Write this venue into the config; `tocsin venues` lists them.")
def command(directory: Path, venue: str | None) -> None:
    """Make a config, ready-made rules and a folder for secrets in DIR (default: here).

    What is there already stays as it is, but for the venue that --venue adds; of rules that this version ships in
    another wording it is said which. In DIR/.schemas is what an editor needs to complete and check them; that is made
    anew each time.

    \b
    Examples:
      tocsin init
      tocsin init ~/tocsin
      tocsin init --venue bybit
      tocsin init --venue ./deribit.yaml
    """
    new = _new_venue(venue, directory) if venue is not None else None
    with _failures_told():
        directory.mkdir(parents=True, exist_ok=True)
        made, kept = _copy(directory)
        secrets = directory / "secrets"
        if not secrets.exists():
            secrets.mkdir(mode=0o700)
            made.append(secrets)
        _write_schemas(directory / ".schemas")
    for path in sorted(made):
        click.echo(f"made  {path}{'/' if path.is_dir() else ''}")
    for path, source in sorted(kept.items()):
        click.echo(f"kept  {path}{_newer(path, source)}")
    click.echo(f"\n{counted(len(made), 'file')} made" + (f", {len(kept)} kept as they are" if kept else ""))
    if new is not None:
        _add_venue(directory, *new)
    else:
        click.echo(_next_step(directory))


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TocsinError(f"can't write {error.filename}: {error.strerror}") from None


def _copy(directory: Path) -> tuple[list[Path], dict[Path, Path]]:
    """The files made; and those that were there already and so were kept, with what is shipped in their place."""
    made: list[Path] = []
    kept: dict[Path, Path] = {}
    for source, target in _files(directory):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # 0600 from the first byte: secrets may be written into the config.
            with open(target, "xb", opener=_private) as file:
                file.write(source.read_bytes())
            made.append(target)
        except FileExistsError:
            kept[target] = source
    return made, kept


def _files(directory: Path) -> Iterator[tuple[Path, Path]]:
    yield shipped("config.example.yaml"), directory / "config.yaml"
    rules = shipped("rules")
    for source in sorted([*rules.rglob("*.yaml"), *rules.rglob("*.yml")]):
        yield source, directory / "rules" / source.relative_to(rules)


def _newer(path: Path, source: Path) -> str:
    """In words, the rules that the shipped file has and this one doesn't, or in another wording."""
    if path.parent.name != "rules":
        return ""
    ours, theirs = _rules(source), _rules(path)
    other = [id_ for id_, said in ours.items() if theirs.get(id_) != said]
    if not other:
        return ""
    return f"; this version has {', '.join(other)} otherwise: diff {path} {source}"


def _rules(path: Path) -> dict[str, Any]:
    """Each rule of a file by its id; empty where there is nothing to be read."""
    from tocsin.config.yaml import load

    node, _problems = load(path)
    plain = node.plain() if node is not None else None
    found = plain.get("rules") if isinstance(plain, dict) else plain
    rules = [rule for rule in found if isinstance(rule, dict)] if isinstance(found, list) else []
    return {str(rule.get("id")): rule for rule in rules}


def _write_schemas(folder: Path) -> None:
    """What the first lines of the config and of the rules' files name."""
    from tocsin.config.schema import config_schema, rules_schema, venue_schema

    folder.mkdir(exist_ok=True)
    for name, schema in (("config", config_schema()), ("rules", rules_schema()), ("venue", venue_schema())):
        (folder / f"{name}.json").write_text(json.dumps(schema, indent=1))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _next_step(directory: Path) -> str:
    where = f"{directory}/" if directory != Path() else ""
    option = f" --config {directory}/config.yaml" if where else ""
    return f"""
Next:
  1. fill in a venue and a channel in {where}config.yaml (take the # away)
  2. keep their secrets in {where}secrets/, one a file; paste it after this, then Enter:
       {how_to_keep(f"{where}secrets/NAME")}
  3. tocsin check{option}
  4. tocsin notify phone{option}    sends a test message to the channel `phone`
  5. tocsin run{option}"""


# ------------------------------------------------------------------------------------------------------------- a venue


def _new_venue(name: str, directory: Path) -> "tuple[NewVenue, Adapter]":
    """The venue of that type or description, as it is to stand in the config."""
    from tocsin.config.descriptions import adapter_named, names_of_adapters, shipped_descriptions
    from tocsin.config.new_venue import described_venue, example_venue

    adapter = adapter_named(name)
    if adapter is None:
        raise unknown("venue", name, names_of_adapters())
    if adapter.description is None:
        found = example_venue(name)
        if found is None:
            raise TocsinError(f"the example config has no venue of type {name}")
        return found, adapter
    describe = name if name in shipped_descriptions() else os.path.relpath(name, directory)
    called = re.sub(r"\W", "_", Path(name).stem.replace("-", "_"))
    return described_venue(called, describe, adapter), adapter


def _add_venue(directory: Path, venue: "NewVenue", adapter: "Adapter") -> None:
    """Write it into the config, unless one of that name is there."""
    from tocsin.config.new_venue import names_in, with_venue

    config = directory / "config.yaml"
    text = config.read_text(encoding="utf-8")
    if venue.name in names_in(text):
        click.echo(f"{config} has a venue {venue.name} already: it stays as it is")
        return
    changed = with_venue(text, venue)
    if changed is None:
        lines = "\n".join(f"  {line}" for line in venue.lines)
        raise TocsinError(
            f"{config} can't be added to as it is written; put this under its `venues:`\n{lines}"
        )
    beside = config.with_name(f"{config.name}.new")
    with _failures_told():
        with open(beside, "x", encoding="utf-8", opener=_private) as file:
            file.write(changed)
        beside.chmod(config.stat().st_mode & 0o777)
        beside.replace(config)
    click.echo(f"added venue {venue.name} to {config}\n\nNext:")
    if adapter.description is not None:
        hosts = ", ".join(adapter.description.hosts)
        click.echo(f"  it connects to {hosts}; tried with: {adapter.description.tried}")
        for name, (is_secret, about) in adapter.description.wants.items():
            if not is_secret:
                what = f": {shown(about)}" if about else ""
                click.echo(f"  fill in given.{name} of {venue.name} in {config}{what}")
    for secret in venue.secrets:
        click.echo(f"  keep {secret}; paste it after this, then Enter:")
        click.echo(f"       {how_to_keep(str(directory / 'secrets' / secret))}")
    click.echo(f"  tocsin check{f' --config {config}' if directory != Path() else ''}")
