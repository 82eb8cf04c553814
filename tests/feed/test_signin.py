"""Sign-in over real HTTP: what is asked, kept, hidden, renewed; and refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import trio

from support.fake_venue import HASTY, QUICK, FakeAdapter, feeding
from support.fault_server import FaultServer, Peer, serving
from tocsin.events import Account, Observation, SnapshotBegins, SnapshotEnds
from tocsin.events import Venue as Link
from tocsin.secrets import Secret
from tocsin.venues.base import (
    HttpRequest,
    Keep,
    Pause,
    Request,
    Session,
    SignInFailed,
    SignInRefused,
)

pytestmark = pytest.mark.real
PATIENT = replace(QUICK, auth_retry=300.0)


class Venue:
    """A script: plain HTTP at `/token`, a WebSocket that wants the latest token elsewhere."""

    def __init__(self) -> None:
        self.issued = 0
        self.valid = ""
        self.token_answers: list[str] = []  # statuses to answer with before going on as it should
        self.bodies: list[bytes] = []
        self.sockets: list[str] = []
        self.revoke_at_once = 0

    async def __call__(self, peer: Peer) -> None:
        if peer.path.startswith("/token"):
            self.bodies.append(await peer.read_body())
            if self.token_answers:
                return await peer.answer(self.token_answers.pop(0), b"{}")
            self.issued += 1
            self.valid = f"issued-{self.issued}"
            return await peer.answer("200 OK", json.dumps({"token": self.valid}).encode())
        self.sockets.append(peer.path)
        if self.revoke_at_once:
            self.revoke_at_once -= 1
            self.valid = "another"
        if peer.path.partition("token=")[2] != self.valid:
            return await peer.answer("401 Unauthorized", b"bad token")
        await peer.accept()
        await peer.send({"order": self.valid})
        await peer.serve_politely()
        return None


def signing(server: FaultServer, *, lasts: float | None = None, reuse: bool = False):
    """An adapter's sign-in: asks `/token`, keeps what it got, and with `reuse` asks only when nothing is kept."""

    def sign_in(settings, kept, now):
        if reuse and "token" in kept:
            return Session(token=kept["token"])
        url = f"http://127.0.0.1:{server.port}/token?sig=signature-1"
        answer = yield HttpRequest(
            method="POST", url=url, form={"grant": "refresh", "with": kept.get("token", "")}
        )
        if answer.status == 403:
            raise SignInRefused("wrong password", remedy="run: tocsin login {venue}")
        if answer.status != 200:
            raise SignInFailed(f"HTTP {answer.status}")
        token = json.loads(answer.body)["token"]
        yield Keep({"token": token, "at": "2026-01-01T00:00:00Z"})
        yield Pause(0.001, "one token a minute")
        renew_at = None if lasts is None else datetime.now(UTC) + timedelta(seconds=lasts)
        values = {"csrf": "csrf-of-session", "expires": "1767225600000"}
        return Session(token=token, renew_at=renew_at, values=values, plain=frozenset({"expires"}))

    return sign_in


def ws(server: FaultServer) -> str:
    return f"ws://127.0.0.1:{server.port}/ws"


async def test_a_session_is_got_kept_used_and_hidden(tmp_path):
    venue = Venue()
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server), record=True)
        await feed.told.until(lambda told: told.ids())
        assert venue.sockets == ["/ws?token=issued-1"]
        assert venue.bodies == [b"grant=refresh&with="]
        kept = feed.credentials.load("v")
        assert kept == {"token": "issued-1", "at": "2026-01-01T00:00:00Z"}
        (message,) = [r for r in feed.told.received if r.raw]
        assert message.raw == '{"order": "***"}'
        assert feed.masker.mask("csrf-of-session 2026-01-01T00:00:00Z") == "*** 2026-01-01T00:00:00Z"
        assert feed.masker.mask("until 1767225600000") == "until 1767225600000"
        assert "issued-1" not in feed.log.text()


