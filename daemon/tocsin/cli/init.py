"""`tocsin init`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tocsin.cli.options import counted
from tocsin.config.references import how_to_keep
from tocsin.errors import TocsinError
from tocsin.shipped import shipped


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
def command(directory: Path) -> None:
    """Make a config, ready-made rules and a folder for secrets in DIR (default: here).

    What is there already stays as it is; of rules that this version ships in another wording it is said which. In
    DIR/.schemas is what an editor needs to complete and check them; that is made anew each time.

    \b
    Examples:
      tocsin init
      tocsin init ~/tocsin
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        made, kept = _copy(directory)
        secrets = directory / "secrets"
        if not secrets.exists():
            secrets.mkdir(mode=0o700)
            made.append(secrets)
        _write_schemas(directory / ".schemas")
    except OSError as error:
        raise TocsinError(f"can't write {error.filename}: {error.strerror}") from None
    for path in sorted(made):
        click.echo(f"made  {path}{'/' if path.is_dir() else ''}")
    for path, source in sorted(kept.items()):
        click.echo(f"kept  {path}{_newer(path, source)}")
    click.echo(f"\n{counted(len(made), 'file')} made" + (f", {len(kept)} kept as they are" if kept else ""))
    click.echo(_next_step(directory))


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
    from tocsin.config.schema import config_schema, rules_schema

    folder.mkdir(exist_ok=True)
    for name, schema in (("config", config_schema()), ("rules", rules_schema())):
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
