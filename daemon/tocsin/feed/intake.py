"""One message's way in: decoded, recorded, judged, handed to the pipeline; what is for the connection comes back."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from tocsin.events import Instant, Observation, Observed, Occurrence, SnapshotBegins, SnapshotEnds
from tocsin.feed.model import Received
from tocsin.feed.shared import Shared
from tocsin.quantities import duration_text
from tocsin.venues.base import Accepted, Control, Decoded, Malformed, Refused, Reply, Unrecognized


class Taken(Struct, frozen=True):
    """What a message held, beside what was handed on already."""

    observed: tuple[Observed, ...] = ()
    answers: tuple[Accepted | Refused, ...] = ()


class Intake:
    """Takes the messages of one socket. `reply` sends one back."""

    def __init__(self, shared: Shared, endpoint: str, reply: Callable[[str], Awaitable[None]]) -> None:
        self._shared, self._endpoint, self._reply = shared, endpoint, reply

    async def take(self, message: str) -> Taken:
        """Handle one message. Any exception but the connection's is a bug of ours, the adapter's decoder included."""
        shared, at = self._shared, self._shared.clock.now()
        shared.standing.last_message = at
        try:
            decoded = shared.adapter.decode(message, at.wall)
        except Malformed as malformed:
            self._record(message, None, at)
            await shared.complaints.malformed(str(malformed), message)
            return Taken()
        self._record(message, decoded.stream, at)
        observed, answers = await self._sort(decoded, message)
        if observed:
            await self._hand_on(observed, decoded.stream, message, at)
        return Taken(observed, answers)

    def _record(self, message: str, stream: str | None, at: Instant) -> None:
        if self._shared.recorder is not None:
            self._shared.recorder.append(self._shared.masker.mask(message), stream or self._endpoint, at)

    async def _sort(
        self, decoded: Decoded, message: str
    ) -> tuple[tuple[Observed, ...], tuple[Accepted | Refused, ...]]:
        observed: list[Observed] = []
        answers: list[Accepted | Refused] = []
        for item in decoded.items:
            match item:
                case Observation() | Occurrence() | SnapshotBegins() | SnapshotEnds():
                    observed.append(item)
                case Reply():
                    await self._reply(item.text)
                case Accepted() | Refused():
                    answers.append(item)
                case Unrecognized():
                    await self._shared.complaints.unrecognized(item.reason, message)
                case Control():
                    pass  # of no interest, as its name says
        return tuple(observed), tuple(answers)

    async def _hand_on(
        self, observed: tuple[Observed, ...], stream: str | None, message: str, at: Instant
    ) -> None:
        shared = self._shared
        raw = shared.masker.mask(message)
        with shared.silence.handing_over():
            await shared.silence.heard(self._endpoint, stream)
            await shared.sink.put(Received(venue=shared.name, observed=observed, at=at, raw=raw))
        await self._judge_clock(observed, at)

    async def _judge_clock(self, observed: tuple[Observed, ...], at: Instant) -> None:
        """Only what is new has a time to compare with ours: an opening state, or a polled picture, may be of old."""
        times = [
            item.time
            for item in observed
            if isinstance(item, (Observation, Occurrence)) and item.origin == "live" and item.time is not None
        ]
        if not times:
            return
        ahead = (max(times) - at.wall).total_seconds()
        allowed = self._shared.timings.skew
        if ahead > allowed or (-ahead > allowed and not self._shared.adapter.polled):
            span = duration_text(abs(max(times) - at.wall))
            where = "ahead of" if ahead > 0 else "behind"
            await self._shared.standing.skewed(f"the venue's times are {span} {where} ours")
