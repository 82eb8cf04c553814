"""Logs on standard error: JSON lines for the journal, readable lines for a terminal; never a secret, never a forged line."""

import json
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

from tocsin.secrets import Masker

LogFormat = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]


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
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _flatten,
        *([] if console else [structlog.processors.format_exc_info]),
        renderer,
        *([] if console else [_one_line]),
        _Mask(masker),
    ]
    return structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )


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
