"""The service under a real systemd, from the image that systemd/install made."""

import json
import os
import re
import time
from contextlib import contextmanager

import pytest

from support.booted import Booted
from support.installing import boot

pytestmark = [pytest.mark.systemd, pytest.mark.real]

SECRETS = {"piexgo_key": "k3y-of-the-exchange", "piexgo_secret": "s3cret-of-the-exchange"}
CONFIG = """\
venues:
  exchange:                 # there is no network here: it stays away, and that is nobody's fault
    type: piexgo
    api_key: ${cred:piexgo_key}
    api_secret: ${cred:piexgo_secret}
    streams: [pinfo]
channels:
  hook: json://127.0.0.1:8099/
rules:
  - rules/*.yaml
  - id: it-began
    watch: daemon.started
"""
RECEIVER = """
import http.server, pathlib
class Keep(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with pathlib.Path("/run/received").open("ab") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\\n")
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8099), Keep).serve_forever()
"""


class Service:
    """The service of the image, on the booted machine."""

    def __init__(self, machine: Booted) -> None:
        self.machine = machine

    def configure(self, text: str) -> None:
        self.machine.out("sh", "-c", "cat > /etc/tocsin/config.yaml", text=text)

    def drop_in(self, text: str) -> None:
        folder = "/run/systemd/system/tocsin.service.d"
        self.machine.out("sh", "-c", f"mkdir -p {folder}; cat > {folder}/test.conf", text=text)
        self.machine.out("systemctl", "daemon-reload")

    def start_afresh(self) -> None:
        self.machine.run("systemctl", "stop", "tocsin")
        self.machine.out(
            "rm", "-rf", "/run/systemd/system/tocsin.service.d", "/var/lib/tocsin", "/run/received"
        )
        self.machine.out("systemctl", "daemon-reload")
        self.machine.run("systemctl", "reset-failed", "tocsin")
        self.configure(CONFIG)
        started = self.machine.run("systemctl", "start", "tocsin")
        assert started.returncode == 0, started.stderr + self.journal()

    def __getitem__(self, name: str) -> str:
        """A property, as systemd tells it."""
        return self.machine.out("systemctl", "show", "--value", "-p", name, "tocsin")

    def restarted(self, before: str) -> bool:
        return self["MainPID"] not in ("0", before) and self["SubState"] == "running"

    def journal(self) -> str:
        self.machine.out("journalctl", "--sync")
        invocation = self["InvocationID"]
        return self.machine.out("journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={invocation}")


@pytest.fixture(scope="module")
def machine(image, tmp_path_factory):
    with boot(image, tmp_path_factory.mktemp("boot") / "work") as booted:
        for name, secret in SECRETS.items():
            booted.out("sh", "-c", f"umask 077; cat > /etc/tocsin/secrets/{name}", text=secret + "\n")
        booted.out("useradd", "--no-create-home", "--groups", "tocsin", "teller")
        booted.out("systemd-run", "--unit=receiver", "/usr/bin/python3", "-c", RECEIVER)
        yield booted


@pytest.fixture
def service(machine):
    service = Service(machine)
    service.start_afresh()
    return service


def test_systemd_finds_nothing_to_say_about_the_installed_unit(machine):
    done = machine.run("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/tocsin.service")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_start_returns_when_the_daemon_is_ready(service):
    # No waiting here: Python alone takes longer to start than these three questions.
    assert service["StatusText"].startswith("1 venues")
    assert service["Type"] == "notify"
    state = json.loads(service.machine.out("tocsin", "status", "--json"))
    assert state["healthy"] is True
    assert state["config"] == "/etc/tocsin/config.yaml"
    assert state["state_dir"] == "/var/lib/tocsin"
    assert str(state["pid"]) == service["MainPID"]


def test_who_may_read_what(service):
    def standing(path):
        return service.machine.out("stat", "-c", "%a %U:%G", path)

    assert standing("/var/lib/tocsin") == "700 tocsin:tocsin"
    assert standing("/var/lib/tocsin/tocsin.db") == "600 tocsin:tocsin"
    assert standing("/run/tocsin") == "755 tocsin:tocsin"
    assert standing("/run/tocsin/control.sock") == "660 tocsin:tocsin"
    assert standing("/etc/tocsin") == "755 root:root"
    assert standing("/etc/tocsin/config.yaml") == "640 root:tocsin"
    assert standing("/etc/tocsin/secrets") == "700 root:root"
    assert standing(f"/proc/{service['MainPID']}") == "555 tocsin:tocsin"


