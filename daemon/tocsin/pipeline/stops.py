"""What people and failures have stopped: which actions are paused, by whom and since when, and whose circuit is open.

Pure but for what it remembers; kept in the store's notes, a note each.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TypeAlias

import msgspec
from msgspec import Struct

from tocsin.actions.rails import FAILURES
from tocsin.events import iso

EVERY = "*"
"""In the place of an action's name: all of them."""
_PAUSE, _CIRCUIT = "pause ", "circuit "  # the beginnings of notes' keys; an action's name follows
Notes: TypeAlias = dict[str, str | None]
"""What is to be kept: a note by its key, None takes it away."""


class Paused(Struct, frozen=True):
    """Who paused it, and when (UTC)."""

    by: str
    at: datetime

    def __str__(self) -> str:
        return f"by {self.by} since {iso(self.at)}"


class Circuit(Struct, frozen=True):
    """Failures in a row; `since` when (UTC) they have opened it."""

    failures: int = 0
    since: datetime | None = None

    def __str__(self) -> str:
        if self.since is None:
            return ""
        return f"since {iso(self.since)}, after {self.failures} failures in a row"


class Stops:
    """Each change gives the notes that keep it."""

    def __init__(self) -> None:
        self._paused: dict[str, Paused] = {}
        self._circuits: dict[str, Circuit] = {}

    def restore(self, notes: Mapping[str, str], now: datetime) -> None:
        """Go on where the last run of Tocsin stopped. A pause that can't be read is one all the same; a circuit begins anew."""
        for key, note in notes.items():
            if key.startswith(_PAUSE):
                try:
                    paused = msgspec.json.decode(note, type=Paused)
                except ValueError:
                    paused = Paused("somebody", now)
                self._paused[key.removeprefix(_PAUSE)] = paused
            elif key.startswith(_CIRCUIT):
                with suppress(ValueError):  # of another version
                    self._circuits[key.removeprefix(_CIRCUIT)] = msgspec.json.decode(note, type=Circuit)

    def pause(self, action: str, by: str, now: datetime) -> Notes | None:
        """That action, or all (`EVERY`). None: it is paused already."""
        if action in self._paused:
            return None
        self._paused[action] = Paused(by, now)
        return {_PAUSE + action: _note(self._paused[action])}

    def resume(self, action: str) -> Notes:
        """That action, also where its circuit was open; or all that were paused (`EVERY`). None where nothing stood in the way."""
        over = [name for name in self._paused if action in (EVERY, name)]
        for name in over:
            del self._paused[name]
        return dict.fromkeys((_PAUSE + name for name in over), None) | self._set(action, Circuit())

    def failed(self, action: str, now: datetime) -> Notes:
        """One of its runs did. Enough in a row open its circuit."""
        known = self.circuit(action)
        failures = known.failures + 1
        return self._set(action, Circuit(failures, (known.since or now) if failures >= FAILURES else None))

    def succeeded(self, action: str) -> Notes:
        """One of its runs did."""
        return self._set(action, Circuit())

    def paused(self, action: str) -> str:
        """By whom and since when, in words; "" where it isn't."""
        found = self._paused.get(action) or self._paused.get(EVERY)
        return str(found) if found is not None else ""

    def circuit(self, action: str) -> Circuit:
        return self._circuits.get(action, Circuit())

    def _set(self, action: str, circuit: Circuit) -> Notes:
        if circuit == self.circuit(action):
            return {}
        if not circuit.failures:
            del self._circuits[action]
            return {_CIRCUIT + action: None}
        self._circuits[action] = circuit
        return {_CIRCUIT + action: _note(circuit)}


def _note(kept: Paused | Circuit) -> str:
    return msgspec.json.encode(kept).decode()
