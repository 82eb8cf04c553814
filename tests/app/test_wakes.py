"""What is committed wakes the channels that have something to send, and no others."""

from pathlib import Path

import trio

from support.daemon_parts import Lines
from support.stored import T0, alert, delivery
from tocsin.app.components import Components
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.store.database import Database, inline
from tocsin.store.model import Batch, Loaded

CONFIG = "channels: {desk: 'json://127.0.0.1/', phone: {urls: ['json://127.0.0.1/', 'json://127.0.0.1/2']}}\n"


async def test_a_channel_is_woken_for_its_own_only(tmp_path: Path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "config.yaml").chmod(0o600)
    settings = load_settings(tmp_path / "config.yaml", validate_url=None)
    database = await Database.open(tmp_path / "state", now=T0, run_sync=inline)
    loaded = Loaded(entities=(), instances=(), alive=None)
    components = Components(settings, loaded, database, ManualClock(T0), Lines(), tmp_path)
    desk, phone = components.wakes.of("desk"), components.wakes.of("phone")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(components.pipeline.run)
        for n, channel in enumerate(("phone", "phone", "desk")):
            told = [delivery(f"d{n}", channel=channel)]
            await components.pipeline.call(lambda told=told: Batch(at=T0, alerts=[alert()], deliveries=told))
        nursery.cancel_scope.cancel()
    await database.close()
    assert (desk.count, phone.count) == (1, 2)
