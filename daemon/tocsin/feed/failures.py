"""What a failed connection means: what to tell, and how long to wait."""

from tocsin.feed.backoff import Backoff
from tocsin.feed.outside import (
    AllRefused,
    CredentialsRefused,
    HandshakeRejected,
    OutsideError,
    retry_after,
)
from tocsin.feed.shared import Shared
from tocsin.venues.base import Session


def is_unauthorized(failure: OutsideError) -> bool:
    """Whether it was our credentials that the venue didn't like."""
    return isinstance(failure, CredentialsRefused) or (
        isinstance(failure, HandshakeRejected) and failure.status == 401
    )


async def tell_failure(
    shared: Shared, failure: OutsideError, where: str, backoff: Backoff, *, was_up: bool
) -> float:
    """Tell the venue's standing; the seconds to wait before the next try. `where` names the socket, "" the only one."""
    reason = f"{where}: {failure}" if where else str(failure)
    if is_unauthorized(failure):
        await shared.standing.auth_failed(reason)
        return shared.timings.auth_retry
    if isinstance(failure, AllRefused):
        await shared.standing.nothing_left(reason)
        return shared.timings.auth_retry
    await shared.standing.lost(reason, attempt=not was_up)
    asked = None
    if isinstance(failure, HandshakeRejected):
        asked = retry_after(failure.headers, shared.clock.now().wall)
    return backoff.next(asked)


def is_new(session: Session, than: Session) -> bool:
    """Whether a session can fare better than the one that was refused."""
    return (session.token, session.values) != (than.token, than.values)
