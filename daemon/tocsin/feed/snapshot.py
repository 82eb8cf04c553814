"""What is fetched by HTTP while a venue's sockets are up: its snapshot, and what became of what this no longer has."""

import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

import trio
from msgspec.structs import replace

from tocsin.errors import TocsinError
from tocsin.events import Change, Key, Observation, Observed, Unanswered
from tocsin.feed.context import VenueContext
from tocsin.feed.link_status import one_line
from tocsin.feed.model import Received
from tocsin.venues.base import HttpResponse, Session, SignInFailed, Snapshot, Unreadable
from tocsin.venues.decoding import check_texts

_SNAPSHOT = "opening snapshot"  # what the snapshot is called among refused streams
_TELL_AFTER = 3  # tries; from then on rules know that the snapshot is missing
_MOST_ASKED = 50  # orders and positions, of one connection
_INTERNAL = "internal error; the log has it"


async def take_snapshot(context: VenueContext, session: Session) -> None:
    """Fetch it and put it into the sink, whole or not at all; failures are tried again, and the connection goes on.

    That it can't be had is told as a refused stream: a venue that is connected and shows nothing looks calm.
    """
    backoff = context.backoff()
    tries = 0
    while True:
        try:
            now, since = context.clock.now().wall, context.link.heard_before
            steps = context.adapter.snapshot(context.settings, session, now, since)
            fetched = [] if steps is None else await _fetch(context, steps)
        except TocsinError as failed:
            context.log.warning(
                "snapshot failed", venue=context.name, reason=context.masker.mask(str(failed))
            )
            delay = backoff.next(failed.retry_after if isinstance(failed, SignInFailed) else None)
            tries += 1
            if tries == _TELL_AFTER:
                await context.link.refused(_SNAPSHOT, str(failed))
        except Exception:  # noqa: BLE001 - a bug of ours, loud in the log; the live stream is worth more than its stop
            _log_crash(context, "snapshot crashed")
            await context.link.refused(_SNAPSHOT, _INTERNAL)
            return
        else:
            context.link.accepted(_SNAPSHOT)
            await _hand_on(context, fetched)
            return
        await trio.sleep(delay)


async def ask_for_missing(context: VenueContext, session: Callable[[], Session]) -> NoReturn:
    """While the venue is up: whenever the pipeline has taken a full snapshot, ask for what of its kinds is unconfirmed then.

    One after the other, each once a connection, by the session that is valid then. What the venue doesn't answer for stays
    unconfirmed, and whoever is told of that is told why.
    """
    asked: set[Key] = set()
    while True:
        await context.snapshot_taken.wait()
        kinds = context.snapshot_taken.kinds
        waiting = [each for each in context.unconfirmed() if each.kind in kinds and each.key not in asked]
        for known in waiting:
            if len(asked) == _MOST_ASKED:
                context.log.warning("no more is asked for", venue=context.name, asked=len(asked))
                break
            if await _ask(context, session(), known):
                asked.add(known.key)


async def _ask(context: VenueContext, session: Session, known: Change) -> bool:
    """Ask for one order or position, and wait until the next may be asked for; False where this one can't be."""
    every = wait = context.timings.ask_every
    try:
        now = context.clock.now().wall
        steps = context.adapter.ask(context.settings, session, known.state, known.account, now)
        if steps is None:
            return False
        answer = await _fetch(context, steps, within=context.timings.answer, every=every)
    except TocsinError as failed:
        await _unanswered(context, known, f"asked for: {failed}")
        wait = max(wait, (failed.retry_after or 0.0) if isinstance(failed, SignInFailed) else 0.0)
    except Exception:  # noqa: BLE001 - as for a snapshot
        _log_crash(context, "asking for what a snapshot lacks crashed")
        await _unanswered(context, known, f"asked for: {_INTERNAL}")
    else:
        # It isn't told as it happens, whatever the adapter says.
        late = [
            replace(item, origin="snapshot", account=item.account or known.account)
            if isinstance(item, Observation)
            else item
            for item in answer
            if isinstance(item, Unreadable) or (isinstance(item, Observation) and _is_of(item, known))
        ]
        await _hand_on(context, late)
        if not any(isinstance(item, Observation) for item in late):
            await _unanswered(context, known, "asked for: the venue knows nothing of it")
    await trio.sleep(wait)
    return True


def _is_of(item: Observation, known: Change) -> bool:
    return (item.state.kind, item.state.id) == (known.kind, known.key.id)


async def _unanswered(context: VenueContext, known: Change, why: str) -> None:
    why = one_line(why, context.masker)
    context.log.warning(
        "not answered for", venue=context.name, kind=known.kind, entity=known.key.id, reason=why
    )
    said = (Unanswered(kind=known.kind, id=known.key.id, account=known.account, reason=why),)
    await context.sink.put(Received(venue=context.name, observed=said, at=context.clock.now()))


async def _hand_on(context: VenueContext, fetched: Sequence[Observed | Unreadable]) -> None:
    readable = tuple(item for item in fetched if not isinstance(item, Unreadable))
    if readable:
        taken = context.snapshot_taken.acknowledges(readable)
        await context.sink.put(
            Received(venue=context.name, observed=readable, at=context.clock.now(), taken=taken)
        )
    for item in fetched:
        if isinstance(item, Unreadable):
            await context.complaints.unreadable(item, None)


def _log_crash(context: VenueContext, what: str) -> None:
    text = context.masker.mask(traceback.format_exc())
    context.log.error(what, venue=context.name, traceback=text)


async def _fetch(
    context: VenueContext, steps: Snapshot, within: float | None = None, every: float = 0.0
) -> list[Observed | Unreadable]:
    """What the adapter makes of the answers, each `within` so many seconds; after each of them `every` passes.

    Raises HttpFailed, Malformed for a text that can't be stored, and what its generator raises.
    """
    try:
        request = next(steps)
        while True:
            answer: HttpResponse = await context.http(request, within)
            request = steps.send(answer)
            await trio.sleep(every)
    except StopIteration as done:
        observed: list[Observed | Unreadable] = done.value
        check_texts(observed)
        return observed
    finally:
        steps.close()
