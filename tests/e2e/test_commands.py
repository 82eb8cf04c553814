"""The commands, beside the daemon that runs."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from contextlib import suppress

import pytest
import trio

from support.daemon import PATIENCE, Daemon, Folder
from support.fault_server import Peer, serving
from support.mission import POSITION, RULES, cancel, connected, profit, settle, venues
from support.receivers import SLACK, TELEGRAM, Hang, Reply
from tocsin.simulator import wealthsimple

pytestmark = pytest.mark.real


async def test_what_is_and_what_was(folder, people, exchange):
    people.refuse()
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        nothing = await folder.command("alerts")
        assert (nothing.returncode, nothing.stdout) == (0, "nothing fires\n")
        profit(exchange, -0.51, "created")
        cancel(exchange, 132991)
        await daemon.until(lambda: len(folder.unsent()) == 5, "both alerts wait for their channels")

        # On a busy machine it may have lagged a moment ago; a venue's first message comes after it is connected.
        status = await folder.command_until(
            lambda said: "not healthy" not in said and said.count(" last message ") == 3, "status"
        )
        assert status.returncode == 0
        assert "healthy" in status.stdout
        assert f"process {daemon.pid}" in status.stdout
        assert "3 rules, 3 channels; 1 firing, 0 messages held back, 5 unsent" in status.stdout
        for line in (
            "fx     yourfintech  connected",
            "spot   topone       connected",
            "power  glocalflex   connected",
        ):
            assert line in status.stdout
        state = json.loads((await folder.command("status", "--json")).stdout)
        assert (state["pid"], state["firing"], state["unsent"]) == (daemon.pid, 1, 5)
        assert isinstance(state["healthy"], bool)
        assert {venue["venue"]: venue["status"] for venue in state["venues"]} == dict.fromkeys(
            ("fx", "spot", "power"), "connected"
        )

        (alert,) = json.loads((await folder.command("alerts", "--json")).stdout)
        assert (alert["rule"], alert["entity"], alert["state"]) == ("position-in-the-red", POSITION, "firing")
        everything = await folder.command("alerts", "--all")
        assert "order-canceled" in everything.stdout
        unsent = await folder.command_until(
            lambda said: "Slack: 503 not now" in said and "E-Mail: 451 4.3.0 not now" in said, "deliveries"
        )
        assert "desk  firing  pending" in unsent.stdout
        people.accept()
        await daemon.until_all_sent(5)
        rows = json.loads((await folder.command("deliveries", "--all", "--json")).stdout)
        assert sorted((row["channel"], row["status"]) for row in rows) == sorted(
            [("desk", "sent"), ("phone", "sent")] * 2 + [("mail", "sent")]
        )

    # Without the daemon the database still answers, and it is said that it does.
    after = await folder.command("alerts", "--json")
    assert [alert["rule"] for alert in json.loads(after.stdout)] == ["position-in-the-red"]
    assert "no Tocsin daemon is running here" in after.stderr
    status = await folder.command("status")
    assert status.returncode == 1
    assert "no Tocsin daemon is running here" in status.stderr


async def test_a_test_message_without_the_daemon(folder, people, exchange):
    """`notify` needs no daemon, and says what the service said."""
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    taken = await folder.command("notify", "desk", "hello <!channel>")
    assert (taken.returncode, taken.stdout) == (0, "desk: accepted: Slack: 200 ok\n"), taken.stderr
    assert people.told()["desk"] == ["🔵 Tocsin: test\nhello <!channel>"]
    assert b"<!channel>" not in people.services.requests[0].body

    taken = await folder.command("notify", "--all", "--as", "critical", "--like", "position-in-the-red")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    for message in (told[-1] for told in people.told().values()):
        title, first, *_ = message.splitlines()
        assert title == "🔴 test: EXAMPLE: profit < -0.5 · fx"
        assert "made up, for position-in-the-red has told of nothing yet" in first

    people.services.always(TELEGRAM, Reply(401, '{"ok":false,"description":"Unauthorized"}'))
    refused = await folder.command("notify", "phone")
    assert (refused.returncode, refused.stdout) == (1, "phone: not accepted: Telegram: 401 Unauthorized\n")
    people.mail.replies.append("550 5.1.1 no such user")
    refused = await folder.command("notify", "mail")
    assert (refused.returncode, refused.stdout) == (1, "mail: not accepted: E-Mail: 550 5.1.1 no such user\n")
    for wrong, said in (
        (["notify", "dsk"], "did you mean desk?"),
        (["notify", "desk", "--like", "order-cancelled"], "did you mean order-canceled?"),
        (["notify", "desk", "hello", "--like", "order-canceled"], "not both"),
        (["notify", "desk", "--all"], "name none beside it"),
        (["notify"], "say which CHANNEL, or --all"),
    ):
        unknown = await folder.command(*wrong)
        assert unknown.returncode == 2, wrong
        assert said in unknown.stderr, wrong


async def test_a_test_message_by_the_daemon(folder, people, exchange):
    """By its own sender, like the rule's last alert; where it has other URLs, that is said."""
    channels = people.channels(folder)
    folder.write(venues=venues(exchange), channels=channels, rules=RULES)
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx", "spot", "power")
        profit(exchange, -0.75, "created")
        await daemon.until_all_sent(3)
        sent = await folder.command("notify", "desk", "--like", "position-in-the-red", "--json")
        assert json.loads(sent.stdout) == [
            {"channel": "desk", "url": "desk", "sent": True, "answer": "Slack: 200 ok", "by": "daemon"}
        ], sent.stderr
        *_, told = people.told()["desk"]
        assert told.startswith("🔴 test: -0.75")
        assert "a test by tocsin notify: this alert is of " in told
        assert folder.unsent() == []
        assert len(folder.rows("SELECT id FROM deliveries")) == 3

        folder.write(venues=venues(exchange), channels={**channels, "desk": channels["phone"]}, rules=RULES)
        sent = await folder.command("notify", "desk")
        assert sent.returncode == 0, sent.stderr
        assert "desk: accepted: Telegram: 200" in sent.stdout
        assert (
            "runs with other URLs for desk than this config (tocsin reload); sent without it" in sent.stderr
        )


