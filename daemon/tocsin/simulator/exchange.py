"""All simulated venues at once, and the scenarios that drive them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import trio

from tocsin.simulator.base import SimulatedVenue
from tocsin.simulator.binance_usdm import BinanceUsdm
from tocsin.simulator.bybit import Bybit
from tocsin.simulator.glocalflex import Glocalflex
from tocsin.simulator.piexgo import Piexgo
from tocsin.simulator.topone import Topone
from tocsin.simulator.wealthsimple import Wealthsimple
from tocsin.simulator.yourfintech import Yourfintech


@dataclass
class Exchange:
    """The venues as they stand, a field each. Scenarios push through them."""

    yourfintech: Yourfintech = field(default_factory=Yourfintech)
    topone: Topone = field(default_factory=Topone)
    piexgo: Piexgo = field(default_factory=Piexgo)
    wealthsimple: Wealthsimple = field(default_factory=Wealthsimple)
    glocalflex: Glocalflex = field(default_factory=Glocalflex)
    binance_usdm: BinanceUsdm = field(default_factory=BinanceUsdm)
    bybit: Bybit = field(default_factory=Bybit)

    def all(self) -> tuple[SimulatedVenue, ...]:
        return tuple(getattr(self, venue.name) for venue in fields(self))

    def settings(self) -> dict[str, Mapping[str, Any]]:
        """The `venues` section of a config that reaches them."""
        return {venue.type: venue.settings() for venue in self.all()}

    def secrets(self) -> set[str]:
        """All that was given out or shown so far and must be seen nowhere else."""
        return set().union(*(venue.secrets for venue in self.all()))

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve all until cancelled; started when every port is bound."""
        async with trio.open_nursery() as nursery:
            for venue in self.all():
                await nursery.start(venue.serve)
            task_status.started()


@dataclass(frozen=True)
class Step:
    """At `at` seconds from the scenario's start, `do` something at the venues."""

    at: float
    do: Callable[[Exchange], object]


async def play(exchange: Exchange, steps: Iterable[Step]) -> None:
    """Do the steps, each at its time."""
    began = trio.current_time()
    for step in sorted(steps, key=lambda step: step.at):
        await trio.sleep_until(began + step.at)
        step.do(exchange)
