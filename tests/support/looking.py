"""People who look at the page, in a process of their own: what changed is told them, and they fetch it, as a browser does.

    python -m support.looking ADDRESS TOKENS VIEWERS    # ADDRESS: 127.0.0.1:PORT; TOKENS: of people, set apart by commas

It goes on until its standard input ends; then it prints as JSON how many `events` came, how often parts were `fetched` and
how many bytes these had, by which `status` they were answered, and how many streams were `broken`. They begin when a line `looking` is printed.
"""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from functools import partial
from typing import ClassVar, Self

import h11
import trio

from tocsin.page.rendering import parts_of
from tocsin.page.screens.overview import OVERVIEW

VIEWERS = 20
TOKENS = [f"token-of-person-{number:02}-for-the-page" for number in range(7)]  # three streams each
BEGUN = "looking\n"
_THROTTLE = 0.15  # seconds, as in app.js
_MOST_STREAMS = 3  # of one person
_READ = 65536  # bytes


def free_address() -> str:
    """One of this machine where nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class Connection:
    """One that is kept."""

    def __init__(self, address: str, token: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._headers = [("Host", address), ("Authorization", f"Bearer {token}"), ("Accept-Encoding", "gzip")]
        self._stream: trio.SocketStream | None = None
        self._spoken = h11.Connection(h11.CLIENT)

    async def _connect(self) -> trio.SocketStream:
        while True:
            try:
                return await trio.open_tcp_stream(self._host, int(self._port))
            except OSError:  # it isn't up yet
                await trio.sleep(0.05)

    async def ask(self, path: str) -> int:
        """The status; the body comes by `data`. A connection that ended since the last answer is made anew, as browsers do."""
        try:
            return await self._ask(path)
        except (OSError, trio.BrokenResourceError, h11.RemoteProtocolError):
            if self._stream is None:
                raise
            await self._stream.aclose()
            self._stream = None
            return await self._ask(path)

    async def _ask(self, path: str) -> int:
        if self._stream is None or self._spoken.our_state is not h11.DONE:
            self._stream = await self._connect()
            self._spoken = h11.Connection(h11.CLIENT)
        else:
            self._spoken.start_next_cycle()
        request = h11.Request(method="GET", target=path, headers=self._headers)
        await self._stream.send_all(self._spoken.send(request) + self._spoken.send(h11.EndOfMessage()))
        return (await self._event()).status_code

    async def data(self) -> bytes:
        """What comes next; empty at the end."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _event(self):
        while (event := self._spoken.next_event()) is h11.NEED_DATA:
            self._spoken.receive_data(await self._stream.receive_some(_READ))
        if isinstance(event, h11.ConnectionClosed):
            raise OSError("closed")
        return event


class Viewer:
    def __init__(self, address: str, token: str, counted: Counter[str]) -> None:
        self._live, self._asks = Connection(address, token), Connection(address, token)
        self._counted = counted
        self._changed: dict[str, None] = {}
        self._news = trio.Event()

    async def run(self, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        """Until who is looked at ends."""
        try:
            await self._run(task_status)
        except* (OSError, trio.BrokenResourceError, h11.RemoteProtocolError):
            self._counted["broken"] += 1

    async def _run(self, task_status) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fetch)
            assert await self._live.ask("/live") == 200
            task_status.started()
            while text := await self._live.data():
                for line in text.decode().splitlines():
                    if line.startswith("event: "):
                        self._counted["events"] += 1
                        self._changed[line.removeprefix("event: ")] = None
                        self._news.set()
            raise OSError("the stream ended")

    async def _fetch(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            topics, self._changed = set(self._changed), {}
            parts = [
                name
                for name, part in parts_of(OVERVIEW).items()
                if not topics.isdisjoint(part.topics) or "hello" in topics
            ]
            if parts:
                status = await self._asks.ask("/?" + "&".join(f"part={name}" for name in parts))
                while data := await self._asks.data():
                    self._counted["bytes"] += len(data)
                self._counted[str(status)] += 1
                self._counted["fetched"] += 1
            await trio.sleep(_THROTTLE)


class Viewers:
    """Twenty of them, as another process. `people` is that section of the config of who is looked at."""

    people: ClassVar = {f"p{number}": {"token": token} for number, token in enumerate(TOKENS)}

    def __init__(self, address: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.looking", address, ",".join(TOKENS), str(VIEWERS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait(self) -> None:
        """Until all of them look."""
        self._said = self._process.stdout.readline()
        assert self._said == BEGUN

    def over(self) -> dict[str, int]:
        """They leave, and say what they saw."""
        self._said += self._process.communicate(timeout=30)[0]
        return json.loads(self._said.removeprefix(BEGUN))


async def main(address: str, tokens: list[str], viewers: int) -> None:
    counted: Counter[str] = Counter()
    async with trio.open_nursery() as nursery:
        for number in range(viewers):
            viewer = Viewer(address, tokens[number // _MOST_STREAMS], counted)
            await nursery.start(partial(viewer.run))
        sys.stdout.write(BEGUN)
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        json.dump(counted, sys.stdout)
        sys.stdout.flush()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]))
