"""The page in a real browser. `./run browser` looks at every screen in every state, width and theme (`browse_*.py`)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_SHOTS, _FIGURES = pytest.StashKey[Path](), pytest.StashKey[list[str]]()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One process for all tests of a module."""
    from support.chrome import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest) -> Path:
    """Where screenshots stay; it is named at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-screens-"))
    request.config.stash[_SHOTS] = folder
    return folder


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """What was measured, in words; told at the end."""
    return request.config.stash.setdefault(_FIGURES, [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for figure in config.stash.get(_FIGURES, []):
        terminalreporter.write_line(figure)
    if folder := config.stash.get(_SHOTS, None):
        terminalreporter.section("screenshots")
        terminalreporter.write_line(f"{sum(1 for _ in folder.rglob('*.png'))} in {folder}")
