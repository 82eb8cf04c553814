"""What one URL of a channel holds back goes as one message: its storms, and the digests that are formed in the outbox."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import trio
from msgspec import structs

from tocsin.alerts.digest import Held
from tocsin.delivery.channel_state import Failures
from tocsin.delivery.coalesce import Coalesced
from tocsin.delivery.digests import Digests
from tocsin.delivery.edits import BY_EDIT, NOTHING_BEFORE, AlertLife, is_unedited
from tocsin.delivery.gatherer import LOOK_BACK, Gatherer
from tocsin.delivery.model import Channel
from tocsin.delivery.outbox import Outbox
from tocsin.delivery.pending import as_new
from tocsin.delivery.recorder import AttemptRecorder
from tocsin.delivery.services import room_for_lines
from tocsin.delivery.timing import GRACE, RunClock, finishing
from tocsin.store.model import Attempt, Delivery, Gathered, NewDelivery

_PAGE = 500


class Gathering:
    """`gatherer` says when and what. `life` tells what was told of an alert before, `say` raises an event of ours by its name and
    reason, `undelivered` hears what is gathered. `log` is a structlog logger.
    """

    def __init__(
        self,
        channel: Channel,
        gatherer: Gatherer,
        outbox: Outbox,
        time: RunClock,
        *,
        life: Callable[[Coalesced], Awaitable[AlertLife]],
        say: Callable[[str, str], Awaitable[None]],
        recorder: AttemptRecorder,
        undelivered: Failures,
        log: Any,
    ) -> None:
        self._digests = Digests(
            channel=channel.name,
            target=channel.target,
            gates=channel.gates,
            style=channel.style,
            expire=channel.settings.expire,
            room=room_for_lines(channel.settings.urls[channel.target]),
            age=time.age,
            fallback=channel.fallback[0] if channel.fallback else None,
        )
        self._gatherer, self._outbox, self._time, self._recorder = gatherer, outbox, time, recorder
        self._of = (channel.name, channel.target)
        self._life, self._say, self._undelivered, self._log = life, say, undelivered, log

    async def restore(self) -> None:
        """Know what came and went shortly before this run."""
        now = self._time.now().wall
        self._gatherer.restore(await self._outbox.recent(*self._of, now - LOOK_BACK, now))

    async def mind_storm(self) -> None:
        """Begin or end a storm where that is due; each is told once, by the channel's first URL."""
        match self._gatherer.arrived(self._outbox.arrived(*self._of)):
            case "begun":
                self._gatherer.begin_storm()
                self._log.warning("a storm of alerts, which are gathered")
                if self._digests.target == 0:
                    most = self._digests.gates.storm
                    await self._say(
                        "storm", f"over {most} alerts in a minute: they go as one message a minute"
                    )
            case "over":
                await self._end_storm()

    async def _end_storm(self) -> None:
        storm = self._gatherer.storm
        if storm is not None and not self._gatherer.is_quiet:
            lasted, now = self._time.age(storm.since), self._time.now().wall
            async with self._recorder.recording:  # meanwhile nothing of it is handed over
                rows, ended, edits = await self._ends_told(await self._gatherable((True, False)), now)
                rows, handed = await self._ends_handed(rows)
                told = self._digests.storm_over(rows, storm.alerts, len(storm.rules), lasted, now)
                if ended:
                    await self._outbox.record(ended)
                await self._gather(structs.replace(told, also=edits), handed)
        self._gatherer.end_storm()
        self._log.info("the storm of alerts is over")

    async def form(self, held: Held, critical: tuple[bool, ...]) -> str | None:
        """Make one message of what waits, on disk before it is sent. Of one alert alone nothing is made: its id, to be sent as itself."""
        now = self._time.now().wall
        async with self._recorder.recording:  # meanwhile nothing of it is handed over
            rows, ended, edits = await self._ends_told(await self._gatherable(critical), now)
            rows, handed = await self._ends_handed(rows)
            made = self._digests.plan(rows, held, now)
            dropped = [
                Attempt(delivery=each.id, status="superseded", at=now, error=why)
                for each, why in made.dropped
            ]
            if ended or dropped:
                await self._outbox.record([*ended, *dropped])
            if made.gathered is not None:
                told = structs.replace(made.gathered, also=edits)
                await self._gather(told, handed)
                self._log.info("gathered", digest=told.digest.id, messages=len(told.parts), reason=held)
        if held == "storm":
            self._gatherer.formed(whole=made.whole)
        if made.alone is None and not (ended or dropped or made.gathered):
            await trio.sleep(1.0)  # what was there a moment ago is known to the store only
        return made.alone

    async def hand_over_ends(self, digest: Delivery) -> None:
        """While the digest, which the fallback has, isn't taken here: the ends of its alerts, which wait for it, go there, too."""
        ends = await self._outbox.ends_behind(digest.id, *self._of)
        found = [self._recorder.end_handed(end, (), heard=True) for end in ends]
        if handed := [each for each in found if each is not None]:
            await self._recorder.put(handed)

    async def _ends_handed(self, rows: Sequence[Delivery]) -> tuple[list[Delivery], Mapping[str, Attempt]]:
        """What waits as it is once the ends are handed to a fallback that got the alerts; and by id what hands them over."""
        of: dict[str, list[Delivery]] = {}
        for row in rows:
            of.setdefault(row.alert, []).append(row)
        handed: dict[str, Attempt] = {}
        for row in rows:
            if row.state_told == "resolved" and row.handed_to is None:
                told = tuple(each for each in of[row.alert] if each is not row)
                heard = await self._recorder.fallback_heard(row)
                if (attempt := self._recorder.end_handed(row, told, heard=heard)) is not None:
                    handed[row.id] = attempt
        known = [
            structs.replace(row, handed_to=handed[row.id].handed_to) if row.id in handed else row
            for row in rows
        ]
        return known, handed

    async def _gather(self, gathered: Gathered, handed: Mapping[str, Attempt]) -> None:
        if found := [handed[id_] for id_, _ in gathered.parts if id_ in handed]:
            await finishing(partial(self._recorder.put, found), GRACE)
        await finishing(partial(self._outbox.gather, gathered), GRACE)
        self._undelivered.gathered((alert for _, alert in gathered.parts), gathered.digest.id)

    async def _ends_told(
        self, rows: Sequence[Delivery], now: datetime
    ) -> tuple[list[Delivery], list[Attempt], tuple[NewDelivery, ...]]:
        """Of what waits that which a digest has a line for; the ends that are told by an edit alone, or not at all; and the edits that
        follow when the others are told: those of the messages that told of their firings.
        """
        firings = {row.alert for row in rows if row.state_told == "firing"}
        told, ended = list[Delivery](), list[Attempt]()
        edits = list[NewDelivery]()
        for row in rows:
            life = NOTHING_BEFORE
            if row.state_told == "resolved" and row.alert not in firings:
                life = await self._life(Coalesced(row))
            if life.edit is not None and not is_unedited(row):
                also = (as_new(life.edit),)
                ended.append(Attempt(delivery=row.id, status="superseded", at=now, error=BY_EDIT, also=also))
            elif life.is_over_unsaid:
                ended.append(Attempt(delivery=row.id, status="superseded", at=now))
            else:
                told.append(row)
            if life.edit_after is not None:
                edits.append(life.edit_after)
        return told, ended, tuple(edits)

    async def _gatherable(self, critical: tuple[bool, ...]) -> list[Delivery]:
        wall, found = self._time.wall(), list[Delivery]()
        for which in critical:
            last = None
            while page := await self._outbox.gatherable(*self._of, wall, last, _PAGE, critical=which):
                last = page[-1].id
                found += page
        return found
