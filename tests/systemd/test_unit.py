"""What systemd itself says of the unit, without running it."""

import re
import shutil
import subprocess
import sys

import pytest

from support.installing import UNIT

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian: apt install systemd)"
    ),
]


def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path):
    # It looks whether the programs exist: any that does will do here. The booted test verifies the unit as it is.
    unit = tmp_path / UNIT.name
    program = tmp_path / "program"  # whose path has no blank, whatever this checkout's has
    program.symlink_to(sys.executable)
    unit.write_text(UNIT.read_text().replace("/opt/tocsin/bin/tocsin", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_leaves_little_open():
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT]
    told = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    exposure = re.search(r"Overall exposure level .*: ([0-9.]+)", told)
    assert exposure is not None
    assert float(exposure[1]) <= 1.5, told
