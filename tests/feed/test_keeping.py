"""Credentials that can't be kept: people are told while it can be mended, and what is in memory is written when it is.

Seen in stacklok/toolhive PR 5636, AgentWorkforce/relayhistory PR 112 and swarajbachu/zuse PR 275.
"""

import json
from dataclasses import replace

import pytest

from support.fake_venue import QUICK, FakeAdapter, Lines, feeding
from support.fault_server import Peer, serving
from tocsin.feed.credentials import CredentialStore
from tocsin.venues.base import HttpRequest, Keep, Session

pytestmark = pytest.mark.real

MENDING = replace(QUICK, keep=0.01)


def a_file_for_the_folder(folder):
    folder.write_text("")
    return folder.unlink


def a_folder_for_the_file(folder):
    (folder / "v.json").mkdir(parents=True)
    return (folder / "v.json").rmdir


def a_full_disk(folder):
    """As `/dev/full`: what is opened takes nothing."""
    folder.mkdir()
    for name in ("v.json.new", "v.json.trial"):
        (folder / name).mkdir()  # nothing can be written in its place
    return lambda: [each.rmdir() for each in folder.iterdir()]


OBSTACLES = [a_file_for_the_folder, a_folder_for_the_file, a_full_disk]


class Tokens:
    """Plain HTTP at `/token`, where a refresh token is good once; a WebSocket elsewhere."""

    def __init__(self) -> None:
        self.good = 0
        self.answers: list[str] = []

    async def __call__(self, peer: Peer) -> None:
        if peer.path == "/token":
            sent = json.loads(await peer.read_body())["refresh_token"]
            self.answers.append(sent)
            if sent != f"refresh-token-{self.good}":
                return await peer.answer("401 Unauthorized", b'{"error": "invalid_grant"}')
            self.good += 1
            return await peer.answer("200 OK", b'{"refresh_token": "refresh-token-%d"}' % self.good)
        await peer.accept()
        await peer.send({"order": "o"})
        await peer.serve_politely()
        return None

    def signing(self, server):
        def sign_in(settings, kept, now):
            token = kept.get("refresh_token", "refresh-token-0")
            url = f"http://127.0.0.1:{server.port}/token"
            answer = yield HttpRequest(method="POST", url=url, json={"refresh_token": token}, spends=True)
            token = json.loads(answer.body)["refresh_token"]
            yield Keep({"refresh_token": token})
            return Session(token="access")

        return sign_in


@pytest.mark.parametrize("obstacle", OBSTACLES)
async def test_it_is_told_once_until_it_is_mended_and_then_written(tmp_path, obstacle):
    tokens = Tokens()
    mend = obstacle(tmp_path / "kept")
    async with serving(tokens) as server, feeding(tmp_path) as feed:
        await feed.venue(
            FakeAdapter(signing=tokens.signing(server)), f"ws://127.0.0.1:{server.port}/", timings=MENDING
        )
        await feed.told.heard("credentials_not_kept", "connected")
        state = feed.told.state("credentials_not_kept")
        assert state.credentials == "not_kept"
        assert state.reason.startswith("the credentials can't be kept: ")
        assert "lost with the next restart" in state.reason
        assert tokens.answers == ["refresh-token-0"]
        mend()
        await feed.told.heard("credentials_not_kept", "connected", "credentials_kept")
        kept = feed.told.state("credentials_kept")
        assert (kept.credentials, kept.reason) == ("kept", None)
        assert CredentialStore(tmp_path / "kept").load("v") == {"refresh_token": "refresh-token-1"}


async def test_it_is_told_before_the_token_is_spent(tmp_path):
    (tmp_path / "kept").write_text("")
    seen = []

    async def script(peer):
        seen.append(feed.told.events())
        await peer.answer("503 Later", b"{}")

    async with serving(script) as server, feeding(tmp_path) as feed:

        def sign_in(settings, kept, now):
            yield HttpRequest(method="POST", url=f"http://127.0.0.1:{server.port}/token", spends=True)
            return Session()

        await feed.venue(FakeAdapter(signing=sign_in), f"ws://127.0.0.1:{server.port}/")
        await feed.told.until(lambda told: "disconnected" in told.events() or seen)
    assert seen[0] == ["credentials_not_kept"]


def test_what_waits_in_memory_is_given_until_somebody_writes_something_newer(tmp_path):
    store = CredentialStore(tmp_path / "kept", Lines())
    mend = a_full_disk(tmp_path / "kept")
    assert store.keep("v", {"refresh_token": "in memory"}) is not None
    assert store.load("v") == {"refresh_token": "in memory"}
    mend()
    CredentialStore(tmp_path / "kept", Lines()).save("v", {"refresh_token": "by hand"})  # tocsin login
    assert store.load("v") == {"refresh_token": "by hand"}
    assert store.keep_again("v") is None
    assert store.load("v") == {"refresh_token": "by hand"}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_an_obstacle_is_found_without_harm_to_what_is_kept(tmp_path, obstacle):
    store = CredentialStore(tmp_path / "kept", Lines())
    mend = obstacle(tmp_path / "kept")
    assert str(tmp_path / "kept") in store.obstacle("v")
    mend()
    assert store.obstacle("v") is None
    store.save("v", {"a": "1"})
    assert store.obstacle("v") is None
    assert store.load("v") == {"a": "1"}
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["v.json"]
