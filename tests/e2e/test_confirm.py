"""An action that somebody has to confirm on the phone, at the daemon that runs: asked, pressed twice, run, and told."""

import pytest

from support.chats import ChatServers, Shown, to_the_eye
from support.daemon import TELEGRAM_TOKEN, Folder
from support.mission import connected, profit
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real

ANNA, BOB, STRANGER, CHAT = 12315544, 99, 666, "12315544"
RED = {"id": "red", "watch": "position", "when": "profit < -0.5", "notify": ["phone"], "run": ["hedge"]}
LATE = "not run: that was pressed while nobody listened; press it again"
SECOND = "be06c5da-35d4-4ca1-8865-000000000002"


@pytest.fixture
def servers(tmp_path):
    with ChatServers(tmp_path) as servers:
        yield servers


@pytest.fixture
def hook():
    with HttpReceiver() as hook:
        yield hook


@pytest.fixture
def folder(tmp_path, servers, exchange, hook) -> Folder:
    folder = Folder(tmp_path / "tocsin", servers.environment)
    token = folder.secret("telegram", TELEGRAM_TOKEN)
    folder.write(
        venues={"fx": exchange.yourfintech.settings()},
        people={"anna": {"telegram": ANNA}, "bob": {"telegram": BOB}},
        channels={
            "phone": {"urls": [f"tgram://{token}/{CHAT}"], "answers": ["anna"]},
            "team": {"urls": [f"tgram://{token}/{CHAT}"], "answers": ["bob"]},  # of the same chat
        },
        actions={"hedge": {"webhook": f"http://127.0.0.1:{hook.port}/hook", "confirm": "phone"}},
        rules=[RED],
    )
    return folder


class Phone:
    """Anna's, and what she presses."""

    def __init__(self, servers: ChatServers, folder: Folder, daemon) -> None:
        self.servers, self.folder, self.daemon = servers, folder, daemon

    def questions(self) -> list[Shown]:
        return [
            each for each in self.servers.telegram.messages.values() if "run hedge?" in to_the_eye(each.text)
        ]

    def last(self) -> Shown:
        return self.questions()[-1]

    async def asked(self, count: int = 1) -> None:
        query = "SELECT 1 FROM actions WHERE asked_at IS NOT NULL"
        await self.daemon.until(lambda: len(self.folder.rows(query)) == count, "it is asked")

    async def offers(self, *texts: str) -> None:
        await self.daemon.until(
            lambda: tuple(text for text, _ in self.last().buttons) == texts, f"the buttons are {texts}"
        )

    async def press(self, data: str, user: int = ANNA) -> str:
        """What is said to the press; right after a start, which takes it for an older one, to the next."""
        said = LATE
        while said == LATE:
            query = self.servers.press(user, CHAT, data)
            await self.answered(query)
            said = self.servers.telegram.answered[query]
        return said

    async def answered(self, query: str) -> None:
        await self.daemon.until(lambda: query in self.servers.telegram.answered, "the press is answered")

    def button(self, text: str) -> str:
        return dict(self.last().buttons)[text]

    async def says(self, *words: str) -> None:
        await self.daemon.until(
            lambda: all(word in to_the_eye(self.last().text) for word in words), f"the question says {words}"
        )


def statuses(folder: Folder) -> list[str]:
    return [status for (status,) in folder.rows("SELECT status FROM actions ORDER BY created_at, rowid")]


async def test_it_is_asked_confirmed_run_and_told(folder, exchange, servers, hook):
    async with folder.running(secrets=exchange.secrets) as daemon:
        phone = Phone(servers, folder, daemon)
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await phone.asked()
        await phone.offers("Run hedge")
        title, *body = to_the_eye(phone.last().text).splitlines()
        assert title.startswith("🟠 run hedge? -0.51 ")
        assert body[0] == "not run unless somebody says so within 10m"
        assert not phone.last().silent

        want = phone.button("Run hedge")
        assert await phone.press(want, STRANGER) == "not allowed"
        assert await phone.press(want, BOB) == "not allowed"  # he may answer there, but not this
        assert statuses(folder) == ["asked"]
        assert await phone.press(want) == "once more, to be sure"
        await phone.offers("Yes, run (profit now -0.51)", "Don't")
        yes = phone.button("Yes, run (profit now -0.51)")
        assert hook.requests == []
        assert await phone.press(yes, BOB) == "not allowed"
        assert await phone.press(yes) == "confirmed"
        await phone.says("run hedge? confirmed by anna: 200 ")
        assert phone.last().buttons == ()
        assert "has done its work" in await phone.press(yes)
        await daemon.until(lambda: statuses(folder) == ["ok"], "it is done")
        assert len(hook.requests) == 1
        alert, _question = servers.telegram.messages
        await daemon.until(
            lambda: "hedge: 200 in " in to_the_eye(servers.telegram.messages[alert].text),
            "the alert's message says what came of it",
        )
        listed = await folder.command("actions")
        assert phone.last().edits <= 3  # wanted, confirmed, done
        assert "confirmed by anna" in listed.stdout
        assert folder.rows("SELECT by, via, does FROM acts") == [("anna", "telegram", "confirm")]


async def test_it_is_declined_or_over_or_in_the_way(folder, exchange, servers, hook):
    async with folder.running(secrets=exchange.secrets) as daemon:
        phone = Phone(servers, folder, daemon)
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await phone.asked()
        await phone.press(phone.button("Run hedge"))
        await phone.offers("Yes, run (profit now -0.51)", "Don't")
        assert await phone.press(phone.button("Don't")) == "it isn't run"
        await phone.says("run hedge? declined by anna ")
        assert phone.last().buttons == ()

        profit(exchange, -0.51, "created", SECOND)
        await phone.asked(2)
        await phone.offers("Run hedge")
        want = phone.button("Run hedge")
        profit(exchange, 0.5, "updated", SECOND)
        await phone.says("run hedge? it isn't so any more ")
        assert phone.last().buttons == ()
        assert await phone.press(want) == "it isn't asked any more"
        assert statuses(folder) == ["declined", "dropped"]
        assert hook.requests == []


async def test_over_a_crash_the_question_stays_and_its_buttons_work(folder, exchange, servers, hook):
    async with folder.running(secrets=exchange.secrets) as daemon:
        phone = Phone(servers, folder, daemon)
        await connected(daemon, "fx")
        profit(exchange, -0.51, "created")
        await phone.asked()
        await phone.press(phone.button("Run hedge"))
        await phone.offers("Yes, run (profit now -0.51)", "Don't")
        yes = phone.button("Yes, run (profit now -0.51)")
        daemon.kill()
    async with folder.running(secrets=exchange.secrets) as daemon:
        phone = Phone(servers, folder, daemon)
        await connected(daemon, "fx")
        why = "not run: nobody knows whether it still is so: the venue was away"
        assert await phone.press(yes) == why
        profit(exchange, -0.52)
        known = "SELECT 1 FROM entities WHERE kind = 'position' AND data LIKE '%-0.52%'"
        await daemon.until(lambda: folder.rows(known), "the venue has told of it again")
        assert await phone.press(yes) == "confirmed"
        await daemon.until(lambda: statuses(folder) == ["ok"], "it is done")
    assert len(hook.requests) == 1
