"""What a user's template says, or why it says nothing: whatever it does, the message still goes."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from tocsin.alerts.plain import plain
from tocsin.alerts.wording import Times
from tocsin.delivery.sandbox import Box, run


class OwnWords:
    """Texts made of `values` by templates that are `whose`: "the rule's"; as of `now` (UTC), with times in the zone `tz`."""

    def __init__(self, box: Box, values: Mapping[str, Any], tz: tzinfo, now: datetime, whose: str) -> None:
        self._box, self._values, self._tz, self._now, self._whose = box, values, tz, now, whose

    def of(self, what: str, source: str | None, remarks: list[str]) -> str | None:
        """The text; None where there is no template, or it fails, which is a remark."""
        if source is None:
            return None
        try:
            return self.made(source)
        except Exception as error:  # noqa: BLE001 # a template is the user's program: whatever it raises, the message still goes
            remarks.append(f"({self._whose} {what} template failed: {plain(why(error), 200)})")
            return None

    def made(self, source: str) -> str:
        """The text. Raises whatever the template's own mistakes raise."""
        return run(_compiled(self._box, source), self._values, Times(self._tz, self._now)).strip()


def why(error: Exception) -> str:
    """Why a template failed, in words."""
    match error:
        case UndefinedError() | TemplateSyntaxError() | SecurityError():
            return error.message or "not a template"
        case ZeroDivisionError():
            return "a division by zero"
        case RecursionError():
            return "nested too deeply"
        case ArithmeticError():
            return "a calculation that can't be done"
        case TypeError() if "NoneType" in str(error):
            return "a field without a value was compared or calculated with; say what to take then: stop_loss|default(0)"
        case _:
            return f"{type(error).__name__}: {error}"


@lru_cache(maxsize=2000)
def _compiled(box: Box, source: str) -> Template:
    return box.ready(source)
