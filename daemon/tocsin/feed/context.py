"""What the tasks of one venue share, and how long they wait before the next try."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from tocsin.clock import Clock
from tocsin.errors import OutsideError
from tocsin.events import Change, Observed, SnapshotBegins, SnapshotEnds
from tocsin.feed.complaints import Complaints
from tocsin.feed.credentials import CredentialStore
from tocsin.feed.errors import AllRefused, CredentialsRefused, HandshakeRejected
from tocsin.feed.link_status import LinkStatus
from tocsin.feed.model import Log, Sink, Timings
from tocsin.feed.recorder import Recorder
from tocsin.feed.silence import Silence
from tocsin.feed.transport import HeldHttp
from tocsin.loop_budget import LoopBudget
from tocsin.secrets import Masker
from tocsin.venues import web
from tocsin.venues.base import Adapter, Session

_LEAST = 0.05  # of the first delay: full jitter may say nearly nothing, and that would be a hot loop


class Backoff:
    """Full jitter: a random part of a bound that doubles from `first` to `most` seconds with each failure.

    `random` gives numbers from 0 to 1.
    """

    def __init__(self, first: float, most: float, random: Callable[[], float]) -> None:
        self._first, self._most, self._random = first, most, random
        self._bound = first

    def next(self, asked: float | None = None) -> float:
        """The seconds to wait now; at least what the venue `asked` for (Retry-After)."""
        delay = max(self._bound * self._random(), self._first * _LEAST)
        self._bound = min(self._bound * 2, self._most)
        return delay if asked is None else max(asked, delay)

    def reset(self) -> None:
        self._bound = self._first


class FlapDamping:
    """How long a connection must last before it is told as one.

    Normally not at all. After one that died young the next must last `first` seconds, then twice as long, up to
    `healthy`; so a venue that resets every second is disconnected, once, not connected and disconnected all day.
    Times are in seconds of any steady clock.
    """

    def __init__(self, first: float, healthy: float) -> None:
        self._first, self._healthy = first, healthy
        self._began: float | None = None
        self._died_young = 0

    def began(self, now: float) -> float:
        """It is up; how long it must last."""
        self._began = now
        if not self._died_young:
            return 0.0
        return float(min(self._first * 2.0 ** min(self._died_young - 1, 20), self._healthy))

    def ended(self, now: float) -> None:
        """It is down, if it was up."""
        if self._began is not None:
            self._died_young = self._died_young + 1 if now - self._began < self._healthy else 0
            self._began = None


class Retry:
    """Ends the long wait after a refusal: the user says that what was refused may be mended."""

    def __init__(self) -> None:
        self._asked = trio.Event()

    def now(self) -> None:
        """Whoever waits tries at once."""
        self._asked.set()
        self._asked = trio.Event()

    async def wait(self, seconds: float) -> None:
        """Until then, or until `now`."""
        with trio.move_on_after(seconds):
            await self._asked.wait()


class SnapshotTaken:
    """Of which kinds the pipeline has taken a full snapshot since the connection is up: what these left unconfirmed is known."""

    def __init__(self) -> None:
        self._connection = 0
        self._begun: tuple[str, ...] = ()
        self._taken = trio.Event()
        self.kinds: set[str] = set()

    def acknowledges(self, observed: Iterable[Observed]) -> Callable[[], None] | None:
        """What is to be called when these are taken; None where no snapshot ends with them."""
        whole: list[str] = []
        for item in observed:
            if isinstance(item, SnapshotBegins):
                self._begun = item.kinds
            elif isinstance(item, SnapshotEnds):
                whole += self._begun
        return partial(self._note, self._connection, whole) if whole else None

    def _note(self, connection: int, kinds: Iterable[str]) -> None:
        if connection == self._connection:
            self.kinds.update(kinds)
            self._taken.set()

    async def wait(self) -> None:
        """Until one more was taken than when this was last waited for."""
        await self._taken.wait()
        self._taken = trio.Event()

    def start_over(self) -> None:
        """The connection is another: what was put before counts no more."""
        self._connection += 1
        self._taken, self.kinds = trio.Event(), set()


@dataclass(frozen=True, slots=True)
class VenueContext:
    """One venue's parts, for as long as the daemon holds the venue; they outlive its connections.

    `unconfirmed`: its open orders and positions that it hasn't mentioned since a gap, as far as the pipeline has come.
    """

    name: str
    adapter: Adapter
    settings: Any
    timings: Timings
    sink: Sink
    clock: Clock
    masker: Masker
    log: Log
    credentials: CredentialStore
    http: HeldHttp
    link: LinkStatus
    complaints: Complaints
    silence: Silence
    flap_damping: FlapDamping
    recorder: Recorder | None
    random: Callable[[], float]
    retry: Retry
    loop_budget: LoopBudget
    unconfirmed: Callable[[], Sequence[Change]]
    snapshot_taken: SnapshotTaken

    def backoff(self) -> Backoff:
        """A new one, with the venue's timings."""
        return Backoff(self.timings.first_delay, self.timings.longest_delay, self.random)

    @property
    def remedy(self) -> str:
        """What the user should do when the venue won't have the credentials; empty where there are none."""
        if hasattr(self.adapter, "log_in"):
            return f"run: tocsin login {self.name}"
        names = self.settings.secrets_given()
        return f"check {' and '.join(f'venues.{self.name}.{name}' for name in names)}" if names else ""

    def down(self) -> None:
        """The venue as a whole is no longer up."""
        self.flap_damping.ended(trio.current_time())
        self.silence.start_over()


def is_unauthorized(failure: OutsideError) -> bool:
    """Whether it was our credentials that the venue itself didn't like.

    A handshake's bare 403 doesn't say so: it is about an Origin, or comes from what stands before the venue.
    """
    if not isinstance(failure, HandshakeRejected):
        return isinstance(failure, CredentialsRefused)
    response = failure.response
    return web.classify(response) == "refused" and (response.status == 401 or bool(response.body.strip()))


async def wait_after(
    context: VenueContext, failure: OutsideError, where: str, backoff: Backoff, *, was_up: bool
) -> None:
    """Tell of the failure and wait until the next try is due. `where` names the socket, "" the only one.

    `was_up`: the connection had been open, so this is no failed attempt. After a refusal the wait is `auth_retry`, and
    `context.retry` ends it: the user may have mended what was refused.
    """
    reason = f"{where}: {failure}" if where else str(failure)
    if is_unauthorized(failure) or isinstance(failure, AllRefused):
        delay = context.timings.auth_retry
        if isinstance(failure, AllRefused):
            await context.link.nothing_left(reason, next_in=delay)
        else:
            await context.link.auth_failed("; ".join(filter(None, (reason, context.remedy))), next_in=delay)
        await context.retry.wait(delay)
        return
    asked = None
    if isinstance(failure, HandshakeRejected):
        asked = web.retry_after(failure.response, context.clock.now().wall)
    delay = backoff.next(asked)
    await context.link.lost(reason, attempt=not was_up, next_in=delay)
    context.log.debug("waiting to connect", venue=context.name, socket=where, seconds=round(delay, 1))
    await trio.sleep(delay)


def is_new(session: Session, than: Session) -> bool:
    """Whether a session can fare better than the one that was refused."""
    return (session.token, session.values) != (than.token, than.values)