async def test_recording_beside_the_daemon(folder, exchange):
    out = folder.path / "fx.jsonl"
    folder.write(venues={"fx": exchange.yourfintech.settings()})
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "fx")

        async def push() -> None:
            while True:
                if len(exchange.yourfintech.clients) == 2:
                    profit(exchange, -60)
                await trio.sleep(0.05)

        async with trio.open_nursery() as pushing:
            pushing.start_soon(push)
            done = await folder.command("record", "fx", "--out", str(out), "--seconds", "1.5")
            pushing.cancel_scope.cancel()
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert done.stdout == f"{out} holds {len(lines)} messages\n"
    messages = [json.loads(line["message"]) for line in lines]
    assert messages[0]["message_type"]["server_message"]["auth_result"]["result"] == "success"
    assert any("position" in message["message_type"]["server_message"] for message in messages[1:])
    assert not [secret for secret in folder.secrets if secret in out.read_text()]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


async def test_sign_in_with_a_one_time_password(folder, exchange):
    """Typed on a terminal; the daemon goes on with the tokens that this leaves."""
    settings = exchange.wealthsimple.settings() | {"poll": "1s"}
    folder.write(
        venues={"broker": {name: value for name, value in settings.items() if name != "refresh_token"}}
    )
    folder.secrets |= {wealthsimple.PASSWORD, wealthsimple.ONE_TIME}
    async with folder.running(secrets=exchange.secrets) as daemon:
        (failed,) = await daemon.until(
            lambda: folder.events("venue.auth_failed"), "it says that it can't sign in"
        )
        assert failed[0] == "broker"
        assert "run: tocsin login broker" in daemon.log()
        status = await folder.command_until(lambda said: "next try" in said, "status")
        assert "1 of 1 venue not connected: broker" in status.stdout
        typed = await on_a_terminal(
            folder,
            ["login", "broker"],
            {
                "Username": wealthsimple.USERNAME,
                "Password": wealthsimple.PASSWORD,
                "One-time password": "999999",
                "One-time password ": wealthsimple.ONE_TIME,
            },
        )
        await connected(daemon, "broker")  # at once, and not minutes after the refusal
    assert "signed in to broker" in typed
    assert "the daemon tries it now" in typed
    assert not [secret for secret in folder.secrets | exchange.secrets() if secret in typed]
    (kept,) = (folder.state / "credentials").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    async with folder.running(secrets=exchange.secrets) as daemon:
        await connected(daemon, "broker")


@pytest.mark.parametrize(
    ("type_", "changed", "words"),
    [
        ("yourfintech", {"secret_key": "a-key-that-is-wrong"}, "unauthorized; check venues.it.secret_key"),
        (
            "piexgo",
            {"api_secret": "a-secret-that-is-wrong"},
            "check venues.it.api_key and venues.it.api_secret",
        ),
        ("topone", {"app_key": "a-key-that-is-wrong"}, "check app_id and app_key"),
        ("glocalflex", {"password": "a-password-that-is-wrong"}, "check username, password"),
    ],
)
async def test_login_says_signed_in_only_where_the_venue_takes_the_key(
    folder, exchange, type_, changed, words
):
    """Where sign-in happens in the socket, too."""
    right = getattr(exchange, type_).settings()
    folder.write(venues={"it": {**right, **changed}})
    done = await folder.command("login", "it")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("not signed in: ")
    assert words in done.stderr
    if type_ == "topone":
        return  # it gives one token a minute
    folder.write(venues={"it": right})
    done = await folder.command("login", "it")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("signed in to it")