async def test_what_was_kept_is_given_to_the_next_sign_in(tmp_path):
    venue = Venue()
    async with serving(venue) as server, feeding(tmp_path) as feed:
        feed.credentials.save("v", {"token": "of-old"})
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server))
        await feed.told.heard("connected")
        assert venue.bodies == [b"grant=refresh&with=of-old"]


async def test_a_token_refused_at_the_handshake_is_not_used_again(tmp_path):
    """One new sign-in, without the token that was kept; nobody hears of it when that works."""
    venue = Venue()
    async with serving(venue) as server, feeding(tmp_path) as feed:
        feed.credentials.save("v", {"token": "of-old"})
        await feed.venue(FakeAdapter(signing=signing(server, reuse=True)), ws(server))
        await feed.told.heard("connected")
        assert venue.sockets == ["/ws?token=of-old", "/ws?token=issued-1"]
        assert venue.bodies == [b"grant=refresh&with="]


async def test_a_new_token_that_is_refused_too_is_auth_failed(tmp_path):
    venue = Venue()
    venue.revoke_at_once = 3
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server))
        await feed.told.heard("auth_failed", "connected")
        assert "HTTP 401: bad token" in feed.told.state("auth_failed").reason
        assert len(venue.sockets) == 4


async def test_a_refused_sign_in_is_tried_at_once_when_the_user_asks(tmp_path):
    """Not when the venue said when to come back: only the user knows what was mended."""
    venue = Venue()
    venue.token_answers = ["403 Forbidden"]
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server), timings=PATIENT)
        await feed.told.heard("auth_failed")
        state = feed.told.state("auth_failed")
        assert (state.next_attempt - feed.told.observations()[-1].time).total_seconds() == PATIENT.auth_retry
        feed.retry.now()
        await feed.told.heard("auth_failed", "connected")
        assert feed.told.state("connected").next_attempt is None


async def test_a_key_refused_in_the_socket_names_the_secret_and_is_tried_when_the_user_asks(tmp_path):
    async def script(peer):
        await peer.accept()
        if peer.number == 0:
            await peer.send({"refuse": ["auth", "unauthorized", "auth_failed"]})
        else:
            await peer.message()
            await peer.send({"ack": "auth"})
        await peer.serve_politely()

    adapter = FakeAdapter((Request(name="auth", text="{}", required=True),))
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(adapter, ws(server), timings=PATIENT, secret_key=Secret("key-1"))
        await feed.told.heard("auth_failed")
        assert feed.told.state("auth_failed").reason == "auth: unauthorized; check venues.v.secret_key"
        feed.retry.now()
        await feed.told.heard("auth_failed", "connected")


PAGE = b"<html><body>Error 1020</body></html>"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_page_in_answer_to_the_handshake_is_no_refusal(tmp_path, status):
    async def script(peer):
        if peer.number < 2:
            await peer.answer(status, PAGE, headers="Content-Type: text/html\r\n")
            return
        await peer.accept()
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server), timings=PATIENT)
        await feed.told.heard("disconnected", "connected")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Retry-After: 1\r\n", PAGE),
        ("Retry-After: soon\r\n", b'{"retry_after": "1"}'),
        ("", b'{"retry_after_ms": 1000}'),
    ],
)
async def test_when_to_come_back_is_obeyed_at_the_handshake(tmp_path, headers, body):
    async def script(peer):
        await peer.answer("403 Forbidden", body, headers=headers)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(), ws(server))
        await feed.told.heard("disconnected")
        (told,) = [o for o in feed.told.observations() if o.event]
        assert (told.state.next_attempt - told.time).total_seconds() >= 1


async def test_a_refused_sign_in_is_told_once_with_its_remedy(tmp_path):
    venue = Venue()
    venue.token_answers = ["403 Forbidden"] * 3
    async with serving(venue) as server, feeding(tmp_path) as feed:
        began = trio.current_time()
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server))
        await feed.told.heard("auth_failed", "connected")
        state = feed.told.state("auth_failed")
        assert (state.status, state.reason) == ("auth_failed", "wrong password; run: tocsin login v")
        assert trio.current_time() - began >= 0.3  # three slow retries


