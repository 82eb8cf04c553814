"""What the demo prints: each message as it arrives, and a summary at the end. Colour on a terminal only."""

import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import TextIO

from tocsin.demo.receiver import Arrived

_COLOURS = {"critical": "1;31", "warning": "33", "info": "36", "resolved": "32", "dim": "2", "bold": "1"}


class Screen:
    """Counts what it shows."""

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self._coloured = out.isatty() and not environ.get("NO_COLOR")
        self._began = time.monotonic()
        self.messages = 0
        self._channels: Counter[str] = Counter()

    def say(self, text: str = "", colour: str = "") -> None:
        self._out.write(self._paint(text, colour) + "\n")
        self._out.flush()

    def message(self, arrived: Arrived, severity: str) -> None:
        """A message with its place in time, the channel that it came by, and its body below."""
        self.messages += 1
        self._channels[arrived.channel] += 1
        head = f"{time.monotonic() - self._began:5.1f} s  {arrived.channel:<5}  "
        colour = "resolved" if arrived.kind == "success" else severity
        self.say(f"{self._paint(head, 'dim')}{self._paint(arrived.title, colour)}")
        for line in arrived.body.splitlines():
            self.say(f"{'':16}{line}", "dim")

    def summary(self, fired: Mapping[str, int], venues: Mapping[str, int]) -> None:
        """`fired`: rule -> alerts; `venues`: venue -> alerts."""
        self.say()
        self.say(
            f"{self.messages} messages ({', '.join(f'{n} by {c}' for c, n in sorted(self._channels.items()))}), "
            f"{sum(fired.values())} alerts of {len(fired)} rules at {len(venues)} venues:",
            "bold",
        )
        for rule, times in sorted(fired.items()):
            self.say(f"  {times:3} x {rule}")
        self.say("Your own: tocsin init, then edit config.yaml. Nothing of this demo is left on your disk.")

    def _paint(self, text: str, colour: str) -> str:
        code = _COLOURS.get(colour)
        return f"\x1b[{code}m{text}\x1b[0m" if code and self._coloured and text else text
