"""The actions of a replay: the daemon's rails on the record's clock. What each would have done is noted, and nothing is done."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from tocsin.actions.model import ActionSettings, Refused, Result
from tocsin.actions.task import prepared, shown
from tocsin.engine.api import AlertContext, World
from tocsin.engine.rule import Rule
from tocsin.events import Change, Instant, Key
from tocsin.pipeline import TurnProcessor
from tocsin.store.model import Batch, RunRow

RunOutcome: TypeAlias = Literal["run", "asked", "dry_run", "dropped", "refused"]
_ANY = ActionSettings(command=("true",))  # one of which nothing is known but its name


class ReplayedRun(Struct, frozen=True):
    """What an alert would have started: when (UTC), and by its firing or its end (`told`). `command`: what would have been done, as the
    daemon records it; "" where nothing would, or where the config doesn't have the action. `reason`: of one that is dropped by a rail, or
    refused since it can't be made. `asked`: somebody would have had to confirm it; whether anybody had, the record doesn't know.
    """

    at: datetime
    action: str
    told: str
    outcome: RunOutcome
    command: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KnownActions:
    """The actions of a config; others run whenever the rails let them. `mask` keeps secrets out of what is shown."""

    settings: Mapping[str, ActionSettings] = field(default_factory=dict)
    mask: Callable[[str], str] = str

    def dry(self, rules: Iterable[Rule]) -> dict[str, ActionSettings]:
        """Those that the rules run, each such that nothing is done."""
        named = dict.fromkeys(name for rule in rules for name in rule.run.all)
        return {name: self.settings.get(name, _ANY).model_copy(update={"dry_run": True}) for name in named}


NO_ACTIONS = KnownActions()


class DryRuns:
    """Does what the daemon's tasks of actions do, but for the actions. `turn` has those of `KnownActions.dry`."""

    def __init__(self, known: KnownActions, turn: TurnProcessor, world: World) -> None:
        self._known, self._turn, self._world = known, turn, world
        self._heard: set[str] = set()

    def hear(self, changes: Sequence[Change]) -> None:
        """Before these are taken: a venue that speaks is connected where nothing says otherwise; that it was so before is no news."""
        for venue in {change.venue for change in changes} - self._heard:
            self._heard.add(venue)
            if (link := self._world.get(Key(venue, "venue", "", venue))) is not None:
                self._turn.runs.facts.link(link)

    def take(self, batch: Batch, now: Instant) -> list[tuple[str, ReplayedRun]]:
        """Those that are started in the batch, each by its alert; what people would hear of them is added to the batch."""
        return [(row.alert, self._perform(batch, row, now)) for row in batch.runs]

    def _perform(self, batch: Batch, row: RunRow, now: Instant) -> ReplayedRun:
        settings, command = self._known.settings.get(row.action), ""
        if row.status != "pending":
            return _noted(row, "dropped")
        if settings is not None:
            try:
                made, _ = prepared(settings, row, msgspec.convert(row.data, AlertContext))
            except Refused as error:
                result = Result(ok=False, result="refused", reason=self._known.mask(str(error)))
                failed = self._turn.run_finished(row.id, result, now)
                batch.deliveries += failed.deliveries
                return _noted(failed.runs[0], "refused")
            command = self._known.mask(shown(settings, made))
        over = self._turn.run_begins(row.id, now, command, "")[0].runs[0]
        if over.status != "dry_run":
            return _noted(over, "dropped")
        if settings is None:
            return _noted(over, "run")
        return _noted(over, "dry_run" if settings.dry_run else "asked" if settings.confirm else "run")


def _noted(row: RunRow, outcome: RunOutcome) -> ReplayedRun:
    return ReplayedRun(row.created_at, row.action, row.told, outcome, row.command, row.reason or "")
