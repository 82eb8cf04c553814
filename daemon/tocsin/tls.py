"""TLS for all connections that we make: what is trusted, and why one failed, in words."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Literal

from tocsin.errors import ConnectFailed, leaves


def tls_context(
    ca_file: str | None, use: Literal["stream", "http"] = "stream", ca_option: str = "tls_ca"
) -> ssl.SSLContext:
    """What the system trusts, and the CA in that file, or the CAs in that folder. ConnectFailed where it can't be read as one:
    `ca_option` is what the user named it by.

    All connections of one `use` share it until one of the files is another: reading what a system trusts takes tens of
    milliseconds, in which nothing else runs. HTTP has its own, whose protocols httpcore sets.
    """
    paths = ssl.get_default_verify_paths()
    try:
        return _tls_context(ca_file, use, tuple(map(_stamp, (ca_file, paths.cafile, paths.capath))))
    except OSError as error:  # ssl.SSLError is one
        raise ConnectFailed(f"{ca_option}: {ca_file} can't be read as a CA file: {error.strerror}") from error


def _stamp(path: str | None) -> tuple[str, int, int, int] | None:
    """What changes with the file or folder at `path`; None where there is none."""
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return path, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=16)
def _tls_context(ca_file: str | None, use: str, stamps: object) -> ssl.SSLContext:  # noqa: ARG001 - they are the key
    context = ssl.create_default_context()
    if ca_file is not None:
        is_folder = Path(ca_file).is_dir()
        context.load_verify_locations(
            cafile=None if is_folder else ca_file, capath=ca_file if is_folder else None
        )
    return context


def in_words(error: BaseException, ca_option: str = "tls_ca") -> str:
    """Why a connection failed: the system's own words, from below what libraries wrapped around them.

    `ca_option` is what a user can name a CA's file by.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message} ({ca_option} can name its CA's file)"
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(in_words(leaf, ca_option) for leaf in leaves(error)))
    below = error.__cause__ or error.__context__  # httpcore hides what it wraps, and says nothing itself
    if below is not None:
        return in_words(below, ca_option)
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error)
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
