"""Trying the configured credentials as the daemon would use them, by a connection of its own (`tocsin login`)."""

from collections.abc import Callable
from dataclasses import replace

import trio

from tocsin.clock import Clock
from tocsin.errors import TocsinError
from tocsin.events import KINDS, Observation, Venue
from tocsin.feed.credentials import CredentialStore
from tocsin.feed.model import Log, Received, Timings, VenueFeed
from tocsin.feed.supervisor import run_venue
from tocsin.secrets import Masker

_LONGEST = 180.0  # seconds; one token a minute is what the slowest venue gives
_REFUSES_WITHIN = 5.0  # seconds; some venues refuse after the connection stands, and never confirm


class NotSignedIn(TocsinError):
    """The venue didn't take the credentials, or can't be reached; the text says which, and what to do."""


class _Verdict:
    """A `Sink` that waits for the venue to accept or refuse the credentials."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.connected, self.decided = trio.Event(), trio.Event()
        self.against: str | None = None

    async def put(self, received: Received) -> None:
        await trio.lowlevel.checkpoint()
        for item in received.observed:
            if not isinstance(item, Observation):
                continue
            state = item.state
            if not isinstance(state, Venue):
                if not KINDS[state.kind].market_data:
                    self.decided.set()  # what is the account's own is shown to those who signed in alone
            elif item.event == "venue.connected":
                self.connected.set()
            elif item.event in ("venue.auth_failed", "venue.disconnected", "venue.refused"):
                self.against = self.against or str(state.reason)
                self.decided.set()
                self.connected.set()
            elif isinstance(state.reason, str):
                self._say(state.reason)


async def try_credentials(
    venue: VenueFeed,
    *,
    clock: Clock,
    masker: Masker,
    credentials: CredentialStore,
    log: Log,
    say: Callable[[str], None],
    timings: Timings | None = None,
    refuses_within: float = _REFUSES_WITHIN,
) -> bool:
    """Whether the venue confirmed them (True), or only let us connect and refused nothing within `refuses_within` seconds.

    `say` is given what a user who waits should know. Raises NotSignedIn, also after three minutes without an answer.
    """
    verdict = _Verdict(say)
    timings = replace(timings or Timings(), prove=0.0)
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_venue(
                venue,
                sink=verdict,
                clock=clock,
                masker=masker,
                credentials=credentials,
                log=log,
                timings=timings,
            )

        nursery.start_soon(run)
        with trio.move_on_after(_LONGEST) as waited:
            await verdict.connected.wait()
            with trio.move_on_after(refuses_within):
                await verdict.decided.wait()
        nursery.cancel_scope.cancel()
    if waited.cancelled_caught:
        raise NotSignedIn(f"no answer within {_LONGEST:g} s")
    if verdict.against is not None:
        raise NotSignedIn(verdict.against)
    return verdict.decided.is_set()
