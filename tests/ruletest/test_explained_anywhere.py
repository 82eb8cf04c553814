"""`tocsin explain` says the same while the daemon runs and of what it left, whatever happened."""

from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.explained import explained_twice
from support.happenings import BOTH, ORDERS, RULES, STEPS
from support.models import model

SHARED_MEMORY = Path("/dev/shm")  # its commits wait for no disk
ALL = yaml.safe_load(RULES)["rules"]
RULES_OFTEN = [
    *ALL,
    {"id": "off", "watch": "position", "when": "profit < 0", "enabled": False},
    {"id": "windows", "watch": "order.canceled", "when": "highest(price, 5m) > 1", "cooldown": "2m"},
    {"id": "account", "watch": "order.canceled", "when": "account.margin_level < 60"},
    {"id": "market", "watch": "order.canceled", "when": "ticker.last > 95"},
    {"id": "marked", "watch": "position", "when": 'ticker.last > 100 and venue.status == "connected"'},
    {
        "id": "samples",
        "watch": "ticker",
        "when": "highest(last, 3 samples) > 105 and times(last > 100, 3 samples) >= 2",
    },
]


@model(suite=15, many=200)
@given(said=STEPS | ORDERS, restarts=st.sets(st.integers(0, 13), max_size=2), later=st.integers(1, 400))
def test_with_and_without_the_daemon(said, restarts, later):
    steps = [{"at": "0s", "venue": venue, "account": {"id": "a1", "margin_level": 100}} for venue in BOTH]
    at = 0
    for number, (after, step) in enumerate(said):
        if number in restarts:
            steps.append({"at": f"{at + after // 2}s", "restart": True})
        at += after
        steps.append({"at": f"{at}s", **step})
    with TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        asked = [(rule["id"], None) for rule in RULES_OFTEN]
        live, stored = explained_twice(Path(folder), RULES_OFTEN, steps, f"{at + later}s", asked)
    assert stored == live
