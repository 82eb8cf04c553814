"""How a command finds the running daemon and asks it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tocsin.errors import TocsinError

SOCKET = "control.sock"
_SERVICE = Path("/run/tocsin")
_TIMEOUT = 30.0  # seconds; a reload checks 10,000 rules first


class NotRunning(TocsinError):
    """No daemon answers on any of the sockets where one would."""


def socket_paths(state_dir: Path, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a daemon's socket may be, in the order in which they are tried: the service's first."""
    folders = [Path(environ["RUNTIME_DIRECTORY"])] if environ.get("RUNTIME_DIRECTORY") else []
    return [folder / SOCKET for folder in (*folders, _SERVICE, state_dir)]


class ControlClient:
    """Talks to the daemon that answers first. `NotRunning` if none does."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self.answered: Path | None = None

    def request(self, method: str, path: str, **query: str) -> tuple[int, Any]:
        """The HTTP status and the decoded JSON. `answered` then tells which socket it was."""
        refused = []
        for socket in self._paths:
            if not socket.exists():
                continue
            try:
                with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), timeout=_TIMEOUT) as client:
                    response = client.request(method, f"http://tocsin{path}", params=query)
            except (httpx.ConnectError, PermissionError) as error:
                refused.append(f"{socket}: {error}")
                continue
            self.answered = socket
            return response.status_code, response.json()
        where = "; ".join(refused) or f"no socket at {', '.join(map(str, self._paths))}"
        raise NotRunning(f"no Tocsin daemon is running here ({where})")


def is_running(paths: list[Path]) -> bool:
    """Whether a daemon answers on any of these sockets."""
    try:
        ControlClient(paths).request("GET", "/healthz")
    except NotRunning:
        return False
    return True
