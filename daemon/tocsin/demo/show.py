"""The demo from the first socket to the summary."""

import json
import signal
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
from tocsin.demo.receiver import Arrived, Receiver
from tocsin.demo.screen import Screen
from tocsin.shipped import shipped
from tocsin.simulator import Exchange
from tocsin.simulator.exchange import play
from tocsin.simulator.scenario import LASTS, demo
from tocsin.store.reader import Reader

# Which stand-in is told of what; the screen tells the severity by the channel.
_CHANNELS: Mapping[str, str] = {"phone": "critical", "desk": "warning", "mail": "info"}


def show(seconds: float | None, out: TextIO = sys.stdout) -> bool:
    """Run until `seconds` have passed, or Ctrl-C. Whether any message arrived."""
    screen = Screen(out)
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as folder:
        trio.run(_run, Path(folder), screen, seconds)
        fired, venues = _counted(Path(folder) / "state" / "tocsin.db")
        screen.summary(fired, venues)
    return screen.messages > 0


async def _run(folder: Path, screen: Screen, seconds: float | None) -> None:
    exchange = Exchange()
    receiver = Receiver(lambda arrived: screen.message(arrived, _severity(arrived)))
    async with trio.open_nursery() as nursery:
        await nursery.start(exchange.serve)
        await nursery.start(receiver.serve)
        config = folder / "config.yaml"
        await trio.Path(config).write_text(json.dumps(_config(folder, exchange, receiver), indent=1))
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
