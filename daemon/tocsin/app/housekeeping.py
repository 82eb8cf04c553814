"""What is done now and then: forgetting what has had its time, keeping the database small, finding blind rules."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import trio

from tocsin.app.components import Components
from tocsin.engine.runtime import Blind, Crowded
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch, Retention
from tocsin.store.retention import Pruned

_EVERY = 600.0  # seconds
_BLIND_EVERY = 60.0


async def keep_house(
    components: Components,
    retention: Callable[[], Retention],
    log: Any,
    tell: Callable[[str, str, str], Awaitable[None]],
) -> None:
    """For ever. `tell(event, reason, subject)` takes daemon.rule_blind and daemon.degraded."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_retain, components, retention, log, tell)
        nursery.start_soon(_find_blind, components, tell)


async def _retain(
    components: Components,
    retention: Callable[[], Retention],
    log: Any,
    tell: Callable[[str, str, str], Awaitable[None]],
) -> None:
    over = False
    while True:
        keep = retention()
        try:
            pruned = await components.database.apply_retention(
                keep, components.clock.now().wall, partial(_forget, components)
            )
            await components.database.checkpoint()
            await components.database.keep_reserve()
        except StoreUnavailable as error:
            log.warning("housekeeping put off", reason=str(error))
        else:
            if pruned.over and not over:
                reason = "the database is larger than max_size, and all that may be removed is gone"
                log.warning(reason, max_size=keep.max_size)
                await tell("daemon.degraded", reason, "store")
            over = pruned.over
            await _drop_unconfirmed(components, keep.events, log)
        await trio.sleep(_EVERY)


async def _forget(components: Components, pruned: Pruned) -> None:
    """What was removed from the database is not known any more: seen again, it is seen for the first time."""
    if pruned.entities:
        await components.pipeline.call(
            lambda: components.turn.forget(pruned.entities, components.clock.now())
        )


async def _drop_unconfirmed(components: Components, lasts: timedelta, log: Any) -> None:
    """What has been unconfirmed for as long as events are kept isn't going to be mentioned again."""

    def drop() -> Batch:
        now = components.clock.now()
        keys = components.entities.unconfirmed_before(now.wall - lasts)
        for key in keys:
            log.info("dropped, unconfirmed for too long", **key._asdict())
        return components.turn.forget(keys, now) if keys else Batch(at=now.wall)

    await components.pipeline.call(drop)


async def _find_blind(components: Components, tell: Callable[[str, str, str], Awaitable[None]]) -> None:
    def look() -> tuple[Batch, tuple[list[Blind], list[Crowded]]]:
        now = components.clock.now()
        return Batch(at=now.wall), (components.engine.blind(now), components.engine.crowded(now))

    while True:
        await trio.sleep(_BLIND_EVERY)
        blind, crowded = await components.pipeline.ask(look)
        for each in blind:
            await tell("daemon.rule_blind", each.reason, each.rule)
        for rule in crowded:
            await tell("daemon.degraded", rule.reason, rule.rule)
