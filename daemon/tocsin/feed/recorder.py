"""Keeping every raw message in a JSON Lines file, for `record: true` and `tocsin record`."""

import json
import os
from pathlib import Path
from typing import TextIO

from tocsin.events import Instant, iso
from tocsin.feed.model import Log


class Recorder:
    """Appends `{received, stream, message}` to the file at `path` (0600). A full disk ends it, told once."""

    def __init__(self, path: Path, venue: str, log: Log) -> None:
        self._path = path
        self._venue, self._log = venue, log
        self._file: TextIO | None = None
        self._broken = False

    def append(self, message: str, stream: str, at: Instant) -> None:
        """`message` has its secrets masked already."""
        if self._broken:
            return
        line = json.dumps(
            {"received": iso(at.wall), "stream": stream, "message": message}, ensure_ascii=False
        )
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._file = os.fdopen(os.open(self._path, flags, 0o600), "a", encoding="utf-8")
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._broken = True
            self._log.error(
                "recording stopped", venue=self._venue, file=str(self._path), reason=error.strerror
            )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
