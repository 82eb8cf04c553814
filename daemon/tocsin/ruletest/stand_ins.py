"""What stands on the bench in the place of the world outside, and what listens in."""

from collections.abc import Callable, Iterable

import msgspec
import trio

from tocsin.delivery.model import Message, Outcome
from tocsin.engine.engine import Engine
from tocsin.engine.model import ChangeOutcome, Sample, Saved, Transition
from tocsin.engine.rule import Rule
from tocsin.entities import Entities
from tocsin.events import Instant
from tocsin.store.model import NewDelivery


class Traced(Engine):
    """The engine, with all its transitions kept for the trace of a failing test."""

    def __init__(
        self, rules: Iterable[Rule], world: Entities, new_id: Callable[[], str], kept: list[Transition]
    ) -> None:
        super().__init__(rules, world, new_id)
        self._kept = kept

    def settle(self, now: Instant) -> list[ChangeOutcome]:
        found = super().settle(now)
        for taken in found:
            self._keep(taken.transitions)
        return found

    def advance(self, now: Instant) -> list[Transition]:
        return self._keep(super().advance(now))

    def restore(
        self,
        saved: Iterable[Saved],
        alive: Instant | None,
        now: Instant,
        *,
        samples: Iterable[Sample] = (),
        leave: Callable[[], Iterable[Transition]] = tuple,
    ) -> tuple[list[Transition], list[tuple[Saved, str]]]:
        found, unreadable = super().restore(saved, alive, now, samples=samples, leave=leave)
        return self._keep(found), unreadable

    def reload(self, rules: Iterable[Rule], now: Instant) -> list[Transition]:
        return self._keep(super().reload(rules, now))

    def acknowledge(self, alert_id: str, now: Instant) -> list[Transition]:
        return self._keep(super().acknowledge(alert_id, now))

    def _keep(self, found: list[Transition]) -> list[Transition]:
        self._kept += found
        return found


class Delivered(msgspec.Struct, frozen=True):
    """What a stand-in accepted: the delivery, and the message as it arrived at that time (steady)."""

    delivery: NewDelivery
    message: Message
    at: float
    late: float  # seconds; what a gap hid is late however soon it was told


class StandIn:
    """A channel that records. A passing failure while `works` is False."""

    def __init__(self, name: str, accepted: Callable[[Message], None]) -> None:
        self.name = name
        self.works = True
        self._accepted = accepted

    async def send(self, message: Message) -> Outcome:
        await trio.lowlevel.checkpoint()
        if not self.works:
            return Outcome(sent=False, answer=f"{self.name}: fails, as the test says")
        self._accepted(message)
        return Outcome(sent=True, answer=f"{self.name}: accepted")
