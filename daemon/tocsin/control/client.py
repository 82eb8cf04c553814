"""How a command finds the running daemon and asks it."""

import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tocsin.errors import TocsinError

SOCKET = "control.sock"
_SERVICE = Path("/run/tocsin")
_TIMEOUT = 30.0  # seconds; a reload checks 10,000 rules first


class NotRunning(TocsinError):
    """No daemon answers on any of the sockets where one would."""


class NotAllowed(NotRunning):
    """There is one, which this user may not ask."""


def socket_paths(state_dir: Path, environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a daemon's socket may be, in the order in which they are tried: the service's first."""
    folders = [Path(environ["RUNTIME_DIRECTORY"])] if environ.get("RUNTIME_DIRECTORY") else []
    return [folder / SOCKET for folder in (*folders, _SERVICE, state_dir)]


class ControlClient:
    """Talks to the daemon that answers first. `NotRunning` if none does, `NotAllowed` if one won't for want of permission."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self.answered: Path | None = None

    def request(self, method: str, path: str, **query: str) -> tuple[int, Any]:
        """The HTTP status and the decoded JSON. `answered` then tells which socket it was."""
        return self._asked(method, path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """As `request`, with a body that is sent as JSON."""
        return self._asked("POST", path, json=body)

    def _asked(self, method: str, path: str, **what: Any) -> tuple[int, Any]:
        refused: list[str] = []
        closed: Path | None = None
        for place in self._paths:
            try:
                if not place.exists():
                    continue
                _knock(place)
                with httpx.Client(transport=httpx.HTTPTransport(uds=str(place)), timeout=_TIMEOUT) as client:
                    response = client.request(method, f"http://tocsin{path}", **what)
            except (httpx.ConnectError, OSError) as error:
                refused.append(f"{place}: {error}")
                if isinstance(error, PermissionError) and closed is None and _is_there(place):
                    closed = place
                continue
            except httpx.HTTPError as error:
                raise TocsinError(
                    f"the daemon at {place} doesn't answer: {error or type(error).__name__}"
                ) from None
            self.answered = place
            try:
                return response.status_code, response.json()
            except ValueError:
                raise TocsinError(
                    f"the daemon at {place} knows nothing of what was asked ({response.status_code}); is it of another version?"
                ) from None
        if closed is not None:
            raise NotAllowed(_why_not(closed))
        if (shut := _shut(self._paths[-1].parent)) is not None:
            raise NotAllowed(shut)
        where = "; ".join(refused) or f"no socket at {', '.join(map(str, self._paths))}"
        raise NotRunning(f"no Tocsin daemon is running here ({where})")


def is_running(paths: list[Path]) -> bool:
    """Whether a daemon listens on any of these sockets, be it slow to answer or of another version."""
    try:
        ControlClient(paths).request("GET", "/healthz")
    except TocsinError as error:
        return not isinstance(error, NotRunning)
    return True


def _knock(place: Path) -> None:
    """Connect and close again. OSError with the system's words, which httpcore hides, where no daemon listens."""
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(_TIMEOUT)
        knocking.connect(str(place))


def _is_there(place: Path) -> bool:
    """Whether the file exists; False where its folder may not be searched."""
    try:
        return place.exists()
    except PermissionError:
        return False


def _shut(folder: Path) -> str | None:
    """That it can't be told whether a daemon runs there, where we may not look into the folder."""
    try:
        folder.joinpath(SOCKET).exists()
    except PermissionError:
        user = _name(lambda: pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())
        return f"{user} may not look into {folder}, where a daemon's socket would be\n  = sudo tocsin …"
    except OSError:
        pass
    return None


def _why_not(place: Path) -> str:
    """Who may ask the daemon at that socket, and how this user comes to be one of them."""
    user = _name(lambda: pwd.getpwuid(os.geteuid()).pw_name, os.geteuid())
    there = f"a Tocsin daemon is there, at {place}, but {user} may not ask it"
    found = place.stat()
    if not found.st_mode & stat.S_IWGRP or found.st_gid == 0:
        owner = _name(lambda: pwd.getpwuid(found.st_uid).pw_name, found.st_uid)
        return f"{there}: only {owner} may\n  = sudo {'' if found.st_uid == 0 else f'-u {owner} '}tocsin …"
    group = _name(lambda: grp.getgrgid(found.st_gid).gr_name, found.st_gid)
    if user in _members(found.st_gid):
        remedy = f"log in anew, or: newgrp {group}"
        return f"{there}: {user} is in its group, {group}, only from the next login on\n  = {remedy}"
    remedy = f"sudo usermod -aG {group} {user}, then log in anew"
    return f"{there}: {user} is not in its group, {group}\n  = {remedy}"


def _name(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:  # one without a name
        return str(number)


def _members(group: int) -> list[str]:
    try:
        return grp.getgrgid(group).gr_mem
    except KeyError:
        return []
