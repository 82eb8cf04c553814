"""One venue's task: it runs for ever; an error of the venue or of ours ends its connection, not the task."""

import random as chance
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import trio

from tocsin.clock import Clock
from tocsin.errors import leaves
from tocsin.events import Change, Venue
from tocsin.feed.budget import venue_budget
from tocsin.feed.complaints import Complaints
from tocsin.feed.context import FlapDamping, Retry, SnapshotTaken, VenueContext
from tocsin.feed.credentials import CredentialStore
from tocsin.feed.link_status import LinkStatus
from tocsin.feed.live import run_live
from tocsin.feed.model import Log, Sink, Timings, VenueFeed
from tocsin.feed.polled import run_polled
from tocsin.feed.recorder import Recorder
from tocsin.feed.silence import Silence, SilenceTimeout
from tocsin.feed.transport import HeldHttp, use_own_resolver
from tocsin.http import Http
from tocsin.meters import VenueMeters
from tocsin.secrets import Masker


async def run_venue(
    venue: VenueFeed,
    *,
    sink: Sink,
    clock: Clock,
    masker: Masker,
    credentials: CredentialStore,
    log: Log,
    timings: Timings | None = None,
    record_to: Path | None = None,
    random: Callable[[], float] = chance.random,
    retry: Retry | None = None,
    before: Callable[[], Venue | None] = lambda: None,
    unconfirmed: Callable[[], Sequence[Change]] = tuple,
    meters: VenueMeters | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> NoReturn:
    """Hold that venue's connection for ever, putting into `sink` what it says and how the connection stands.

    Never returns, and raises only cancellation. `record_to` is the file that raw messages are appended to, if any
    (what of it is kept, `settings.record_size` says); `random` gives numbers from 0 to 1 for the back-off; `retry`
    ends the wait after a refusal; `before` gives the link as it stood when the venue was last held, `unconfirmed`
    what it hasn't mentioned since a gap; `meters` count what comes.
    """
    use_own_resolver()
    timings = timings or Timings()
    settings = venue.settings
    link = LinkStatus(
        venue.name, sink=sink, clock=clock, masker=masker, log=log, before=before(), meters=meters
    )
    context = VenueContext(
        name=venue.name,
        adapter=venue.adapter,
        settings=settings,
        timings=timings,
        sink=sink,
        clock=clock,
        masker=masker,
        log=log,
        credentials=credentials,
        http=_http(venue, timings, masker),
        link=link,
        complaints=Complaints(link, timings.flood, timings.parts_flood),
        silence=Silence(link, _silence_timeout(venue, timings)),
        flap_damping=FlapDamping(timings.prove, timings.healthy),
        recorder=_recorder(venue, record_to, log),
        random=random,
        retry=retry or Retry(),
        loop_budget=venue_budget(trio.current_time()),
        unconfirmed=unconfirmed,
        snapshot_taken=SnapshotTaken(),
    )
    task_status.started()
    try:
        await context.link.begin()
        await _run_for_ever(context)
    finally:
        credentials.keep_again(venue.name)
        if context.recorder is not None:
            context.recorder.close()


def _http(venue: VenueFeed, timings: Timings, masker: Masker) -> HeldHttp:
    renew = partial(masker.renew, f"requests of {venue.name}")
    return HeldHttp(Http(venue.settings.tls_ca, timings.http), venue.adapter.hosts, renew)


def _recorder(venue: VenueFeed, to: Path | None, log: Log) -> Recorder | None:
    return Recorder(to, venue.name, log, most=venue.settings.record_size) if to is not None else None


async def _run_for_ever(context: VenueContext) -> NoReturn:
    backoff = context.backoff()
    run = run_polled if context.adapter.polled else run_live
    while True:
        began = trio.current_time()
        reason = ""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(context.complaints.tell_suppressed)
                nursery.start_soon(run, context)
        except* Exception as errors:  # noqa: BLE001 - a bug of ours stops here: the other venues go on
            reason = "; ".join(
                dict.fromkeys(f"internal error: {type(error).__name__}: {error}" for error in leaves(errors))
            )
            text = context.masker.mask("".join(traceback.format_exception(errors)))
            context.log.error("internal error", venue=context.name, traceback=text)  # noqa: TRY400 - masked above
        context.down()
        if trio.current_time() - began >= context.timings.healthy:
            backoff.reset()
        delay = backoff.next()
        reason = reason or "internal error: it ended by itself"
        await context.link.lost(reason, attempt=False, next_in=delay)
        await trio.sleep(delay)


def _silence_timeout(venue: VenueFeed, timings: Timings) -> SilenceTimeout:
    if venue.settings.silent_after is not None:
        return SilenceTimeout(venue.settings.silent_after.total_seconds())
    if venue.adapter.polled:
        poll: float = venue.settings.poll.total_seconds()  # type: ignore[attr-defined]  # every polled adapter has it
        return SilenceTimeout(3 * poll)
    return SilenceTimeout(timings.market_silence, by_pauses=True)
