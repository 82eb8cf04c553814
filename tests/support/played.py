"""What the page's screens of alerts are made of: rules and steps as rule tests have them, played through to a store and a snapshot."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import trio
from msgspec import structs

from support.daemon_parts import Lines
from support.looked import asked
from support.measured import measured
from tocsin.alerts.silences import Silences
from tocsin.app.sampling import Sampling
from tocsin.app.snapshots import Snapshots
from tocsin.clock import ManualClock
from tocsin.config.settings import UnknownRule
from tocsin.control.measures import VenueMeasures
from tocsin.control.snapshot import Point, Snapshot
from tocsin.delivery.channel_state import Notes, Outages
from tocsin.events import KINDS
from tocsin.meters import Meters
from tocsin.page.screen import Asked
from tocsin.pipeline.acts import Acts
from tocsin.quantities import parse_duration
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.runner import play
from tocsin.ruletest.simulation import Simulation

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


class Played:
    """The simulated daemon at the end of its steps, as a screen sees it."""

    def __init__(self, simulation: Simulation, folder: Path) -> None:
        self.simulation, self.folder = simulation, folder
        self.trails: dict[tuple[str, str], list[Point]] = {}

    def snapshot(self) -> Snapshot:
        simulation = self.simulation
        parts: Any = SimpleNamespace(
            clock=simulation.clock,
            entities=simulation.entities,
            engine=simulation._runtime.engine,
            turn=simulation._turn,
            outages=Outages(Notes({})),
            acts=SimpleNamespace(silences=lambda: Silences(simulation._turn.notifier.silences)),
            settings=SimpleNamespace(rules=simulation.rules, channels={}),
            journal=SimpleNamespace(changes=Counter()),
            meters=Meters(),
        )
        measuring: Any = SimpleNamespace(measures=self._measures, reloads=0)
        snapshots = Snapshots(parts, measuring, Sampling(parts, Lines()))
        return structs.replace(snapshots.snapshot(), trails=self.trails)

    def _measures(self) -> Any:
        venues = [
            VenueMeasures(
                name=change.key.id,
                status=change.state.status,
                last_message=self.simulation.clock.now().wall,
                shown={},
                entities={},
            )
            for change in self.simulation.entities.live("venue")
        ]
        severities = {rule.id: rule.severity for rule in self.simulation.rules}
        alerts: Counter[tuple[str, str]] = Counter()
        for (rule, state), count in self.simulation._turn.alert_states.counts().items():
            alerts[severities[rule], state] += count
        numbers = measured(now=self.simulation.clock.now().wall, alerts=dict(alerts))
        return structs.replace(numbers, venues=tuple(venues))

    async def explain(self, rule: str, id_: str | None, limit: int, _run_sync: Any) -> dict[str, Any]:
        found = next((each for each in self.simulation.rules if each.id == rule), None)
        if found is None:
            raise UnknownRule(f"no rule is called {rule}")
        told: dict[str, Any] = msgspec.to_builtins(await self.simulation.explain(found, id_, limit))
        return told

    def asked(self, **query: str) -> Asked:
        return self._asked({}, query)

    def asked_of(self, alert: str, **query: str) -> Asked:
        return self._asked({"id": alert}, query)

    def _asked(self, path: dict[str, str], query: dict[str, str]) -> Asked:
        simulation = self.simulation
        acts = SimpleNamespace(account_names=Acts(simulation._turn).account_names)
        return asked(
            simulation.state_dir,
            self.snapshot(),
            path=path,
            query=query,
            explain=self.explain,
            acts=acts,
            trail=lambda rule, instance: self.trails.get((rule, instance), ()),
        )


def played(
    folder: Path,
    rules: list[Any],
    steps: list[Any],
    look: Callable[[Played], Awaitable[None]],
    *,
    until: str = "0s",
    **more: Any,
) -> None:
    """Runs these steps, all of the venue `fx` where they name none, time goes on `until` then (from the start), and `look` is called."""
    steps = [{"venue": "fx", **step} if {*KINDS} & {*step} else step for step in steps]
    (folder / "rules.yaml").write_text(json.dumps({"rules": rules}))
    test = {"name": "it", "start": START.isoformat(), "steps": steps}
    (folder / "it.yaml").write_text(
        json.dumps({"rules": "rules.yaml", "channels": ["phone", "desk"], "tests": [test], **more})
    )
    tests, clock = read_tests(folder / "it.yaml"), ManualClock(START)

    async def at_end(simulation: Simulation) -> None:
        await simulation.run_until(parse_duration(until).total_seconds())
        await look(Played(simulation, folder))

    result = trio.run(partial(play, tests, tests.tests[0], clock, folder, at_end), clock=clock)
    assert result.failure is None, result.failure
