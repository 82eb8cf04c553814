"""An edit among two thousand rules: the rooms as the daemon builds them, and what of the others is touched: nothing."""

from pathlib import Path
from typing import cast

import pytest

from tocsin.app.components import Components
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.events import Observation, Position, number
from tocsin.feed.model import Received
from tocsin.store.database import Database
from tocsin.store.model import Loaded

RULES = 2_000
EDITED = 1_565
SYMBOLS = 50
CONFIG = """
venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}
channels: {phone: 'json://127.0.0.1/'}
rules: [rules.yaml]
state_dir: state
"""


def written(number_: int, title: str) -> str:
    """Rules of every sort that keeps something: what fires, what waits, what is followed, and what is summed."""
    sorts = (
        f'watch: position, when: profit < -{number_ % 40} and symbol == "S{number_ // 5 % SYMBOLS}", repeat: 1h',
        f'watch: position, when: profit < -{number_ % 60}, where: symbol == "S{number_ // 5 % SYMBOLS}", for: {number_ + 60}s',
        f'watch: position, when: "change(profit, {number_ % 7 + 1}h) < -{number_ % 9}", where: symbol == "S{number_ // 5 % SYMBOLS}"',
        f"watch: position, when: 'sum(profit) < -{number_}', per: symbol",
        f'watch: position.updated, where: symbol == "S{number_ // 5 % SYMBOLS}", cooldown: {number_ + 1}s',
    )
    return f"  - {{id: r{number_}, {sorts[number_ % len(sorts)]}, title: '{title}'}}\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "config.yaml").chmod(0o600)
    (tmp_path / "rules.yaml").write_text("rules:\n" + "".join(written(n, "as it was") for n in range(RULES)))
    return tmp_path


def components_after_a_while(folder: Path) -> tuple[Components, ManualClock, set[str]]:
    """The rooms after a moment's life, and the rules that keep something of it."""
    settings = load_settings(folder / "config.yaml", validate_url=None)
    clock = ManualClock()
    loaded = Loaded(entities=(), instances=(), alive=None)
    components = Components(settings, loaded, cast(Database, None), clock, None, folder)
    kept = {row.rule for row in components.restore()[0].instances}
    for profit in ("-5", "-70"):
        now = clock.advance(1)
        said = [
            Observation(
                account="a1", state=Position(id=f"p{n}", symbol=f"S{n}", side="long", profit=number(profit))
            )
            for n in range(SYMBOLS)
        ]
        batch = components.turn.messages([Received(venue="fx", at=now, observed=tuple(said))], now)
        kept |= {row.rule for row in batch.instances}
    components.engine.remembered()
    return components, clock, kept


def kept_of(components: Components) -> dict[tuple[str, str], tuple[dict, float | None]]:
    """Every life of every rule: its record as it would be stored, and when (steady) its timer is due."""
    return {(life.rule.id, life.key): (life.to_record(), life.due()) for life in components.engine._instances}


def test_an_edit_of_one_title_touches_no_other_rule(folder):
    components, clock, kept = components_after_a_while(folder)
    before, deadline = kept_of(components), components.engine.deadline()
    assert len(kept) > RULES / 10, "most of what is shown here needs rules that keep something"
    assert f"r{EDITED}" in kept
    assert any(at is not None for _, at in before.values())

    file = folder / "rules.yaml"
    file.write_text(file.read_text().replace(written(EDITED, "as it was"), written(EDITED, "edited")))
    clock.advance(0.5)
    batch, resolved = components.reload(load_settings(folder / "config.yaml", validate_url=None))

    edited = components.engine.rule(f"r{EDITED}")
    assert edited is not None
    assert edited.title == "edited"
    assert resolved == []
    assert not batch, "neither a transition nor a row for any rule: a title is no state"
    assert not components.engine.remembered(), "no history is begun anew or given up"
    assert kept_of(components) == before
    assert components.engine.deadline() == deadline
    assert {life.rule.title for life in components.engine._instances if life.rule.id == edited.id} == {
        "edited"
    }
