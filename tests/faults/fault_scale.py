"""One busy account: whether alerts within a stream that comes by schedule are told in time, and what it leaves on the disk.

Time runs from the moment a message was due to be sent: a daemon that reads late is late.
"""

import json
import re
import statistics
import subprocess
import sys
from contextlib import contextmanager

import pytest

from support.daemon import Folder
from support.receivers import HttpReceiver

pytestmark = pytest.mark.real

RATE = 1000  # messages a second
POSITIONS, SYMBOLS = 500, 250
EVERY = 121  # messages between two alerts; coprime to POSITIONS, so that each position has one at most
ACCOUNT = "9020b4e5-dade-46da-9469-7a58fa25fd56"
NOW = 1767225600000000  # microseconds
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
RULES = [{"id": "in-the-red", "watch": "position", "when": "profit < -50"}]


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


def is_loud(number):
    return number % EVERY == 0 and number // EVERY < POSITIONS


def of_positions(count):
    """The venue's own word on one position after the other; which of them are in the red, by the message."""
    written = opening()
    quiet = lambda number: (number * 7 % 1009) / 100 - 5.125  # noqa: E731 - another each time
    written += [
        position(
            number, profit=-60.25 if is_loud(number) else quiet(number), asset_close_price=100 + quiet(number)
        )
        for number in range(count)
    ]
    return written, {f"pos-{n % POSITIONS:04}": n + 1 + POSITIONS for n in range(count) if is_loud(n)}


def of_prices(count):
    """Prices, each of which moves two positions; which of them are in the red, by the message."""
    written, told = opening(), {}
    for number in range(count):
        symbol = number % SYMBOLS
        loud = is_loud(number) and f"pos-{symbol:04}" not in told
        bid = 39.75 if loud else 100 + (number * 7 % 1009) / 100 - 5.125
        written.append(
            message(bid_ask={"id": f"S{symbol}", "bid": bid, "ask": bid + 0.01, "date": NOW + number})
        )
        if loud:
            told |= dict.fromkeys((f"pos-{symbol:04}", f"pos-{symbol + SYMBOLS:04}"), number + 1 + POSITIONS)
    return written, told


@contextmanager
def sending(file):
    """The venue's process."""
    server = subprocess.Popen(
        [sys.executable, "-m", "support.scheduled", str(file), str(RATE)],
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


@pytest.mark.parametrize(
    ("what", "stream", "seconds"), [("positions", of_positions, 60), ("prices", of_prices, 30)]
)
async def fault_busy_account(tmp_path, figure, what, stream, seconds):
    written, loud = stream(RATE * seconds - POSITIONS - 1)
    assert len(loud) > 100
    (file := tmp_path / "messages").write_text("\n".join(written))
    folder = Folder(tmp_path / "tocsin")
    with sending(file) as server, HttpReceiver() as phone:
        url = f"ws://127.0.0.1:{server.readline().strip()}/"
        folder.write(
            venues={"fx": {"type": "yourfintech", "url": url, "secret_key": "k-of-the-venue"}},
            channels={"phone": phone.url},
            rules=RULES,
        )
        async with folder.running() as daemon:
            told = lambda: len(phone.requests) >= 2 * len(loud)  # noqa: E731
            await daemon.until(told, "all alerts and their ends are told", within=seconds + 60)
        begun, own = float(server.readline()), float(server.readline())
    firing, resolved = {}, []
    for request in phone.requests:
        body = json.loads(request.body)
        text = f"{body['title']}\n{body['message']}"
        for id_ in {*re.findall(r"pos-\d{4}", text)}:
            if id_ in firing:
                resolved.append(id_)
            else:
                firing[id_] = request.arrived
    assert firing.keys() == loud.keys()
    assert sorted(resolved) == sorted(loud)
    late = sorted(firing[id_] - (begun + number / RATE) for id_, number in loud.items())
    figure(
        f"1,000 {what} a second: told after its message was due, median",
        statistics.median(late) * 1000,
        unit="ms",
        aim=100,
    )
    figure("… 99 of 100 within", late[len(late) * 99 // 100] * 1000, unit="ms")
    figure("… the venue's own worst delay", own * 1000, unit="ms")
    size = sum(each.stat().st_size for each in folder.state.glob("tocsin.db*"))
    figure(f"1,000 {what} a second: on the disk for each message", size / len(written), unit="B", aim=300)
