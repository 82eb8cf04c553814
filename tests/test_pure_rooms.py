"""The pure rooms load neither an event loop nor a database, by whatever way they import: also what a package's own `__init__` loads."""

import subprocess
import sys

import pytest

IMPURE = (
    "trio",
    "trio_websocket",
    "sqlite3",
    "sqlite_utils",
    "apprise",
    "httpx",
    "structlog",
    "tocsin.clock",
)
LOADED = """
import importlib, pkgutil, sys
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    importlib.import_module(module.name)
print(*sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@pytest.mark.real
@pytest.mark.parametrize(
    "room",
    [
        "tocsin.venues",
        "tocsin.entities",
        "tocsin.engine",
        "tocsin.alerts",
        "tocsin.events",
        "tocsin.store.model",
    ],
)
def test_a_pure_room_loads_nothing_that_is_not(room):
    program = (
        LOADED
        if room != "tocsin.store.model"
        else "import sys, tocsin.store.model\nprint(*sorted(set(sys.argv[2:]) & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program, room, *IMPURE], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.split() == []
