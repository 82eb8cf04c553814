"""One assembly of all that judges: entities, engine and turn, on what a store held. Clock and ids come from outside.

The daemon, rule tests, replay and `explain` each make theirs here, and so judge alike:

    runtime = Runtime(rules, options, new_id, loaded)
    batch, unreadable = runtime.turn.restore(loaded, now)     go on where the last run stopped
    batch = runtime.turn.messages(received, now)              what a message, or the time, brings about
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count

from msgspec import structs

from tocsin.engine.api import Transition, World
from tocsin.engine.engine import Engine
from tocsin.engine.rule import Rule
from tocsin.entities import Entities
from tocsin.events import Instant
from tocsin.meters import PipelineMeters
from tocsin.pipeline.options import Options
from tocsin.pipeline.turn_processor import TurnProcessor
from tocsin.store.model import Loaded
from tocsin.store.reader import Reader

EMPTY = Loaded(entities=(), instances=(), alive=None)
"""What a store holds before the first run."""


class Runtime:
    """`new_id` gives the ids of alerts, deliveries and silences, `observe` is shown every transition, in order.

    `gap`: nobody has watched since the store was written, so what was open isn't confirmed. `world`: what the rules see in the place
    of the entities, where somebody else keeps it up (`TurnProcessor.changes`).
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        options: Options,
        new_id: Callable[[], str],
        loaded: Loaded = EMPTY,
        *,
        gap: bool = True,
        observe: Callable[[Transition], None] | None = None,
        world: World | None = None,
        meters: PipelineMeters | None = None,
    ) -> None:
        self.entities = Entities(loaded.entities, loaded.operations, gap=gap)
        self.engine = Engine(rules, world or self.entities, new_id)
        self.turn = TurnProcessor(
            self.entities, self.engine, options, new_id, observe=observe, meters=meters, world=world
        )


def open_stored(
    reader: Reader, rules: Iterable[Rule], options: Options, now: Instant | None = None
) -> tuple[Runtime, Instant]:
    """A runtime that stands as a store does, beside the daemon or without one; and the time there. Blocks.

    It is restored as after a start, links as they were; nothing is written and nobody notified. `now` is the running daemon's; without it timers
    stand as they stood when the daemon was last alive, and the wall-clock is the machine's. What can't be read is left
    out. Raises StoreUnavailable, SchemaRefused.
    """
    loaded = reader.loaded()
    if now is not None:  # a daemon runs, and lives
        loaded = structs.replace(loaded, alive=now)
    else:
        now = Instant(datetime.now(UTC), loaded.alive.steady if loaded.alive is not None else 0.0)
    ids = count(1)
    runtime = Runtime(rules, options, lambda: f"{next(ids)}", loaded, gap=False)
    runtime.turn.restore(loaded, now)
    return runtime, now
