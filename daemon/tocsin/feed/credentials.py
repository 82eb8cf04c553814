"""The credentials that sign-ins store: one JSON file a venue, readable by its owner alone, replaced atomically."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import structlog

from tocsin.feed.model import Log

_ROOM = 4096  # bytes that must fit on the disk beside what is stored
_Stamp: TypeAlias = tuple[int, int, int] | None  # of a file: another one where it was written anew


@dataclass(frozen=True, slots=True)
class _Unsaved:
    """Values that couldn't be written, why, and the file as it was then."""

    values: dict[str, str]
    why: str
    beside: _Stamp


class CredentialStore:
    """Files in `directory` (made when needed, 0700), each `<venue>.json`, 0600.

    What can't be written stays in memory for as long as the store lives: the token that it replaces may be used up.
    """

    def __init__(self, directory: Path, log: Log | None = None) -> None:
        self._directory = directory
        self._log: Log = log if log is not None else structlog.get_logger()
        self._unsaved: dict[str, _Unsaved] = {}

    def load(self, venue: str) -> dict[str, str]:
        """The values stored last; none where there is no file, or (with a warning) one that can't be read."""
        unsaved = self._waiting(venue)
        if unsaved is not None:
            return dict(unsaved.values)
        path = self._path(venue)
        try:
            kept = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:  # ValueError: not JSON, not UTF-8
            why = error.strerror if isinstance(error, OSError) else "it is not JSON"
            self._log.warning("kept credentials can't be read", venue=venue, file=str(path), reason=why)
            return {}
        if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
            self._log.warning(
                "kept credentials can't be read", venue=venue, file=str(path), reason="not a mapping of texts"
            )
            return {}
        return kept

    def keep(self, venue: str, values: Mapping[str, str]) -> str | None:
        """Replace the stored values, in memory where they can't be written: then returns why, in words."""
        try:
            self.save(venue, values)
        except OSError as error:
            why = self._in_words(venue, error)
            self._unsaved[venue] = _Unsaved(dict(values), why, self._stamp(venue))
            return why
        return None

    def keep_again(self, venue: str) -> str | None:
        """Write what is only in memory; returns why it still can't be written, if so."""
        unsaved = self._waiting(venue)
        return self.keep(venue, unsaved.values) if unsaved is not None else None

    def obstacle(self, venue: str) -> str | None:
        """Why nothing could be stored now, if so: tried before a refresh token is used up for its successor."""
        path = self._path(venue)
        trial = path.with_name(path.name + ".trial")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                path.read_bytes()  # what can't be read is no better than lost
            try:
                self._write(trial, b"\0" * _ROOM)
            finally:
                trial.unlink(missing_ok=True)
        except OSError as error:
            return self._in_words(venue, error)
        return None

    def save(self, venue: str, values: Mapping[str, str]) -> None:
        """Replace the stored values. They are on the disk when this returns; OSError where they can't be written."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(venue)
        new = path.with_name(path.name + ".new")
        self._write(new, json.dumps(dict(values)).encode())
        new.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self._unsaved.pop(venue, None)

    def _write(self, path: Path, content: bytes) -> None:
        path.unlink(missing_ok=True)  # one left by a crash might have other rights
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _waiting(self, venue: str) -> _Unsaved | None:
        """What is only in memory, unless `tocsin login` has written something newer meanwhile."""
        unsaved = self._unsaved.get(venue)
        if unsaved is not None and unsaved.beside != self._stamp(venue):
            del self._unsaved[venue]
            return None
        return unsaved

    def _stamp(self, venue: str) -> _Stamp:
        try:
            found = self._path(venue).stat()
        except OSError:
            return None
        return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None

    def _in_words(self, venue: str, error: OSError) -> str:
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            return f"{self._directory} is not a folder"
        return f"{self._path(venue)}: {error.strerror}"

    def _path(self, venue: str) -> Path:
        return self._directory / f"{quote(venue, safe='')}.json"
