"""README and reference are run: each command in them exists, and each example does what the text says of it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
import yaml
from click.testing import CliRunner

from support.pages import CONTRIBUTING, PAGES, README, REFERENCE, ROOT, WIDEST, blocks, cells, parsed, text
from support.receivers import Services, telegram_text
from tocsin.cli import COMMANDS, cli
from tocsin.cli.explain import tell
from tocsin.cli.stored import explain_stored
from tocsin.clock import ManualClock
from tocsin.config.load import load_settings
from tocsin.events import Instant
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.runner import play
from tocsin.ruletest.step_parser import READ
from tocsin.venues.registry import venue_types

pytestmark = pytest.mark.real

SECONDS = 60


def tocsin(*words, cwd, env=None, stdin=""):
    return subprocess.run(
        [sys.executable, "-m", "tocsin", *words],
        cwd=cwd,
        env={**os.environ, "XDG_STATE_HOME": str(cwd), **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture
def folder(tmp_path):
    """The README's folder: `tocsin init mytocsin`."""
    made = CliRunner().invoke(cli, ["init", str(tmp_path / "mytocsin")])
    assert made.exit_code == 0, made.output
    return tmp_path / "mytocsin"


def secret(folder, name, text):
    path = folder / "secrets" / name
    path.touch(mode=0o600)
    path.write_text(text + "\n")


CHANNELS = {"phone": "json://127.0.0.1:9/", "desk": "json://127.0.0.1:9/", "mail": "json://127.0.0.1:9/"}
VENUES = {"fx": {"type": "yourfintech", "url": "wss://fx.example.org/", "secret_key": "${env:PATH}"}}
SECRETS = {
    "prometheus": "0123456789abcdef0123456789abcdef",
    "page_anna": "fedcba9876543210fedcba9876543210",
    "telegram_token": "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
    "telegram_chat": "4711",
    "telegram_anna": "12315544",
    "telegram_boss": "99881122",
    "slack_token": "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
}

DESCRIBED = "# nearby.yaml"  # a description's, which test_describe_a_venue.py walks
EXAMPLES = [
    (page, example) for page in PAGES for example in blocks("yaml", page) if not example.startswith(DESCRIBED)
]
RULE_TESTS = [(page, example) for page, example in EXAMPLES if "tests" in parsed(example)]


def with_secrets_for(folder, example):
    for name in re.findall(r"\$\{cred:(\w+)\}", example):
        secret(folder, name, SECRETS.get(name, "0123456789abcdef"))


@pytest.mark.parametrize(
    "example", [example for each in EXAMPLES if each not in RULE_TESTS for example in each[1:]]
)
def test_every_other_example_is_a_config_that_checks(example, folder):
    """Rules without a warning, each in a file of its own: examples have no ids in common."""
    with_secrets_for(folder, example)
    config = {"channels": CHANNELS, "venues": VENUES} | parsed(example)
    rules = [rule for rule in config.get("rules", ()) if isinstance(rule, dict)]
    for number, rule in enumerate(rules):
        (folder / f"{number}.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
    if rules:
        config["rules"] = ["[0-9].yaml"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    settings = load_settings(folder / "config.yaml")
    if rules:
        assert len(settings.rules) == len(rules)
        assert [each.message for each in settings.warnings if "venue" not in each.message] == []


@pytest.mark.parametrize(("page", "example"), RULE_TESTS, ids=lambda value: getattr(value, "stem", ""))
def test_every_example_of_a_rule_test_passes(page, example, folder):
    """Of the shipped rules of that name, or of the rules that stand before it on its page."""
    rules = folder / "rules" / Path(parsed(example)["rules"]).name
    if not rules.exists():
        before = EXAMPLES[: EXAMPLES.index((page, example))]
        rules.write_text(
            next(other for where, other in reversed(before) if where == page and "rules:" in other)
        )
    (folder / "rules" / "tests" / rules.name).write_text(example)
    ran = tocsin("test", f"rules/{rules.name}", cwd=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("all passed: 1 test in 1 file"), ran.stdout


def test_the_steps_of_rule_tests_that_are_told_are_all_that_there_are():
    told = {word for cell in cells(REFERENCE["tests"], "step") for word in re.findall(r"(\w+):", cell)}
    assert told - {"down", "rule", "id", "match", "for"} == set(READ)


def test_what_explain_says_is_what_is_shown(tmp_path, capsys):
    """The rule, and a position that went into the red a second ago."""
    state = {"id": "p1", "symbol": "BTCUSD", "side": "long"}
    steps = [
        {"at": f"{at}s", "venue": "fx", "position": {**state, "profit": profit}}
        for at, profit in ((0, -10), (10, -60))
    ]
    rules = ROOT / "rules" / "positions.yaml"
    (tmp_path / "it.yaml").write_text(
        yaml.safe_dump({"rules": str(rules), "tests": [{"name": "it", "steps": steps}]})
    )
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"rules": [str(rules)], "channels": CHANNELS, "state_dir": str(tmp_path / "state")})
    )
    (tmp_path / "config.yaml").chmod(0o600)
    tests = read_tests(tmp_path / "it.yaml")
    clock = ManualClock(tests.tests[0].start)
    assert trio.run(partial(play, tests, tests.tests[0], clock, tmp_path), clock=clock).failure is None
    settings = load_settings(tmp_path / "config.yaml", validate_url=None)
    now = Instant(tests.tests[0].start + timedelta(seconds=11), 11.0)
    tell(msgspec.to_builtins(explain_stored(settings, "position-in-the-red", None, 20, now)), None, UTC)
    assert capsys.readouterr().out == next(b for b in blocks("text") if "held back by for" in b)


