"""What `tocsin explain` tells where no daemon runs: by the engine, restored on what the last one left."""

from functools import partial
from typing import Any

import msgspec
import trio

from tocsin.app.components import make_options
from tocsin.config.settings import Settings
from tocsin.events import Instant
from tocsin.explain.explanation import Answer
from tocsin.pipeline.explaining import Question, explain
from tocsin.pipeline.runtime import open_stored
from tocsin.store.database import inline
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE


def explained(settings: Settings, rule: str, id_: str | None, limit: int) -> dict[str, Any]:
    """Blocks. Raises UnknownRule, StoreUnavailable, SchemaRefused."""
    told: dict[str, Any] = msgspec.to_builtins(explain_stored(settings, rule, id_, limit))
    return told


def explain_stored(
    settings: Settings, rule: str, id_: str | None, limit: int, now: Instant | None = None
) -> Answer:
    """`now` is that of a daemon that runs beside; see `open_stored`."""
    reader = Reader(settings.state_dir / DATABASE)
    question = Question(rule=settings.rule(rule), id=id_, names=settings.names, limit=limit)
    with reader.snapshot() as snapshot:
        runtime, now = open_stored(snapshot, settings.rules, make_options(settings), now)
    return trio.run(partial(explain, runtime, reader, question, now, inline))
