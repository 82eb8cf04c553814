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


NOT_LOADED = """
import sys
from pathlib import Path
from tocsin.config.load import load_settings
settings = load_settings(Path(sys.argv[1]), environ={"HOME": "/nowhere"})
(venue,) = settings.venues.values()
venue.adapter.decode('{"method":"pong"}', None)
print(*sorted(name for name in sys.modules if name.startswith(("tocsin.venues.json", "jmespath"))))
"""


@pytest.mark.real
@pytest.mark.parametrize(
    ("venue", "loaded"), [("{type: topone, token: abc}", False), ("{type: json, describe: own.yaml}", True)]
)
def test_what_reads_descriptions_is_loaded_only_where_a_venue_has_one(tmp_path, venue, loaded):
    (tmp_path / "config.yaml").write_text(f"venues: {{px: {venue}}}\nchannels: {{me: 'json://localhost'}}\n")
    (tmp_path / "own.yaml").write_text(
        "summary: a\ntried: documents\nhosts: [example.com]\nsockets: {a: {url: wss://example.com}}\n"
        "things: {order: {fields: {id: i}}}\nmessages: [{each: o, gives: order}]\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", NOT_LOADED, tmp_path / "config.yaml"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ("jmespath" in found.stdout.split()) is loaded
    assert loaded or found.stdout.split() == []


@pytest.mark.real
def test_the_daemon_loads_nothing_that_replays():
    """What replays and tests rules waits with `trio.testing`, which loads pytest where that is installed."""
    program = "import sys, tocsin.app.serve\nprint(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    heavy = [
        "tocsin.replay.replay",
        "tocsin.ruletest.runner",
        "trio.testing",
        "pytest",
        "markdown",
        "apprise",
    ]
    loaded = subprocess.run(
        [sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.split() == []