def test_members_of_the_group_may_ask_and_others_are_told_why_not(service):
    asked = service.machine.run("runuser", "-u", "teller", "--", "tocsin", "status")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert "answered at /run/tocsin/control.sock" in asked.stdout
    refused = service.machine.run("runuser", "-u", "nobody", "--", "tocsin", "status")
    assert refused.returncode == 1
    assert (
        "a Tocsin daemon is there, at /run/tocsin/control.sock, but nobody may not ask it" in refused.stderr
    )
    assert "sudo usermod -aG tocsin nobody" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_secrets_reach_the_daemon_and_nothing_else(service):
    # Without them it wouldn't run: a reference that stands for nothing is a config error.
    environment = service.machine.out("cat", f"/proc/{service['MainPID']}/environ")
    assert "CREDENTIALS_DIRECTORY=" in environment
    for told in (environment, service.journal(), service.machine.out("systemctl", "show", "tocsin")):
        for secret in SECRETS.values():
            assert secret not in told


def test_an_alert_leaves_the_sandbox(service):
    def received():
        return service.machine.run("cat", "/run/received").stdout

    told = service.machine.until(lambda: "it-began" in received() and received(), 20)
    assert json.loads(told.splitlines()[0])["title"]


def test_a_reload_takes_the_new_config_without_a_restart(service):
    process = service["MainPID"]
    service.configure(CONFIG + "  - id: brand-new\n    watch: daemon.stopping\n")
    service.machine.out("systemctl", "reload", "tocsin")
    assert "rule brand-new added" in service.journal()
    assert (service["MainPID"], service["SubState"]) == (process, "running")


def test_a_broken_config_fails_the_reload_and_the_daemon_goes_on(service):
    process = service["MainPID"]
    service.configure(CONFIG.replace("it-began", "it-began\n    wach: nothing"))
    reload = service.machine.run("systemctl", "reload", "tocsin")
    assert reload.returncode != 0
    assert "/etc/tocsin/config.yaml:12:5: error" in service.journal()
    assert (service["MainPID"], service["SubState"]) == (process, "running")
    assert service.machine.run("tocsin", "status").returncode == 0


def test_a_secret_that_is_not_there_is_told_with_what_to_do(service):
    service.configure(CONFIG.replace("piexgo_key}", "piexgo_other}"))
    assert service.machine.run("systemctl", "reload", "tocsin").returncode != 0
    assert "keep it in /etc/tocsin/secrets/piexgo_other, then restart the service" in service.journal()


def test_signing_in_by_hand_works_as_the_service(service):
    done = service.machine.run(
        "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "User=tocsin", "-p", "StateDirectory=tocsin",
        "-p", "StateDirectoryMode=0700", "-p", "LoadCredential=tocsin:/etc/tocsin/secrets",
        "tocsin", "login", "exchange", "--config", "/etc/tocsin/config.yaml",
    )  # fmt: skip
    # There is no network here; with the service's secrets and state it gets as far as the venue's name.
    assert done.returncode == 1
    assert "not signed in: " in done.stderr
    assert "api.piexgo.com:443" in done.stderr


def test_a_killed_daemon_is_started_again(service):
    process = service["MainPID"]
    service.machine.out("kill", "-KILL", process)
    service.machine.until(lambda: service.restarted(process), 20)
    assert service["NRestarts"] == "1"
    assert service.machine.run("tocsin", "status").returncode == 0


def test_a_daemon_that_makes_no_progress_is_started_again(service):
    assert service["WatchdogUSec"] == "30s"
    service.drop_in("[Service]\nWatchdogSec=3\n")
    service.machine.out("systemctl", "restart", "tocsin")
    process = service["MainPID"]
    # A daemon that moves feeds the watchdog, and is left alone for longer than its patience.
    patience = int(service["ActiveEnterTimestampMonotonic"]) + 4_000_000
    service.machine.until(lambda: int(service["WatchdogTimestampMonotonic"]) > patience, 20)
    assert service["MainPID"] == process
    service.machine.out("kill", "-STOP", process)
    service.machine.until(lambda: service.restarted(process), 20)
    assert "Watchdog timeout" in service.machine.out("journalctl", "-u", "tocsin", "-o", "cat")


