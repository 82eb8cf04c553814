"""The heartbeat: a watch elsewhere that rings when it isn't asked for a while. It is asked while all is well, and only then.

Well is: healthy, the required venues connected and not silent, and no critical message that every channel it could go to has refused
for minutes: a watch whose voice is gone is not well.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

import trio

from tocsin.alerts.wording import time_text
from tocsin.clock import Clock
from tocsin.config.settings import Heartbeat
from tocsin.control.measures import Measures
from tocsin.events import iso
from tocsin.http import Http, HttpFailed
from tocsin.quantities import duration_text
from tocsin.secrets import Masker
from tocsin.store.errors import StoreError
from tocsin.store.reader import Reader
from tocsin.venues.base import HttpRequest, HttpResponse

UNHEARD_AFTER = timedelta(minutes=5)  # a critical message that waits for so long reaches nobody
_TRIES, _DEADLINE, _PAUSE = 3, 10.0, 1.0  # requests for one beat, seconds for each, and between them
_SHARE = 20  # of a short interval that a pause is
_TELL_EVERY = 3600.0  # seconds between two `daemon.degraded` of one heartbeat
_FIRST_WITHIN = 60.0  # seconds after a start until what isn't well is said to be so
_LOOK_EVERY = 0.5  # seconds, until then
_PATIENCE = 2.0  # seconds with the database
_OK = range(200, 300)

Request = Callable[[HttpRequest, float], Awaitable[HttpResponse]]


def over_http() -> Request:
    """Requests over the network, by the environment's proxies, no redirect followed."""
    return Http(None, _DEADLINE, ca_option="SSL_CERT_FILE", proxies=True)


@dataclass(frozen=True, slots=True)
class Judge:
    """Says why all is not well. `limiter` bounds the threads that ask the database."""

    measures: Callable[[], Measures]
    reader: Reader
    clock: Clock
    limiter: trio.CapacityLimiter

    def is_connecting(self, require: Collection[str]) -> bool:
        """Whether one of these venues is being connected for the first time, or again."""
        return any(venue.name in require and venue.status == "connecting" for venue in self.measures().venues)

    async def reasons(self, required: tuple[str, ...]) -> list[str]:
        """In words; empty where all is well."""
        now = self.measures()
        by_name = {venue.name: venue for venue in now.venues}
        away = [
            f"venue {name} is {by_name[name].status if name in by_name else 'not configured'}"
            for name in required
            if name not in by_name or by_name[name].status != "connected"
        ]
        found = [*now.wrong, *away]
        unheard = await self._unheard([channel.name for channel in now.channels])
        return [*found, unheard] if unheard else found

    async def _unheard(self, channels: list[str]) -> str:
        before = self.clock.now().wall - UNHEARD_AFTER
        ask = partial(self.reader.unheard, before, channels)
        reason = "the database doesn't answer"
        with trio.move_on_after(_PATIENCE):
            try:
                count = await trio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=self.limiter)
            except StoreError as error:
                reason = str(error)
            else:
                waits = f"{count} critical message{'s' if count != 1 else ''}"
                return f"{waits} reached nobody for {duration_text(UNHEARD_AFTER)}" if count else ""
        return f"nobody can say whether critical messages arrive: {reason}"


