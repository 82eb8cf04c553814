"""For all tests: what hypothesis tries is the same in every run, and who touches the world outside says so.

`./run test --hypothesis-profile=explore PATH` tries other examples each time, so that no change is refused by chance.

`real` marks the tests that touch sockets, processes or real time: `pytest -m real` runs those, whose order and pace a busy
machine changes. All others are held off them here, so that the mark can be relied on.
"""

import socket
import subprocess
import time
from typing import Any

import pytest
from hypothesis import settings

from support.models import MANY

# No deadline for one example: on a busy machine it is the machine that is slow.
settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", deadline=None)
settings.register_profile(MANY, deadline=None, database=None, print_blob=True)
settings.load_profile("steady")


# Where a test takes seconds: daemons and commands are started.
_LONG = ("tests/browser/", "tests/docs/", "tests/e2e/", "tests/systemd/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files come first: the last of what several processes share out is short, so that none is left with minutes of it."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


@pytest.fixture(autouse=True)
def _unreal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("real") is not None:
        return

    def refuse(*_: object, **__: object) -> Any:
        pytest.fail("touches sockets, processes or real time: mark it `real` (pytestmark = pytest.mark.real)")

    for name in ("connect", "connect_ex", "listen"):  # urllib3 binds one, and no more, when it is imported
        monkeypatch.setattr(socket.socket, name, refuse, raising=False)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(time, "sleep", refuse)
