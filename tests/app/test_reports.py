"""A report at its own times, by the whole daemon: its clock is moved by hand, what it sends arrives at a web server."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from support.by_hand import ByHand
from support.receivers import HttpReceiver
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.events import Observation, Position, Venue, iso, number

pytestmark = pytest.mark.real

FIRST, SECOND = (datetime(2026, 1, 5, 18, minute, tzinfo=UTC) for minute in (0, 5))  # a Monday
BEGIN = FIRST - timedelta(minutes=3)
RED = {"id": "red", "watch": "position", "when": "profit < -50", "notify": "desk"}
_SENT = "SELECT count(*) FROM deliveries WHERE state_told = 'report' AND status = 'sent'"
_MADE = "SELECT count(*) FROM deliveries WHERE state_told = 'report' AND created_at = :at"


@pytest.fixture
def clock():
    """trio's, too: what pytest-trio finds among the fixtures."""
    return ManualClock(BEGIN)


@pytest.fixture
def phone():
    with HttpReceiver() as phone:
        yield phone


@pytest.fixture
def settings(tmp_path, phone):
    config = {
        "state_dir": "state",
        "tz": "UTC",
        "channels": {"phone": phone.url, "desk": phone.url.replace("/alerts", "/desk")},
        "rules": [RED],
        "reports": [{"id": "evening", "at": ["18:00", "mon-fri 18:05"], "notify": ["phone"]}],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return load_settings(tmp_path / "config.yaml", environ={"HOME": str(tmp_path)}, validate_url=None)


async def test_it_is_told_at_its_times_of_what_happened_since(clock, settings, phone, tmp_path):
    def titles():
        return [request.json["title"] for request in list(phone.requests) if request.path == "/alerts"]

    async def profit(said):
        position = Position(id="p1", symbol="BTCUSD", side="long", profit=number(said), currency="USD")
        await daemon.put(Observation(state=position, account="a1"))

    async def told(count):
        """Until so many are, and that is known: the clock that goes on would end what is under way."""
        await daemon.really(lambda: daemon.count(_SENT) == count)

    async with ByHand.running(settings, tmp_path, clock) as daemon:
        link = Venue(id="fx", status="connected", since=BEGIN)
        await daemon.put(Observation(state=link, event="venue.connected", origin="synthetic"))
        await profit("-10")
        await profit("-60")
        await daemon.until(FIRST - timedelta(seconds=1))
        assert titles() == []
        await daemon.until(FIRST)
        await told(1)
        await daemon.until(FIRST + timedelta(minutes=1))
        await profit("-5")
        await profit("-80")
        await daemon.until(SECOND - timedelta(seconds=1))
        assert titles() == ["🔵 evening: 1 firing, 1 alert since Sun 18:00, 1 position -60 USD"]
        await daemon.until(SECOND)
        await told(2)
        await daemon.until(SECOND + timedelta(minutes=2))
        made = [daemon.count(_MADE, at=iso(at)) for at in (FIRST, SECOND)]
    assert titles()[1:] == ["🔵 evening: 1 firing, 1 alert since 18:00, 1 position -80 USD"]
    assert made == [1, 1]
