"""A real systemd as process 1 of namespaces of its own, on a throw-away overlay of this machine's root.

Needs root, overlayfs, cgroup v2 and no network. What happens inside stays there and is gone afterwards.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_BOOT = Path(__file__).resolve().parent.parent / "systemd" / "boot.sh"
_UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", "--net"]
_TOOLS = ("unshare", "nsenter", "pivot_root", "ip", "systemctl")
_BOOTED_WITHIN = 20.0  # seconds; a third of one is usual


def why_not() -> str | None:
    """Why no systemd can be booted here; None where it can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing or not Path("/lib/systemd/systemd").exists():
        return f"booting a systemd needs {', '.join(missing) or 'systemd'} (Debian: apt install systemd iproute2)"
    if _cgroup_root() is None:
        return "booting a systemd needs cgroup v2"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "booting a systemd needs overlayfs"
    tried = subprocess.run(
        [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return f"namespaces can't be made here: {tried.stderr.strip()}" if tried.returncode else None


def _cgroup_root() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and os.access(place, os.W_OK):
            return Path(place)
    return None


class Booted:
    """One running systemd; `layer` is a directory whose content lies over this machine's root. Close it after use."""

    def __init__(self, work: Path, layer: Path) -> None:
        root = _cgroup_root()
        assert root is not None
        work.mkdir()
        self._log = work.with_name(f"{work.name}.log")
        self._cgroup = Path(tempfile.mkdtemp(prefix="tocsin-test-", dir=root))
        # The shell joins the cgroup before it becomes unshare: the cgroup namespace then begins there.
        join = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'
        command = [*_UNSHARE, "--propagation", "private", "sh", _BOOT, work, layer]
        with self._log.open("w") as log:
            self._outer = subprocess.Popen(
                ["sh", "-c", join, "sh", self._cgroup, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._inner = self.until(self._process_one, _BOOTED_WITHIN)
            self.until(
                lambda: self.run("systemctl", "is-active", "basic.target").returncode == 0, _BOOTED_WITHIN
            )
        except BaseException:
            self.close()
            raise

    def _process_one(self) -> str | None:
        if self._outer.poll() is not None:
            raise AssertionError(f"systemd didn't boot: {self._log.read_text()}")
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        booted = children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd"
        return children[0] if booted else None

    def close(self) -> None:
        """End it with everything that runs in it: --kill-child takes process 1 along, and that one all others."""
        self._outer.kill()
        self._outer.wait(timeout=20)
        self.until(self._cgroup_gone, 20.0)

    def _cgroup_gone(self) -> bool:
        try:
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                Path(folder).rmdir()
        except OSError:  # its processes are still ending
            return False
        return True

    def run(
        self, *command: str, text: str | None = None, deadline: float = 30.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root, `text` on its standard input."""
        return subprocess.run(
            ["nsenter", "-t", self._inner, "-m", "-p", "-u", "-i", "-C", "-n", "--", *command],
            check=False,
            input=text,
            capture_output=True,
            text=True,
            timeout=deadline,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
        )

    def out(self, *command: str, text: str | None = None) -> str:
        """What a command that must succeed says."""
        done = self.run(*command, text=text)
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def until(self, ready: Callable[[], T | None], seconds: float) -> T:
        """Ask again and again until the answer is true, and return it."""
        end = time.monotonic() + seconds
        while not (answer := ready()):
            assert time.monotonic() < end, f"waited {seconds} s in vain"
            time.sleep(0.05)  # another machine's time, so to speak: there is nothing to be told by
        return answer
