"""The page that tells how a venue is described, walked: its files are written, its commands run, what they print compared."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

FILE = "nearby.yaml"


_BLOCK = re.compile(r"^```(?:yaml|text)\n(.*?)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """In order: the name and text of a file, or a command and what it prints."""
    described: dict[str, object] = {}
    for first, rest in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if first == f"# {FILE}":
            described |= yaml.safe_load(rest)
            yield FILE, yaml.safe_dump(described, sort_keys=False)
        elif first.startswith("$ cat "):
            yield first.removeprefix("$ cat "), rest
        elif first.startswith("$ tocsin "):
            yield first.removeprefix("$ "), rest


def run(command: str, folder: Path) -> str:
    program, *arguments = command.split()
    ran = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return ran.stdout.rstrip() + "\n"
