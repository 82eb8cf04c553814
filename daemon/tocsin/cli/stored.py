"""What `tocsin explain` tells where no daemon runs: by the engine, restored on what the last one left."""

from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import trio

from tocsin.alerts.channel_gates import ChannelGates, ChannelState, gate
from tocsin.app.components import make_options
from tocsin.config.settings import Settings
from tocsin.delivery.gatherer import STORM, reason_text
from tocsin.events import Instant
from tocsin.explain.explanation import Answer
from tocsin.pipeline.explaining import Question, explain
from tocsin.pipeline.runtime import open_stored
from tocsin.store.database import inline
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

_MINUTE = timedelta(minutes=1)


def explained(settings: Settings, rule: str, id_: str | None, limit: int) -> dict[str, Any]:
    """Blocks. Raises UnknownRule, StoreUnavailable, SchemaRefused."""
    told: dict[str, Any] = msgspec.to_builtins(explain_stored(settings, rule, id_, limit))
    return told


def explain_stored(
    settings: Settings, rule: str, id_: str | None, limit: int, at: Instant | None = None
) -> Answer:
    """`at` is that of a daemon that runs beside; see `open_stored`."""
    reader = Reader(settings.state_dir / DATABASE)
    with reader.snapshot() as snapshot:
        runtime, now = open_stored(snapshot, settings.rules, make_options(settings), at)
        notes = snapshot.notes()

    def holds(channel: str, told: str, severity: str) -> str:
        """As a daemon would hold it that went on there now."""
        in_storm = f"{STORM}{channel}/0" in notes
        state = ChannelState(
            gates=settings.gates.get(channel) or ChannelGates(),
            now=now.wall,
            in_storm=in_storm,
            critical_sent=reader.critical_sent(channel, 0, now.wall - _MINUTE, now.wall) if in_storm else 0,
        )
        return reason_text(gate(told, severity, state))

    question = Question(
        rule=settings.rule(rule),
        id=id_,
        names=settings.names,
        limit=limit,
        holds=holds,
    )
    return trio.run(partial(explain, runtime, reader, question, now, inline))
