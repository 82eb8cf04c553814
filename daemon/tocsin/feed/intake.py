"""One message's way in: decoded, recorded, judged, handed to the pipeline; what is for the connection comes back."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from msgspec import Struct

from tocsin.events import Instant, Observation, Observed, Occurrence, SnapshotBegins, SnapshotEnds
from tocsin.feed.model import Received
from tocsin.feed.shared import Shared
from tocsin.quantities import duration_text
from tocsin.venues.base import (
    Accepted,
    Control,
    Decoded,
    Malformed,
    Refused,
    Reply,
    Unreadable,
    Unrecognized,
)
from tocsin.venues.decoding import decode

_NOTHING = Decoded(items=())
_STAMPS = ("opened", "created", "updated", "closed")
_PRIVATE = Control(private=True)


class Taken(Struct, frozen=True):
    """What a message held, beside what was handed on already. `accounts` counts the observations of accounts."""

    answers: list[Accepted | Refused] = []
    accounts: int = 0


class Intake:
    """Takes the messages of one socket. `reply` sends one back."""

    def __init__(self, shared: Shared, endpoint: str, reply: Callable[[str], Awaitable[None]]) -> None:
        self._shared, self._endpoint, self._reply = shared, endpoint, reply

    async def take(self, message: str) -> Taken:
        """Handle one message. Any exception but the connection's is a bug of ours, the adapter's decoder included."""
        shared, at = self._shared, self._shared.clock.now()
        shared.standing.last_message = at
        decoded = await self._decode(message, at)
        observed: list[Observed] = []
        answers: list[Accepted | Refused] = []
        accounts = 0
        for item in decoded.items:
            match item:
                case Observation(state=state):
                    observed.append(item)
                    accounts += state.kind == "account"
                case Occurrence() | SnapshotBegins() | SnapshotEnds():
                    observed.append(item)
                case Reply():
                    await self._reply(item.text)
                case Accepted() | Refused():
                    answers.append(item)
                case Unrecognized():
                    await shared.complaints.unrecognized(item.reason, message)
                case Unreadable():
                    await shared.complaints.unreadable(item, message)
                case Control():
                    pass  # of no interest, as its name says
        await shared.standing.heard(at, handed_on=bool(observed))
        if observed:
            await self._hand_on(observed, decoded.stream, message, at)
        return Taken(answers, accounts)

    async def _decode(self, message: str, at: Instant) -> Decoded:
        """What it means; nothing where it is malformed, which is told."""
        try:
            decoded = decode(self._shared.adapter, message, at.wall)
        except Malformed as malformed:
            self._record(message, None, at)
            await self._shared.complaints.malformed(str(malformed), message)
            return _NOTHING
        if self._shared.recorder is not None and _PRIVATE not in decoded.items:
            self._record(message, decoded.stream, at)
        return decoded

    def _record(self, message: str, stream: str | None, at: Instant) -> None:
        if self._shared.recorder is not None:
            self._shared.recorder.append(self._shared.masker.mask(message), stream or self._endpoint, at)

    async def _hand_on(self, observed: list[Observed], stream: str | None, message: str, at: Instant) -> None:
        shared = self._shared
        silence = shared.silence
        raw = shared.masker.mask(message)
        began = silence.hand_over()
        try:
            for name in silence.heard(self._endpoint, stream):
                await shared.standing.resumed(name)
            await shared.sink.put(Received(venue=shared.name, observed=tuple(observed), at=at, raw=raw))
        finally:
            silence.handed_over(began)
        if (skew := self._skew(observed, at)) is not None:
            await shared.standing.skewed(skew)

    def _skew(self, observed: list[Observed], at: Instant) -> str | None:
        """How their clock differs from ours, if it does.

        Only what is new has a time to compare: an opening state, or a polled picture, may be of old. When something began
        or last changed may be long ago too, but not ahead of now.
        """
        allowed = self._shared.timings.skew
        soon = at.wall + timedelta(seconds=allowed)
        newest = None
        for item in observed:
            if not isinstance(item, (Observation, Occurrence)) or item.origin != "live":
                continue
            stamps = (getattr(item.state, name, None) for name in _STAMPS)
            ahead_of = [stamp for stamp in stamps if isinstance(stamp, datetime) and stamp > soon]
            for time in (item.time, *ahead_of):
                if time is not None:
                    newest = time if newest is None else max(newest, time)
        if newest is None:
            return None
        ahead = (newest - at.wall).total_seconds()
        if -allowed <= ahead <= allowed or (ahead < 0 and self._shared.adapter.polled):
            return None
        span = duration_text(abs(newest - at.wall))
        return f"the venue's times are {span} {'ahead of' if ahead > 0 else 'behind'} ours"