async def test_a_refused_key_is_tried_again_when_the_config_is_read_anew(folder, exchange):
    exchange.yourfintech.refuse_with = 401
    folder.write(venues={"fx": exchange.yourfintech.settings()})
    async with folder.running() as daemon:
        await daemon.until(lambda: folder.events("venue.auth_failed"), "it says that it can't sign in")
        assert "check venues.fx.secret_key" in daemon.log()
        exchange.yourfintech.refuse_with = None
        done = await folder.command("reload")
        assert done.returncode == 0, done.stderr
        await connected(daemon, "fx")


async def on_a_terminal(folder: Folder, arguments: list[str], answers: dict[str, str]) -> str:
    """What a person sees who types these answers at these prompts, in this order."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220 - it only forks
        [sys.executable, "-m", "tocsin", *arguments, "--config", str(folder.config)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=folder.environment | {"NO_COLOR": "1"},
        cwd=folder.path,
        start_new_session=True,  # else it would ask on the terminal that the tests were started from
    )
    os.close(theirs)
    seen = ""
    waiting = list(answers.items())
    os.set_blocking(ours, False)
    try:
        with trio.fail_after(PATIENCE):
            while True:
                await trio.lowlevel.wait_readable(ours)
                try:
                    data = os.read(ours, 65536)
                except OSError:  # its end is closed
                    break
                seen += data.decode()
                if (
                    waiting
                    and waiting[0][0].strip() in seen.splitlines()[-1]
                    and seen.rstrip(" ").endswith(":")
                ):
                    os.write(ours, waiting.pop(0)[1].encode() + b"\n")
                    seen += "\n"
            while process.poll() is None:  # noqa: ASYNC110 - another process has no event
                await trio.sleep(0.02)
    finally:
        os.close(ours)
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
    assert process.returncode == 0, seen
    assert not waiting, seen
    return seen


async def test_a_dry_run(folder, people, exchange):
    folder.write(venues=venues(exchange), channels=people.channels(folder), rules=RULES)
    async with folder.running("--dry-run", secrets=exchange.secrets) as daemon:
        await daemon.until(lambda: daemon.log().count('"event": "connected"') == 3, "all are connected")
        settle(exchange, "contract-1")
        cancel(exchange, 132991)
        await daemon.until(lambda: daemon.log().count('"event": "dry run: not sent"') == 3, "all is said")
        assert "dry run" in (await folder.command("status")).stdout
        daemon.signal(signal.SIGINT)
        assert await daemon.ended() == 0
    assert people.count() == {"desk": 0, "phone": 0, "mail": 0}
    said = [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]
    assert [line.get("channel") for line in said if "canceled: " in str(line.get("title"))] != []


async def test_a_second_daemon(folder, exchange):
    folder.write(venues={"fx": exchange.yourfintech.settings()})
    async with folder.running() as daemon:
        second = await folder.command("run")
        assert second.returncode == 78
        assert str(daemon.pid) in second.stderr
        assert "Traceback" not in second.stderr
        assert (await folder.command("status")).returncode == 0


async def mute(peer: Peer) -> None:
    """Takes the request and says nothing, ever."""
    await trio.sleep_forever()


async def mute_after_the_handshake(peer: Peer) -> None:
    """Lets the client in, and hears neither its messages nor its goodbye."""
    await peer.accept()
    await trio.sleep_forever()


async def test_stopping_while_everything_hangs(folder, people, exchange):
    people.services.always(SLACK, Hang())
    fx = exchange.yourfintech.settings()
    async with serving(mute) as deaf, serving(mute_after_the_handshake) as dumb:
        folder.write(
            venues={
                "spot": exchange.topone.settings(),
                "deaf": fx | {"url": f"ws://127.0.0.1:{deaf.port}/"},
                "dumb": fx | {"url": f"ws://127.0.0.1:{dumb.port}/"},
                "dumb-on-tcp": fx | {"url": f"tcp://127.0.0.1:{dumb.port}"},
            },
            channels=people.channels(folder),
            rules=RULES[1:2],
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "spot")
            with trio.fail_after(PATIENCE):
                await deaf.had(1)
                await dumb.had(1)
            cancel(exchange, 132991)
            await daemon.until(
                lambda: people.count()["desk"] == 1 and people.count()["phone"] == 1, "it hangs"
            )
            daemon.signal(signal.SIGTERM)
            assert await daemon.ended() == 0, daemon.told()
            stopped(daemon)


def stopped(daemon: Daemon) -> None:
    """It went in order: it said so, and left no socket behind."""
    assert '"stopping took too long' not in daemon.log()
    assert daemon.log().rstrip().splitlines()[-1].count('"stopped"') == 1
    assert not list((daemon.folder.path / "run").iterdir())
    assert [event for _, event, _, _ in daemon.folder.events("daemon.started", "daemon.stopping")] == [
        "daemon.started",
        "daemon.stopping",
    ]
