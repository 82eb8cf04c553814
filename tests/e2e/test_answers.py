"""Buttons and questions on Telegram, at the daemon that runs: who may, what each does, and what nobody may."""

import sqlite3
from contextlib import closing

import pytest

from support.chats import ChatServers, Shown, to_the_eye
from support.daemon import TELEGRAM_TOKEN, Folder
from support.mission import connected, profit
from support.receivers import TELEGRAM, Reply

pytestmark = pytest.mark.real

ANNA, STRANGER, CHAT = 12315544, 666, "12315544"
RULES = [
    {"id": "red", "watch": "position", "when": "profit < -0.5", "severity": "critical"},
    {"id": "trouble", "watch": "daemon.degraded", "notify": ["file"]},
]
STATE = ("alerts", "acts", "silences", "buttons")


@pytest.fixture
def servers(tmp_path):
    with ChatServers(tmp_path) as servers:
        yield servers


@pytest.fixture
def folder(tmp_path, servers) -> Folder:
    return Folder(tmp_path / "tocsin", servers.environment)


def state(folder: Folder) -> list[list[tuple]]:
    """All rows that a press may change."""
    return [folder.rows(f"SELECT * FROM {table} ORDER BY 1") for table in STATE]


class Chat:
    """Anna's phone."""

    def __init__(self, servers: ChatServers, daemon) -> None:
        self.servers, self.daemon = servers, daemon

    def messages(self) -> list[Shown]:
        return list(self.servers.telegram.messages.values())

    def first(self) -> Shown:
        return self.messages()[0]

    def button(self, text: str) -> str:
        return dict(self.first().buttons)[text]

    async def press(self, data: str, user: int = ANNA, chat: str = CHAT) -> str:
        """What is said to the press."""
        query, answered = self.servers.press(user, chat, data), self.servers.telegram.answered
        await self.daemon.until(lambda: query in answered, "the press is answered")
        return answered[query]

    async def until_first(self, *words: str) -> None:
        await self.daemon.until(
            lambda: all(word in to_the_eye(self.first().text) for word in words), f"the message says {words}"
        )


async def test_a_digest_is_acknowledged_as_a_whole(folder, exchange, servers):
    token = folder.secret("telegram", TELEGRAM_TOKEN)
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        people={"anna": {"telegram": ANNA}},
        channels={"phone": {"urls": [f"tgram://{token}/{CHAT}"], "answers": ["anna"], "digest": "2s"}},
        rules=[RULES[0] | {"severity": "warning"}],
    )
    async with folder.running(secrets=exchange.secrets) as daemon:
        chat = Chat(servers, daemon)
        await connected(daemon, "fx")
        for number in range(3):
            profit(exchange, -0.51, "created", f"be06c5da-35d4-4ca1-8865-00000000000{number}")
        await daemon.until(chat.messages, "it is told")
        assert to_the_eye(chat.first().text).startswith("🟠 3 alerts in ")
        assert [text for text, _ in chat.first().buttons] == ["Acknowledge all 3"]
        button = chat.button("Acknowledge all 3")
        await daemon.until(
            lambda: folder.rows("SELECT 1 FROM deliveries WHERE handle IS NOT NULL"), "it is recorded"
        )
        assert await chat.press(button, STRANGER) == "not allowed"
        assert await chat.press(button) == "3 acknowledged"
        await chat.until_first("3 acknowledged by anna", "🟠 3 alerts in ")
        assert chat.first().buttons == ()
        assert folder.rows("SELECT by, does FROM acts") == [("anna", "ack")] * 3
        assert "has done its work" in await chat.press(button)
        assert len(chat.messages()) == 1

        said = await folder.command("notify", "phone")
        assert [line.partition(" Telegram: ")[0] for line in said.stdout.splitlines()] == [
            "phone: accepted:",
            "phone: edited:",
            "phone: has a button, press it:",
        ]
        before, ((text, button),) = state(folder), chat.messages()[-1].buttons
        assert text == "Press me: a test"
        assert await chat.press(button) == "this was a test: it works, and you may answer here"
        assert await chat.press(button, STRANGER) == "not allowed"
        assert state(folder) == before


