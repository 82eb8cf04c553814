"""200 seeded damages of a state of 20 MB with 5,000 alerts: it always starts, what can be read is told, what is lost is said."""

import pytest
import trio

from support.damaged import prepare, started
from support.receivers import HttpReceiver
from tocsin.store.store import DATABASE

pytestmark = pytest.mark.real

ALERTS, DAMAGES, AT_ONCE = 5_000, 200, 2


async def fault_damaged_states(tmp_path, figure):
    prepared = prepare(tmp_path, ALERTS)
    assert (prepared / DATABASE).stat().st_size > 15e6
    came: dict[int, tuple[float, int]] = {}
    seeds = iter(range(DAMAGES))
    with HttpReceiver() as phone:

        async def some() -> None:
            for seed in seeds:
                came[seed] = await started(seed, prepared, tmp_path, phone, ALERTS)

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(some)
    assert len(came) == DAMAGES
    took = [up for up, _ in came.values()]
    missed = [seed for seed, (_, count) in came.items() if count]
    assert not missed, f"of these not all was told that SQLite still finds: seeds {missed}"
    figure("damaged state of 20 MB: up within, median", sorted(took)[DAMAGES // 2], unit="s", aim=3)
    figure("damaged state of 20 MB: up within, worst", max(took), unit="s", aim=5)
