"""Who is signed in: sessions, in memory and kept in the database, so that a request costs no query.

The cookie holds 256 random bits; what is kept is their hash, and of who came with a token a proof that this is still theirs.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol

import trio
from msgspec import structs

from tocsin.secrets import Secret
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import SESSION_LASTS, SessionRow

_SEEN_EVERY = timedelta(hours=1)  # so often at most is it written that a session is used
_AGAIN = 10.0  # seconds until it is tried again where nothing can be written
_PATIENCE = 5.0  # seconds that somebody waits for what they changed to be written
_MOST = 1000  # sessions; beyond, those that haven't been used for longest end
_BYTES = 32

Tokens = Callable[[], Mapping[str, Secret]]


class Keeper(Protocol):
    """What sessions are written into."""

    async def keep_sessions(self, sessions: Mapping[str, SessionRow | None]) -> None:
        """Some by their ids, None takes one away. StoreUnavailable, also where there is no answer soon."""
        ...


class Sessions:
    """`kept` are those of the last run; `tokens` gives the people who may come with one, and these, as the config is now.

    `log` is a structlog logger.
    """

    def __init__(
        self,
        kept: Iterable[SessionRow],
        tokens: Tokens,
        now: Callable[[], datetime],
        keeper: Keeper,
        log: Any,
    ) -> None:
        self._rows = {row.id: row for row in kept}
        self._tokens, self._now, self._keeper, self._log = tokens, now, keeper, log
        self._unkept: dict[str, SessionRow | None] = {}
        self._changed, self._writing = trio.Event(), trio.Lock()

    def begin(self, person: str, *, by_token: bool) -> str:
        """What the cookie of a new session is to hold."""
        value = secrets.token_urlsafe(_BYTES)
        token = self._tokens()[person] if by_token else None
        now = self._now()
        row = SessionRow(
            id=_hash(value),
            person=person,
            how="link" if token is None else "token",
            proof="" if token is None else _proof(value, token),
            made_at=now,
            seen_at=now,
        )
        self._set(row.id, row)
        if len(self._rows) > _MOST:
            self.end(min(self._rows.values(), key=lambda each: each.seen_at).id)
        return value

    def of(self, value: str) -> SessionRow | None:
        """The session of a cookie's value; None: there is none (any more)."""
        row = self._rows.get(_hash(value))
        if row is None:
            return None
        now = self._now()
        if now - row.seen_at > SESSION_LASTS or not self._still_may(row, value):
            self.end(row.id)
            return None
        if now - row.seen_at > _SEEN_EVERY:
            row = structs.replace(row, seen_at=now)
            self._set(row.id, row)
        return row

    def _still_may(self, row: SessionRow, value: str) -> bool:
        """Whether who came with a token still has the same."""
        if row.how == "link":
            return True
        token = self._tokens().get(row.person)
        return token is not None and hmac.compare_digest(row.proof, _proof(value, token))

    def end(self, id_: str) -> None:
        if id_ in self._rows:
            self._set(id_, None)

    def end_all(self, person: str | None = None) -> int:
        """Those of a person, or of all. How many there were."""
        ids = [row.id for row in self._rows.values() if person is None or row.person == person]
        for id_ in ids:
            self.end(id_)
        return len(ids)

    def people(self) -> list[str]:
        """Who is signed in."""
        return sorted({row.person for row in self._rows.values()})

    def _set(self, id_: str, row: SessionRow | None) -> None:
        if row is None:
            self._rows.pop(id_, None)
        else:
            self._rows[id_] = row
        self._unkept[id_] = row
        self._changed.set()

    async def keep(self) -> NoReturn:
        """Runs for ever: has written what changed; tried again every 10 s while that can't be."""
        while True:
            self._changed = trio.Event()
            if await self._write():
                await self._changed.wait()
            else:
                await trio.sleep(_AGAIN)

    async def kept(self) -> bool:
        """Whether all that changed is written, for which it waits some seconds; if not, a restart undoes it unless `keep` has it later."""
        with trio.move_on_after(_PATIENCE):
            return await self._write()
        return False

    async def _write(self) -> bool:
        async with self._writing:
            changed = dict(self._unkept)
            if not changed:
                return True
            try:
                await self._keeper.keep_sessions(changed)
            except StoreUnavailable as error:
                self._log.warning("can't keep who is signed in to the page", reason=error.reason)
                return False
            for id_, row in changed.items():
                if self._unkept[id_] is row:
                    del self._unkept[id_]
            return True


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _proof(value: str, token: Secret) -> str:
    """Of a token, in a session whose cookie holds `value`: from what is kept neither can be found."""
    return hmac.new(value.encode(), token.reveal().encode(), hashlib.sha256).hexdigest()
