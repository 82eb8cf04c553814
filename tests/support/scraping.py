"""Somebody who asks for /healthz all the time, by a schedule: he waits for no answer before he asks again. A process of his own.

    python -m support.scraping ADDRESS RATE HOW    # ADDRESS: a socket's path, or 127.0.0.1:PORT; RATE: requests a second

HOW is `anew` (a connection for each request) or `kept` (a hundred connections, asked in turn). It goes on until its standard
input ends; then it prints as JSON how many requests a second were due, and how many were answered by which status.
"""

import errno
import json
import selectors
import socket
import sys
import time
from collections import Counter

_KEPT, _MOST_OPEN = 100, 800  # connections


class Asker:
    """`answered` counts by status; what is due while all connections wait for their answers isn't asked, and isn't answered."""

    def __init__(self, address: str, *, kept: bool) -> None:
        self._address, self._kept, self._most = address, kept, _KEPT if kept else _MOST_OPEN
        self._selector = selectors.DefaultSelector()
        self._idle: list[socket.socket] = []
        self._heard: dict[socket.socket, bytes] = {}  # of each connection that is open
        self.answered = Counter[str]()
        lines = ["GET /healthz HTTP/1.1", f"Host: {address}" if ":" in address else "Host: tocsin"]
        self._request = "\r\n".join([*lines, *([] if kept else ["Connection: close"]), "", ""]).encode()

    def ask(self) -> None:
        connection = self._idle.pop() if self._idle else self._connected()
        if connection is None:
            return
        try:
            connection.send(self._request)
        except OSError:
            self._close(connection)

    def hear(self, within: float) -> None:
        """All that comes within so many seconds, or what is there."""
        for key, _ in self._selector.select(within):
            connection: socket.socket = key.fileobj
            try:
                data = connection.recv(4096)
            except OSError:
                data = b""
            self._heard[connection] += data
            head, _, body = self._heard[connection].partition(b"\r\n\r\n")
            if body:
                self.answered[head.split()[1].decode()] += 1
                self._heard[connection] = b""
                if self._kept and b"connection: close" not in head.lower():
                    self._idle.append(connection)
                    continue
            elif data:
                continue
            self._close(connection)

    def _connected(self) -> socket.socket | None:
        """None where there is no place for it."""
        if len(self._heard) >= self._most:
            return None
        host, _, port = self._address.rpartition(":")
        connection = socket.socket(socket.AF_INET if port.isdigit() else socket.AF_UNIX)
        connection.setblocking(False)
        if connection.connect_ex((host, int(port)) if port.isdigit() else self._address) == errno.EAGAIN:
            connection.close()  # so many wait at that path
            return None
        self._selector.register(connection, selectors.EVENT_READ)
        self._heard[connection] = b""
        return connection

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._heard[connection]
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()


def main(address: str, rate: float, how: str) -> None:
    asker, stopped = Asker(address, kept=how == "kept"), selectors.DefaultSelector()
    stopped.register(sys.stdin, selectors.EVENT_READ)
    begun, due = time.monotonic(), 0
    while not stopped.select(0):
        while due < (time.monotonic() - begun) * rate:
            due += 1
            asker.ask()
        asker.hear(max(0.0, begun + due / rate - time.monotonic()))
    took = time.monotonic() - begun
    json.dump({"due": due / took, **{status: n / took for status, n in asker.answered.items()}}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3])
