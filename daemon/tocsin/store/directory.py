"""The state directory: one daemon at a time, private files, and some disk space kept in hand."""

import fcntl
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from tocsin.store.errors import StateInUse, StoreUnavailable

_LOCK = "tocsin.lock"
_RESERVE = "reserve"
_PARTS = ("", "-wal", "-shm")  # the files of a database
RESERVE_SIZE = 4 << 20  # room for about a thousand pages of write-ahead log
_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_CAREFUL = os.O_CLOEXEC | os.O_NOFOLLOW  # a link that somebody put there leads to a file that isn't ours


class StateDirectory:
    """A directory held by this process until `release`, or until the process ends in whatever way.

    Raises StateInUse where another process holds it, StoreUnavailable where it can't be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
            if path.stat().st_mode & stat.S_IWOTH:
                raise StoreUnavailable(f"anybody can write in {path}; run: chmod 700 {path}")
            # Held by the open file, not by its existence: nothing is left to clean up after kill -9.
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | _CAREFUL, _PRIVATE_FILE)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            self._take(path)
        except BaseException:
            os.close(self._lock)
            raise

    def _take(self, path: Path) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUse(path, self._holder()) from None
        except OSError as error:
            raise _unusable(path, error) from error
        # On a full disk the lock still holds; only its name tag is missing then.
        with suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    def _holder(self) -> int | None:
        written = os.pread(self._lock, 20, 0).strip()
        return int(written) if written.isdigit() else None

    def private_file(self, name: str) -> Path:
        """The path of a file that exists and that nobody else may read, from its first byte on.

        Call it only while no SQLite connection to the file is open here: closing any descriptor drops POSIX locks.
        """
        path = self.path / name
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | _CAREFUL, _PRIVATE_FILE))
            path.chmod(_PRIVATE_FILE)
        except OSError as error:
            raise _unusable(path, error) from error
        return path

    def set_aside(self, name: str, stamp: str) -> Path:
        """Moves a damaged database out of the way, its log and index along, and returns where it is now."""
        aside = self.path / f"{name}.corrupt-{stamp}"
        count = 1
        while aside.exists():
            count += 1
            aside = self.path / f"{name}.corrupt-{stamp}-{count}"
        moved: list[tuple[Path, Path]] = []
        try:
            for suffix in _PARTS:
                source, target = self.path / f"{name}{suffix}", aside.with_name(aside.name + suffix)
                if source.exists():
                    source.rename(target)
                    moved.append((source, target))
        except OSError as error:
            with suppress(OSError):
                for source, target in moved:
                    target.rename(source)
            raise _unusable(self.path, error) from error
        return aside

    def put_back(self, aside: Path, name: str) -> None:
        """Moves what was set aside to where it was; what is there by now is deleted."""
        try:
            for suffix in _PARTS:
                (self.path / f"{name}{suffix}").unlink(missing_ok=True)
            for suffix in _PARTS:
                source = aside.with_name(aside.name + suffix)
                if source.exists():
                    source.rename(self.path / f"{name}{suffix}")
        except OSError as error:
            raise _unusable(self.path, error) from error

    def keep_reserve(self) -> bool:
        """Puts disk space by for when there is none left; False where there isn't enough to be that careful."""
        path = self.path / _RESERVE
        try:
            if path.exists() and path.stat().st_size >= RESERVE_SIZE:
                return True
            if shutil.disk_usage(self.path).free < 4 * RESERVE_SIZE:
                return False
            file = os.open(path, os.O_WRONLY | os.O_CREAT | _CAREFUL, _PRIVATE_FILE)
            try:
                os.fchmod(file, _PRIVATE_FILE)
                os.posix_fallocate(file, 0, RESERVE_SIZE)
            finally:
                os.close(file)
        except OSError:  # no space after all, or none of this kind of file: we go on without
            self.free_reserve()
            return False
        return True

    def free_reserve(self) -> bool:
        """Delete the reserve file. False where there was none."""
        try:
            (self.path / _RESERVE).unlink()
        except OSError:
            return False
        return True

    def release(self) -> None:
        os.close(self._lock)


def _unusable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"{path} can't be used: {error.strerror or error}")