VENUE = """
import json, pathlib, trio
from tocsin.simulator import yourfintech
async def main():
    venue = yourfintech.Yourfintech()
    async with trio.open_nursery() as nursery:
        await nursery.start(venue.serve)
        pathlib.Path("/run/venue").write_text(json.dumps(dict(venue.settings())))
        while not pathlib.Path("/run/fall").exists():
            await trio.sleep(0.05)
        for what, profit in (("created", -0.25), ("updated", -0.51)):
            venue.push(yourfintech.position(what, "p1", profit=profit, entry=89788.01))
        await trio.sleep_forever()
trio.run(main)
"""
EATER = """#!/usr/bin/python3
print("hungry", flush=True)
eaten = []
for _ in range(2000):
    eaten.append(b"x" * (1 << 20))
"""


@contextmanager
def little_memory(service):
    """The service may use so much more that something smaller than the daemon fills it. Skips where nobody can be held to that.

    Where systemd has the machine's memory to share out (cgroup v2) it does that; else the kernel, by a cgroup of version 1.
    """
    machine, process = service.machine, service["MainPID"]
    status = machine.out("cat", f"/proc/{process}/status")
    more = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024 * 7 // 10
    if "memory" in machine.out("cat", "/sys/fs/cgroup/cgroup.controllers").split():
        most = int(service["MemoryCurrent"]) + more
        machine.out("systemctl", "set-property", "--runtime", "tocsin", f"MemoryMax={most}")
        yield lambda: machine.out("cat", f"/sys/fs/cgroup{service['ControlGroup']}/memory.events")
        return
    if machine.run(
        "sh", "-c", "mkdir -p /run/memory && mount -t cgroup -o memory cgroup /run/memory"
    ).returncode:
        pytest.skip("nobody holds processes to a limit of memory here")
    cgroup = f"/run/memory/tocsin-test-{os.getpid()}"
    machine.out("mkdir", cgroup)
    try:
        machine.out(
            "sh",
            "-c",
            f"echo {more} > {cgroup}/memory.limit_in_bytes && echo {process} > {cgroup}/cgroup.procs",
        )
        yield lambda: machine.out("cat", f"{cgroup}/memory.oom_control")
    finally:
        machine.run("systemctl", "stop", "tocsin")
        machine.out("rmdir", cgroup)
        machine.out("umount", "/run/memory")


def test_a_command_that_eats_memory_is_ended_and_the_daemon_goes_on(service):
    """The kernel chooses it, though the daemon is larger; systemd takes nothing along, and people are told."""
    machine = service.machine
    machine.out("install", "-m", "755", "/dev/stdin", "/usr/local/bin/eat", text=EATER)
    machine.out("systemd-run", "--unit=venue", "/opt/tocsin/bin/python", "-c", VENUE)
    venue = machine.until(lambda: machine.run("cat", "/run/venue").stdout, 20)
    service.configure(json.dumps({
        "venues": {"fx": json.loads(venue)},
        "channels": {"hook": "json://127.0.0.1:8099/"},
        "actions": {"eat": {"command": ["/usr/local/bin/eat"]}},
        "rules": [{"id": "red", "watch": "position", "when": "profit < -0.5", "run": ["eat"]}],
    }))  # fmt: skip
    machine.out("systemctl", "restart", "tocsin")
    machine.until(lambda: "connected" in machine.out("tocsin", "status"), 20)
    process = service["MainPID"]

    def ended():
        runs = json.loads(machine.out("tocsin", "actions", "--json"))["runs"]
        return runs and runs[0]["ended_at"] and runs[0]

    with little_memory(service) as killed:
        machine.out("touch", "/run/fall")
        run = machine.until(ended, 30)
        assert re.search(r"^oom_kill 1$", killed(), re.MULTILINE)
        assert (run["status"], run["result"], run["output"]) == ("failed", "SIGKILL", "hungry\n")
        told = "it was ended by SIGKILL: out of memory?"
        assert run["reason"] == told
        received = machine.until(
            lambda: told in (text := machine.run("cat", "/run/received").stdout) and text, 20
        )
        message = next(json.loads(line) for line in received.splitlines() if told in line)
        assert message["title"].startswith(f"🟠 eat: failed: {told}: -0.51 USD BTCUSD long")
        assert (service["MainPID"], service["SubState"], service["NRestarts"]) == (process, "running", "0")
        assert service["OOMPolicy"] == "continue"
        assert json.loads(machine.out("tocsin", "status", "--json"))["healthy"] is True


WHAT_IF = """
import sys
from pathlib import Path
import trio
from tocsin.page.what_if import WhatIfFailed, WhatIfs
class Log:
    def error(self, event, **said): print(event, said)
asked = WhatIfs(Path("/etc/tocsin/config.yaml"), Log(), within=120.0, memory=int(sys.argv[1]) << 20)
try:
    found = trio.run(asked.ask, ("it-began.cooldown=1h",))
    print("told:", found.coverage[0].words)
except WhatIfFailed as error:
    print("told:", error)
"""


