"""Venues that are no longer configured leave as one: a group over several is judged once, when all have left."""

from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from support.daemon_parts import Lines
from tocsin.app.components import Components
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.events import Observation, Position
from tocsin.store.database import Database
from tocsin.store.model import Batch, Loaded

CONFIG = """
venues:
{venues}
channels: {{phone: 'json://127.0.0.1/'}}
rules:
  - {{id: losing, watch: position, per: [symbol], when: sum(profit) < -50}}
  - {{id: winning, watch: position, per: [symbol], when: sum(profit) > 50}}
  - {{id: few, watch: position, per: [], when: count() == 2}}
"""
# Whichever leaves first, the sum of the rest is beyond a limit on the way.
PROFITS = {"fx": (-100, 100), "px": (-100, 100), "qx": (10,)}


def components_with(folder: Path, venues: tuple[str, ...], loaded: Loaded) -> Components:
    path = folder / "config.yaml"
    one = "  {}: {{type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}"
    path.write_text(CONFIG.format(venues="\n".join(one.format(name) for name in venues)))
    path.chmod(0o600)
    settings = load_settings(path, validate_url=None)
    return Components(settings, loaded, cast(Database, None), ManualClock(), Lines(), folder)


def told(batch: Batch) -> list[tuple[str, str, str]]:
    return [(row.rule, row.state, row.entity) for row in batch.alerts]


@pytest.fixture
def components(tmp_path):
    components = components_with(tmp_path, tuple(PROFITS), Loaded(entities=(), instances=(), alive=None))
    now = components.clock.now()
    for name, profits in PROFITS.items():
        positions = [
            Observation(
                account="a",
                state=Position(id=f"{name}{n}", symbol="BTC", side="long", profit=Decimal(profit)),
            )
            for n, profit in enumerate(profits)
        ]
        for said in positions:
            components.entities.apply(name, said, now, None)
    assert told(components.restore()[0]) == []
    return components


def test_a_reload_that_removes_venues_judges_what_is_left_once(components):
    batch, _ = components.venues_removed(["fx", "px"])
    assert told(batch) == []
    assert {key.venue for key in batch.gone} == {"fx", "px"}


def test_what_is_left_is_judged(components):
    batch, _ = components.venues_removed(["px", "qx"])
    assert told(batch) == [("few", "firing", "")]


def test_a_start_without_venues_that_were_there_judges_what_is_left_once(components, tmp_path):
    kept = [change for kind in ("venue", "account", "position") for change in components.entities.live(kind)]
    again = components_with(tmp_path, ("qx",), Loaded(entities=kept, instances=(), alive=None))
    batch, _ = again.restore()
    assert told(batch) == []
    assert {key.venue for key in batch.gone} == {"fx", "px"}
