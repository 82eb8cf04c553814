"""`tocsin demo`: what a new user sees first."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

VENUES = ("yourfintech", "topone", "piexgo", "wealthsimple", "glocalflex")
MISSION = (  # the three kinds of alert that the project exists for
    "firing: profit -60.25 < -50",
    "resolved: profit -22.1 > -40",
    "firing: order.canceled",
    "firing: contract.settlement_completed_success",
)


def test_within_fifteen_seconds_everything_was_told(tmp_path):
    before = set(Path(tempfile.gettempdir()).glob("tocsin-demo-*"))
    shown = subprocess.run(
        [sys.executable, "-m", "tocsin", "demo", "--seconds", "15"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    messages, _, summary = shown.stdout.rpartition("alerts of")
    for told in MISSION:
        assert told in messages
    for venue in VENUES:
        assert re.search(rf"where: {venue}\b", messages), venue
    rules = set(re.findall(r"^ +rule: (\S+),", messages, re.MULTILINE))
    assert len(rules) >= 8
    assert "rules at 5 venues" in summary
    assert "\x1b" not in shown.stdout
    assert list(tmp_path.iterdir()) == []
    assert set(Path(tempfile.gettempdir()).glob("tocsin-demo-*")) <= before
