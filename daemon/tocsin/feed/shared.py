"""Everything that the tasks of one venue share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from tocsin.clock import Clock
from tocsin.feed.backoff import Backoff, Proof, Retry
from tocsin.feed.complaints import Complaints
from tocsin.feed.credentials import CredentialStore
from tocsin.feed.http import Http
from tocsin.feed.model import Log, Sink, Timings
from tocsin.feed.recorder import Recorder
from tocsin.feed.share import LoopTime
from tocsin.feed.silence import Silence
from tocsin.feed.standing import Standing
from tocsin.secrets import Masker
from tocsin.venues.base import Adapter


@dataclass(frozen=True, slots=True)
class Shared:
    """One venue's parts, for as long as the daemon holds the venue; they outlive its connections."""

    name: str
    adapter: Adapter
    settings: Any
    timings: Timings
    sink: Sink
    clock: Clock
    masker: Masker
    log: Log
    credentials: CredentialStore
    http: Http
    standing: Standing
    complaints: Complaints
    silence: Silence
    proof: Proof
    recorder: Recorder | None
    random: Callable[[], float]
    retry: Retry
    loop_time: LoopTime

    def backoff(self) -> Backoff:
        return Backoff(self.timings.first_delay, self.timings.longest_delay, self.random)

    @property
    def remedy(self) -> str:
        """What the user should do when the venue won't have the credentials; empty where there are none."""
        if hasattr(self.adapter, "log_in"):
            return f"run: tocsin login {self.name}"
        names = self.settings.secrets_given()
        return f"check {' and '.join(f'venues.{self.name}.{name}' for name in names)}" if names else ""

    def down(self) -> None:
        """The venue as a whole is no longer up."""
        self.proof.ended(trio.current_time())
        self.silence.start_over()
