"""`tocsin explain` asked twice of one run: while it runs, and of the store that it left."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tocsin.cli.stored import explain_stored
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.events import Instant
from tocsin.events.synthetic import daemon_event
from tocsin.events.vocabulary import OURSELVES
from tocsin.explain.explanation import Answer
from tocsin.quantities import parse_duration
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.runner import play
from tocsin.ruletest.simulation import Simulation

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 20
CONFIG = """
venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}
channels: {phone: 'json://127.0.0.1/'}
rules: [rules.yaml]
names: {symbols: {BTCUSD: bitcoin}}
state_dir: state
"""
Asked = Sequence[tuple[str, str | None]]
"""Rules, and for what each is asked: an id, or all."""


def explained_twice(
    folder: Path, rules: list[Any], steps: list[Any], now: str, asked: Asked
) -> tuple[list[Answer], list[Answer]]:
    """The answers `now` (from the start) of the simulated daemon, and those of the store that it left, stopped then. `steps`
    as rule tests have them.
    """
    (folder / "rules.yaml").write_text(json.dumps({"rules": rules}))
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "config.yaml").chmod(0o600)
    test = {"name": "it", "steps": steps}
    (folder / "it.yaml").write_text(
        json.dumps({"rules": "rules.yaml", "channels": ["phone"], "tests": [test]})
    )
    tests, clock, after = read_tests(folder / "it.yaml"), ManualClock(START), parse_duration(now)
    settings = load_settings(folder / "config.yaml", validate_url=None)
    live: list[Answer] = []

    async def ask(simulation: Simulation) -> None:
        simulation.names = settings.names
        await simulation.run_until(after.total_seconds())
        for rule, id_ in asked:
            live.append(await simulation.explain(settings.rule(rule), id_, LIMIT))
        await simulation.say(OURSELVES, (daemon_event("daemon.stopping"),))

    result = trio.run(partial(play, tests, tests.tests[0], clock, folder, ask), clock=clock)
    assert result.failure is None, result.failure
    at = Instant(START + after, after.total_seconds())
    return live, [explain_stored(settings, rule, id_, LIMIT, at) for rule, id_ in asked]