@pytest.mark.parametrize("fault", ["500 Internal Server Error", "429 Too Many Requests"])
async def test_a_failed_sign_in_is_an_outage_and_tried_again(tmp_path, fault):
    venue = Venue()
    venue.token_answers = [fault] * 3
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server))
        await feed.told.heard("disconnected", "connected")
        assert feed.told.state("disconnected").reason == f"sign-in failed: HTTP {fault[:3]}"


async def test_a_mute_sign_in_server_is_left_without_its_query_shown(tmp_path):
    async def mute(peer):
        await trio.sleep_forever()

    async with serving(mute) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server)), ws(server), timings=HASTY)
        await feed.told.heard("disconnected")
        reason = feed.told.state("disconnected").reason
        assert reason.endswith(f"POST http://127.0.0.1:{server.port}: no answer within 1 s")
        assert "signature-1" not in feed.log.text()


async def test_what_a_request_was_made_of_is_hidden_though_the_sign_in_fails(tmp_path):
    def sign_in(settings, kept, now):
        url = f"http://127.0.0.1:{server.port}/made-of-secrets"
        answer = yield HttpRequest(method="POST", url=url, secrets=("made-of-secrets",))
        raise SignInFailed(f"it said {answer.body.decode()}")

    async def repeating(peer):
        await peer.answer("200 OK", peer.path.encode())

    async with serving(repeating) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=sign_in), ws(server), timings=HASTY)
        await feed.told.heard("disconnected")
        assert feed.told.state("disconnected").reason == "sign-in failed: it said /***"
        assert "made-of-secrets" not in feed.log.text()


async def test_several_sockets_share_one_sign_in(tmp_path):
    venue = Venue()
    adapter = FakeAdapter(paths={"a": "/a", "b": "/b"})
    async with serving(venue) as server, feeding(tmp_path) as feed:
        adapter.signing = signing(server)
        await feed.venue(adapter, ws(server))
        await feed.told.heard("connected")
        assert venue.issued == 1


async def test_a_session_is_renewed_without_an_outage(tmp_path):
    venue = Venue()
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server, lasts=0.15)), ws(server))
        await feed.told.until(lambda told: len(told.ids()) >= 4)
        assert feed.told.events() == ["connected"]
        assert venue.sockets[:4] == [f"/ws?token=issued-{n}" for n in (1, 2, 3, 4)]
        assert venue.bodies[1] == b"grant=refresh&with=issued-1"
        assert server.open <= 2  # the old socket is closed, not left


async def test_a_renewal_that_fails_leaves_the_connection_be(tmp_path):
    venue = Venue()
    async with serving(venue) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing(server, lasts=0.1)), ws(server))
        await feed.told.heard("connected")
        venue.token_answers = ["500 Oh", "403 No"]
        await feed.told.until(lambda told: len(told.ids()) >= 2)
        assert feed.told.events() == ["connected", "auth_failed"]
        state = feed.told.state("auth_failed")
        assert state.reason.startswith("wrong password")
        assert not isinstance(state.status, str)  # it is connected all the while
        mended = feed.told.observations()[-1].state
        assert (mended.reason, mended.next_attempt) == (None, None)


def fetching_from(server: FaultServer):
    def snapshot(settings, session):
        answer = yield HttpRequest(
            method="GET", url=f"http://127.0.0.1:{server.port}/snapshot?a=1", query={"b": "2"}
        )
        if answer.status != 200:
            raise SignInFailed(f"HTTP {answer.status}")
        return [
            SnapshotBegins(kinds=("account",)),
            Observation(state=Account(id=answer.body.decode())),
            SnapshotEnds(),
        ]

    return snapshot


async def test_a_snapshot_follows_a_connect_and_its_failure_breaks_nothing(tmp_path):
    asked = []

    async def script(peer):
        if peer.path.startswith("/snapshot"):
            asked.append(peer.path)
            status = "200 OK" if len(asked) > 2 else "500 Oh"
            return await peer.answer(status, b"account-1")
        await peer.accept()
        await peer.serve_politely()
        return None

    async with serving(script) as server, feeding(tmp_path) as feed:
        adapter = FakeAdapter(fetching=fetching_from(server))
        await feed.venue(adapter, ws(server))
        await feed.told.until(lambda told: told.ids("account"))
        assert feed.told.ids("account") == ["account-1"]
        assert asked == ["/snapshot?a=1&b=2"] * 3
        assert feed.told.events() == ["connected"]
        assert len(feed.log.of("snapshot failed")) == 2
        whole = next(r for r in feed.told.received if len(r.observed) == 3)
        assert (whole.raw, whole.observed[0].live) == (None, False)


