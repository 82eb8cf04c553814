"""systemd/install into a scratch root: what it makes, what it keeps, what it refuses."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from support.installing import INSTALL, install
from tocsin.shipped import shipped

pytestmark = pytest.mark.real

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="systemd/install needs root")


def standing(root: Path, path: str) -> tuple[str, bool]:
    """The mode, and whether the group is the service's."""
    found = (root / path).lstat()
    line = next(line for line in (root / "etc/group").read_text().splitlines() if line.startswith("tocsin:"))
    return f"{stat.S_IMODE(found.st_mode):o}", found.st_gid == int(line.split(":")[2])


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("etc/tocsin", ("755", False)),
        ("etc/tocsin/config.yaml", ("640", True)),
        ("etc/tocsin/rules", ("750", True)),
        ("etc/tocsin/rules/positions.yaml", ("640", True)),
        ("etc/tocsin/secrets", ("700", False)),
        ("etc/systemd/system/tocsin.service", ("644", False)),
        ("opt/tocsin/bin", ("755", False)),
    ],
)
def test_who_may_read_what(image, path, expected):
    assert standing(image, path) == expected
    assert (image / path).lstat().st_uid == 0


def test_the_program_runs_from_its_own_environment(image):
    assert (image / "usr/local/bin/tocsin").readlink() == Path("/opt/tocsin/bin/tocsin")
    assert (image / "opt/tocsin/bin/tocsin").read_text().startswith("#!/opt/tocsin/bin/python\n")
    code = "import tocsin; print(tocsin.__file__)"
    told = subprocess.run(
        [image / "opt/tocsin/bin/python", "-I", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert Path(told.stdout.strip()).is_relative_to(image / "opt/tocsin/lib")  # not the checkout


def test_the_example_config_and_the_shipped_rules_are_there(image):
    etc = image / "etc/tocsin"
    assert (etc / "config.yaml").read_bytes() == shipped("config.example.yaml").read_bytes()
    rules = shipped("rules")
    for rule_file in rules.rglob("*.yaml"):
        assert (etc / "rules" / rule_file.relative_to(rules)).read_bytes() == rule_file.read_bytes()


def test_the_account_can_not_be_logged_into(image):
    (line,) = [line for line in (image / "etc/passwd").read_text().splitlines() if line.startswith("tocsin:")]
    assert line.endswith(":/var/lib/tocsin:/usr/sbin/nologin")


def test_installing_again_keeps_what_people_wrote_and_brings_back_what_is_missing(copy_of_image):
    etc = copy_of_image / "etc/tocsin"
    (etc / "config.yaml").write_text("# mine\n")
    (etc / "secrets/token").write_text("t0ken\n")
    (etc / "rules/orders.yaml").unlink()
    (copy_of_image / "etc/systemd/system/tocsin.service").write_text("[Service]\nExecStart=/old\n")
    before = everything(copy_of_image)

    done = install("--root", copy_of_image)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (etc / "config.yaml").read_text() == "# mine\n"
    assert (etc / "secrets/token").read_text() == "t0ken\n"
    assert "Type=notify" in (copy_of_image / "etc/systemd/system/tocsin.service").read_text()
    new = {path for path in everything(copy_of_image) - before if path.startswith("etc/tocsin")}
    assert new == {"etc/tocsin/rules/orders.yaml"}
    assert (copy_of_image / "opt/tocsin/bin/tocsin").read_text().startswith("#!/opt/tocsin/bin/python\n")


def test_uninstalling_keeps_config_secrets_and_state(copy_of_image):
    state = copy_of_image / "var/lib/tocsin"
    state.mkdir(parents=True)
    (state / "tocsin.db").touch()

    done = install("--root", copy_of_image, "--uninstall")

    assert done.returncode == 0, done.stderr
    left = everything(copy_of_image)
    assert {"etc/tocsin/config.yaml", "var/lib/tocsin/tocsin.db"} <= left
    assert not {path for path in left if path.startswith(("opt/", "usr/", "etc/systemd/"))}
    assert "tocsin:" in (copy_of_image / "etc/passwd").read_text()


def test_purging_leaves_nothing(copy_of_image):
    with (copy_of_image / "etc/group").open("a") as group:
        group.write("other:x:60123:\n")
    (copy_of_image / "var/lib/tocsin").mkdir(parents=True)

    done = install("--root", copy_of_image, "--uninstall", "--purge")

    assert done.returncode == 0, done.stderr
    for gone in ("etc/tocsin", "var/lib/tocsin", "opt/tocsin", "usr/local/bin/tocsin"):
        assert not os.path.lexists(copy_of_image / gone)
    assert "tocsin:" not in (copy_of_image / "etc/passwd").read_text()
    assert "other:" in (copy_of_image / "etc/group").read_text()
    again = install("--root", copy_of_image, "--uninstall", "--purge")
    assert again.returncode == 0, again.stderr


def test_a_dry_run_changes_nothing_and_names_every_step(tmp_path):
    done = install("--root", tmp_path, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    for step in ("systemd-sysusers", "-m venv", "-m pip", "tocsin init", "tocsin.service"):
        assert step in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--frobnicate"], 2, "no such option: --frobnicate"),
        (["--root"], 2, "--root needs a value"),
        (["--root", ""], 2, "--root needs a value"),
        (["--purge"], 2, "--purge goes with --uninstall"),
        (["--root", "/nowhere/at/all"], 1, "there is no directory /nowhere/at/all"),
    ],
)
def test_wrong_usage_is_told(arguments, status, told):
    done = install(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr


def test_help_names_every_option():
    told = install("--help")
    assert told.returncode == 0
    for option in ("--python", "--root", "--uninstall", "--purge", "--dry-run"):
        assert option in told.stdout


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="no setpriv to be another user with"
)
def test_it_needs_root(tmp_path):
    """Said also where that other user may not look about."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*other, "sh", "-s", "--", "--root", "/"],
        cwd=tmp_path,
        check=False,
        input=INSTALL.read_text(),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 1
    assert "this needs root" in done.stderr


def fake_python(folder: Path, body: str) -> Path:
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    return python


@needs_root
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("exit 1", "doesn't run"),
        (
            'case "$*" in *base_prefix*) echo /usr;; --version) echo Python 3.10.4;; *) exit 1;; esac',
            "Python 3.10.4 is too old",
        ),
        (
            'case "$*" in *base_prefix*) echo /home/me/python;; esac',
            "lives in /home/me/python, where the service can't see it",
        ),
        ('case "$*" in *base_prefix*) echo /usr;; *pip*) exit 1;; esac', "has no pip"),
        ('case "$*" in *base_prefix*) echo /usr;; *venv*) exit 1;; esac', "has no venv"),
    ],
)
def test_a_python_that_will_not_do_is_refused_before_anything_is_made(tmp_path, body, told):
    root = tmp_path / "root"
    root.mkdir()
    done = install("--root", root, "--python", fake_python(tmp_path, body))
    assert done.returncode == 1
    assert told in done.stderr
    assert not list(root.iterdir())


@needs_root
@pytest.mark.parametrize("path", ["opt/tocsin/README.md", "usr/local/bin/tocsin"])
def test_what_is_in_the_way_is_left_alone(tmp_path, path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("someone's")
    for arguments in ([], ["--uninstall"], ["--uninstall", "--purge"]):
        done = install("--root", tmp_path, *arguments)
        assert done.returncode == 1
        assert "is in the way" in done.stderr
    assert everything(tmp_path) == {path}
