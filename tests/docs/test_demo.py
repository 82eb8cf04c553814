"""`tocsin demo`: what a new user sees first."""

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from tocsin.simulator import Exchange

pytestmark = pytest.mark.real

VENUES = [venue.type for venue in Exchange().all()]
MISSION = (  # the three kinds of alert that the project exists for
    "firing: profit -60.25 < -50",
    "resolved: profit -22.1 > -40",
    "firing: order.canceled",
    "firing: contract.settlement_completed_success",
)


@pytest.fixture
def temporary():
    """A folder for the demo's own, with a name short enough for the path of a socket in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


# A machine that is busy with other work tells the same later.
SECONDS = 15 if os.getloadavg()[0] <= (os.cpu_count() or 1) else 60


def test_within_fifteen_seconds_everything_was_told(tmp_path, temporary):
    shown = subprocess.run(
        [sys.executable, "-m", "tocsin", "demo", "--seconds", str(SECONDS)],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=180,
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
    assert f"rules at {len(VENUES)} venues" in summary
    assert "\x1b" not in shown.stdout
    assert list(tmp_path.iterdir()) == list(temporary.iterdir()) == []


LISTENS = "0A"  # the state in /proc/net/tcp


def listening(pid):
    """The addresses on which a process waits for connections, as /proc tells them: `127.0.0.1`, `::`."""
    held = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = row.split()
            if state == LISTENS and f"socket:[{rest[5]}]" in held:
                address = local.partition(":")[0]
                words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
                found.append(socket.inet_ntop(family, packed))
    return found


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="there is no /proc to look at")
def test_nobody_but_this_machine_can_reach_it(tmp_path, temporary):
    with subprocess.Popen(
        [sys.executable, "-m", "tocsin", "demo", "--seconds", "60"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as demo:
        try:
            assert demo.stdout is not None
            assert demo.stdout.readline().startswith(f"Tocsin's demo: {len(VENUES)} simulated venues")
            addresses = listening(demo.pid)
        finally:
            demo.terminate()
            demo.communicate(timeout=180)
    assert len(addresses) == len(VENUES) + 2, (
        "the venues, a second port of one, and where the messages arrive"
    )
    assert set(addresses) == {"127.0.0.1"}


def test_the_link_that_it_prints_signs_in_to_the_page(tmp_path, temporary):
    with (
        subprocess.Popen(
            [sys.executable, "-m", "tocsin", "demo", "--page", "--seconds", "120"],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as demo,
        httpx.Client(follow_redirects=True, timeout=60) as browser,
    ):
        try:
            printed = "".join(demo.stdout.readline() for _ in range(3))
            link = re.search(r"http://127\.0\.0\.1:\d+/login\S+", printed)[0]
            address = link.partition("/login")[0]
            assert "Sign in as demo" in browser.get(link).text
            secret = re.search(r"link=([\w-]+)", link)[1]
            page = browser.post(f"{address}/login", data={"link": secret}, headers={"Origin": address})
            assert (page.status_code, page.url.path) == (200, "/")
            assert "Closest to firing" in page.text
            assert all(venue in page.text for venue in VENUES)
            assert httpx.get(f"{address}/api/overview", timeout=60).status_code == 401
        finally:
            demo.terminate()
            demo.communicate(timeout=180)