@pytest.mark.parametrize(
    "before", [None, Link(id="v"), Link(id="v", last_message=datetime(2026, 1, 2, tzinfo=UTC))]
)
async def test_a_snapshot_is_told_when_the_venue_was_last_heard_before_it(tmp_path, before):
    lost = trio.Event()

    async def script(peer):
        await peer.accept()
        await peer.send({"order": "o"})
        if peer.number == 0:
            await lost.wait()
            return
        await peer.serve_politely()

    def fetching(settings, session):
        return [Observation(state=Account(id="a"))]
        yield

    adapter = FakeAdapter(fetching=fetching)
    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(adapter, ws(server), before=before)
        await feed.told.until(lambda told: told.ids() and told.ids("account"))
        until = feed.told.received[-1].at.wall
        lost.set()
        await feed.told.until(lambda told: len(told.ids("account")) == 2)
    assert adapter.asked_since[0] == (before.last_message or None if before else None)
    assert adapter.asked_since[1] <= until


async def test_a_snapshot_that_fails_again_and_again_is_told_once_and_tried_on(tmp_path):
    asked = []

    async def script(peer):
        if peer.path.startswith("/snapshot"):
            asked.append(peer.path)
            return await peer.answer("200 OK" if len(asked) > 8 else "500 Oh", b"account-1")
        await peer.accept()
        await peer.serve_politely()
        return None

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(fetching=fetching_from(server)), ws(server))
        await feed.told.until(lambda told: told.ids("account"))
        assert feed.told.events() == ["connected", "refused"]
        assert "opening snapshot: HTTP 500" in feed.log.of("refused")[0]["reason"]


async def test_a_snapshot_with_a_text_that_can_t_be_stored_is_none(tmp_path):
    ids = iter(["a\ud800", "a"])

    def fetching(settings, session):
        return [Observation(state=Account(id=next(ids)))]
        yield

    async def script(peer):
        await peer.accept()
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(fetching=fetching), ws(server))
        await feed.told.until(lambda told: told.ids("account"))
        assert feed.told.ids("account") == ["a"]
        assert "half of a character" in feed.log.of("snapshot failed")[0]["reason"]


async def test_a_crash_in_a_snapshot_is_loud_in_the_log_and_breaks_nothing(tmp_path):
    def crash(settings, session):
        raise KeyError("oops")
        yield

    async def script(peer):
        await peer.accept()
        while True:
            await peer.send({"order": "o"})
            await trio.sleep(0.01)

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(fetching=crash), ws(server))
        await feed.told.until(lambda told: "refused" in told.events())
        assert feed.told.events() == ["connected", "refused"]
        assert "KeyError" in feed.log.of("snapshot crashed")[0]["traceback"]


async def test_new_tokens_that_are_refused_as_soon_as_they_are_used_make_no_hot_loop(tmp_path):
    """Each sign-in gives another token, and the venue says no only once the socket is up."""
    tokens, times = [], []

    def signing(settings, kept, now):
        tokens.append(f"token-{len(tokens)}")
        return Session(token=tokens[-1])
        yield

    async def script(peer):
        times.append(trio.current_time())
        await peer.accept()
        await trio.sleep(0.02)
        await peer.send({"refuse": ["", "account closed", "auth_failed"]})
        await peer.serve_politely()

    async with serving(script) as server, feeding(tmp_path) as feed:
        await feed.venue(FakeAdapter(signing=signing), ws(server))
        await server.had(6)
        assert feed.told.events() == ["connected", "auth_failed"]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert all(wait >= 0.1 for wait in waits[1:])  # only the first was tried anew at once
