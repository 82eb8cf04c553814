"""What sign-ins ask to keep: one JSON file a venue, readable by us alone, whole or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import structlog

from tocsin.feed.model import Log


class CredentialStore:
    """Files in `directory` (made when needed, 0700), each `<venue>.json`, 0600."""

    def __init__(self, directory: Path, log: Log | None = None) -> None:
        self._directory = directory
        self._log: Log = log if log is not None else structlog.get_logger()

    def load(self, venue: str) -> dict[str, str]:
        """What was saved last; nothing where there is no file, or (with a warning) one that can't be read."""
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

    def save(self, venue: str, values: Mapping[str, str]) -> None:
        """Replace what is kept. On the disk when this returns; OSError where it can't be written."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(venue)
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)  # one left by a crash might have other rights
        with os.fdopen(
            os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(dict(values), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _path(self, venue: str) -> Path:
        return self._directory / f"{quote(venue, safe='')}.json"
