"""The demo from the first socket to the summary."""

import json
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import trio

from tocsin.app.logs import make_log
from tocsin.app.serve import serve
from tocsin.config.load import load_settings
from tocsin.demo.market import move
from tocsin.demo.receiver import Arrived, Receiver
from tocsin.demo.screen import Screen
from tocsin.shipped import shipped
from tocsin.simulator import Exchange
from tocsin.simulator.exchange import play
from tocsin.simulator.scenario import LASTS, demo
from tocsin.store.reader import Reader

_USER = "demo"
# Which stand-in is told of what; the screen tells the severity by the channel.
_CHANNELS: Mapping[str, str] = {"phone": "critical", "desk": "warning", "mail": "info"}


def show(seconds: float | None, out: TextIO = sys.stdout, *, page: bool = False) -> bool:
    """Run until `seconds` have passed, or Ctrl-C. Whether any message arrived. `page`: the page is served, and a link to it printed."""
    screen = Screen(out)
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as folder:
        trio.run(partial(_run, Path(folder), screen, seconds, page=page))
        fired, venues = _counted(Path(folder) / "state" / "tocsin.db")
        screen.summary(fired, venues)
    return screen.messages > 0


async def _run(folder: Path, screen: Screen, seconds: float | None, *, page: bool) -> None:
    exchange = Exchange()
    receiver = Receiver(lambda arrived: screen.message(arrived, _severity(arrived)))
    async with trio.open_nursery() as nursery:
        await nursery.start(exchange.serve)
        await nursery.start(receiver.serve)
        config = folder / "config.yaml"
        whole = _config(folder, exchange, receiver) | (
            {"listen": {"address": _free_address()}} if page else {}
        )
        await trio.Path(config).write_text(json.dumps(whole, indent=1))
        # Venues on loopback and this machine's own files: loading takes no time worth a thread.
        settings = load_settings(config)
        screen.say(
            f"Tocsin's demo: {len(settings.venues)} simulated venues ({', '.join(settings.venues)}), "
            f"{len(settings.rules)} shipped rules, {len(settings.channels)} channels. "
            f"{'Ctrl-C ends it.' if seconds is None else f'It lasts {seconds:g} s.'}",
            "bold",
        )
        log = make_log(settings.masker, level="error")
        daemon = await nursery.start(partial(serve, settings, partial(load_settings, config), log=log))
        if settings.listen is not None:
            await _answers(settings.listen.address)
            screen.say(
                f"The page, signed in by this link once, within five minutes:\n  {daemon.page_link(_USER)['link']}",
                "info",
            )
            nursery.start_soon(move, exchange)
        nursery.start_soon(_rounds, exchange)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            with trio.move_on_after(seconds if seconds is not None else float("inf")):
                await anext(signals)
            daemon.stop()
            await daemon.stopped.wait()
        nursery.cancel_scope.cancel()


async def _rounds(exchange: Exchange) -> None:
    """The scenario, again and again."""
    for number in count():
        began = trio.current_time()
        await play(exchange, demo(number))
        await trio.sleep_until(began + LASTS)


async def _answers(address: str) -> None:
    """Until somebody listens there: the daemon is up before the page is."""
    host, _, port = address.partition(":")
    while True:
        try:
            stream = await trio.open_tcp_stream(host, int(port))
        except OSError:
            await trio.sleep(0.05)
        else:
            await stream.aclose()
            return


def _free_address() -> str:
    """Where nobody listens at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def _config(folder: Path, exchange: Exchange, receiver: Receiver) -> dict[str, Any]:
    """The config of the demo: JSON, which is YAML."""
    return {
        "state_dir": str(folder / "state"),
        "venues": exchange.settings(),
        "channels": {name: receiver.url(name) for name in _CHANNELS},
        "defaults": {"notify": {severity: [name] for name, severity in _CHANNELS.items()}},
        "names": {
            "accounts": {"9020b4e5-dade-46da-9469-7a58fa25fd56": "Main", "tfsa-abcabc": "Savings"},
            "symbols": {"sec-z-eth-dc40261c82a191b11e53426aa25d91af": "ETH"},
        },
        "rules": [str(shipped("rules") / "*.yaml")],
    }


def _severity(arrived: Arrived) -> str:
    return _CHANNELS.get(arrived.channel, "info")


def _counted(database: Path) -> tuple[Counter[str], Counter[str]]:
    alerts = Reader(database).alerts()
    return Counter(alert["rule"] for alert in alerts), Counter(alert["venue"] for alert in alerts)
