"""What retention removes from the database is gone from memory too, whatever fails afterwards."""

from datetime import timedelta
from pathlib import Path

import pytest
import trio
import trio.testing

from support.daemon_parts import Lines
from support.stored import T0, order
from tocsin.app.components import Components
from tocsin.app.housekeeping import keep_house
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.store.database import Database, inline
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch
from tocsin.store.retention import CHUNK

MANY = 2 * CHUNK + 10
CONFIG = (
    "venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}\nretention: {events: 1d}\n"
)


@pytest.fixture
async def components(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "config.yaml").chmod(0o600)
    settings = load_settings(tmp_path / "config.yaml", validate_url=None)
    database = await Database.open(tmp_path / "state", now=T0, run_sync=inline)
    old = [order(f"o{n}", ended=True) for n in range(MANY)]
    await database.commit(Batch(at=T0, entities=old))
    clock = ManualClock(T0 + timedelta(days=2))
    yield Components(settings, await database.load(), database, clock, Lines(), tmp_path)
    await database.close()


async def keep_house_once(components: Components) -> Lines:
    log = Lines()

    async def tell(event: str, reason: str, subject: str) -> None:
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(components.pipeline.run)
        nursery.start_soon(keep_house, components, lambda: components.settings.retention, log, tell)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return log


async def in_memory_and_stored(components: Components) -> tuple[int, int]:
    known = [components.entities.get(order(f"o{n}").key) for n in range(MANY)]
    stored = (await components.database.load()).entities
    return sum(each is not None for each in known), len(stored)


async def test_what_was_unconfirmed_for_as_long_as_events_are_kept_goes(components, autojump_clock):
    now = components.clock.now().wall
    ages = {"open": None, "lately": timedelta(hours=23), "long": timedelta(hours=25)}
    since = {id_: age and now - age for id_, age in ages.items()}
    kept = [order(id_, unconfirmed_since=at, when=now) for id_, at in since.items()]
    await components.database.commit(Batch(at=now, entities=kept))
    again = Components(
        components.settings,
        await components.database.load(),
        components.database,
        components.clock,
        Lines(),
        components.runtime_dir,
    )
    await keep_house_once(again)
    assert {id_ for id_ in ages if again.entities.get(order(id_).key)} == {"open", "lately"}
    assert {each.key.id for each in (await components.database.load()).entities} == {"open", "lately"}


async def test_what_has_had_its_time_goes(components, autojump_clock):
    assert await in_memory_and_stored(components) == (MANY, MANY)
    await keep_house_once(components)
    assert await in_memory_and_stored(components) == (0, 0)


@pytest.mark.parametrize("step", ["checkpoint", "keep_reserve"])
async def test_it_goes_from_memory_whatever_fails_afterwards(components, step, monkeypatch, autojump_clock):
    def fail():
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(components.database._store, step, fail)
    log = await keep_house_once(components)
    assert log.lines == ["warning: housekeeping put off"]
    assert await in_memory_and_stored(components) == (0, 0)


async def test_a_later_chunk_that_fails_keeps_nothing_of_the_first_in_memory(
    components, monkeypatch, autojump_clock
):
    real, calls = components.database._store.apply_retention, []

    def twice(*arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise StoreUnavailable("the disk is full")
        return real(*arguments)

    monkeypatch.setattr(components.database._store, "apply_retention", twice)
    log = await keep_house_once(components)
    assert log.lines == ["warning: housekeeping put off"]
    assert await in_memory_and_stored(components) == (10, 10)