def test_the_alias_is_the_program_and_not_this_projects_checks(tmp_path):
    (target,) = re.findall(r'`alias tocsin="\$PWD/([^"]+)"`', text(README))
    helped = subprocess.run(
        [ROOT / target, "test", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Run rule tests, on a fake clock" in helped.stdout


def test_the_way_to_the_first_message(folder, tmp_path):
    """Steps 2 to 6, with Telegram's API played by a stand-in."""
    with_secrets_for(folder, "${cred:telegram_token} ${cred:telegram_chat}")
    config = folder / "config.yaml"
    text = config.read_text()
    assert "\n#  phone:" in text, "the README says to take the # away before `phone:`"
    config.write_text(text.replace("\n#  phone:", "\n  phone:"))
    with Services(tmp_path) as services:
        sent = tocsin("notify", "phone", cwd=folder, env=services.environment)
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert "accepted" in sent.stdout
        assert "If you can read this" in telegram_text(services.wait_for(1)[0])
    checked = tocsin("check", cwd=folder)
    assert checked.returncode == 0, checked.stdout
    assert "1 channel" in checked.stdout


def test_each_venue_of_the_example_config_checks_when_the_marks_are_taken_away(folder):
    text = (folder / "config.yaml").read_text()
    names = re.findall(r"^#  (\w+):\n#    type:", text, re.MULTILINE)
    assert len(names) == len(venue_types())
    begin, end = text.index("venues:\n"), text.index("# ----", text.index("venues:\n"))
    section = re.sub(r"^#( +)(?=[\w#])", r"\1", text[begin:end], flags=re.MULTILINE)
    (folder / "config.yaml").write_text(text[:begin] + section + text[end:])
    with_secrets_for(folder, section)
    checked = tocsin("check", cwd=folder)
    assert checked.returncode == 0, checked.stdout
    assert f"{len(names)} venues" in checked.stdout


def test_the_error_that_is_shown_is_the_one_that_is_given(folder):
    (folder / "rules" / "mine.yaml").write_text(
        "rules:\n  - id: mine\n    watch: position\n    when: {proft: {below: -50}}\n"
    )
    (folder / "config.yaml").write_text("rules: [rules/mine.yaml]\n")
    shown = next(b for b in blocks("text") if "proft" in b)
    checked = tocsin("check", cwd=folder)
    assert checked.returncode == 78
    assert shown.strip() in checked.stdout


def test_every_command_that_is_told_exists():
    told = set(re.findall(r"`tocsin ([a-z]+)", text()))
    shell = set(re.findall(r"\btocsin ([a-z]+)", "\n".join(blocks("sh"))))
    assert told | shell <= set(COMMANDS)


TOLD = sorted(set(re.findall(r"`tocsin ([a-z][^`]+)`", text())))


@pytest.mark.parametrize("line", TOLD)
def test_every_option_that_is_told_exists(line):
    command, *words = line.replace("[", " ").replace("]", " ").split()
    helped = CliRunner().invoke(cli, [command, "--help"])
    assert helped.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in helped.output


def test_the_shell_commands_name_what_is_there():
    for line in filter(None, "\n".join(blocks("sh")).splitlines()):
        word = line.removeprefix("sudo ").split()[0]
        if word.startswith("./") or "/" in word:
            assert os.access(ROOT / word, os.X_OK), word


def test_the_state_can_be_looked_at_as_told(tmp_path, folder):
    ran = subprocess.Popen(
        [sys.executable, "-m", "tocsin", "run"],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert ran.stderr is not None
        assert any('"started"' in line for line in ran.stderr)
        status = tocsin("status", cwd=folder, env={"XDG_STATE_HOME": str(tmp_path)})
        assert status.returncode == 0, status.stderr
        look = next(line for line in "\n".join(blocks("sh")).splitlines() if line.startswith("sqlite-utils"))
        program = shutil.which("sqlite-utils", path=str(Path(sys.executable).parent))
        assert program
        rows = subprocess.run(
            [program, *look.split()[1:]],
            cwd=tmp_path / "tocsin",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        assert rows.stdout.startswith("[")
    finally:
        ran.terminate()
        ran.communicate(timeout=SECONDS)
    assert ran.returncode == 0


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING], ids=lambda page: page.stem)
def test_no_page_breaks_a_link_to_a_file(page):
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", text(page)):
        assert (page.parent / target).exists(), target


def test_the_readme_is_a_tour():
    lines = text(README).splitlines()
    assert len(lines) <= 220
    assert [line for line in lines if len(line) > WIDEST] == []


@pytest.mark.parametrize("page", [*REFERENCE.values(), CONTRIBUTING], ids=lambda page: page.stem)
def test_prose_is_as_narrow_elsewhere(page):
    """Tables and examples are as wide as they are."""
    prose = re.sub(r"^( *)```.*?^\1```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > WIDEST and not line.startswith("|")] == []


def test_contributing_lists_the_rooms_as_they_may_import():
    """Those that don't know each other stand on one line, or on two that follow."""
    (contract, *_) = tomllib.loads(text(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (listed,) = (block for block in blocks("text", CONTRIBUTING) if block.startswith("cli"))
    rooms = [name for line in listed.splitlines() for name in re.split(r"  +", line)[0].split(" · ")]
    assert rooms == [name for layer in contract["layers"] for name in layer.split(" | ")]
