"""Random lives of alerts through one channel with a fallback, whatever its service answers: what people then have read.

Nothing is lost, nothing is told twice, no end before its firing, and whoever heard of a firing hears of its end.
"""

import random
from datetime import timedelta

import pytest
import trio
import trio.lowlevel

from support.channel_world import World
from support.outboxes import FAILED, REFUSED, SENT, START, MemoryOutbox, ScriptedSender, delivery
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.calendars import Calendar, Window

GATES = {
    "plain": ChannelGates(storm=None),
    "digest": ChannelGates(digest=timedelta(seconds=30), storm=None),
    "quiet": ChannelGates(quiet=Calendar("UTC", (Window.parse("00:10-00:25"),)), storm=None),
    "storm": ChannelGates(storm=5),
}
LIFE = 2400.0  # seconds in which alerts come and go
PEACE = 3 * 3600.0  # until everything is told or given up


class Outbox(MemoryOutbox):
    woken = None

    def add(self, *new):
        super().add(*new)
        if self.woken is not None and any(each.channel == "mail" for each in new):
            self.woken.ring()


class Read:
    """What a person reads on one channel: (symbol, `firing`, `resolved`, `ack` or `still`), in order."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def message(self, title: str, body: str) -> None:
        whole = " alerts " in title or " alert in " in title or "storm over" in title
        for line in body.splitlines() if whole else [title]:
            words = line.replace(":", " ").split()
            symbol = next((word for word in words if word[0] == "S" and word[1:].isdigit()), None)
            if symbol is not None:
                if line.startswith("🟢") and ("was firing for" in line or "was firing from" in body):
                    self.lines.append((symbol, "firing"))
                self.lines.append((symbol, self._kind(line)))

    @staticmethod
    def _kind(line: str) -> str:
        return (
            "resolved" if line.startswith("🟢") else "ack" if "acknowledged by" in line
            else "still" if "still:" in line else "firing"
        )  # fmt: skip

    def of(self, symbol: str) -> list[str]:
        return [kind for each, kind in self.lines if each == symbol]


class Lives:
    """Alerts that fire, are reminded of, acknowledged and end, as the seed has it."""

    def __init__(self, seed: int, gates: ChannelGates) -> None:
        self.random = random.Random(seed)
        self.gates = gates
        self.outbox = Outbox()
        self.notes = None
        self.ended: dict[str, bool] = {}
        self.acked: set[str] = set()
        self.desk, self.mail = Read(), Read()
        self.answers = [SENT]

    async def run(self) -> None:
        end = trio.current_time() + LIFE
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._mail)
            while trio.current_time() < end:
                of = self._world()
                async with of.running():
                    until = trio.current_time() + self.random.expovariate(1 / 900)
                    while trio.current_time() < min(until, end):
                        await self._happen(of)
                        await trio.sleep(self.random.expovariate(1 / 20))
            of = self._world()
            self.answers = [SENT]
            async with of.running():
                await trio.sleep(PEACE)
            nursery.cancel_scope.cancel()

    def _world(self) -> World:
        sender = ScriptedSender()
        lives = self

        async def send(message, _handle=None):
            answer = lives.random.choice(lives.answers)
            await trio.lowlevel.checkpoint()
            if answer.sent:
                lives.desk.message(message.title, message.body)
            return answer

        sender.send = send
        of = World(self.outbox, sender, gates=self.gates, fallback=("mail", 1))
        if self.notes is not None:
            of.notes = self.notes
        self.notes = of.notes
        return of

    async def _mail(self) -> None:
        """Takes everything."""
        of = World(self.outbox, ScriptedSender(), gates=ChannelGates(storm=None), name="mail")
        self.outbox.woken = of.wake
        async with of.running():
            try:
                await trio.sleep_forever()
            finally:
                for _, message in of.sender.told:
                    self.mail.message(message.title, message.body)

    async def _happen(self, of: World) -> None:
        match self.random.randrange(10):
            case 0:
                self.answers = self.random.choice(
                    [[SENT], [FAILED], [REFUSED], [SENT, FAILED], [SENT, FAILED, REFUSED]]
                )
            case 1 | 2 | 3 | 4:
                symbol = f"S{len(self.ended)}"
                self.ended[symbol] = False
                await self._put(of, symbol, "firing")
            case 5 | 6 if open_ := [each for each, over in self.ended.items() if not over]:
                await self._put(of, self.random.choice(open_), "reminder")
            case 7 if open_ := [each for each, over in self.ended.items() if not over]:
                symbol = self.random.choice(open_)
                self.acked.add(symbol)
                await self._put(of, symbol, "reminder", acked_by="anna")
            case 8 | 9 if open_ := [each for each, over in self.ended.items() if not over]:
                symbol = self.random.choice(open_)
                self.ended[symbol] = True
                await self._put(of, symbol, "resolved")

    async def _put(self, of: World, symbol: str, state: str, **says) -> None:
        now = trio.current_time()
        says |= {"symbol": symbol, "entity": symbol, "started_at": START + timedelta(seconds=now)}
        severity = "critical" if int(symbol[1:]) % 3 == 0 else "warning"
        new = delivery(
            f"d{len(self.outbox.rows)}-{now}", state, at=now, alert=symbol, severity=severity, says=says
        )
        self.outbox.add(new)
        of.wake.ring()


@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("seed", range(4))
async def test_what_people_have_read(autojump_clock, seed, gates, monkeypatch):
    monkeypatch.setattr("tocsin.alerts.digest.MOST_LINES", 1000)  # what is only counted can't be looked for
    lives = Lives(seed, GATES[gates])
    await lives.run()
    assert "pending" not in {row.status for row in lives.outbox.rows.values()}
    for symbol, over in lives.ended.items():
        desk, mail = lives.desk.of(symbol), lives.mail.of(symbol)
        if gates != "storm" or int(symbol[1:]) % 3 == 0:  # of others a storm names the worst
            assert desk.count("firing") == 1 or ("ack" in desk and not desk.count("firing")), (symbol, desk)
            assert desk.count("resolved") == over, (symbol, desk)
        assert mail.count("firing") <= 1, (symbol, mail)
        assert mail.count("resolved") <= 1, (symbol, mail)
        for read in (desk, mail):
            if "resolved" in read:
                assert read[-1] == "resolved", (symbol, read)
            if read and over and gates != "storm":
                assert "resolved" in read, (symbol, read)
