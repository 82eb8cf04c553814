"""The README is run: every command in it exists and every example does what the text says of it."""

import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
import yaml

from support.receivers import Services, telegram_text
from tocsin.cli import COMMANDS
from tocsin.cli.explain import tell
from tocsin.config.load import load_settings
from tocsin.events import Instant
from tocsin.ruletest.actions import READ
from tocsin.ruletest.answers import explained
from tocsin.ruletest.clock import SteppedClock
from tocsin.ruletest.reading import read_tests
from tocsin.ruletest.runner import play

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SECONDS = 60


def blocks(language):
    """The fenced examples of that language, without their indentation."""
    found = []
    for indent, named, text in BLOCK.findall(README):
        if named == language:
            found.append("".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)))
    return found


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
    made = tocsin("init", "mytocsin", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    return tmp_path / "mytocsin"


def secret(folder, name, text):
    path = folder / "secrets" / name
    path.touch(mode=0o600)
    path.write_text(text + "\n")


CHANNELS = {"phone": "json://127.0.0.1:9/", "desk": "json://127.0.0.1:9/", "mail": "json://127.0.0.1:9/"}


EXAMPLES = {block: yaml.safe_load(block) for block in blocks("yaml")}


@pytest.mark.parametrize(
    "text", [b for b, read in EXAMPLES.items() if "rules" in read and "tests" not in read]
)
def test_every_example_of_rules_checks_without_a_warning(text, tmp_path):
    config = yaml.safe_load(text)
    for number, rule in enumerate(config["rules"]):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump(
            {
                "rules": ["[0-9].yaml"],
                "channels": CHANNELS,
                "venues": {
                    "fx": {"type": "yourfintech", "url": "wss://fx.example.org/", "secret_key": "${env:PATH}"}
                },
            }
        )
    )
    settings = load_settings(tmp_path / "config.yaml")
    assert len(settings.rules) == len(config["rules"])
    about_rules = [problem.message for problem in settings.warnings if "venue" not in problem.message]
    assert about_rules == []


def test_the_example_of_a_rule_test_passes(folder):
    (example,) = (block for block, read in EXAMPLES.items() if "tests" in read)
    (folder / "rules" / "tests" / "positions.yaml").write_text(example)
    ran = tocsin("test", "rules/positions.yaml", cwd=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("all passed: 1 test in 1 file"), ran.stdout


def test_the_steps_of_rule_tests_that_are_told_are_all_that_there_are():
    table = README[README.index("| step | does |") : README.index("**Replay.**")]
    told = {
        word
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for word in re.findall(r"(\w+):", row)
    }
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
    clock = SteppedClock(tests.tests[0].start)
    assert trio.run(partial(play, tests, tests.tests[0], clock, tmp_path), clock=clock).failure is None
    settings = load_settings(tmp_path / "config.yaml", validate_url=None)
    now = Instant(tests.tests[0].start + timedelta(seconds=11), 11.0)
    tell(explained(settings, "position-in-the-red", None, now, 20))
    assert capsys.readouterr().out == next(b for b in blocks("text") if "held back by for" in b)


def test_the_alias_is_the_program_and_not_this_projects_checks(tmp_path):
    (target,) = re.findall(r'`alias tocsin="\$PWD/([^"]+)"`', README)
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


def test_every_example_of_channels_checks(folder):
    for name in ("telegram_token", "telegram_chat", "slack_token", "smtp_password"):
        shape = {"telegram_token": "123456789:AAabcdefghijklmnopqrstuvwxyz0123456", "telegram_chat": "4711"}
        secret(folder, name, shape.get(name, "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"))
    examples = [b for b, read in EXAMPLES.items() if "channels" in read and "tests" not in read]
    assert len(examples) == 2
    for text in examples:
        (folder / "config.yaml").write_text(text)
        checked = tocsin("check", cwd=folder)
        assert checked.returncode == 0, checked.stdout


def test_the_way_to_the_first_message(folder, tmp_path):
    """Steps 2 to 6, with Telegram's API played by a stand-in."""
    secret(folder, "telegram_token", "123456789:AAabcdefghijklmnopqrstuvwxyz0123456")
    secret(folder, "telegram_chat", "4711")
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
    assert len(names) == 5
    begin, end = text.index("venues:\n"), text.index("# ----", text.index("venues:\n"))
    section = re.sub(r"^#( +)(?=[\w#])", r"\1", text[begin:end], flags=re.MULTILINE)
    (folder / "config.yaml").write_text(text[:begin] + section + text[end:])
    for name in re.findall(r"\$\{cred:(\w+)\}", section):
        secret(folder, name, "0123456789abcdef")
    checked = tocsin("check", cwd=folder)
    assert checked.returncode == 0, checked.stdout
    assert "5 venues" in checked.stdout


def test_the_error_that_is_shown_is_the_one_that_is_given(folder):
    (folder / "rules" / "mine.yaml").write_text(
        "rules:\n  - id: mine\n    watch: position\n    when: {proft: {below: -50}}\n"
    )
    (folder / "config.yaml").write_text("rules: [rules/mine.yaml]\n")
    shown = next(b for b in blocks("text") if "proft" in b)
    checked = tocsin("check", cwd=folder)
    assert checked.returncode == 78
    assert shown.strip() in checked.stdout


def test_every_command_is_in_the_readme_and_every_command_in_it_exists():
    table = README[README.index("## Commands") : README.index("## As a service")]
    told = set(re.findall(r"`tocsin ([a-z]+)", README))
    assert told <= set(COMMANDS)
    assert set(re.findall(r"`tocsin ([a-z]+)", table)) == set(COMMANDS)


@pytest.mark.parametrize("line", re.findall(r"`tocsin ([a-z][^`]+)`", README))
def test_every_option_that_is_told_exists(line, tmp_path):
    command, *words = line.replace("[", " ").replace("]", " ").split()
    helped = tocsin(command, "--help", cwd=tmp_path)
    assert helped.returncode == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in helped.stdout


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


def test_no_page_breaks_a_link_to_a_file():
    for page, folder in ((README, ROOT), (CONTRIBUTING, ROOT / ".github")):
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page):
            assert (folder / target).exists(), target
