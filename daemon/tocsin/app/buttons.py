"""Buttons below one URL's messages: made with ids that nobody can guess, and kept before they are sent."""

import secrets
from collections.abc import Awaitable, Callable

from tocsin.clock import Clock
from tocsin.delivery.buttons import KNOWN_FOR, buttons_for
from tocsin.delivery.model import Button
from tocsin.store.journal import Journal
from tocsin.store.model import QUESTION, Batch, ButtonRow

_KEPT = 1000  # deliveries whose buttons are the same when they are tried again


class AlertButtons:
    """`chats`: those that the URL names, in which alone they may be pressed. `count`: how many alerts of a digest can be
    acknowledged. `offers`: what can be pressed of a question by now, what stands on it and what it does.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        chats: tuple[str, ...],
        count: Callable[[str], Awaitable[int]],
        offers: Callable[[str], tuple[tuple[str, str], ...]],
    ) -> None:
        self._count, self._offers = count, offers
        self._journal, self._clock, self._chats = journal, clock, " ".join(chats)
        self._made: dict[str, tuple[tuple[Button, ...], ...]] = {}

    async def make(self, alert: str, delivery: str, told: str) -> tuple[tuple[Button, ...], ...]:
        """`MakeButtons`. Returns when they are on disk, or while that can't be written to: then they do nothing until they are."""
        offers = self._offers(alert) if told == QUESTION else ()
        if told == QUESTION and not offers:
            return ()
        if (made := self._made.get(delivery)) is not None:
            return made
        now = self._clock.now().wall
        alerts = await self._count(alert) if told == "digest" else 1
        buttons = tuple(
            tuple((Button(text, secrets.token_hex(16)), does) for text, does in row)
            for row in buttons_for(told, alerts, offers)
        )
        rows = [
            ButtonRow(id=button.id, alert=alert, chat=self._chats, does=does, expires_at=now + KNOWN_FOR)
            for row in buttons
            for button, does in row
        ]
        if rows:
            await self._journal.written(self._journal.put(Batch(at=now, buttons=rows)))
        self._made[delivery] = made = tuple(tuple(button for button, _ in row) for row in buttons)
        while len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return made
