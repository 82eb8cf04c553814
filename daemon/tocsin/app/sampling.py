"""The task that keeps what charts are made of: trails of what rules watch, what accounts were worth, how busy venues are.

What is to outlive the process is written in a small batch each ten seconds, as all else is; while the disk refuses, it waits.
"""

from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import trio

from tocsin.app.alert_trails import AlertTrails
from tocsin.app.components import Components
from tocsin.app.equity import EVERY as EQUITY_EVERY
from tocsin.app.equity import Equity
from tocsin.app.rates import Rates
from tocsin.app.trails import AT_ONCE, Of, Trails
from tocsin.app.watching import SHOWN_KINDS, Away, away_of
from tocsin.control.snapshot import Point
from tocsin.engine.api import Transition
from tocsin.events import Instant, stored_number
from tocsin.store.errors import StoreError
from tocsin.store.journal import Entry
from tocsin.store.model import Batch
from tocsin.store.reader import Reader
from tocsin.store.retention import EQUITY_KEPT

_EVERY = 1.0  # seconds
_RATES_EVERY = 5.0
_WRITE_EVERY = 10.0
_NEVER = float("-inf")


class Sampling:
    """`log` is a structlog logger."""

    def __init__(self, components: Components, log: Any) -> None:
        self._components, self._clock, self._log = components, components.clock, log
        self.trails, self.equity, self.rates = Trails(components), Equity(), Rates(components.meters.venues)
        self._began = self._clock.now().steady
        self._alerts = AlertTrails(self.trails.points)
        self._batch = Batch(at=self._clock.now().wall)
        self._writing: Entry | None = None
        self._restored = False
        self._rates_at = self._equity_at = self._written_at = _NEVER  # steady

    async def run(self) -> NoReturn:
        """For ever. Started again, it goes on with what it had."""
        if not self._restored:
            await self._restore()
            self._restored = True
        while True:
            await self.step()
            await trio.sleep(_EVERY)

    async def step(self) -> None:
        """All that is due now."""
        now = self._clock.now()
        if now.steady - self._rates_at >= _RATES_EVERY:
            self._rates_at = now.steady
            self.rates.note(now.steady)
        # However the machine's clock was set since: when this run began, as that now tells it.
        began = now.wall - timedelta(seconds=now.steady - self._began)
        who_is_away = partial(away_of, self._components.entities, began)
        await self.trails.sample(who_is_away)
        await self._put_in_order()
        told, pauses = self._components.told, self.trails.pauses()
        while told:
            self._note(told.popleft())
            await pauses.rest()
        if now.steady - self._equity_at >= EQUITY_EVERY:
            self._note_equity(now, who_is_away())
        if now.steady - self._written_at >= _WRITE_EVERY and (
            self._writing is None or self._writing.done.is_set()
        ):
            self._written_at = now.steady
            await self._write(now)

    async def _put_in_order(self) -> None:
        """So that whoever looks next has little to wait for."""
        pauses, in_order = self.trails.pauses(), self._components.entities.in_order
        for kind in SHOWN_KINDS:
            while in_order.catch_up(kind, AT_ONCE):
                await pauses.rest()

    def _note(self, transition: Transition) -> None:
        """An alert was told to fire, or to be over."""
        rule, context = self._components.engine.rule(transition.rule), transition.context
        over = transition.notification == "resolved"
        if context is None or (not over and (rule is None or not rule.is_level)):
            return
        point = Point(context.at, stored_number(context.value)) if context.value is not None else None
        self._alerts.told(transition.alert_id, (transition.rule, transition.instance), point, over=over)

    def _note_equity(self, now: Instant, away: Away) -> None:
        """As soon as anything of it is known, and then each minute."""
        entities = self._components.entities
        rows = self.equity.note(entities.in_order.of("account"), away, now.wall)
        if rows:
            self._equity_at = now.steady
            self._batch.equity += rows

    async def _write(self, now: Instant) -> None:
        pauses = self.trails.pauses()
        for _ in self._alerts.write_into(self._batch):
            await pauses.rest()
        batch, self._batch = self._batch, Batch(at=now.wall)
        batch.at = now.wall
        if batch:
            self._writing = self._components.journal.put(batch)

    # ------------------------------------------------------------------------------------------------- another run

    async def _restore(self) -> None:
        """What the last run kept; without the database charts begin anew."""
        try:
            await self._read(self._clock.now())
        except StoreError as error:
            self._log.warning("charts begin anew", reason=str(error))

    async def _read(self, now: Instant) -> None:
        reader = Reader(self._components.database.path)
        since = now.wall - EQUITY_KEPT
        self.equity.restore(await trio.to_thread.run_sync(partial(reader.all_equity, since)))
        for alert, of in self._firing(now):
            found = await trio.to_thread.run_sync(partial(reader.trail, alert))
            points = [Point(at, value) for at, value in found]
            self.trails.restore(of, points)
            self._alerts.restore(alert, of, points)

    def _firing(self, now: Instant) -> list[tuple[str, Of]]:
        """Alerts that fire or recover, and of which instances."""
        looks = self._components.engine.looks
        found = ((of, looks.standing(*of, now)) for of in self._components.turn.alert_states.active())
        return [
            (standing.alert_id, of)
            for of, standing in found
            if standing is not None and standing.rule.is_level and standing.state != "pending"
        ]
