"""What people do, done to the running daemon: in order with what venues say, on disk when it returns (else see `kept`), and logged."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from tocsin.alerts.silences import Silences, end_of, refuse_unmet
from tocsin.app.chat_remarks import ChatRemarks, Editable
from tocsin.clock import Clock
from tocsin.config.settings import Settings
from tocsin.control.acts import matched_names
from tocsin.pipeline import Pipeline
from tocsin.pipeline.acts import Acts, Became, By, Target
from tocsin.pipeline.questions import Wish
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Acked, Silence


class LiveActs:
    """`settings` gives the config as it is now. `editable` finds messages of alerts. `log` is a structlog logger."""

    def __init__(  # noqa: PLR0917 - what it joins
        self,
        acts: Acts,
        pipeline: Pipeline,
        clock: Clock,
        settings: Callable[[], Settings],
        editable: Editable,
        log: Any,
    ) -> None:
        self._acts, self._pipeline, self._clock, self._log = acts, pipeline, clock, log
        self._settings = settings
        self._remarks = ChatRemarks(editable, pipeline, clock, log)

    async def acknowledge(
        self, alert: Target, by: By, lasts: str | None = None, until: str | None = None
    ) -> Became:
        """For good, or for a time as in `end_of`. ValueError, fit to be shown, on what is no end."""
        now = self._clock.now()
        ends_at = end_of(lasts, until, now.wall, self._settings().tz) if lasts or until else None
        became = await self._pipeline.ask(partial(self._acts.acknowledge, alert, by, now, ends_at))
        if became == "done":
            self.note("acknowledged", by, alert=alert.id, until=ends_at)
            await self._remarks.on_alert(alert.id, f"acknowledged by {by.name}", ends_at, acked=True)
        return became

    async def unacknowledge(self, alert: Target, by: By) -> bool:
        """False: it isn't acknowledged."""
        done = await self._pipeline.ask(partial(self._acts.unacknowledge, alert, by, self._clock.now()))
        if done:
            self.note("no longer acknowledged", by, alert=alert.id)
            await self._remarks.on_alert(alert.id, f"no longer acknowledged, says {by.name}", acked=False)
        return done

    async def remark(self, message: str, words: str) -> None:
        """Put that into the messages that told of an alert, or into a digest, by its id."""
        await self._remarks.on_alert(message, words)

    def kept(self) -> bool:
        """Whether what was done is on disk. False: it holds, but is lost if the process ends before the disk takes something again."""
        return self._pipeline.keeps

    def acknowledged(self) -> Mapping[str, Acked]:
        """What became of late of acknowledgements, by alert: the database may be behind. Another thread may look at it."""
        return self._acts.acknowledged()

    def now(self) -> datetime:
        return self._clock.now().wall

    def silences(self) -> Silences:
        """Those that aren't over, as they stand; another thread may look at them."""
        return self._acts.silences()

    def foreseen(self, matchers: str, lasts: str | None, until: str | None) -> Silences:
        """A silence as it would be begun now, which holds nothing. ValueError as of `silence`, and where no rule, venue, kind or
        severity is called as it says.
        """
        would = self._would(matchers, lasts, until)
        refuse_unmet(matchers, matched_names(self._settings()))
        return would

    def _would(self, matchers: str, lasts: str | None, until: str | None) -> Silences:
        now = self.now()
        would = Silences(names=self._acts.account_names)
        would.begin("", matchers, end_of(lasts, until, now, self._settings().tz), now)
        return would

    async def silence(self, matchers: str, lasts: str | None, until: str | None, by: By) -> Silence:
        """ValueError, fit to be shown, on what are no matchers, or no end (see `end_of`)."""
        now = self._clock.now()
        foreseen = self._would(matchers, lasts, until)  # here: what raises in the pipeline ends it
        (would,) = foreseen
        begun = await self._pipeline.ask(partial(self._acts.silence, matchers, would.ends_at, by, now))
        self.note("silence", by, silence=begun.id, matchers=matchers, until=begun.ends_at)
        await self._remarks.on_silence(foreseen, f"silenced by {by.name}: {matchers}", begun.ends_at)
        return begun

    async def unsilence(self, id_: str, by: By) -> bool:
        """False: there is none of that id that isn't over."""
        over = self._acts.silences_of(id_)
        done = await self._pipeline.ask(partial(self._acts.unsilence, id_, by, self._clock.now()))
        if done:
            self.note("silence taken back", by, silence=id_)
            await self._remarks.on_silence(over, f"silence taken back by {by.name}")
        return done

    async def pause(self, action: str, by: By) -> bool:
        """No more runs of that action, or of all (`EVERY`), until it is resumed. False: it is paused already."""
        done = await self._pipeline.ask(partial(self._acts.pause, action, by, self._clock.now()))
        if done:
            self.note("paused", by, action=action)
        return done

    async def resume(self, action: str, by: By) -> bool:
        """Runs again, also where failures had stopped it. False: nothing stood in the way."""
        done = await self._pipeline.ask(partial(self._acts.resume, action, by, self._clock.now()))
        if done:
            self.note("resumed", by, action=action)
        return done

    async def answer(self, run: str, wish: Wish, by: By) -> str:
        """What somebody says to the question whether an action is to be run. Why that is in vain, in words; "" where it counts.

        Raises StoreUnavailable where the next buttons can't be shown: it may be pressed again.
        """
        reason = await self._pipeline.ask(partial(self._acts.answer, run, wish, by, self._clock.now()))
        if reason:
            return reason
        self.note("answered", by, run=run, answer=wish)
        if wish == "want" and await self._remarks.on_question(run, f"{by.name} wants it", over=False) is None:
            raise StoreUnavailable("the disk doesn't say where the question stands")
        return ""

    def asked_on(self, run: str) -> str | None:
        """The channel on which it is asked whether an action is to be run; None where nobody is asked (any more)."""
        return self._acts.asked_on(run)

    async def question(self, run: str, words: str, *, over: bool, known: int) -> int | None:
        """Put that into the messages that ask about a run, if these are more than are `known`. How many there are; None: the disk
        doesn't say.
        """
        return await self._remarks.on_question(run, words, over=over, known=known)

    def stopped(self) -> list[str]:
        return self._acts.stopped(self.actions())

    def paused(self) -> str:
        return self._acts.paused()

    def actions(self) -> Collection[str]:
        """Those of the config as it is now."""
        return self._settings().actions

    def note(self, event: str, by: By, **fields: Any) -> None:
        """What somebody did, and who, into the log."""
        self._log.info(event, by=by.name, via=by.via, why=by.why, **fields)
