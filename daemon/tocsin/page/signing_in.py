"""The ways in: a person's token, and links that sign in once; and how often somebody may be wrong."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import trio
from msgspec import Struct

from tocsin.secrets import Secret

LINK_LASTS = 300.0  # seconds
_BYTES = 32
_MOST_LINKS = 100
_MOST_WRONG, _PAUSE = 10, 60.0  # tries in a row; seconds
_EVERY = 1.0  # seconds between two tries of one address
_PATIENCE = 3.0  # seconds that a try waits for its turn
_MOST_ADDRESSES = 1000
_FORGOTTEN = 3600.0  # seconds after which what was wrong no longer counts


class Links:
    """Links that sign in once. They don't outlast the daemon."""

    def __init__(self) -> None:
        self._open: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def make(self, person: str) -> str:
        """The secret that the link carries."""
        value = secrets.token_urlsafe(_BYTES)
        self._open[_digest(value)] = person, trio.current_time() + LINK_LASTS
        while len(self._open) > _MOST_LINKS:
            self._open.popitem(last=False)
        return value

    def whose(self, value: str) -> str | None:
        """Whom it would sign in; None: it never was one, was used, or is too old."""
        person, until = self._open.get(_digest(value), (None, 0.0))
        return person if trio.current_time() < until else None

    def use(self, value: str) -> str | None:
        """As `whose`; afterwards it signs in nobody."""
        person = self.whose(value)
        self._open.pop(_digest(value), None)
        return person


class _Tries(Struct):
    """Of one address: how many in a row were wrong, and when the last of these was; when the last try began or is to, and until when
    nobody there may try.
    """

    wrong: int = 0
    wrong_at: float = float("-inf")
    turn: float = float("-inf")
    paused_until: float = float("-inf")


class Tries:
    """How often who may be wrong: 10 times in a row, then not for a minute. `what` is tried, as the log calls it."""

    def __init__(self, what: str, log: Any) -> None:
        self._what, self._log = what, log
        self._of: OrderedDict[str, _Tries] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds that nobody there may try; 0: now."""
        found = self._of.get(address)
        return max(found.paused_until - trio.current_time(), 0.0) if found is not None else 0.0

    async def turn(self, address: str) -> bool:
        """Waits until a second after the last try; False: so many try at once that it would be for too long."""
        found, now = self._known(address), trio.current_time()
        at = max(found.turn + _EVERY, now)
        if at - now > _PATIENCE:
            return False
        found.turn = at
        await trio.sleep(at - now)
        return True

    def was_wrong(self, address: str) -> None:
        """What was tried isn't shown anywhere."""
        found = self._known(address)
        now = trio.current_time()
        if now - found.wrong_at > _FORGOTTEN:
            found.wrong = 0
        found.wrong, found.wrong_at = found.wrong + 1, now
        self._log.warning("wrong sign-in to the page", what=self._what, address=address, in_a_row=found.wrong)
        if found.wrong >= _MOST_WRONG:
            found.wrong, found.paused_until = 0, now + _PAUSE

    def was_right(self, address: str) -> None:
        self._of.pop(address, None)

    def _known(self, address: str) -> _Tries:
        found = self._of.setdefault(address, _Tries())
        self._of.move_to_end(address)
        while len(self._of) > _MOST_ADDRESSES:
            self._of.popitem(last=False)
        return found


def whose_token(given: str, tokens: Mapping[str, Secret]) -> str | None:
    """The person who has it. Takes as long whoever it is, and whether it is anybody."""
    found = None
    digest = _digest(given)
    for name, token in tokens.items():
        if hmac.compare_digest(digest, _digest(token.reveal())):
            found = name
    return found


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="surrogateescape")).digest()
