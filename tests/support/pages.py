"""What is written for people: the README, the reference, CONTRIBUTING; and the examples in it."""

import re
from pathlib import Path
from typing import Any

import yaml

from tocsin import docs

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / ".github" / "CONTRIBUTING.md"
REFERENCE = {topic: Path(docs.__file__).parent / f"{topic}.md" for topic in docs.TOPICS}
WIDEST = 110  # columns of prose
PAGES = (README, *REFERENCE.values())
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def text(*pages: Path) -> str:
    """The pages one after the other; without any, all that users read."""
    return "\n".join(page.read_text(encoding="utf-8") for page in pages or PAGES)


def blocks(language: str, *pages: Path) -> list[str]:
    """The fenced examples of that language in those pages, without their indentation."""
    return [
        "".join(line.removeprefix(indent) for line in example.splitlines(keepends=True))
        for indent, named, example in _BLOCK.findall(text(*pages))
        if named == language
    ]


class _Yaml12(yaml.SafeLoader):
    """`on`, `off`, `yes` and `no` are words, as Tocsin reads them."""


_Yaml12.yaml_implicit_resolvers = {
    first: [(tag, found) for tag, found in known if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parsed(example: str) -> Any:
    """What a YAML example holds."""
    return yaml.load(example, _Yaml12)


def cells(page: Path, head: str) -> list[str]:
    """The first column of the page's table whose first head that is."""
    _, _, table = text(page).partition(f"\n| {head} |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return [row.removeprefix("| ").partition(" | ")[0] for row in rows]