@pytest.mark.parametrize(
    ("memory", "told"),
    [(512, "told: daemon.started kept 1 time in "), (40, "told: it was ended: more memory than 40 MiB")],
)
def test_a_what_if_of_the_page_runs_in_the_sandbox(service, memory, told):
    """In the daemon's place a program asks for it, under all that the unit forbids; with the daemon's credentials."""
    machine = service.machine
    machine.out("systemctl", "stop", "tocsin")
    machine.out("sh", "-c", "cat > /run/what_if.py", text=WHAT_IF)
    service.drop_in(
        f"[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nTimeoutStartSec=180\n"
        f"ExecStart=\nExecStart=/opt/tocsin/bin/python /run/what_if.py {memory}\nStandardOutput=truncate:/run/told\n"
    )
    machine.out("systemctl", "start", "tocsin")
    assert told in machine.out("cat", "/run/told")


def test_it_stops_within_ten_seconds_and_cleanly(service):
    began = time.monotonic()
    service.machine.out("systemctl", "stop", "tocsin")
    assert time.monotonic() - began < 10
    assert (service["Result"], service["ExecMainStatus"], service["ActiveState"]) == (
        "success",
        "0",
        "inactive",
    )
    assert service.machine.run("test", "-e", "/run/tocsin/control.sock").returncode == 1


def test_a_config_that_can_not_be_used_is_not_tried_again(service):
    service.configure("rules: 5\n")
    assert service.machine.run("systemctl", "restart", "tocsin").returncode != 0
    # Were it to be tried again, its state would be `activating` until then.
    assert (service["ExecMainStatus"], service["ActiveState"]) == ("78", "failed")
    assert service["NRestarts"] == "0"


def test_a_second_daemon_on_the_same_state_is_refused(service):
    second = service.machine.run(
        "systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "User=tocsin",
        "-p", "LoadCredential=tocsin:/etc/tocsin/secrets", "-p", "Environment=STATE_DIRECTORY=/var/lib/tocsin",
        "/opt/tocsin/bin/tocsin", "run", "--config", "/etc/tocsin/config.yaml",
    )  # fmt: skip
    assert second.returncode == 78
    assert service["MainPID"] in second.stderr


OFFLINE_PYTHON = """#!/bin/sh
# The machine of the test has no network: what pip would bring is there already.
case "$*" in *"-m pip --python"*) exit 0 ;; esac
exec /usr/bin/python3 "$@"
"""


def test_installing_again_starts_the_daemon_anew_and_uninstalling_stops_it(image, tmp_path):
    with boot(image, tmp_path / "work") as machine:
        service = Service(machine)
        service.configure("rules:\n  - rules/*.yaml\n")
        machine.out("systemctl", "enable", "--now", "tocsin")
        machine.out(
            "install", "-m", "755", "/dev/stdin", "/usr/local/bin/offline-python", text=OFFLINE_PYTHON
        )
        process = service["MainPID"]
        told = machine.out("/srv/checkout/systemd/install", "--python", "/usr/local/bin/offline-python")
        assert "was started anew" in told
        assert service.restarted(process)

        process = service["MainPID"]
        service.configure("rules: 5\n")
        refused = machine.run("/srv/checkout/systemd/install", "--python", "/usr/local/bin/offline-python")
        assert refused.returncode == 1
        assert "the new version refuses your config" in refused.stderr
        assert "/etc/tocsin/config.yaml:1:8: error" in refused.stderr
        assert (service["MainPID"], service["SubState"]) == (process, "running")

        told = machine.out("/srv/checkout/systemd/install", "--uninstall", "--purge", "--dry-run")
        assert "would run: systemctl disable --now tocsin.service" in told
        assert "is gone" not in told
        assert (service["MainPID"], service["SubState"]) == (process, "running")

        machine.out("/srv/checkout/systemd/install", "--uninstall")

        assert service["LoadState"] == "not-found"
        assert machine.run("pgrep", "-u", "tocsin").returncode == 1
        machine.out("test", "-e", "/var/lib/tocsin/tocsin.db")
        machine.out("/srv/checkout/systemd/install", "--uninstall", "--purge")
        assert machine.run("getent", "passwd", "tocsin").returncode == 2
        assert machine.run("test", "-e", "/var/lib/tocsin").returncode == 1
