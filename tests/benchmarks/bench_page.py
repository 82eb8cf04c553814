"""The overview with 1,000 positions, 200 of which fire: how long it takes to be made, and how large it is."""

import time

import trio

from support.played import played
from tocsin.page.render_cache import RenderCache
from tocsin.page.rendering import Renderer
from tocsin.page.screens.overview import OVERVIEW

POSITIONS, FIRING, ROUNDS = 1000, 200, 7
RULES = [{"id": "red", "watch": "position", "when": {"profit": {"below": -50}}, "severity": "critical"}]


def _position(number: int) -> dict:
    return {
        "id": f"p{number}", "symbol": f"S{number}", "side": "long", "amount": "1.5", "entry_price": "12345.67",
        "mark_price": "12345.99", "profit": "-60.25" if number < FIRING else f"{number % 40}.5", "currency": "USD",
    }  # fmt: skip


def bench_overview(figures, tmp_path):
    steps = [{"at": "0s", "account": "a1", "position": _position(number)} for number in range(POSITIONS)]

    async def look(seen) -> None:
        of = seen.asked()
        of.host.__dict__["equity"] = lambda *_account: ()
        took, sizes = [], []
        renderer = Renderer("")
        for _ in range(ROUNDS):
            renderer._cache = RenderCache()  # all has changed
            begun = time.perf_counter()
            made = await renderer.screen(OVERVIEW, of, "/", person="anna")
            took.append(time.perf_counter() - begun)
            sizes.append(len(made.zipped))
        figures["overview"], figures["overview/bytes"] = min(took), max(sizes)
        assert made.html.count(b'class="alert critical') == 30  # of a list the first
        await trio.lowlevel.checkpoint()

    played(tmp_path, RULES, steps, look)
