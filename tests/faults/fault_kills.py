"""A hundred `kill -9` at random moments, under load, with people acting and messages edited meanwhile."""

import random

import pytest

from support.chats import ChatServers
from support.daemon import Folder
from support.kills import Kills
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange

pytestmark = pytest.mark.real
GATHERED = {"phone": {"digest": "1s"}, "desk": {"digest": "2s"}}
EDITED = {"phone": {"resolved": "edit"}, "desk": {"resolved": "edit"}}


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


RUNS = {"as they are": (60, {}), "gathered": (20, GATHERED), "ends edited": (20, EDITED)}


@pytest.mark.parametrize("channels", RUNS)
async def fault_a_hundred_kills(tmp_path, exchange, figure, request, channels):
    times, options = RUNS[channels]
    seed = random.SystemRandom().randrange(2**32)
    request.node.add_report_section("call", "seed", str(seed))  # shown where it fails
    with ChatServers(tmp_path) as chats, HttpReceiver() as hook:
        kills = Kills(Folder(tmp_path / "tocsin", chats.environment), exchange, chats, hook, seed)
        kills.write(**options)
        await kills.run(times)
        figure(f"kills survived, channels {channels}", kills.kills, unit="")
        figure(f"messages repeated by kills, channels {channels}", kills.repeated, unit="", aim=times)
