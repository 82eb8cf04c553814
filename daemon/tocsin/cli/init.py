"""`tocsin init`."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from tocsin.cli.options import counted
from tocsin.errors import TocsinError
from tocsin.shipped import shipped


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
def command(directory: Path) -> None:
    """Make a config, ready-made rules and a folder for secrets in DIR (default: here).

    What is there already stays as it is.

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
    except OSError as error:
        raise TocsinError(f"can't write {error.filename}: {error.strerror}") from None
    for path in sorted(made):
        click.echo(f"made  {path}{'/' if path.is_dir() else ''}")
    for path in sorted(kept):
        click.echo(f"kept  {path}")
    click.echo(f"\n{counted(len(made), 'file')} made" + (f", {len(kept)} kept as they are" if kept else ""))
    click.echo(_next_step(directory))


def _copy(directory: Path) -> tuple[list[Path], list[Path]]:
    """The files made, and those that were there already and so were kept."""
    made: list[Path] = []
    kept: list[Path] = []
    for source, target in _files(directory):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # 0600 from the first byte: secrets may be written into the config.
            with open(target, "xb", opener=_private) as file:
                file.write(source.read_bytes())
            made.append(target)
        except FileExistsError:
            kept.append(target)
    return made, kept


def _files(directory: Path) -> Iterator[tuple[Path, Path]]:
    yield shipped("config.example.yaml"), directory / "config.yaml"
    rules = shipped("rules")
    for source in sorted(rules.rglob("*.yaml")):
        yield source, directory / "rules" / source.relative_to(rules)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _next_step(directory: Path) -> str:
    where = f"{directory}/" if directory != Path() else ""
    option = f" --config {directory}/config.yaml" if where else ""
    return f"""
Next:
  1. fill in a venue and a channel in {where}config.yaml (take the # away)
  2. keep their secrets in {where}secrets/, one a file:  (umask 077; cat > {where}secrets/NAME)
  3. tocsin check{option}
  4. tocsin notify phone{option}    sends a test message to the channel `phone`
  5. tocsin run{option}"""
