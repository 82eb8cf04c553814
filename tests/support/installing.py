"""systemd/install, and a machine that starts from what it made."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.booted import Booted, why_not

UNIT = Path(__file__).resolve().parent.parent.parent / "systemd" / "tocsin.service"
INSTALL = UNIT.with_name("install")


def install(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([INSTALL, *arguments], check=False, capture_output=True, text=True, timeout=300)


@contextmanager
def boot(image: Path, work: Path) -> Iterator[Booted]:
    """The image, booted, with this checkout's systemd/ in /srv/checkout. Skips the test where that can't be."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    booted = Booted(work, image)
    try:
        booted.out("mkdir", "-p", "/srv/checkout/systemd")
        for source, mode in ((INSTALL, "755"), (UNIT, "644")):
            target = f"/srv/checkout/systemd/{source.name}"
            booted.out("install", "-m", mode, "/dev/stdin", target, text=source.read_text())
        yield booted
    finally:
        booted.close()
