"""What people did about alerts, put into the messages that told of these, where a chat can edit."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tocsin.alerts.message import Edit
from tocsin.alerts.silences import Silences
from tocsin.clock import Clock
from tocsin.delivery.edits import remark_edits
from tocsin.engine.api import AlertContext
from tocsin.pipeline import Pipeline
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch, Delivery

Editable = Callable[[str | None], Awaitable[Sequence[Delivery]]]
"""What told of that alert's firing, or of all alerts that fire (None), and can be edited. Raises StoreUnavailable."""


class ChatRemarks:
    """`log` is a structlog logger. What the disk refuses to say isn't put into messages: the act itself is done."""

    def __init__(self, editable: Editable, pipeline: Pipeline, clock: Clock, log: Any) -> None:
        self._editable, self._pipeline, self._clock, self._log = editable, pipeline, clock, log

    async def on_alert(
        self, alert: str, words: str, until: datetime | None = None, *, acked: bool | None = None
    ) -> None:
        """Of one alert: `acknowledged by anna`. `acked`: whether it is acknowledged from now on, where that changes."""
        await self._put(await self._told(alert), self._edit(words, until=until, acked=acked))

    async def on_question(self, run: str, words: str, *, over: bool, known: int = 0) -> int | None:
        """Of a question about a run: `declined by anna`. `over`: nobody is asked any more. In how many messages it stands; None: the disk
        doesn't say. `known`: that many say it already, and if there are no more, nothing is done.
        """
        try:
            told = await self._editable(run)
        except StoreUnavailable:
            return None
        if len(told) > known:
            await self._put(told, self._edit(words, became="ended" if over else "firing"))
        return len(told)

    async def on_silence(self, silences: Silences, words: str, until: datetime | None = None) -> None:
        """Of all alerts that fire and that one of these holds: `silenced by anna: venue=fx`."""
        edit = self._edit(words, until=until)
        held = [each for each in await self._told(None) if _holds(silences, each, edit.at)]
        await self._put(held, edit)

    def _edit(self, words: str, **more: Any) -> Edit:
        return Edit(at=self._clock.now().wall, words=words, **more)

    async def _told(self, alert: str | None) -> Sequence[Delivery]:
        try:
            return await self._editable(alert)
        except StoreUnavailable as error:
            self._log.warning("messages are not edited", reason=error.reason)
            return ()

    async def _put(self, told: Iterable[Delivery], edit: Edit) -> None:
        if rows := remark_edits(told, edit):
            await self._pipeline.ask(lambda: (Batch(at=edit.at, deliveries=rows), None))


def _holds(silences: Silences, told: Delivery, now: datetime) -> bool:
    try:
        return silences.over(msgspec.convert(told.context, AlertContext), now) is not None
    except ValueError:  # kept by another version
        return False
