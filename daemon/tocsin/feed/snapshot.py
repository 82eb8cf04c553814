"""The venue's picture by HTTP after a connect, where its adapter asks for one."""

import traceback

import trio

from tocsin.errors import TocsinError
from tocsin.events import Observed
from tocsin.feed.model import Received
from tocsin.feed.shared import Shared
from tocsin.venues.base import HttpResponse, Session, SignInFailed, Unreadable

_TELL_AFTER = 3  # tries; from then on the rules know that the venue's picture is missing
_STREAM = "opening picture"


async def take_snapshot(shared: Shared, session: Session) -> None:
    """Fetch it and hand it on, whole or not at all, however often that takes: the connection doesn't depend on it.

    That it can't be had is told as a refused stream: a venue that is connected and shows nothing looks calm.
    """
    backoff = shared.backoff()
    tries = 0
    while True:
        try:
            observed = await _fetch(shared, session)
        except TocsinError as failed:
            shared.log.warning("snapshot failed", venue=shared.name, reason=shared.masker.mask(str(failed)))
            delay = backoff.next(failed.retry_after if isinstance(failed, SignInFailed) else None)
            tries += 1
            if tries == _TELL_AFTER:
                await shared.standing.refused(_STREAM, str(failed))
        except Exception:  # noqa: BLE001 - a bug of ours, loud in the log; the live stream is worth more than its stop
            text = shared.masker.mask(traceback.format_exc())
            shared.log.error("snapshot crashed", venue=shared.name, traceback=text)  # noqa: TRY400 - masked above
            await shared.standing.refused(_STREAM, "internal error; the log has it")
            return
        else:
            shared.standing.accepted(_STREAM)
            said = tuple(item for item in observed if not isinstance(item, Unreadable))
            if said:
                await shared.sink.put(Received(venue=shared.name, observed=said, at=shared.clock.now()))
            for item in observed:
                if isinstance(item, Unreadable):
                    await shared.complaints.unreadable(item, None)
            return
        await trio.sleep(delay)


async def _fetch(shared: Shared, session: Session) -> list[Observed | Unreadable]:
    steps = shared.adapter.snapshot(shared.settings, session)
    if steps is None:
        return []
    try:
        request = next(steps)
        while True:
            answer: HttpResponse = await shared.http(request)
            request = steps.send(answer)
    except StopIteration as done:
        observed: list[Observed | Unreadable] = done.value
        return observed
    finally:
        steps.close()
