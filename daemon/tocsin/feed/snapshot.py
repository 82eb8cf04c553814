"""The venue's picture by HTTP after a connect, where its adapter asks for one."""

import traceback

import trio

from tocsin.errors import TocsinError
from tocsin.events import Observed
from tocsin.feed.model import Received
from tocsin.feed.shared import Shared
from tocsin.venues.base import HttpResponse, Session

_TRIES = 6


async def take_snapshot(shared: Shared, session: Session) -> None:
    """Fetch it and hand it on, whole or not at all. A failure is logged; the connection doesn't depend on it."""
    backoff = shared.backoff()
    for _ in range(_TRIES):
        try:
            observed = await _fetch(shared, session)
        except TocsinError as failed:
            shared.log.warning("snapshot failed", venue=shared.name, reason=shared.masker.mask(str(failed)))
        except Exception:  # noqa: BLE001 - a bug of ours, loud in the log; the live stream is worth more than its stop
            text = shared.masker.mask(traceback.format_exc())
            shared.log.error("snapshot crashed", venue=shared.name, traceback=text)  # noqa: TRY400 - masked above
            return
        else:
            if observed:
                at = shared.clock.now()
                await shared.sink.put(Received(venue=shared.name, observed=tuple(observed), at=at))
            return
        await trio.sleep(backoff.next())


async def _fetch(shared: Shared, session: Session) -> list[Observed]:
    steps = shared.adapter.snapshot(shared.settings, session)
    if steps is None:
        return []
    try:
        request = next(steps)
        while True:
            answer: HttpResponse = await shared.http(request)
            request = steps.send(answer)
    except StopIteration as done:
        observed: list[Observed] = done.value
        return observed
    finally:
        steps.close()
