"""What templates calculate with, and how it stands in a text: values that are exact, and shown as people read them."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from jinja2.exceptions import SecurityError

from tocsin.alerts.wording import Times
from tocsin.events import number_text, rounded_text
from tocsin.quantities import duration_text

times: ContextVar[Times] = ContextVar("tocsin_template_times")
"""How the text that is being made shows times."""
_MOST_DIGITS = 8  # of what a template calculates: beyond that it is rounded as all that we work out
_LONGEST_FORMAT = 100  # characters of a time's format
_WIDE = re.compile(r"%[-_0^#]*[0-9]")


class NamedText(str):
    """An id or symbol as text, which is shown by the name that people use."""

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, text: str, shown: str) -> Self:
        made = super().__new__(cls, text)
        made.shown = shown
        return made


class AccountText(NamedText):
    """The account's id, and with a dot its fields: `{{ account }}` and `{{ account.equity }}`."""

    __slots__ = ("fields",)
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, text: str, shown: str, values: Mapping[str, Any]) -> Self:
        made = cls(text, shown)
        made.fields = values
        return made

    def __getitem__(self, key: Any) -> Any:
        return self.fields[key] if isinstance(key, str) else super().__getitem__(key)


class ShownNumber(Decimal):
    """A field's number, which is shown with the wire's own digits, or rounded where we worked it out."""

    __slots__ = ("shown",)
    shown: str

    @classmethod
    def of(cls, value: Decimal, shown: str) -> Self:
        made = cls(value)
        made.shown = shown
        return made


def shown(value: Any) -> Any:
    """How a value stands in a text: ids by their names, times in the reader's zone, durations in words."""
    match value:
        case NamedText() | ShownNumber():
            return value.shown
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return _calculated(value)
        case datetime():
            return times.get().text(value)
        case timedelta():
            return duration_text(value)
        case None:
            return "missing"
        case list() | tuple():
            return ", ".join(str(shown(item)) for item in value)
        case _:
            return value


def formatted_time(time: Any, form: Any) -> str:
    """`strftime`, for widths that have an end."""
    if not isinstance(time, datetime):
        raise TypeError("only a time can be formatted as one")
    if len(str(form)) > _LONGEST_FORMAT or _WIDE.search(str(form)):
        raise SecurityError("a time's format with a width, or too long a one")
    return time.strftime(str(form))


def _calculated(value: Decimal) -> str:
    return number_text(value) if len(value.as_tuple().digits) <= _MOST_DIGITS else rounded_text(value)
