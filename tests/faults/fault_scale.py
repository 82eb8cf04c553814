"""One busy account: whether alerts within a stream that comes by schedule are told in time, and what it leaves on the disk.

Time runs from the moment a message was due to be sent: a daemon that reads late is late.
"""

import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio

from support.daemon import Folder
from support.looking import VIEWERS, Viewers, free_address
from support.receivers import HttpReceiver

pytestmark = [pytest.mark.real, pytest.mark.timed]

POSITIONS, SYMBOLS = 500, 250
EVERY = 121  # messages between two alerts; coprime to POSITIONS, so that each position has one at most
ACCOUNT = "9020b4e5-dade-46da-9469-7a58fa25fd56"
NOW = time.time_ns() // 1000  # microseconds
POSITION = {
    "account_id": ACCOUNT, "trader_id": "8bb66514-657e-4fad-8619-41daa873f4aa", "side": "Buy", "leverage": 10,
    "lots_amount": 1, "lost_amount": 1, "lots_size": 1, "profit_price": 1, "margin_price": 100, "asset_open_price": 100,
    "base": "BTC", "quote": "USD", "collateral_currency": "USD", "swaps": [], "commission": 0.105, "metadata": {},
    "tp_in_instrument_price": None, "tp_in_currency": None, "sl_in_instrument_price": 1, "sl_in_currency": None,
    "open_date": NOW, "close_date": None, "close_reason": None, "asset_close_price": None, "create_date": NOW,
    "create_process_id": "202411-15T1255:20.549-5cqofxibb", "open_process_id": "202411-15T1255:20.549-5cqofxibb",
    "asset_open_bid_ask": {"id": "BTCUSD", "bid": 100, "ask": 100.1, "date": NOW, "base": "BTC", "quote": "USD"},
    "margin_bid_ask": {"id": "BTCUSD", "bid": 100, "ask": 100.1, "date": NOW, "base": "BTC", "quote": "USD"},
    "profit_bid_ask": {"id": "", "bid": 1, "ask": 1, "date": NOW, "base": "", "quote": ""},
    "asset_close_bid_ask": None, "close_process_id": None,
}  # fmt: skip
RULES = [
    {
        "id": "in-the-red",
        "watch": "position.updated",
        "where": "profit < -50",
        "cooldown": "1h",
        "per": ["id"],
    }
]


def message(**content):
    whole = {
        "message_id": "7b87bf1c-e88d-4251-bb6c-8bd40ab34dcb",
        "message_type": {"server_message": content},
    }
    return json.dumps(whole, separators=(",", ":"))


def position(number, what="updated", **more):
    id_ = f"pos-{number % POSITIONS:04}"
    row = (
        POSITION | {"id": id_, "asset_pair": f"S{number % SYMBOLS}", "last_update_date": NOW + number} | more
    )
    return message(position={what: row})


def opening():
    """The account and its positions, at the rate of the rest."""
    account = {
        "id": ACCOUNT, "currency": "USD", "balance": 100000, "trading_disabled": False, "leverage": 10, "stop_out": 100,
        "trading_group": "Main", "last_update_date": NOW,
    }  # fmt: skip
    return [
        message(account_event={"account_added": account}),
        *(position(n, "created", profit=0) for n in range(POSITIONS)),
    ]


def quiet(number):
    """Another each time, for each of them, and never deep."""
    return (number * 7 % 1009) / 100 - 5.125


def of_positions(count):
    """The venue's own word on one position after the other; and which message has each of the loud ones in the red."""
    told = {
        number: f"pos-{number % POSITIONS:04}" for number in range(0, count - POSITIONS, EVERY)[:POSITIONS]
    }
    written = [
        position(
            number, profit=-60.25 if number in told else quiet(number), asset_close_price=100 + quiet(number)
        )
        for number in range(count)
    ]
    return written, {id_: number for number, id_ in told.items()}


def of_prices(count):
    """Prices, each of which moves two positions; and which message has each of the loud ones in the red."""
    told = dict.fromkeys(range(0, count - SYMBOLS, EVERY)[:SYMBOLS])
    prices = [39.75 if number in told else 100 + quiet(number) for number in range(count)]
    written = [
        message(bid_ask={"id": f"S{number % SYMBOLS}", "bid": bid, "ask": bid + 0.01, "date": NOW + number})
        for number, bid in enumerate(prices)
    ]
    return written, {
        f"pos-{each:04}": number for number in told for each in (number % SYMBOLS, number % SYMBOLS + SYMBOLS)
    }


