"""What the demo's page is looked at for: positions that stay open, whose profits move from second to second, across limits and back."""

from math import sin, tau
from typing import NamedTuple, NoReturn

import trio

from tocsin.simulator import Exchange, yourfintech

_EVERY = 1.0  # seconds


class _Held(NamedTuple):
    """A position whose profit swings around `middle` (USD) by `swing`, once in `period` seconds."""

    id: str
    symbol: str
    side: str
    lots: float
    entry: float
    middle: float
    swing: float
    period: float

    def message(self, second: float, what: str) -> object:
        profit = round(self.middle + self.swing * sin(tau * second / self.period), 2)
        base, quote = self.symbol[:3], self.symbol[3:]
        return yourfintech.position(
            what, self.id, profit=profit, entry=self.entry, lots=self.lots, asset_pair=self.symbol, side=self.side,
            base=base, quote=quote,
        )  # fmt: skip


_HELD = (
    _Held("7f1c02aa-35d4-4ca1-8865-000000000001", "XAUUSD", "Sell", 0.4, 2318.4, -42.0, 31.0, 100),
    _Held("7f1c02aa-35d4-4ca1-8865-000000000002", "EURUSD", "Buy", 1.0, 1.0512, 180.0, 55.0, 140),
    _Held("7f1c02aa-35d4-4ca1-8865-000000000003", "GBPUSD", "Buy", 2.0, 1.2614, -17.0, 14.0, 64),
    _Held("7f1c02aa-35d4-4ca1-8865-000000000004", "US500", "Sell", 2.0, 5981.25, -470.0, 55.0, 170),
)


async def move(exchange: Exchange) -> NoReturn:
    """Tells what becomes of them, for ever; who connects anew hears of each as created."""
    second, told = 0.0, 0
    while True:
        venue = exchange.yourfintech
        if clients := len(venue.clients):
            for held in _HELD:
                venue.push(held.message(second, "updated" if told == clients else "created"))
        told = clients
        await trio.sleep(_EVERY)
        second += _EVERY
