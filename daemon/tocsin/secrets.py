"""Secrets that can't be shown by accident, and the mask that keeps them out of every text that leaves us."""

import json
import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST_MASKED = 4  # masking every "1" in a log would hide the log, not the secret
_RENEWALS_REMEMBERED = 8  # of one owner's short-lived secrets


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
        self._renewed: dict[str, deque[frozenset[str]]] = {}
        self._all: list[str] = []
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: "Secret | str") -> None:
        words = _spellings(secret)
        if words <= self._words:
            return
        self._words |= words
        self._rebuild()

    def renew(self, owner: str, secrets: Iterable["Secret | str"]) -> None:
        """Add short-lived secrets, such as a session's. The owner's older ones are forgotten some renewals later.

        With a new ticket each minute the mask would otherwise grow, and slow down, for as long as the daemon lives.
        """
        words = frozenset().union(*map(_spellings, secrets))
        renewed = self._renewed.setdefault(owner, deque(maxlen=_RENEWALS_REMEMBERED))
        if words in renewed:
            return
        renewed.append(words)
        self._rebuild()

    def include(self, other: "Masker") -> None:
        """Mask what the other one masks, too: the secrets of a configuration that was read anew."""
        words = frozenset(other._all)  # noqa: SLF001 - another one of these
        if not words <= self._words:
            self._words |= words
            self._rebuild()

    def _rebuild(self) -> None:
        words = self._words.union(*(words for renewed in self._renewed.values() for words in renewed))
        self._all = sorted(words, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._all))) if self._all else None

    def mask(self, text: str) -> str:
        # Nearly no text holds a secret, and looking for one word after the other is faster than the pattern.
        for word in self._all:
            if word in text and self._pattern:
                return self._pattern.sub(MASK, text)
        return text


def _spellings(secret: "Secret | str") -> frozenset[str]:
    text = secret.reveal() if isinstance(secret, Secret) else secret
    if len(text) < _SHORTEST_MASKED:
        return frozenset()
    in_json = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    return frozenset({text, quote(text, safe=""), quote_plus(text), quote(text), *in_json})
