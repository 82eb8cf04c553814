"""Telling systemd how we are: sd_notify's protocol, a datagram to the socket that it names in the environment."""

import os
import socket
from collections.abc import Mapping


class SystemdNotifier:
    """Does nothing where systemd didn't start us (no `NOTIFY_SOCKET`)."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        own = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        microseconds = environ.get("WATCHDOG_USEC", "") if own else ""
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdigit() else None

    def send(self, **state: str) -> None:
        """`send(READY="1", STATUS="…")`. A full or vanished socket is systemd's business, not a reason to stop."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        text = "\n".join(f"{key}={value}" for key, value in state.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
            notify.setblocking(False)
            try:
                notify.sendto(text.encode(), address)
            except OSError:
                return
