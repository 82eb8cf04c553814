"""Secrets that can't be shown by accident, and the mask that keeps them out of every text that leaves us."""

import json
import re
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST_MASKED = 4  # masking every "1" in a log would hide the log, not the secret


class Secret:
    """A text that only `reveal()` shows: not `str`, not `repr`, not a traceback's locals."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__


class Masker:
    """Replaces every secret it was told of, in the spellings that URLs and JSON give them, by `***`."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: "Secret | str") -> None:
        text = secret.reveal() if isinstance(secret, Secret) else secret
        if len(text) < _SHORTEST_MASKED:
            return
        words = {text, quote(text, safe=""), quote_plus(text), quote(text), json.dumps(text)[1:-1]}
        if words <= self._words:
            return
        self._words |= words
        longest_first = sorted(self._words, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def mask(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text
