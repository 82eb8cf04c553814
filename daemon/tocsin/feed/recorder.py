"""Raw messages in JSON Lines files of bounded size, for `record: true` and `tocsin record`."""

import json
import os
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from tocsin.events import Instant, iso
from tocsin.feed.model import Log

_PARTS = 8  # files; when the last one is full the oldest goes
_STAMPED = re.compile(r"(.+)\.[0-9]{8}T[0-9]{12}Z")


class Recorder:
    """Appends `{received, stream, message}` to the file at `path` (0600), of which `most` bytes in all are kept.

    A file that holds an eighth of that is set aside under the time at which it was full, `fx.20260301T100000000000Z.jsonl`
    beside `fx.jsonl`; the oldest of those go. A line that a crash tore stays as it is, and a fresh one begins. A full
    disk ends the recording, told once.
    """

    def __init__(self, path: Path, venue: str, log: Log, *, most: int) -> None:
        self._path, self._most = path, most
        self._venue, self._log = venue, log
        self._file: int | None = None
        self._size = 0
        self._broken = False

    def append(self, message: str, stream: str, at: Instant) -> None:
        """Write a message, whose secrets are masked already, of that stream, received `at`."""
        if self._broken:
            return
        record = {"received": iso(at.wall), "stream": stream, "message": message}
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            file = self._opened()
            if self._size and self._size + len(line) > self._most // _PARTS:
                self._set_aside(at.wall)
                file = self._opened()
            self._write(file, line)
        except OSError as error:
            self._broken = True
            self.close()
            self._log.error(
                "recording stopped", venue=self._venue, file=str(self._path), reason=error.strerror
            )

    def close(self) -> None:
        """Close the file; `append` would open it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = os.fstat(self._file).st_size
            if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
                self._write(self._file, b"\n")
        return self._file

    def _write(self, file: int, line: bytes) -> None:
        left = memoryview(line)
        while left:
            written = os.write(file, left)
            self._size += written
            left = left[written:]

    def _set_aside(self, at: datetime) -> None:
        self.close()
        path = self._path
        path.rename(path.with_name(f"{path.stem}.{at:%Y%m%dT%H%M%S%f}Z{path.suffix}"))
        aside = [each for each in path.parent.iterdir() if each != path and unstamped(each) == path]
        room = self._most - self._most // _PARTS
        for each in sorted(aside, reverse=True):
            room -= each.stat().st_size
            if room < 0:
                each.unlink()


def unstamped(path: Path) -> Path:
    """The file that a recorder appends to, of a file that it set aside at `path`; of any other `path` itself."""
    stamped = _STAMPED.fullmatch(path.stem)
    return path.with_name(stamped[1] + path.suffix) if stamped else path


def recordings(paths: Iterable[Path]) -> dict[Path, tuple[Path, ...]]:
    """The files of each recording, oldest first, by the file that is appended to."""
    found: dict[Path, set[Path]] = {}
    for path in paths:
        found.setdefault(unstamped(path), set()).add(path)
    return {last: (*sorted(parts - {last}), *(parts & {last})) for last, parts in found.items()}
