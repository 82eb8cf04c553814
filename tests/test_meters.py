"""What is counted goes with the names of the config."""

from collections import Counter

import pytest

from tocsin.meters import Meters


def full() -> Meters:
    meters = Meters()
    for name in ("old", "new"):
        meters.venue(name).messages = meters.channel(name).dead = 3
        meters.action(name).observe(1.0)
        counted = meters.pipeline
        counted.events[name, "order", "live"] = counted.fired[name, "warning"] = 3
        counted.notifications[name, "firing"] = counted.runs[name, "ok"] = meters.answers[name, "ack"] = 3
    return meters


COUNTERS = {
    "venues": ("venues", "pipeline.events"),
    "channels": ("channels", "pipeline.notifications", "answers"),
    "actions": ("actions", "pipeline.runs"),
    "rules": ("pipeline.fired",),
}


@pytest.mark.parametrize("what", COUNTERS)
def test_what_a_reload_removes_begins_anew_when_it_is_back(what):
    meters = full()
    meters.forget(**{what: ("old",)})
    left = Counter()
    for names in COUNTERS.values():
        for name in names:
            counter = meters
            for part in name.split("."):
                counter = getattr(counter, part)
            left[name] = sum("old" in (key, key[0]) for key in counter)
            assert len(counter) == 1 + left[name]
    assert {name for name, count in left.items() if not count} == set(COUNTERS[what])
