"""The way of one alert through the code: which files a frame crosses from the socket until `send()` is called.

`./run bench tests/benchmarks/bench_way.py -s` prints them in the order in which they are reached.
"""

import json
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

import tocsin
from support.in_process import Noting, Quiet
from tocsin.app import components
from tocsin.app.serve import serve
from tocsin.config.load import load_settings
from tocsin.simulator import Exchange, yourfintech

pytestmark = pytest.mark.real

_CODE = Path(tocsin.__file__).parent
_BESIDE = ("simulator",)  # the venue, which here runs in the same process
_RULE = {"id": "red", "watch": "position", "when": "profit < -50", "notify": ["phone"]}


class Way:
    """While it is followed: the files of our code of which a line is run, how many functions, and how often the file changes.

    Lines and not calls, since a task that goes on is "called" through all that awaits it.
    """

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.functions: set[tuple[str, str]] = set()
        self.changes = 0
        self.followed = False
        self._last = ""
        # Threads too: the commit is on the way. Those that exist already would stay unseen.
        threading.settrace(self._called)
        sys.settrace(self._called)

    def close(self) -> None:
        threading.settrace(None)
        sys.settrace(None)

    def _called(self, frame, _event, _argument):
        if not self.followed:
            return None
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(_CODE) or path.relative_to(_CODE).parts[0] in _BESIDE:
            return None
        file, function = str(path.relative_to(_CODE)), frame.f_code.co_qualname

        def ran(_frame, event, _argument):
            if event == "line":
                self.files[file] = None
                self.functions.add((file, function))
                self.changes += file != self._last
                self._last = file
            return ran

        return ran


def bench_way(figures, tmp_path, monkeypatch):
    way = Way()
    sent, arrived = trio.open_memory_channel[None](1)

    def note() -> None:
        way.followed = False
        sent.send_nowait(None)

    monkeypatch.setattr(components, "make_sender", lambda *_args, **_options: Noting(note))

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            exchange = Exchange()
            await nursery.start(exchange.serve)
            config = {
                "venues": {"fx": exchange.yourfintech.settings()}, "rules": [_RULE],
                "channels": {"phone": {"urls": ["json://127.0.0.1:9/"], "storm": "off"}}, "state_dir": str(tmp_path / "state"),
            }  # fmt: skip
            (tmp_path / "config.yaml").write_text(json.dumps(config))
            settings = load_settings(tmp_path / "config.yaml", validate_url=None)
            await nursery.start(partial(serve, settings, lambda: settings, log=Quiet(), runtime=tmp_path))
            for position in ("first", "second"):  # what is loaded late is loaded on the first one's way
                if position == "second":
                    await trio.testing.wait_all_tasks_blocked(
                        0.2
                    )  # until what sending the first left is done
                    way.followed = True
                told = yourfintech.position("created", position, profit=-60, entry=1)
                while not exchange.yourfintech.push(told):  # noqa: ASYNC110 - it signs in
                    await trio.sleep(0.01)
                await arrived.receive()
            nursery.cancel_scope.cancel()

    async def bounded() -> None:
        with trio.fail_after(60):
            await run()

    try:
        trio.run(bounded)
    finally:
        way.close()
    figures["way"] = len(way.files)
    print(*way.files, f"{len(way.functions)} functions, {way.changes} changes of file", sep="\n")  # noqa: T201 - this is what `-s` shows
