"""One night with alerts, for the page `evening`: the daemon on a clock moved by hand, Telegram's stand-in for people's phones.

The config is the page's own. What the phones then show stands there too, between marks, as it came.
"""

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trio
import yaml

from support.by_hand import ByHand
from support.chats import ChatServers, Shown, to_the_eye
from support.daemon import TELEGRAM_TOKEN
from support.pages import REFERENCE, parsed
from support.receivers import HttpReceiver
from tocsin.app.components import Components
from tocsin.app.daemon import Daemon
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.config.settings import Settings
from tocsin.events import Observation, Position, Venue

TZ = ZoneInfo("Europe/Prague")
BEGIN = datetime(2026, 11, 28, 22, 0, tzinfo=TZ)
ACCOUNT = "9020b4e5-dade-46da-9469-7a58fa25fd56"
ANNA, BOSS = "12315544", "99881122"
PHONES = {ANNA: "phone", BOSS: "boss"}
POSITIONS = {
    "XAUUSD": ("short", "be06c5da-35d4-4ca1-8865-f9b24b9038a3"),
    "BTCUSD": ("long", "6a1f4b0e-8a52-4a40-9d7e-0c2d1b7f5e11"),
}
_CONFIG = re.compile(r"```yaml\n(tz: .*?)```", re.DOTALL)
_LISTEN = 70.0  # seconds: as long as Tocsin may rest after a poll that failed, and a poll
_HELD = 0.02  # real seconds that a poll is held
_MOMENT = 2.0  # seconds that somebody takes to press; longer than a chat's pace
_SKIPPED = (" was ", " wants it ", "run hedge? ")  # of edits in short: what others of them say, too
_SAID = "SELECT count(*) FROM deliveries WHERE state_told = 'edit' AND context LIKE :words"
_HELD_BACK = " AND NOT (channel = 'phone' AND severity <> 'critical' AND state_told <> 'edit')"


class Night(ByHand):
    """`chats`: where the phones are. `told` has, by the looks of the page, what they showed since the look before; `titles` that in a line each."""

    chats: ChatServers

    def __init__(self, components: Components, daemon: Daemon, clock: ManualClock) -> None:
        super().__init__(components, daemon, clock)
        self._seen: dict[tuple[str, str], Shown] = {}
        self.told: dict[str, str] = {}
        self.titles: list[str] = []

    async def at(self, hour: str, *, listening: bool = False) -> None:
        """Go on until then.

        `listening`: the last seconds so slowly that Telegram is asked for presses again, for no poll outlasts minutes.
        """
        there = datetime.strptime(hour, "%H:%M:%S").replace(year=2026, month=11, day=28, tzinfo=TZ)
        there += timedelta(days=there < BEGIN)
        await self.until(there - timedelta(seconds=_LISTEN * listening))
        while self.clock.now().wall < there:
            await self.until(self.clock.now().wall + timedelta(seconds=1))
            await trio.to_thread.run_sync(time.sleep, 2 * _HELD)

    async def connect(self) -> None:
        link = Venue(id="fx", status="connected", since=self.clock.now().wall)
        await self.put(Observation(state=link, event="venue.connected", origin="synthetic"))

    async def profit(self, symbol: str, profit: str) -> None:
        """The venue says how a position stands."""
        side, id_ = POSITIONS[symbol]
        position = Position(
            id=id_, symbol=symbol, side=side, amount=Decimal("0.5"), profit=Decimal(profit), currency="USD"
        )
        await self.put(Observation(state=position, account=ACCOUNT, time=self.clock.now().wall))

    async def press(self, text: str) -> None:
        """A button below the latest message on Anna's phone, up to what it does there; meanwhile the clock stands still."""
        await self.advance(_MOMENT)
        shown = {at: each for at, each in self._messages().items() if at[0] == ANNA and each.buttons}
        at, before = list(shown.items())[-1]
        query = self.chats.press(int(ANNA), ANNA, dict(before.buttons)[text], at[1])
        await self.really(lambda: query in self.chats.telegram.answered)
        await self.really(lambda: self._messages()[at].edits > before.edits)
        await self.settle()

    async def done(self, action: str) -> None:
        """Up to when the messages say what came of that action: the alert's and the question's."""
        await self.really(lambda: self.count(_SAID, words=f"%{action}: 200 in %") > 0)
        await self.really(lambda: self.count(_SAID, words="%confirmed by anna: 200%") > 0)
        for said in (f"{action}: 200 in ", f"run {action}? confirmed by anna: 200 "):
            await self.clocked(lambda said=said: any(said in each.text for each in self._messages().values()))
        await self.settle()

    def look(self, name: str) -> None:
        """Keep under that name what the phones show now that they didn't at the last look."""
        shown = self._messages()
        new = {at: each for at, each in shown.items() if each != self._seen.get(at)}
        in_order = sorted(new, key=lambda at: list(PHONES).index(at[0]))  # of one phone as they came
        self.told[name] = "\n\n".join(_on(at, new[at], self._seen.get(at)) for at in in_order)
        now = f"{self.clock.now().wall.astimezone(TZ):%H:%M}"
        titles = ((at, _title(new[at], self._seen.get(at))) for at in in_order)
        self.titles += (f"{now}  {PHONES[at[0]]:5}  {title}" for at, title in titles if title)
        self._seen = shown

    def due(self) -> str:
        """At night the phone is quiet, as the page's config has it."""
        quiet = not 7 <= self.clock.now().wall.astimezone(TZ).hour < 22
        return super().due() + _HELD_BACK * quiet

    def _messages(self) -> dict[tuple[str, str], Shown]:
        return dict(self.chats.telegram.messages)


