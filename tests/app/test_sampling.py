"""What charts are made of, by the whole daemon: written with alerts, and gone on with by the next run. Its clock is moved by hand."""

from datetime import UTC, datetime, timedelta

import pytest
import trio
import yaml

from support.by_hand import ByHand
from support.snapshots import World
from tocsin.app.parts import Parts
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.events import Account, Observation, Position, Venue, number, number_text
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

pytestmark = pytest.mark.real

BEGIN = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)
RULES = [{"id": "red", "watch": "position", "when": "profit < -50", "notify": []}]


@pytest.fixture
def clock():
    """trio's, too: what pytest-trio finds among the fixtures."""
    return ManualClock(BEGIN)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(Parts, "_start_venue", lambda _parts, _name: None)  # what it says is put in here
    venue = {"type": "yourfintech", "url": "ws://127.0.0.1:9/", "secret_key": "none-at-all"}
    config = {
        "state_dir": "state",
        "venues": {"fx": venue},
        "channels": {"desk": "json://127.0.0.1:9/"},
        "rules": RULES,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return load_settings(tmp_path / "config.yaml", environ={"HOME": str(tmp_path)}, validate_url=None)


async def connect(daemon):
    link = Venue(id="fx", status="connected", since=daemon.clock.now().wall)
    await daemon.put(Observation(state=link, event="venue.connected", origin="synthetic"))


async def say(daemon, profit, balance):
    position = Position(id="p1", symbol="BTCUSD", side="long", profit=number(profit), currency="USD")
    await daemon.put(Observation(state=position, account="a1"))
    await daemon.put(Observation(state=Account(id="a1", balance=number(balance), currency="USD")))


async def pass_(daemon, seconds, step=5):
    for _ in range(seconds // step):
        await daemon.advance(step)
        await daemon.settle()


async def test_trails_and_worth_go_on_over_a_restart(clock, settings, tmp_path):
    reader = Reader(settings.state_dir / DATABASE)
    async with ByHand.running(settings, tmp_path, clock) as daemon:
        await connect(daemon)
        await say(daemon, "-10", "100.00")
        # What an earlier run kept is read first, however long that takes.
        await daemon.clocked(lambda: daemon.daemon.snapshot().closest)
        await pass_(daemon, 5)
        await say(daemon, "-60.50", "90.00")
        await pass_(daemon, 60)
        (firing,) = daemon.daemon.snapshot().alerts
        shown = daemon.daemon.snapshot().trails[firing.rule, firing.instance]
        assert [str(point.value) for point in (shown[0], shown[-1])] == ["-10", "-60.50"]
        await daemon.really(lambda: str(reader.trail(firing.alert)[-1][1]) == "-60.50")
        await daemon.clocked(lambda: len(reader.equity("fx", "a1", BEGIN)) == 2)
        worth = daemon.daemon.equity("fx", "a1")
        assert [number_text(point.value) for point in worth] == ["90", "29.5"], "balance and profit"
    kept = reader.trail(firing.alert)
    assert str(kept[0][1]) == "-10", "as it was before it fired"
    assert reader.equity("fx", "a1", BEGIN) == [(point.at, point.value) for point in worth]
    async with ByHand.running(settings, tmp_path, clock) as daemon:
        await daemon.really(lambda: daemon.daemon.equity("fx", "a1"))
        assert daemon.daemon.equity("fx", "a1") == worth
        await connect(daemon)
        await say(daemon, "-70", "80.00")
        await pass_(daemon, 60)
        (again,) = daemon.daemon.snapshot().alerts
        assert again.alert == firing.alert
        line = daemon.daemon.snapshot().trails[firing.rule, firing.instance]
        assert [str(point.value) for point in (line[0], line[-1])] == ["-10", "-70"]
        points = daemon.daemon.equity("fx", "a1")
        assert [number_text(point.value) for point in points] == ["90", "29.5", "10"], "90 USD less by 80"
        await daemon.really(lambda: str(reader.trail(firing.alert)[-1][1]) == "-70")
        await say(daemon, "-20", "85.00")
        await pass_(daemon, 20)
        await daemon.really(lambda: str(reader.trail(firing.alert)[-1][1]) == "-20")
    times = [at for at, _ in reader.trail(firing.alert)]
    assert times == sorted(times)
    assert times[-1] - times[0] < timedelta(minutes=3)


async def test_without_a_database_that_can_be_read_charts_begin_anew():
    world = World(*RULES)
    with trio.move_on_after(0.2):
        await world.sampling.run()
    assert world.log.lines == ["warning: charts begin anew"]
