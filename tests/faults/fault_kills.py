"""A hundred `kill -9` at random moments, under load, with people acting and messages edited meanwhile."""

import random

import pytest

from support.chats import ChatServers
from support.daemon import Folder
from support.kills import Kills
from support.receivers import HttpReceiver
from tocsin.simulator import Exchange

pytestmark = pytest.mark.real
_KILLS = 100


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


async def fault_a_hundred_kills(tmp_path, exchange, figure, request):
    seed = random.SystemRandom().randrange(2**32)
    request.node.add_report_section("call", "seed", str(seed))  # shown where it fails
    with ChatServers(tmp_path) as chats, HttpReceiver() as hook:
        kills = Kills(Folder(tmp_path / "tocsin", chats.environment), exchange, chats, hook, seed)
        kills.write()
        await kills.run(_KILLS)
        figure("kills survived", kills.kills, unit="")
        figure("messages repeated by kills", kills.repeated, unit="", aim=_KILLS)