LOOKS = (
    "critical",
    "acknowledged",
    "second",
    "escalated",
    "resolved",
    "ended",
    "morning",
    "asked",
    "sure",
    "hedged",
)


async def _play(night: Night) -> None:
    await night.connect()
    await night.at("22:41:00")
    await night.profit("XAUUSD", "-62.10")
    await night.at("02:14:00")
    await night.profit("XAUUSD", "-612.40")
    night.look("critical")
    await night.at("02:15:30", listening=True)
    await night.press("Acknowledge")
    night.look("acknowledged")
    await night.at("03:20:00")
    await night.profit("BTCUSD", "-540.00")
    night.look("second")
    await night.at("03:30:05")
    night.look("escalated")
    await night.at("03:41:00")
    await night.profit("BTCUSD", "-388.10")
    night.look("resolved")
    await night.at("06:10:00")
    await night.profit("XAUUSD", "-35")
    await night.profit("BTCUSD", "12.50")
    night.look("ended")
    await night.at("07:00:05")
    night.look("morning")
    await night.at("08:12:00")
    await night.profit("XAUUSD", "-1040.00")
    night.look("asked")
    await night.at("08:13:00", listening=True)
    await night.press("Run hedge")
    night.look("sure")
    await night.press("Yes, run (profit now -1040.00)")
    await night.done("hedge")
    night.look("hedged")


@cache
def told() -> tuple[Mapping[str, str], Sequence[str]]:
    """What the phones show, by the looks of the page; and all that in short."""
    place = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as folder,
        ChatServers(Path(folder)) as chats,
        HttpReceiver() as hook,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in chats.environment.items():
            patch.setenv(name, value)
        chats.most_held = _HELD
        clock = ManualClock(BEGIN.astimezone(UTC))
        return trio.run(partial(_night, Path(folder), clock, chats, hook.port), clock=clock)


async def _night(
    folder: Path, clock: ManualClock, chats: ChatServers, port: int
) -> tuple[Mapping[str, str], Sequence[str]]:
    settings = _settings(folder, port)
    async with Night.running(settings, folder, clock) as night:
        night.chats = chats
        await _play(night)
    return night.told, night.titles


def _settings(folder: Path, port: int) -> Settings:
    """The page's config, without its venue: what that says is put in by hand. The webhook is asked on that port."""
    page = REFERENCE["evening"].read_text(encoding="utf-8")
    config = parsed(_CONFIG.search(page)[1])
    del config["venues"]
    config["actions"]["hedge"]["webhook"] = f"http://127.0.0.1:{port}/hook"
    secrets = {"telegram_token": TELEGRAM_TOKEN, "telegram_anna": ANNA, "telegram_boss": BOSS}
    (folder / "secrets").mkdir(mode=0o700)
    for name, value in secrets.items():
        (folder / "secrets" / name).touch(mode=0o600)
        (folder / "secrets" / name).write_text(value)
    file = folder / "config.yaml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config | {"state_dir": "state"}))
    return load_settings(file, environ={"HOME": str(folder)})


def _title(now: Shown, before: Shown | None) -> str:
    """Of a message that is new its title; of one that is edited what somebody did, "" where it only says that it is over."""
    lines = to_the_eye(now.text).splitlines()
    if before is None:
        return lines[0]
    new = [line for line in lines if line not in to_the_eye(before.text).splitlines()]
    return f"({new[0]})" if new and not any(word in new[0] for word in _SKIPPED) else ""


def _on(at: tuple[str, str], now: Shown, before: Shown | None) -> str:
    """A message as it stands on a phone."""
    how = "edited" if before is not None else "a reply" if now.reply_to else "new"
    sound = "" if before is not None or not now.silent else ", without a sound"
    lines = [f"({PHONES[at[0]]}, {how}{sound})", *to_the_eye(now.text).splitlines()]
    if now.buttons:
        lines.append(" ".join(f"[{text}]" for text, _ in now.buttons))
    return "\n".join(lines)