@contextmanager
def sending(file, rate):
    """The venue's process, at so many messages a second."""
    server = subprocess.Popen(
        [sys.executable, "-m", "support.scheduled", str(file), str(rate)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    try:
        yield server.stdout
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


class Account:
    """What became of a stream for one account: its alerts, and how late each was told."""

    def __init__(self, folder, phone, loud, before, rate):
        self.folder, self.phone, self._loud, self._before, self._rate = folder, phone, loud, before, rate
        self.begun = self.own_delay = 0.0  # seconds

    @property
    def told(self):
        return len(self.phone.requests)

    def late(self):
        """Seconds from when each alert's message was due until a person heard of it, in the order of the messages. Each is told once."""
        arrived = [
            (request.arrived, set(re.findall(r"pos-\d{4}", request.body.decode())))
            for request in self.phone.requests
        ]
        assert sorted(id_ for _, ids in arrived for id_ in ids) == sorted(self._loud)  # and none beside
        told_at = {id_: at for at, ids in arrived for id_ in ids}
        return [
            told_at[id_] - (self.begun + (number + self._before) / self._rate)
            for id_, number in self._loud.items()
        ]


@asynccontextmanager
async def account(tmp_path, of, rate, seconds, **sections):
    """The daemon while the stream comes; at the end all of it is told. Gives it, and the account."""
    before = opening()
    stream, loud = of(rate * seconds - len(before))
    written = [*before, *stream]
    (file := tmp_path / "messages").write_text("\n".join(written))
    folder = Folder(tmp_path / "tocsin")
    with sending(file, rate) as server, HttpReceiver() as phone:
        url = f"ws://127.0.0.1:{server.readline().strip()}/"
        folder.write(
            venues={"fx": {"type": "yourfintech", "url": url, "secret_key": "k-of-the-venue"}},
            channels={"phone": phone.channel},
            rules=RULES,
            **sections,
        )
        found = Account(folder, phone, loud, len(before), rate)
        async with folder.running() as daemon:
            yield daemon, found
            await daemon.until(lambda: found.told >= len(loud), "all alerts are told", within=seconds + 60)
            found.begun, found.own_delay = [
                float(await trio.to_thread.run_sync(server.readline)) for _ in range(2)
            ]


# A price moves two positions and their account, so fewer of them keep the daemon as busy.
@pytest.mark.parametrize(
    ("what", "of", "rate", "seconds"), [("positions", of_positions, 1000, 60), ("prices", of_prices, 300, 60)]
)
async def fault_busy_account(tmp_path, figure, *, what, of, rate, seconds):
    async with account(tmp_path, of, rate, seconds) as (_, busy):
        pass
    late = sorted(busy.late())
    figure(
        f"{rate:,} {what} a second: told after its message was due, median",
        statistics.median(late) * 1000,
        unit="ms",
        aim=100,
    )
    figure("… 99 of 100 within", late[len(late) * 99 // 100] * 1000, unit="ms")
    figure("… the venue's own worst delay", busy.own_delay * 1000, unit="ms")
    size = sum(each.stat().st_size for each in busy.folder.state.glob("tocsin.db*"))
    figure(
        f"{rate:,} {what} a second: on the disk for each message",
        size / (rate * seconds),
        unit="B",
        aim=300,
    )


async def fault_busy_account_looked_at(tmp_path, figure):
    """Nobody looks at the page, then twenty people do, and that once more: what else the machine does falls on both."""
    rate, seconds = 1000, 60  # a position each EVERY messages: there is none left for a longer stream
    visits, long = 2, 12  # long: seconds that nobody looks, and as many that somebody does
    address = free_address()
    listening = {"people": Viewers.people, "listen": {"address": address}}
    alone, looked_at, seen = [], [], Counter()  # which alerts
    async with account(tmp_path, of_positions, rate, seconds, **listening) as (daemon, busy):

        async def told(of_seconds):
            """Which of the alerts are told in the next seconds of the stream."""
            begin = busy.told
            end = begin + int(of_seconds * rate / EVERY)
            await daemon.until(lambda: busy.told >= end, "they are told", within=of_seconds + 60)
            return range(begin, end)

        await told(5)  # while what sends is loaded
        for _ in range(visits):
            alone += await told(long)
            with Viewers(address) as viewers:
                viewers.wait()
                looked_at += await told(long)
                seen.update(viewers.over())
    late = busy.late()
    unseen, beside = (statistics.median(late[each] for each in alerts) for alerts in (alone, looked_at))
    figure("1,000 positions a second, nobody looking: told, median", unseen * 1000, unit="ms")
    figure("… 20 people look at the page: later by", (beside - unseen) * 1000, unit="ms", aim=10)
    figure("… at worst, told within", max(late[each] for each in looked_at) * 1000, unit="ms")
    figure("… and each sees what is new after", VIEWERS * visits * long / seen["fetched"], unit="s")
    assert seen["200"] == seen["fetched"] > 2 * VIEWERS * visits
