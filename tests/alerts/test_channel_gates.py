"""What a channel does with a notification, and why: each gate by itself, in the words that explain and digests have."""

from datetime import UTC, datetime, timedelta

import pytest

from support.calendars import parse_calendar
from tocsin.alerts.channel_gates import ChannelGates, ChannelState, Gate, gate

NIGHT = parse_calendar("Europe/Berlin", ["22:00-06:00"])
ALWAYS = parse_calendar("UTC", ["00:00-24:00"])
EVENING, NOON = datetime(2026, 1, 1, 21, tzinfo=UTC), datetime(2026, 1, 2, 12, tzinfo=UTC)
QUIET = "the channel is quiet until 2026-01-02 06:00 CET"
STORM = "a storm on the channel: over 30 alerts in a minute"
CRITICALS = "a storm on the channel, and 10 critical alerts went out in a minute"
GATHERS = "the channel gathers for 30s"


def shut(by, reason, outcome="held"):
    return Gate(outcome, by, reason)


@pytest.mark.parametrize(
    ("told", "severity", "state", "found"),
    [
        ("firing", "warning", {"quiet": NIGHT}, shut("quiet", QUIET)),
        ("resolved", "info", {"quiet": NIGHT}, shut("quiet", QUIET)),
        ("reminder", "warning", {"quiet": NIGHT}, shut("quiet", QUIET, "dropped")),
        ("firing", "critical", {"quiet": NIGHT}, Gate()),
        ("firing", "warning", {"quiet": NIGHT, "now": NOON}, Gate()),
        ("firing", "warning", {"quiet": ALWAYS}, shut("quiet", "the channel is quiet")),
        ("digest", "warning", {"quiet": NIGHT, "in_storm": True}, Gate()),
        ("firing", "warning", {"in_storm": True}, shut("storm", STORM)),
        ("resolved", "warning", {"in_storm": True}, shut("storm", STORM)),
        ("reminder", "critical", {"in_storm": True}, shut("storm", "a storm on the channel", "dropped")),
        ("firing", "critical", {"in_storm": True, "critical_sent": 9}, Gate()),
        ("firing", "critical", {"in_storm": True, "critical_sent": 10}, shut("storm", CRITICALS)),
        ("resolved", "critical", {"in_storm": True}, shut("storm", CRITICALS)),
        ("firing", "warning", {"digest": timedelta(seconds=30)}, shut("digest", GATHERS)),
        ("reminder", "warning", {"digest": timedelta(seconds=30)}, shut("digest", GATHERS)),
        ("firing", "critical", {"digest": timedelta(seconds=30)}, Gate()),
        ("firing", "warning", {}, Gate()),
    ],
)
def test_what_a_channel_does(told, severity, state, found):
    written = {name: value for name, value in state.items() if name in ("quiet", "digest")}
    seen = {"now": EVENING} | {name: value for name, value in state.items() if name not in written}
    asked = ChannelState(gates=ChannelGates(storm=30, **written), **seen)
    assert gate(told, severity, asked) == found


@pytest.mark.parametrize(
    ("gates", "severity", "hours", "held"),
    [
        ({}, "warning", 2, 0),
        ({"digest": timedelta(hours=1)}, "warning", 2, 1),
        ({"digest": timedelta(hours=3)}, "warning", 2, 2),  # not longer than it waits
        ({"quiet": NIGHT}, "warning", 2, 2),
        ({"quiet": NIGHT}, "warning", 24, 8),
        ({"quiet": NIGHT}, "warning", 48, 16),
        ({"quiet": NIGHT, "digest": timedelta(hours=1)}, "warning", 24, 9),
        ({"quiet": ALWAYS}, "warning", 24, 24),
        ({"quiet": NIGHT, "digest": timedelta(hours=1)}, "critical", 24, 0),
    ],
)
def test_for_how_long_it_was_held(gates, severity, hours, held):
    since = EVENING
    found = ChannelGates(**gates).held(severity, since, since + timedelta(hours=hours))
    assert found == timedelta(hours=held)
