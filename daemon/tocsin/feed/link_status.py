"""The status of a venue's connection, and its events: each change is told once."""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias

import trio
from msgspec import UNSET, UnsetType

from tocsin.clock import Clock
from tocsin.events import UP, Instant, Observation, Occurrence, Venue
from tocsin.feed.model import Log, Received, Sink
from tocsin.meters import VenueMeters
from tocsin.secrets import Masker

Status: TypeAlias = Literal["connecting", "connected", "silent", "disconnected", "auth_failed", "refused"]
Event: TypeAlias = Literal[
    "connected", "disconnected", "silent", "resumed", "auth_failed", "refused", "clock_skew", "unrecognized", "malformed",
    "credentials_not_kept", "credentials_kept",
]  # fmt: skip


_LONGEST = 400  # characters of a text that is shown
_TELL_AFTER = 10.0  # seconds in which messages came, and none of them held an observation


class LinkStatus:
    """The state machine behind the entity `venue`; its observations go into `sink`, in the order of the changes.

    The state is changed before it is told, so that two tasks never tell the same twice. Texts are masked here. Seconds
    are of the monotonic clock, but for what the entity shows.
    """

    def __init__(
        self,
        venue: str,
        *,
        sink: Sink,
        clock: Clock,
        masker: Masker,
        log: Log,
        before: Venue | None = None,
        meters: VenueMeters | None = None,
    ) -> None:
        """`before`: the link as it stood when the venue was last held, in the last run perhaps."""
        self._venue, self._sink, self._clock, self._masker, self._log = venue, sink, clock, masker, log
        self._in_order = trio.Lock()
        self.meters = meters or VenueMeters()
        self.status: Status = "connecting"
        self._gap_since: float | None = None  # steady; of an outage after a connection
        self.last_message: Instant | None = None
        self.heard_before: datetime | None = (before.last_message or None) if before is not None else None
        """When the venue was last heard before this connection, by the wall clock; None: never, as far as is known."""
        self._up_since: Instant | None = None
        self._handed_on = clock.now().steady  # when something of the venue last was
        self._told_message = float("-inf")  # steady: of the last message that is known there
        self._since = clock.now()
        self._attempts = 0
        self._silent: set[str] = set()  # on this connection
        # On whatever connection: no data came since they were told silent.
        silent = before.silent_streams.split(", ") if before is not None and before.silent_streams else ()
        self._lacking = dict.fromkeys(silent)
        self._refused: dict[str, str] = {}
        self._auth_failed = False
        self._skewed = False
        self.keeps_nothing: bool | None = None  # credentials can't be written; None: not tried yet

    @property
    def is_up(self) -> bool:
        """Whether all of the venue's sockets are up; a silent stream doesn't change that."""
        return self.status in UP

    async def begin(self) -> None:
        """The venue exists, and has never been connected."""
        async with self._in_order:
            await self._tell(None, status=True)

    async def connected(self, streams: Collection[str]) -> None:
        """All of the venue's sockets are up. `streams`: those that are watched, and may still be silent."""
        async with self._in_order:
            if self.is_up:
                return
            self._lacking = {name: None for name in self._lacking if name in streams}
            self._log.info("connected", venue=self._venue)
            self._become("connected")
            self._attempts, self._auth_failed = 0, False
            await self._tell("connected", status=True, reason=None, next_in=None)

    async def lost(self, reason: str, *, attempt: bool, next_in: float) -> None:
        """The connection is gone, or (`attempt`) couldn't be made: one event an outage, the rest only counts.

        `next_in`: the seconds until the next try.
        """
        async with self._in_order:
            self._attempts += attempt
            outage = self.status in ("disconnected", "auth_failed", "refused")
            reason = one_line(reason, self._masker)
            self._log.warning("disconnected", venue=self._venue, reason=reason, attempts=self._attempts)
            if not outage:
                self._become("disconnected")
            event: Event | None = None if outage else "disconnected"
            await self._tell(event, status=True, reason=reason, next_in=next_in)

    async def auth_failed(self, reason: str, *, next_in: float, lives: bool = False) -> None:
        """The venue won't have the credentials. A connection that still `lives` (its renewal was refused) stays so."""
        async with self._in_order:
            first, self._auth_failed = not self._auth_failed, True
            reason = one_line(reason, self._masker)
            self._log.warning("sign-in refused", venue=self._venue, reason=reason)
            up = self.is_up and lives
            if not up:
                self._attempts += not self.is_up
                if self.status != "auth_failed":
                    self._become("auth_failed")
            event: Event | None = "auth_failed" if first else None
            await self._tell(event, status=not up, reason=reason, next_in=next_in)

    async def auth_mended(self) -> None:
        """A renewal went well: the next refusal is told again, and the reason of the last one is gone."""
        async with self._in_order:
            mended, self._auth_failed = self._auth_failed, False
            if mended and self.is_up:
                await self._tell(None, status=False, reason=None, next_in=None)

    async def kept(self, obstacle: str | None) -> None:
        """The credentials are on the disk, or (`obstacle`) can't be written there; each change is told once."""
        async with self._in_order:
            if obstacle is not None:
                self._log.error("credentials can't be kept", venue=self._venue, reason=obstacle)
            before, self.keeps_nothing = self.keeps_nothing, obstacle is not None
            if before == self.keeps_nothing:
                return
            if obstacle is None:  # the run before may have said otherwise
                over = None if before and self.is_up else UNSET
                event: Event | None = "credentials_kept" if before else None
                await self._tell(event, status=False, reason=over, credentials="kept")
                return
            reason = one_line(
                f"the credentials can't be kept: {obstacle}; a new token is only in memory, and lost with the next restart",
                self._masker,
            )
            await self._tell("credentials_not_kept", status=False, reason=reason, credentials="not_kept")

    async def refused(self, stream: str, reason: str) -> None:
        """One stream was refused; told again only for another reason, or after it had been accepted."""
        async with self._in_order:
            reason = one_line(f"{stream}: {reason}", self._masker)
            self._log.warning("refused", venue=self._venue, reason=reason)
            if self._refused.get(stream) == reason:
                return
            self._refused[stream] = reason
            await self._tell("refused", status=False, reason=reason)

    def accepted(self, stream: str) -> None:
        """The venue took that request: its next refusal is told again."""
        self._refused.pop(stream, None)

    async def nothing_left(self, reason: str, *, next_in: float) -> None:
        """Every stream was refused, each told before: there is no connection to speak of."""
        async with self._in_order:
            self._attempts += 1
            if self.status not in ("auth_failed", "refused"):
                self._become("refused")
            await self._tell(None, status=True, reason=one_line(reason, self._masker), next_in=next_in)

    def renewed(self) -> None:
        """What was known until now is of an earlier connection: one ended, or made way for another."""
        if self._up_since is not None:
            self.heard_before = max(self._up_since, self.last_message or self._up_since).wall

    def lacks(self, stream: str) -> bool:
        """Whether it was told silent, and no data has come since."""
        return stream in self._lacking

    async def silent(self, stream: str, reason: str) -> None:
        """No data came by that stream for too long; `reason` says for how long."""
        async with self._in_order:
            if not self.is_up or stream in self._silent:
                return
            self._log.warning("silent", venue=self._venue, stream=stream)
            if not self._silent:
                self._become("silent")
            self._silent.add(stream)
            self._lacking[stream] = None
            await self._tell("silent", status=True, reason=one_line(reason, self._masker))

    async def resumed(self, stream: str) -> None:
        """Data came by a stream that was told silent."""
        async with self._in_order:
            if stream not in self._lacking:
                return
            self._log.info("resumed", venue=self._venue, stream=stream)
            self._speaks(stream)
            await self._tell("resumed", status=True, reason=f"{stream}: data again")
            if self.status == "connected":
                await self._tell(None, status=False, reason=None)

    async def given_up(self, stream: str) -> None:
        """A silent stream was refused: it is no longer silent, and that is no event, as no data came."""
        async with self._in_order:
            if stream in self._lacking:
                self._speaks(stream)
                await self._tell(None, status=True)

    def _speaks(self, stream: str) -> None:
        self._lacking.pop(stream, None)
        self._silent.discard(stream)
        if self.status == "silent" and not self._silent:
            self._become("connected")

    async def skewed(self, reason: str) -> None:
        """Their clock and ours differ; told once a connection."""
        if self._skewed:
            return
        self._skewed = True
        await self.complain("clock_skew", reason)

    async def complain(self, event: Event, reason: str, raw: str | None = None) -> None:
        """A message or a time is odd; the status stays, and its reason. `raw` is the message's text."""
        async with self._in_order:
            reason = one_line(reason, self._masker)
            self._log.warning(event, venue=self._venue, reason=reason)
            masked, now = None if raw is None else self._masker.mask(raw), self._clock.now()
            self._handed_on = now.steady
            odd = Occurrence(
                state=Venue(id=self._venue, reason=reason),
                event=f"venue.{event}",
                origin="synthetic",
                time=now.wall,
            )
            await self._sink.put(Received(venue=self._venue, observed=(odd,), at=now, raw=masked))

    async def heard(self, at: Instant, *, handed_on: bool) -> None:
        """A message came. While no message holds observations, `last_message` is told with a connection's first and every 10 s."""
        if handed_on:
            self._handed_on = self._told_message = at.steady
        elif at.steady - self._handed_on >= _TELL_AFTER or (
            self.is_up and self._told_message < self._since.steady
        ):
            async with self._in_order:
                await self._tell(None, status=False)

    async def waiting(self, why: str) -> None:
        """A sign-in has to wait, and `why`. Told unless the venue is connected."""
        async with self._in_order:
            why = one_line(why, self._masker)
            self._log.info("waiting", venue=self._venue, reason=why)
            if not self.is_up:
                await self._tell(None, status=False, reason=why)

    def _become(self, status: Status) -> None:
        self._count(was_up=self.is_up, is_up=status in UP)
        if status not in UP:
            self._silent.clear()
            self._skewed = False
        self.status, self._since = status, self._clock.now()

    def _count(self, *, was_up: bool, is_up: bool) -> None:
        if was_up == is_up:
            return
        at = self._clock.now()
        if is_up:
            self.meters.connects += 1
            self.meters.gap_seconds += at.steady - self._gap_since if self._gap_since is not None else 0.0
            self._gap_since, self._up_since = None, at
        else:
            self.meters.disconnects += 1
            self._gap_since = at.steady
            self.renewed()

    async def _tell(
        self,
        event: Event | None,
        *,
        status: bool,
        reason: str | UnsetType | None = UNSET,
        next_in: float | UnsetType | None = UNSET,
        credentials: Literal["kept", "not_kept"] | UnsetType = UNSET,
        raw: str | None = None,
    ) -> None:
        """Put an observation of the venue into the sink; `event` None: a change that is no event.

        `status`: with the status, its beginning and the attempts; else these stay as they were told. `next_in` is in
        seconds from now.
        """
        now = self._clock.now()
        self._handed_on = now.steady
        if self.last_message is not None:
            self._told_message = self.last_message.steady
        state = Venue(
            id=self._venue,
            status=self.status if status else UNSET,
            since=self._since.wall if status else UNSET,
            attempts=Decimal(self._attempts) if status else UNSET,
            reason=reason,
            next_attempt=now.wall + timedelta(seconds=next_in)
            if isinstance(next_in, (int, float))
            else next_in,
            silent_streams=", ".join(self._lacking) or None,
            credentials=credentials,
            last_message=self.last_message.wall if self.last_message else UNSET,
        )
        observation = Observation(
            state=state, event=f"venue.{event}" if event else None, origin="synthetic", time=now.wall
        )
        await self._sink.put(Received(venue=self._venue, observed=(observation,), at=now, raw=raw))


def one_line(text: str, masker: Masker) -> str:
    """The text of a venue or an error, fit to be shown: one line, no control characters, at most 400, no secrets."""
    plain = "".join(character if character.isprintable() else " " for character in masker.mask(text))
    plain = " ".join(plain.split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
