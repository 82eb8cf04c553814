"""Durations, sizes and numbers of samples as users write them (`1h30m`, `4MiB`), and as pydantic types for settings."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from tocsin.secrets import Secret

DURATION = r"(?:[0-9]{1,9}(?:ms|s|m|h|d))+"
# More digits than can be, to say what is wrong.
_DURATION = re.compile(r"(?:[0-9]{1,30}(?:ms|s|m|h|d))+", re.ASCII)
_DURATION_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}  # milliseconds
_LONGEST = timedelta(days=36500)
_LONG = re.compile(r"([0-9]{1,4})([wy])", re.ASCII)
_LONG_DAYS = {"w": 7, "y": 365}
SIZE = r"[0-9]{1,12}(?:B|KiB|MiB|GiB)"
_SIZE = re.compile(r"([0-9]{1,12})(B|KiB|MiB|GiB)", re.ASCII)
_MOST_SAMPLES = 1000
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_duration(text: Any) -> timedelta:
    """`500ms`, `30s`, `5m`, `1h30m`, `2d`. ValueError, fit to be shown, on anything else."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(_why_no_duration(str(text)))
    milliseconds = sum(int(count) * _UNITS[unit] for count, unit in _DURATION_PART.findall(text))
    if milliseconds > _LONGEST / timedelta(milliseconds=1):
        raise ValueError(f"too long: a duration is at most a hundred years, {_LONGEST.days}d")
    return timedelta(milliseconds=milliseconds)


def _why_no_duration(written: str) -> str:
    if re.fullmatch(r"[0-9]{1,9}", written, re.ASCII):
        return f"a duration needs a unit: {written}s, {written}m or {written}h"
    if written.startswith("-") and _DURATION.fullmatch(written[1:]):
        return "a duration can't be negative"
    return "not a duration; write it like 500ms, 30s, 5m, 1h30m or 2d"


def _parse_age(text: Any) -> timedelta:
    """A duration, or weeks or years alone: `6w`, `1y` (365 days)."""
    long = _LONG.fullmatch(text) if isinstance(text, str) else None
    if long:
        text = f"{int(long[1]) * _LONG_DAYS[long[2]]}d"
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("not a length of time; write it like 12h, 30d, 6w or 1y") from None


def duration_text(duration: timedelta) -> str:
    """How a duration is shown: `45s`, `5m`, `1h 30m`, `2d 3h`; the two largest units only."""
    milliseconds = round(duration / timedelta(milliseconds=1))
    if abs(milliseconds) < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    sign, seconds = ("-" if milliseconds < 0 else ""), abs(milliseconds) // 1000
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return sign + " ".join(parts[:2])


@dataclass(frozen=True, slots=True)
class SampleCount:
    """The latest so many samples."""

    number: int

    def __str__(self) -> str:
        return f"{self.number} sample{'' if self.number == 1 else 's'}"

    @classmethod
    def parse(cls, text: str) -> "SampleCount":
        """A whole number. ValueError, fit to be shown, where it isn't one or is out of bounds."""
        if not re.fullmatch("[0-9]{1,9}", text, re.ASCII) or not 1 <= int(text) <= _MOST_SAMPLES:
            raise ValueError(f"a window has from 1 to {_MOST_SAMPLES:,} samples")
        return cls(int(text))


def parse_size(text: Any) -> int:
    """`512KiB`, `4MiB` in bytes; a bare whole number is bytes. ValueError, fit to be shown, on anything else."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError("not a size; write it like 512KiB, 4MiB or 2GiB")
    return int(match[1]) * _SIZES[match[2]]


def size_text(size: int) -> str:
    """How a size is shown, in the largest unit that divides it: `512MiB`."""
    unit = max((unit for unit, length in _SIZES.items() if size % length == 0), key=_SIZES.__getitem__)
    return f"{size // _SIZES[unit]}{unit}"


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text, such as ${cred:NAME}")
    return Secret(value)


Duration: TypeAlias = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION}$", "examples": ["30s", "5m", "1h30m"]}),
]
Age: TypeAlias = Annotated[
    timedelta,
    BeforeValidator(_parse_age),
    PlainSerializer(duration_text),
    WithJsonSchema(
        {"type": "string", "pattern": f"^(?:[0-9]{{1,4}}[wy]|{DURATION})$", "examples": ["30d", "6w", "1y"]}
    ),
]
Size: TypeAlias = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "pattern": f"^{SIZE}$", "examples": ["4MiB"]}),
]
SecretText: TypeAlias = Annotated[
    Secret,
    BeforeValidator(_secret),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "description": "a secret: ${cred:NAME}, ${env:NAME} or ${file:PATH}"}),
]
