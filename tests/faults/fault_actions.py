"""A hundred `kill -9` at random moments around the runs of actions."""

import random

import pytest

from support.daemon import Folder
from support.receivers import HttpReceiver
from support.run_kills import RunKills
from tocsin.simulator import Exchange

pytestmark = pytest.mark.real
_KILLS = 100


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


async def fault_a_hundred_kills_around_runs(tmp_path, exchange, figure, request):
    seed = random.SystemRandom().randrange(2**32)
    request.node.add_report_section("call", "seed", str(seed))  # shown where it fails
    with HttpReceiver() as hook:
        kills = RunKills(Folder(tmp_path / "tocsin", {}), exchange, hook, seed)
        kills.write()
        await kills.run(_KILLS)
        for outcome in ("ok", "unknown", "dropped"):
            figure(f"commands {outcome}", kills.outcomes["note", outcome], unit="")
