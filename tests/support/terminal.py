"""A command as a person calls it: on a terminal."""

import io
import os
import pty
import sys
import threading

import pytest

from tocsin.cli import cli


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """The exit code, and what stood on the terminal."""
    leader, follower = pty.openpty()
    seen = io.BytesIO()

    def read() -> None:
        try:
            while data := os.read(leader, 65536):
                seen.write(data)
        except OSError:  # the other end is closed: Linux says EIO
            return

    reader = threading.Thread(target=read)
    reader.start()
    code = 0
    with os.fdopen(follower, "w", buffering=1) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        try:
            cli.main(list(arguments), prog_name="tocsin", standalone_mode=True)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        finally:
            monkeypatch.undo()
    reader.join(10)
    os.close(leader)
    return code, seen.getvalue().decode()
