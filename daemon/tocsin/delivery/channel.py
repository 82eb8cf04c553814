"""One task for each URL of each channel: sends what is due, in order, until it is sent or dead.

All that must survive a crash is in the outbox; the state of this task may be lost at any time.
"""

from collections.abc import Sequence
from functools import partial

import trio

from tocsin.delivery.channel_parts import ChannelParts
from tocsin.delivery.coalesce import Coalesced, coalesce, life_left, tells_of_failure
from tocsin.delivery.edits import AlertLife, awaits_press, handle_text
from tocsin.delivery.gatherer import reason_text
from tocsin.delivery.model import Channel, Handle, Message, Outcome
from tocsin.delivery.pace import Used
from tocsin.delivery.paced_sender import Answered
from tocsin.delivery.timing import GRACE, finishing, rest
from tocsin.engine.api import known_severity
from tocsin.store.model import EDIT, EDITABLE, Attempt, Delivery

_BATCH = 50
_LONGEST_LOOK = 5.0  # seconds; what is more urgent may have come meanwhile


class ChannelTask:
    """Delivers what waits for one URL of one channel, with the `parts` that `assemble` made for it."""

    def __init__(self, channel: Channel, parts: ChannelParts) -> None:
        self._channel, self._of = channel, (channel.name, channel.target)
        self._outbox, self._wake, self._pace = parts.outbox, parts.wake, parts.pace
        self._meters, self._log, self._time = parts.meters, parts.log, parts.time
        self._events, self._sender, self._backoff = parts.events, parts.sender, parts.backoff
        self._is_expired, self._maker, self._editor = parts.is_expired, parts.maker, parts.editor
        self._recorder, self._fallback = parts.recorder, parts.recorder.fallback
        self._undelivered, self._late_critical = parts.undelivered, parts.late_critical
        self._gatherer, self._gathering = parts.gatherer, parts.gathering
        self._flows_since = self._time.steady()  # since when nothing but the pace keeps messages from going
        self._refused: dict[str, None] = {}  # alerts whose message was refused at its own time
        self._again: dict[str, None] = {}  # of these: another was taken since, so they are due once more

    # ------------------------------------------------------------------------------------------------------ delivering

    async def run(self) -> None:
        """Delivers for ever. Ends only by cancellation (a message on its way gets 4 s) or a bug."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._undelivered.mind)
            if self._channel.fallback is not None:
                nursery.start_soon(self._late_critical.mind)
            await self._deliver()

    async def send_aside(self, made: Message, edits: Handle | None = None) -> Outcome:
        """Send what is in no outbox, or edit what was sent so, by the channel's pace, behind all alerts. It is tried once, and kept nowhere."""
        return await self._sender.aside(made, edits)

    def holds(self, told: str, severity: str) -> str:
        """What on this channel holds what is told (`firing`, say) of a severity now, in words; "" for nothing."""
        if reason := reason_text(self._gatherer.gate(told, severity)):
            return reason
        return "pace: the service takes no more now" if self._pace and self._pace.is_full() else ""

    @property
    def used(self) -> list[Used]:
        """How much of each limit of its pace is used."""
        return self._pace.used

    @property
    def answered(self) -> Answered | None:
        """What the service answered last; None: nothing yet."""
        return self._sender.answered

    @property
    def rest(self) -> float:
        """For how many seconds the service is left alone after a failure; zero or less: it isn't."""
        return self._backoff.left

    async def _deliver(self) -> None:
        await self._gathering.restore()
        try:
            while True:
                await self._step()
        finally:
            self._pace.withdraw()

    async def _step(self) -> None:
        """Send the next message, or gather, or wait until there is something to do."""
        seen = self._wake.count
        await self._gathering.mind_storm()
        wall = self._time.wall()
        prompt = await self._outbox.due(*self._of, wall, _BATCH, prompt=True)
        others = await self._outbox.due(*self._of, wall, _BATCH, prompt=False)
        if self._backoff.is_failing:
            self._flows_since = self._time.steady()
        choice = self._gatherer.choose(prompt, others, self._flows_since if self._pace else None)
        form = choice.form
        if (
            self._backoff.is_failing
            and self._undelivered
            and (choice.candidates or not self._backoff.all_due)
        ):
            form = None  # what is gathered while nothing is taken would only make more of it
        if not choice.candidates and not form:
            self._pace.withdraw()
            look_at = self._time.steady() + choice.wait
            next_due = await self._outbox.next_due(*self._of, wall)
            await rest(self._wake, seen, self._time, next_due, look_at - self._time.steady())
        elif (delay := self._delay(choice.candidates)) > 0:
            await trio.sleep(min(delay, _LONGEST_LOOK))
        elif form and (form == "pace" or not choice.is_first_prompt):
            alone = await self._gathering.form(form, choice.critical)
            if alone is not None:
                await finishing(partial(self._deliver_alert, alone), GRACE)
        else:
            # While it fails, each that waits gets its turn: one message that the service chokes on blocks no other.
            first, *_ = choice.candidates
            if self._backoff.is_failing:
                first = min(choice.candidates, key=lambda delivery: delivery.attempts)
            await finishing(partial(self._deliver_alert, first.alert), GRACE)

    def _delay(self, candidates: Sequence[Delivery]) -> float:
        """Seconds until the service may be asked again: after a failure it gets its rest, and it has its pace."""
        if (rest := self._backoff.left) > 0:
            self._pace.withdraw()
            return rest
        urgent = bool(candidates) and (candidates[0].severity == "critical" or awaits_press(candidates[0]))
        oldest = min((each.created_at.timestamp() for each in candidates), default=float("inf"))
        return self._pace.wait((not urgent, oldest))

    async def _deliver_alert(self, alert: str) -> None:
        self._refused.pop(alert, None)
        again = alert in self._again
        self._again.pop(alert, None)
        waiting = await self._outbox.waiting(alert, *self._of)
        if not waiting:
            return
        coalesced = coalesce(waiting, self._time.age, self._channel.style)
        if coalesced.carrier.state_told == EDIT:
            await self._editor.edit(coalesced)
            return
        if self._is_expired(coalesced) and coalesced.attempts > 0:
            await self._bury(coalesced, coalesced.carrier.error or "not delivered in time")
            return
        begun = self._time.steady()
        life = await self._editor.life(coalesced)
        if life.is_over_unsaid or not await self._maker.is_still_asked(coalesced.carrier):
            await self._recorder.record(coalesced, self._recorder.superseded)
            return
        made, outcome = await self._told(coalesced, life)
        await self._events.chats_moved(outcome.moved)
        carrier = coalesced.carrier
        if outcome.sent and (carrier.severity, carrier.state_told) == ("critical", "firing"):
            self._gatherer.sent_critical()
        if outcome.sent:
            await self._sent(coalesced, outcome, made, life)
        elif self._is_expired(coalesced):
            await self._bury(coalesced, outcome.answer)
        else:
            await self._failed(coalesced, outcome, begun)
            if outcome.permanent and not again:
                self._refused[alert] = None

    async def _told(self, coalesced: Coalesced, life: AlertLife) -> tuple[Message, Outcome]:
        """The end of an alert as an edit of its message where that is enough, else a new message, in reply to it."""
        if (edit := life.edit) is not None and life.handle is not None:
            made = await self._maker.made(Coalesced(edit))
            outcome = await self._sender.edit(life.handle, made)
            if not outcome.gone:
                return made, outcome
        made = await self._maker.made(coalesced)
        if coalesced.carrier.state_told in EDITABLE:
            made = await self._maker.with_buttons(made, coalesced.carrier.state_told)
        return made, await self._sender.send(made, life.handle)

    async def _sent(self, coalesced: Coalesced, outcome: Outcome, made: Message, life: AlertLife) -> None:
        if self._backoff.is_failing:
            self._log.info("delivering again", answer=outcome.answer)
        self._backoff.taken()
        carrier = coalesced.carrier
        other, heard = self._fallback.name, await self._recorder.fallback_heard(carrier)

        def sent(coalesced: Coalesced) -> list[Attempt]:
            carrier = coalesced.carrier
            also = self._fallback.take_end(coalesced, self._time.now().wall, heard=heard)
            to = other if also else None
            if life.edit_after is not None:
                also = (*also, life.edit_after)
            end = Attempt(
                delivery=carrier.id,
                status="sent",
                at=self._time.now().wall,
                handed_to=to,
                title=made.title,
                body=made.body,
                handle=handle_text(outcome.handle),
                also=also,
            )
            return self._recorder.closing(coalesced, end)

        self._log.info(
            "sent", delivery=carrier.id, alert=carrier.alert, told=carrier.state_told, attempt=coalesced.attempts + 1, answer=outcome.answer
        )  # fmt: skip
        waited = self._time.age(carrier.created_at).total_seconds()
        self._meters.delay[known_severity(carrier.severity)].observe(waited)
        await self._recorder.record(coalesced, sent)
        await self._make_refused_due()
        await self._undelivered.delivered(carrier.alert)

    async def _make_refused_due(self) -> None:
        """The service takes messages again: what it refused at its own time is due once more, by the channel's gates and pace."""
        self._again, self._refused = self._refused, {}
        now = self._time.wall()
        waiting = [row for alert in self._again for row in await self._outbox.waiting(alert, *self._of)]
        if due := [self._recorder.tried(row, row.error, now) for row in waiting if row.error]:
            await self._outbox.record(due)

    async def _failed(self, coalesced: Coalesced, outcome: Outcome, begun: float) -> None:
        tries = coalesced.attempts + 1
        wait = self._backoff.failed(tries, outcome)
        self._log.warning(
            "not delivered", delivery=coalesced.carrier.id, alert=coalesced.carrier.alert, answer=outcome.answer, attempt=tries, permanent=outcome.permanent
        )  # fmt: skip
        next_at = self._time.wall() + min(
            wait, life_left(coalesced.carrier, self._time.age, self._channel.gates)
        )
        refusal = outcome.answer if outcome.permanent else "; ".join(outcome.refused)

        def failed(coalesced: Coalesced) -> list[Attempt]:
            # All of it waits: its first, for which the rest waits, above all.
            also = self._fallback.take(coalesced, self._time.now().wall, refusal) if refusal else ()
            folded = [
                self._recorder.tried(delivery, outcome.answer, next_at) for delivery in coalesced.folded
            ]
            return [*folded, self._recorder.tried(coalesced.carrier, outcome.answer, next_at, also)]

        await self._recorder.record(coalesced, failed)
        carrier = coalesced.carrier
        if carrier.state_told == "digest" and (refusal or carrier.handed_to):
            await self._gathering.hand_over_ends(carrier)
        self._undelivered.failed(carrier.alert, outcome.answer, since=begun, quiet=tells_of_failure(carrier))
        if refusal:
            await self._undelivered.refused(carrier.alert, refusal, quiet=tells_of_failure(carrier))

    async def _bury(self, coalesced: Coalesced, error: str) -> None:
        """Give it up: log an error, raise `delivery_failed`, and hand it to the fallback if that doesn't have it yet."""

        def dead(coalesced: Coalesced) -> list[Attempt]:
            carrier, at = coalesced.carrier, self._time.now().wall
            also = self._fallback.take(coalesced, at, error)
            to = self._fallback.name if also else None
            end = Attempt(delivery=carrier.id, status="dead", at=at, error=error, handed_to=to, also=also)
            return self._recorder.closing(coalesced, end)

        carrier = coalesced.carrier
        self._meters.dead += 1
        self._log.error("delivery given up", delivery=carrier.id, alert=carrier.alert, error=error)
        await self._recorder.record(coalesced, dead)
        await self._undelivered.refused(carrier.alert, error, quiet=tells_of_failure(carrier))
        self._undelivered.given_up(carrier.alert)
