"""`kill -9` while alerts fire and end, people act and messages are edited: a few kills of the hundred of `./run faults`."""

import pytest

from support.chats import ChatServers
from support.daemon import Folder
from support.kills import Kills
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real


async def test_five_kills(tmp_path, exchange):
    with ChatServers(tmp_path) as chats, HttpReceiver() as hook:
        kills = Kills(Folder(tmp_path / "tocsin", chats.environment), exchange, chats, hook, seed=5)
        kills.write()
        await kills.run(5)
