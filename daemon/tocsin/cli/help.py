"""`tocsin help`."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import click

from tocsin.cli import COMMANDS
from tocsin.cli.options import paint, print_rows
from tocsin.docs import TOPICS, page, summary

_WIDEST = 110  # columns; longer lines are hard to read
_NAMES = 24  # columns; longer names in a table stand on lines of their own
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_MARKED = re.compile(r"`([^`]+)`|\*\*?(?=\S)([^*]+)(?<=\S)\*\*?")
_ITEM = re.compile(r"(?:[-*]|\d+\.) +")


@click.command("help")
@click.argument("topic", metavar="[TOPIC]", required=False)
@click.pass_context
def command(ctx: click.Context, topic: str | None) -> None:
    """The reference: all topics, or what there is to know of one. The name of a command gives that command's --help.

    On a terminal it is shown page by page, by $PAGER; elsewhere it is Markdown.

    \b
    Examples:
      tocsin help
      tocsin help rules
      tocsin help functions > functions.md
    """
    if topic is None:
        print_rows([(paint(name, "cyan"), summary(name)) for name in TOPICS], indent="")
        click.echo("\ntocsin help TOPIC shows one; tocsin COMMAND --help says how a command is called.")
    elif topic in TOPICS:
        _show(page(topic))
    elif topic in COMMANDS:
        parent = ctx.find_root()
        group = parent.command
        assert isinstance(group, click.Group)  # noqa: S101  it is the one that this command is in
        found = group.get_command(parent, topic)
        assert found is not None  # noqa: S101  it is in COMMANDS
        click.echo(found.get_help(click.Context(found, info_name=topic, parent=parent)))
    else:
        raise click.UsageError(f"no topic is called {topic}; {_instead(topic)}")


def _instead(topic: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(topic.lower(), [*TOPICS, *COMMANDS], n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(TOPICS)}"


def _show(text: str) -> None:
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    os.environ.setdefault("LESS", "-FRX")  # a page that fits is printed, as git does it
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    click.echo_via_pager(f"{block}\n" for block in readable(text, width))


# ------------------------------------------------------------------------------------------ Markdown, for a terminal


def readable(text: str, width: int) -> Iterator[str]:
    """Each block of a page as it is shown in so many columns: headings, tables, examples, lists, paragraphs.

    Of Markdown it knows what the pages use.
    """
    for is_example, lines in _blocks(text.splitlines()):
        if is_example:
            yield "\n".join(f"    {line}".rstrip() for line in lines) + "\n"
        elif lines[0].startswith("#"):
            yield paint(click.wrap_text(_plain(lines[0].lstrip("# ")), width), None, bold=True) + "\n"
        elif lines[0].startswith("|"):
            yield _table(lines, width)
        else:
            yield "\n".join(_wrapped(each, width) for each in _items(lines)) + "\n"


def _blocks(lines: Iterable[str]) -> Iterator[tuple[bool, list[str]]]:
    """Whether it is an example, and its lines; blocks are set apart by empty lines, examples by fences."""
    fenced = False

    def sort(line: str) -> tuple[bool, bool]:
        nonlocal fenced
        if line.lstrip().startswith("```"):
            fenced = not fenced
            return False, False
        return fenced, fenced or bool(line.strip())

    for (is_example, counts), block in groupby(lines, sort):
        if counts:
            yield is_example, list(block)


def _items(lines: Sequence[str]) -> Iterator[str]:
    """A paragraph, or each item of a list, in one line with its mark."""
    gathered: list[str] = []
    for line in lines:
        if gathered and _ITEM.match(line.lstrip()):
            yield " ".join(gathered)
            gathered = []
        gathered.append(line.strip())
    yield " ".join(gathered)


def _wrapped(text: str, width: int) -> str:
    mark = _ITEM.match(text)
    return _dressed(click.wrap_text(_linked(text), width, "", " " * len(mark[0]) if mark else ""))


def _table(lines: Sequence[str], width: int) -> str:
    """A row of a table as its first cell, with what the others say beside it, or below where it is long.

    They have the heads of their columns before them where there are several, but for `means`, which all have.
    """
    heads, _rule, *rows = [[cell.strip() for cell in _cells(line)] for line in lines]
    beside = min(max(_seen(first) for first, *_ in rows), _NAMES) + 4
    shown = []
    for first, *others in rows:
        several = len(others) > 1
        told = (
            f"{head}: {cell}" if several and head != "means" else cell
            for head, cell in zip(heads[1:], others, strict=False)
            if cell
        )  # fmt: skip
        name = click.wrap_text(_linked(first), width, "  ", "  ")
        indent = " " * beside
        said = click.wrap_text(_linked("; ".join(told)), width, indent, indent)
        if _seen(name) + 2 <= beside and said:
            shown.append(f"{_dressed(name)}{' ' * (beside - _seen(name))}{_dressed(said.lstrip())}")
        else:
            shown += [_dressed(name)] + ([_dressed(said)] if said else [])
    return "\n".join(shown) + "\n"


def _cells(line: str) -> list[str]:
    return [cell.replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _linked(text: str) -> str:
    """Links as a terminal can say them: another page by its topic, anything else by its address."""

    def said(link: re.Match[str]) -> str:
        topic = link[2].partition(".md")[0]
        return f"{link[1]} (`tocsin help {topic}`)" if topic in TOPICS else f"{link[1]} ({link[2]})"

    return _LINK.sub(said, text)


def _dressed(text: str) -> str:
    """Without the marks of `code` and **what is important**, which are in colour; where nothing is, code keeps its marks."""
    return _MARKED.sub(lambda mark: _code(mark[1]) if mark[1] else paint(mark[2], None, bold=True), text)


def _code(text: str) -> str:
    painted = paint(text, "cyan")
    return painted if painted != text else f"`{text}`"


def _seen(text: str) -> int:
    """How many columns it takes."""
    return len(click.unstyle(_dressed(text)))


def _plain(text: str) -> str:
    return _MARKED.sub(lambda mark: mark[1] or mark[2], text)
