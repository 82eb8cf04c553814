"""One action: its runs, one at a time, each recorded before it is begun and when it is over.

A command is run at most once. A webhook is tried again with the same key, for as long as nothing has come into the way.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

import trio
from msgspec import structs

from tocsin.actions.command import execute
from tocsin.actions.model import ActionSettings, Refused, Result, address
from tocsin.actions.values import arguments, as_json, context_of
from tocsin.actions.webhook import post
from tocsin.clock import Clock
from tocsin.engine.api import AlertContext
from tocsin.quantities import duration_text
from tocsin.secrets import Masker
from tocsin.store.model import RunRow

_FIRST, _LONGEST = 1.0, 30.0  # seconds between two tries of a webhook


class RunQueue(Protocol):
    """Where runs are handed out and handed back. What it brings about is committed when it returns; while the disk refuses, later."""

    async def take_over(self, action: str) -> None:
        """Whoever did its runs before does no more: what was begun is looked through."""
        ...

    async def next(self, action: str) -> RunRow:
        """The next one of that action, when there is one."""
        ...

    async def begin(self, run: RunRow, command: str) -> bool:
        """It is going to be tried. False: something is in the way, or it is a dry run; it is over."""
        ...

    def in_the_way(self, run: RunRow) -> str:
        """Why it isn't to be tried again now, in words; "" where nothing is."""
        ...

    async def finish(self, run: RunRow, result: Result, took: float | None) -> None:
        """`took`: seconds of the last try; None: it can't be tried."""
        ...


def shown(settings: ActionSettings, made: tuple[str, ...]) -> str:
    """What is done, as it is recorded: the arguments as JSON, or the webhook's host, for the rest of a URL may be secret."""
    if settings.webhook is None:
        return json.dumps(made, ensure_ascii=False)
    return address(settings.webhook)


def prepared(settings: ActionSettings, run: RunRow, context: AlertContext) -> tuple[tuple[str, ...], bytes]:
    """The arguments (none for a webhook) and the JSON. Raises Refused."""
    made = arguments(settings.command, run, context) if settings.command is not None else ()
    return made, as_json(run, context)


class ActionTask:
    """`masker` keeps secrets out of what is recorded and told. `log` is a structlog logger."""

    def __init__(  # noqa: PLR0917 - what it joins
        self, name: str, settings: ActionSettings, queue: RunQueue, clock: Clock, masker: Masker, log: Any
    ) -> None:
        self._name, self._settings, self._queue, self._clock = name, settings, queue, clock
        self._mask, self._log = masker.mask, log

    async def run(self) -> None:
        """For ever."""
        await self._queue.take_over(self._name)
        while True:
            await self._perform(await self._queue.next(self._name))

    async def _perform(self, run: RunRow) -> None:
        context = context_of(run)
        if context is None:
            raise ValueError(f"run {run.id} was kept by another version; such aren't handed out")
        try:
            made, body = prepared(self._settings, run, context)
        except Exception as error:  # noqa: BLE001 - the runs behind it don't wait for it
            await self._queue.finish(run, self._refused(run, error), None)
            return
        pause = _FIRST
        while await self._queue.begin(run, self._mask(shown(self._settings, made))):
            began = trio.current_time()
            result = await self._try(run, made, body)
            took = trio.current_time() - began
            if not result.ok and result.again:
                why = await self._not_again(run, context, result, pause)
                if not why:
                    pause = min(pause * 2, _LONGEST)
                    continue
                result = structs.replace(result, reason=f"{result.reason}; not tried again: {why}")
            await self._queue.finish(run, result, took)
            return

    def _refused(self, run: RunRow, error: Exception) -> Result:
        """It can't be made; where that is a bug of ours, that is told loudly."""
        reason = self._mask(str(error))
        if not isinstance(error, Refused):
            self._log.error("an action can't be prepared", action=self._name, run=run.id, exc_info=error)
            reason = f"it can't be made: {type(error).__name__}"
        return Result(ok=False, result="refused", reason=reason)

    async def _not_again(self, run: RunRow, context: AlertContext, result: Result, pause: float) -> str:
        """Waits so many seconds until it is to be tried again. Why it isn't, in words."""
        self._log.warning("action not taken", action=self._name, run=run.id, reason=result.reason)
        if late := self._would_be_late(run, context, pause):
            return late
        await trio.sleep(pause)
        return self._queue.in_the_way(run)

    def _would_be_late(self, run: RunRow, context: AlertContext, pause: float) -> str:
        """Why another try after so many seconds would be in vain."""
        over = (run.answered_at or context.at) + self._settings.max_age
        late = self._clock.now().wall + timedelta(seconds=pause) > over
        return f"its max_age, {duration_text(self._settings.max_age)}, is over before" if late else ""

    async def _try(self, run: RunRow, made: tuple[str, ...], body: bytes) -> Result:
        self._log.info("action", action=self._name, run=run.id, alert=run.alert)
        result = await perform(self._settings, run, made, body, self._clock)
        return structs.replace(result, output=self._mask(result.output), reason=self._mask(result.reason))


async def perform(
    settings: ActionSettings, run: RunRow, made: tuple[str, ...], body: bytes, clock: Clock
) -> Result:
    """One try: what `prepared` made is posted, or executed."""
    if settings.webhook is not None:
        return await post(settings, run.id, body, clock.now().wall)
    return await execute(made, body, own_variables(run), settings.time_limit)


def own_variables(run: RunRow) -> Mapping[str, str]:
    """What a command finds in its environment beside PATH and LANG."""
    return {
        "TOCSIN_RUN": run.id,
        "TOCSIN_ACTION": run.action,
        "TOCSIN_ALERT": run.alert,
        "TOCSIN_RULE": str(run.data.get("rule", "")),
        "TOCSIN_STATE": run.told,
    }