class HeartbeatTask:
    """One of them. `tell(event, reason, subject)` tells the rules; `counted` counts by outcome: sent, failed, withheld."""

    def __init__(
        self,
        settings: Heartbeat,
        *,
        judge: Judge,
        request: Request,
        tell: Callable[[str, str, str], Awaitable[None]],
        counted: Counter[str],
        masker: Masker,
        clock: Clock,
        log: Any,
    ) -> None:
        self._settings, self._judge, self._request = settings, judge, request
        self._tell, self._counted, self._masker, self._clock = tell, counted, masker, clock
        self._url = settings.url.reveal()
        self.name = f"heartbeat to {urlsplit(self._url).hostname}"
        self._log = log.bind(heartbeat=self.name)
        self._withheld: tuple[datetime, str] | None = None
        self._failing: tuple[datetime, str] | None = None
        self._told_at = float("-inf")  # steady
        self._taken_at: datetime | None = None

    @property
    def attention(self) -> list[str]:
        """For `tocsin status`."""
        lines = []
        if self._withheld is not None:
            lines.append(
                f"{self.name} is withheld, since {time_text(self._withheld[0])}: {self._withheld[1]}"
            )
        if self._failing is not None:
            lines.append(f"{self.name} fails, since {time_text(self._failing[0])}: {self._failing[1]}")
        return lines

    @property
    def shown(self) -> dict[str, Any]:
        """For the page: when the last one was taken, and `withheld` or `failing`: `since` when, and why."""

        def told(since: tuple[datetime, str] | None) -> dict[str, str] | None:
            return {"since": iso(since[0]), "reason": since[1]} if since is not None else None

        return {
            "name": self.name,
            "every": duration_text(self._settings.every),
            "taken_at": iso(self._taken_at) if self._taken_at is not None else None,
            "withheld": told(self._withheld),
            "failing": told(self._failing),
        }

    async def run(self) -> NoReturn:
        every = self._settings.every.total_seconds()
        await self._first(min(every, _FIRST_WITHIN))
        while True:
            began = trio.current_time()
            with trio.move_on_after(every):
                await self._beat()
            await trio.sleep_until(began + every)

    async def _first(self, within: float) -> None:
        """After a start the venues take a moment: until none of them connects any more, at most so many seconds."""
        with trio.move_on_after(within):
            while self._judge.is_connecting(self._settings.require):  # noqa: ASYNC110 - venues ring nothing here
                await trio.sleep(_LOOK_EVERY)

    async def _beat(self) -> None:
        reasons = await self._judge.reasons(self._settings.require)
        self._note_withheld("; ".join(reasons))
        if not reasons:
            answer = await self._sent(HttpRequest(method="GET", url=self._url))
            self._counted["failed" if answer else "sent"] += 1
            if not answer:
                self._taken_at = self._clock.now().wall
            await self._note_failing(answer)
            return
        self._counted["withheld"] += 1
        if self._settings.on_failure == "fail":
            content = "; ".join(reasons).encode()
            text = {"content-type": "text/plain; charset=utf-8"}
            url = _with_fail(self._url)
            await self._note_failing(
                await self._sent(HttpRequest(method="POST", url=url, headers=text, content=content))
            )

    async def _sent(self, request: HttpRequest) -> str:
        """What the service answered the last of some tries, in words; empty where it took one."""
        answer = ""
        every = self._settings.every.total_seconds()
        pause = min(_PAUSE, every / _SHARE)
        within = min(_DEADLINE, every / _TRIES - pause)
        for left in reversed(range(_TRIES)):
            try:
                response = await self._request(request, within)
            except HttpFailed as failed:
                answer = failed.why
            else:
                if response.status in _OK:
                    return ""
                answer = f"it answered {response.status}"
            if left:
                await trio.sleep(pause)
        return self._masker.mask(answer)

    def _note_withheld(self, reason: str) -> None:
        if not reason:
            if self._withheld is not None:
                self._log.info("heartbeats again")
            self._withheld = None
            return
        if self._withheld is None:
            self._log.error("heartbeats are withheld", reason=reason)
        since = self._withheld[0] if self._withheld is not None else self._clock.now().wall
        self._withheld = since, reason

    async def _note_failing(self, answer: str) -> None:
        if not answer:
            self._failing = None
            return
        now = self._clock.now()
        self._failing = (self._failing[0] if self._failing is not None else now.wall), answer
        self._log.warning("a heartbeat isn't taken", answer=answer)
        if now.steady - self._told_at >= _TELL_EVERY:
            self._told_at = now.steady
            await self._tell("daemon.degraded", f"{self.name} isn't taken: {answer}", "heartbeat")


def _with_fail(url: str) -> str:
    """The URL with /fail behind its path, as healthchecks has it."""
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/fail").geturl()
