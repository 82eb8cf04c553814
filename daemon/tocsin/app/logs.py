"""Logs on standard error: JSON lines for the journal, readable lines for a terminal; never a secret, never a forged line."""

import json
import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from tocsin.secrets import Masker

LogFormat = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]
_PRIORITIES: Mapping[str, int] = {
    "debug": 7,
    "info": 6,
    "warning": 4,
    "error": 3,
    "exception": 3,
    "critical": 2,
}


def make_log(
    masker: Masker, *, log_format: LogFormat = "auto", level: Level = "info", stream: TextIO | None = None
) -> Any:
    """A structlog logger of its own (no global configuration) that masks the finished line."""
    out = stream if stream is not None else sys.stderr
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    if console:
        # No tracebacks with local variables: those hold tokens.
        renderer: Any = structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=_traceback, pad_event_to=0
        )
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    priorities = not console and _is_journal(out)
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _flatten,
        *([] if console else [structlog.processors.format_exc_info]),
        renderer,
        *([] if console else [_one_line]),
        _Mask(masker),
        *([_with_priority] if priorities else []),
    ]
    return structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


def _is_journal(out: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the stream is the one that systemd connects to the journal: `JOURNAL_STREAM` is its device and inode."""
    try:
        there = os.fstat(out.fileno())
    except (OSError, ValueError):  # no file, or closed
        return False
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def _with_priority(_logger: Any, method: str, line: str) -> str:
    """The line with its syslog level before it, as the journal reads it (sd-daemon(3))."""
    return f"<{_PRIORITIES.get(method, 6)}>{line}"


class _Mask:
    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def __call__(self, _logger: Any, _method: str, line: str) -> str:
        return self._masker.mask(line)


def _traceback(out: TextIO, error: Any) -> None:
    """A traceback for people, each line marked as its own: what a venue had said may be in it, newlines and all."""
    out.writelines(
        f"\n  | {_printable(line)}"
        for line in "".join(traceback.format_exception(*error)).rstrip().split("\n")
    )


def _flatten(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A venue's text may hold newlines and terminal escapes: in a log they are shown, not obeyed."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            event[key] = _printable(value)
    return event


def _one_line(_logger: Any, _method: str, line: str) -> str:
    """JSON lets some line ends of Unicode pass, and halves of characters, which no stream takes."""
    return (
        line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