async def test_an_alert_is_answered_from_telegram(folder, exchange, servers):
    token = folder.secret("telegram", TELEGRAM_TOKEN)
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        people={"anna": {"telegram": ANNA}, "ben": {"telegram": 99}},
        channels={
            "phone": {"urls": [f"tgram://{token}/{CHAT}"], "answers": ["anna"]},
            "file": {"urls": ["json://127.0.0.1:1"]},
        },
        defaults={"notify": ["phone"]},
        rules=RULES,
    )
    servers.script(TELEGRAM, Reply(409, '{"ok":false,"error_code":409,"description":"Conflict: another"}'))
    async with folder.running(secrets=exchange.secrets) as daemon:
        chat = Chat(servers, daemon)
        await daemon.until(lambda: folder.events("daemon.degraded"), "another poller is told of")
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await daemon.until(chat.messages, "it is told")
        assert [text for text, _ in chat.first().buttons] == [
            "Acknowledge",
            "Silence 1 h",
            "Silence 4 h",
            "Why",
        ]
        acknowledge = chat.button("Acknowledge")
        await daemon.until(
            lambda: folder.rows("SELECT 1 FROM deliveries WHERE handle IS NOT NULL"), "it is recorded"
        )

        before = state(folder)
        assert await chat.press(acknowledge, STRANGER) == "not allowed"
        assert await chat.press(acknowledge, STRANGER) == "not allowed"
        assert await chat.press(acknowledge, 99) == "not allowed"  # ben is a person, but may not answer here
        assert await chat.press(acknowledge, ANNA, "4711") == "not allowed"  # in another chat
        assert "not known" in await chat.press("0" * 32)
        assert "not known" in await chat.press("'; DROP TABLE buttons")
        with closing(sqlite3.connect(folder.database)) as db:
            db.execute(
                "UPDATE buttons SET expires_at = '2020-01-01T00:00:00.000000Z' WHERE id = ?",
                [chat.button("Silence 4 h")],
            )
            db.commit()
        assert "older than a day" in await chat.press(chat.button("Silence 4 h"))
        after = state(folder)
        assert after[:3] == before[:3]
        assert len(after[3]) == len(before[3])
        log = daemon.log()
        assert log.count("somebody who may not answer tried to") == 3  # the stranger, ben, and anna elsewhere
        assert acknowledge not in log

        assert await chat.press(acknowledge) == "acknowledged"
        await chat.until_first("acknowledged by anna")
        assert [text for text, _ in chat.first().buttons] == [
            "Un-acknowledge",
            "Silence 1 h",
            "Silence 4 h",
            "Why",
        ]
        assert folder.rows("SELECT by, via, does FROM acts") == [("anna", "telegram", "ack")]
        done = state(folder)
        assert "has done its work" in await chat.press(acknowledge)
        assert state(folder) == done

        assert await chat.press(chat.button("Un-acknowledge")) == "no longer acknowledged"
        await chat.until_first("acknowledged by anna", "no longer acknowledged, says anna")
        assert await chat.press(chat.button("Acknowledge")) == "acknowledged"
        await daemon.until(lambda: "Un-acknowledge" in dict(chat.first().buttons), "the buttons change")

        silence = chat.button("Silence 1 h")
        assert (await chat.press(silence)).startswith("silenced until ")
        await chat.until_first("acknowledged by anna", "silenced by anna: rule=red venue=fx account=")
        done = state(folder)
        assert "has done its work" in await chat.press(silence)
        assert await chat.press(chat.button("Silence 1 h")) == "silenced already"
        assert state(folder)[:3] == done[:3]

        assert await chat.press(chat.button("Why")) == "see the reply"
        why = to_the_eye(chat.messages()[-1].text)
        assert why.startswith("why red fired\nprofit -0.51 < -0.5\nwhen profit < -0.5: yes")
        assert "ack by anna" in why
        assert chat.messages()[-1].reply_to == 101

        servers.write(STRANGER, str(STRANGER), "/status")
        servers.write(ANNA, CHAT, "/reboot")
        servers.write(ANNA, CHAT, "/status")
        await daemon.until(
            lambda: "Tocsin works\nfx: connected" in chat.messages()[-1].text, "it says how it is"
        )
        servers.write(ANNA, CHAT, "/alerts@the_bot")
        await daemon.until(lambda: "1 firing\n🔴 -0.51" in chat.messages()[-1].text, "it lists what fires")

        last = chat.button("Silence 4 h")
        await daemon.restart()  # what was pressed isn't done again
        await connected(daemon, "fx")
        assert state(folder)[1] == done[1]
        profit(exchange, 1)
        await chat.until_first("🟢 was -0.51", "resolved", "acknowledged by anna", "silenced by anna")
        assert chat.first().buttons == ()
        # A question of the last moment may be answered once more after a kill; the end is told once.
        assert sum("🟢 resolved" in each.text for each in chat.messages()) == 1
        assert (chat.messages()[-1].reply_to, chat.messages()[-1].silent) == (101, True)
        assert await chat.press(last) == "the alert is over"
        assert len(folder.events("daemon.degraded")) == 1
