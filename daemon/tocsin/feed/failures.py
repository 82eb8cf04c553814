"""What a failed connection means: what to tell, and how long to wait."""

import trio

from tocsin.feed.backoff import Backoff
from tocsin.feed.outside import AllRefused, CredentialsRefused, HandshakeRejected, OutsideError
from tocsin.feed.shared import Shared
from tocsin.venues import web
from tocsin.venues.base import Session


def is_unauthorized(failure: OutsideError) -> bool:
    """Whether it was our credentials that the venue itself didn't like.

    A handshake's bare 403 doesn't say so: it is about an Origin, or comes from what stands before the venue.
    """
    if not isinstance(failure, HandshakeRejected):
        return isinstance(failure, CredentialsRefused)
    response = failure.response
    return web.judged(response) == "refused" and (response.status == 401 or bool(response.body.strip()))


async def wait_after(
    shared: Shared, failure: OutsideError, where: str, backoff: Backoff, *, was_up: bool
) -> None:
    """Tell the venue's standing, and wait until the next try is due. `where` names the socket, "" the only one.

    After a refusal that is long, and `Shared.retry` ends it: the user may have mended what was refused.
    """
    reason = f"{where}: {failure}" if where else str(failure)
    if is_unauthorized(failure) or isinstance(failure, AllRefused):
        delay = shared.timings.auth_retry
        if isinstance(failure, AllRefused):
            await shared.standing.nothing_left(reason, next_in=delay)
        else:
            await shared.standing.auth_failed("; ".join(filter(None, (reason, shared.remedy))), next_in=delay)
        await shared.retry.wait(delay)
        return
    asked = None
    if isinstance(failure, HandshakeRejected):
        asked = web.retry_after(failure.response, shared.clock.now().wall)
    delay = backoff.next(asked)
    await shared.standing.lost(reason, attempt=not was_up, next_in=delay)
    shared.log.debug("waiting to connect", venue=shared.name, socket=where, seconds=round(delay, 1))
    await trio.sleep(delay)


def is_new(session: Session, than: Session) -> bool:
    """Whether a session can fare better than the one that was refused."""
    return (session.token, session.values) != (than.token, than.values)
