"""The commands that need no daemon, as their user meets them."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from support.adapters import DESCRIPTIONS, EVERY
from tocsin import __version__
from tocsin.cli import COMMANDS, cli
from tocsin.config.settings import Common
from tocsin.events.kinds import KINDS
from tocsin.events.vocabulary import fields
from tocsin.shipped import shipped
from tocsin.venues.registry import venue_types

pytestmark = pytest.mark.real


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="tocsin")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


class TestTheProgram:
    @pytest.mark.parametrize("start", [["-m", "tocsin"], [str(Path(sys.executable).with_name("tocsin"))]])
    def test_says_its_version(self, start):
        command = [sys.executable, *start] if start[0] == "-m" else start
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=180, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, f"tocsin {__version__}\n", "")

    def test_says_its_version_without_importing_what_is_slow(self):
        """What makes it answer at once; the time itself is measured, not tested."""
        code = "import sys, tocsin.cli; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True
        )
        slow = {
            "trio",
            "pydantic",
            "apprise",
            "msgspec",
            "httpx",
            "jinja2",
            "yaml",
            "sqlite3",
            "structlog",
            "asyncio",
        }
        assert slow.isdisjoint(done.stdout.split())

    def test_exits_78_for_a_config_that_is_wrong(self, here):
        (here / "config.yaml").write_text("venue: {}\n")
        command = [sys.executable, "-m", "tocsin", "check"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert (done.returncode, done.stderr) == (78, "")
        assert done.stdout.splitlines()[0] == "config.yaml:1:1: error: unknown key `venue`"
        assert done.stdout.splitlines()[-1] == "1 error in config.yaml"

    def test_help_names_every_command(self):
        help_text = run("--help").output
        for name, line in COMMANDS.items():
            assert name in help_text
            assert line[:30] in help_text

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_help_with_an_example(self, name):
        assert import_module(f"tocsin.cli.{name}").command.name == name
        result = run(name, "--help")
        assert result.exit_code == 0
        assert f"\n    tocsin {name}" in result.output

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["chek"], "no such command: chek; did you mean check?"),
            (["nonsense"], "no such command: nonsense"),
            (
                ["--config", "a.yaml", __file__, "status"],
                "py; --config takes one file, a.yaml: did a pattern match several?",
            ),
            (["fields", "positon"], "no kind is called positon; did you mean position?"),
            (["venues", "piexgoo"], "no venue is called piexgoo; did you mean piexgo?"),
            (["schema", "rule"], "'rule' is not one of 'config', 'rules', 'venue'"),
            (["check", "--format", "xml"], "'xml' is not one of 'text', 'json'"),
            (["check", "--nothing"], "No such option"),
        ],
    )
    def test_wrong_usage_exits_2(self, arguments, words):
        result = run(*arguments)
        assert result.exit_code == 2
        assert words in result.output


class TestInitAndCheck:
    def test_a_new_user_gets_a_config_that_is_right(self, here):
        made = run("init")
        assert made.exit_code == 0
        assert "tocsin check\n" in made.output
        checked = run("check")
        assert checked.exit_code == 0
        assert checked.output.splitlines()[:2] == [
            "config.yaml:1:1: warning: no venue is configured: nothing is watched",
            "      = fill in a venue in config.yaml",
        ]
        rules = sum(path.read_text().count("- id:") for path in shipped("rules").glob("*.yaml"))
        assert f"right: config.yaml has 0 venues, 0 channels, {rules} rules; 2 warnings\n" in checked.output

    @pytest.mark.parametrize(
        ("size", "told"),
        [("", "512MiB"), (", record_size: 2GiB", "2GiB"), (", record_size: 1500000", "1500000B")],
    )
    def test_check_says_what_is_recorded_and_how_much(self, here, size, told):
        (here / "config.yaml").write_text(
            f"state_dir: state\nvenues: {{px: {{type: piexgo, record: true{size}}}, py: {{type: piexgo}}}}\n"
        )
        lines = run("check").output.splitlines()
        kept = here / "state" / "recordings" / "px.jsonl"
        assert f"  venue px: piexgo; its last {told} of messages are kept in {kept}" in lines
        assert "  venue py: piexgo" in lines

    def test_check_refuses_a_size_that_holds_nothing(self, here):
        (here / "config.yaml").write_text("venues: {px: {type: piexgo, record: true, record_size: 1KiB}}\n")
        result = run("check")
        assert result.exit_code == 78
        assert "config.yaml:1:56: error: venues.px.record_size: " in result.output

    def test_only_the_owner_can_read_what_init_makes(self, here):
        run("init", "sub/folder")
        folder = here / "sub" / "folder"
        assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "config.yaml").stat().st_mode) == 0o600
        assert {path.name for path in (folder / "rules").glob("*.yaml")} == {
            path.name for path in shipped("rules").glob("*.yaml")
        }

    def test_init_keeps_what_is_there(self, here):
        run("init")
        (here / "config.yaml").write_text("# mine\n")
        changed = min((here / "rules").glob("*.yaml"))
        changed.write_text("# mine too\n")
        again = run("init")
        assert again.exit_code == 0
        assert "kept  config.yaml" in again.output
        assert "0 files made" in again.output
        assert (here / "config.yaml").read_text() == "# mine\n"
        assert changed.read_text() == "# mine too\n"

    def test_init_says_which_shipped_rules_are_otherwise_now(self, here):
        run("init")
        edited = here / "rules" / "positions.yaml"
        edited.write_text(edited.read_text().replace("id: position-in-the-red", "id: mine"))
        lines = run("init").output.splitlines()
        (said,) = (line for line in lines if line.startswith("kept  rules/positions.yaml"))
        assert "this version has position-in-the-red otherwise: diff rules/positions.yaml " in said
        assert "kept  rules/orders.yaml" in lines

    def test_an_editor_finds_the_schemas_that_init_makes(self, here):
        run("init")
        for path in (here / "config.yaml", *(here / "rules").glob("*.yaml")):
            first = path.read_text().splitlines()[0]
            assert first.startswith("# yaml-language-server: $schema="), path
            schema = json.loads((path.parent / first.partition("=")[2]).read_text())
            assert "properties" in schema

    def test_init_elsewhere_says_how_to_go_on(self, here):
        made = run("init", "there")
        assert "tocsin check --config there/config.yaml" in made.output
        assert run("check", "--config", "there/config.yaml").exit_code == 0

    def test_init_where_nothing_can_be_written(self, here):
        (here / "file").write_text("")
        result = run("init", "file/below")
        assert result.exit_code == 1
        assert result.output.startswith("tocsin: can't write ")


class TestCheck:
    RIGHT = """\
venues: {px: {type: piexgo}}
channels: {desk: json://localhost}
rules:
  - {id: a, watch: order.canceled}
  - {id: b, watch: order.filled, enabled: false}
"""

    def test_says_what_it_found(self, here):
        (here / "config.yaml").write_text(self.RIGHT)
        result = run("check")
        assert result.exit_code == 0
        assert result.output == (
            "right: config.yaml has 1 venue, 1 channel, 2 rules\n"
            "  1 rule switched off (enabled: false)\n"
            "  venue px: piexgo\n"
        )

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--config", "c.yaml", "check"],
            ["check", "--config", "c.yaml"],
            ["--config", "none.yaml", "check", "--config", "c.yaml"],
        ],
    )
    def test_config_stands_before_or_after_the_command(self, here, arguments):
        (here / "c.yaml").write_text(self.RIGHT)
        result = run(*arguments)
        assert result.exit_code == 0
        assert result.output.startswith("right: c.yaml has 1 venue")

    def test_no_config_at_all(self, here):
        result = run("check")
        assert result.exit_code == 78
        assert "no config found (looked for config.yaml, " in result.output
        assert "tocsin init makes one to start from" in result.output

    def test_all_problems_at_once_with_their_number(self, here):
        (here / "config.yaml").write_text(
            "venues: {px: {type: piexgo, api_kee: hunter2}}\ncolour: red\nrules: [no.yaml]\n"
        )
        result = run("check")
        assert result.exit_code == 78
        assert [line for line in result.output.splitlines() if "error:" in line] == [
            "config.yaml:1:29: error: venues.px: unknown key `api_kee`",
            "config.yaml:2:1: error: unknown key `colour`",
            "config.yaml:3:9: error: rules[0]: no such file",
        ]
        assert result.output.endswith("\n\n3 errors in config.yaml\n")
        assert "hunter2" not in result.output

    @pytest.mark.parametrize(
        ("config", "where"),
        [
            ("rules: [a.yaml]\n", "1 error in a.yaml"),
            ("rules: [a.yaml, b.yaml]\n", "2 errors in a.yaml, b.yaml"),
            ("colour: red\nrules: [a.yaml]\n", "2 errors in config.yaml, a.yaml"),
            (f"rules: [{', '.join('abcdefg'[n] + '.yaml' for n in range(7))}]\n", "7 errors in a.yaml, b.yaml, c.yaml, d.yaml, e.yaml and 2 more"),
        ],
    )  # fmt: skip
    def test_errors_are_counted_where_they_are(self, here, config, where):
        for name in "abcdefg":
            (here / f"{name}.yaml").write_text(f"- {{id: {name}, watch: order.filed}}\n")
        (here / "config.yaml").write_text(config)
        (here / "config.yaml").chmod(0o600)
        assert run("check").output.splitlines()[-1] == where

    @pytest.mark.parametrize("option", [["--json"], ["--format", "json"], ["--format=json"]])
    def test_json_for_programs(self, here, option):
        (here / "config.yaml").write_text("colour: red\n")
        result = run("check", *option)
        assert result.exit_code == 78
        assert json.loads(result.output) == {
            "config": "config.yaml",
            "ok": False,
            "found": None,
            "problems": [
                {
                    "level": "error",
                    "message": "unknown key `colour`",
                    "path": "",
                    "hint": f"known here: venues, channels, actions, rules, calendars, reports, {', '.join(Common.model_fields)}",
                    "file": "config.yaml",
                    "line": 1,
                    "column": 1,
                    "length": 6,
                    "source": "colour: red",
                }
            ],
        }

    def test_a_warning_of_several_rules_is_told_once_to_people_and_of_each_to_programs(self, here):
        rule = "{{id: {}, watch: ticker.updated, when: last > 1}}"
        (here / "config.yaml").write_text(
            "rules:\n" + "".join(f"  - {rule.format(name)}\n" for name in ("one", "two", "three"))
        )
        told = run("check").output
        assert told.count("comes all the time") == 1
        assert "the same in 2 more: two, three" in told
        problems = json.loads(run("check", "--format", "json").output)["problems"]
        lines = [problem["line"] for problem in problems if problem["path"].endswith(".watch")]
        assert lines == [2, 3, 4]
        assert not any("the same in" in problem["hint"] for problem in problems)

    def test_json_of_a_config_that_is_right(self, here):
        (here / "config.yaml").write_text(self.RIGHT)
        assert json.loads(run("check", "--json").output) == {
            "config": "config.yaml",
            "ok": True,
            "found": {"venues": 1, "channels": 1, "rules": 2},
            "problems": [],
        }


class TestTheVocabulary:
    def test_fields_lists_the_kinds(self):
        output = run("fields").output
        assert [line.split()[0] for line in output.split("\n\n")[0].splitlines()] == list(KINDS)

    @pytest.mark.parametrize("kind", KINDS)
    def test_fields_of_a_kind(self, kind):
        result = run("fields", kind)
        told = json.loads(run("fields", kind, "--json").output)
        assert result.exit_code == 0
        assert f"{kind}.{KINDS[kind].events[0]}" in result.output
        assert told["events"] == [f"{kind}.{event}" for event in KINDS[kind].events]
        for field in told["fields"]:
            assert field["name"] in result.output

    def test_what_something_belongs_to(self):
        assert (
            "and of what it belongs to account.FIELD, ticker.FIELD, venue.FIELD"
            in run("fields", "order").output
        )
        assert json.loads(run("fields", "ticker", "--json").output)["links"] == ["venue"]
        assert "belongs to" not in run("fields", "venue").output

    def test_what_a_status_can_be(self):
        assert "(open, closed)" in run("fields", "position").output

    def test_venues_lists_the_types(self):
        output = run("venues").output
        types, described, _ = output.split("\n\n")
        assert [line.split()[0] for line in types.splitlines()] == list(venue_types())
        assert [line.split()[0] for line in described.splitlines()[1:]] == list(DESCRIPTIONS)
        assert re.search("^kraken +balance order +Kraken spot", described, re.MULTILINE)

    def test_of_a_description_also_where_it_connects_to_and_how_far_it_was_tried(self):
        output = run("venues", "bybit").output
        assert "type: json, describe: bybit" in output
        assert re.search(r"connects to +bybit\.com$", output, re.MULTILINE)
        assert "a stand-in for the venue" in output
        assert re.search(r"given\.secret +required", output)

    @pytest.mark.parametrize("kind", [*venue_types(), *DESCRIPTIONS])
    def test_a_venues_options_and_fields(self, kind):
        result = run("venues", kind)
        told = json.loads(run("venues", kind, "--json").output)
        assert result.exit_code == 0
        assert {"url", "silent_after", "tls_ca"} <= {option["name"] for option in told["options"]}
        for name in [option["name"] for option in told["options"]] + list(told["supplies"]):
            assert name in result.output

    @pytest.mark.parametrize("kind", EVERY)
    def test_a_venue_lists_what_rules_can_read(self, kind):
        told = json.loads(run("venues", kind, "--json").output)["supplies"]
        assert told
        for of, names in told.items():
            assert set(names) <= fields(of).keys()

    def test_a_required_option_says_so(self):
        options = {
            option["name"]: option
            for option in json.loads(run("venues", "yourfintech", "--json").output)["options"]
        }
        assert options["secret_key"]["required"] is True
        assert options["connect_timeout"]["default"] == "10s"
        assert options["max_message_size"]["default"] == "4MiB"

    @pytest.mark.parametrize("what", ["config", "rules"])
    def test_schema(self, what):
        schema = json.loads(run("schema", what).output)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert "rule" in schema["$defs"]


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_only_where_they_are_liked(here, environ, coloured):
    """On a real terminal, a pseudo one."""
    (here / "config.yaml").write_text("colour: red\n")
    ours, theirs = os.openpty()
    variables = (
        {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | environ
    )
    command = [sys.executable, "-m", "tocsin", "check"]
    try:
        done = subprocess.run(command, stdout=theirs, stderr=theirs, env=variables, timeout=180, check=False)
        output = os.read(ours, 65536)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 78
    assert (b"\x1b[" in output) is coloured


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_a_narrow_terminal_and_breaks_no_word(name, width):
    found = import_module(f"tocsin.cli.{name}").command if name else cli
    context = click.Context(
        found, info_name=f"tocsin {name}".strip(), max_content_width=110, terminal_width=width
    )
    lines = found.get_help(context).splitlines()
    assert [line for line in lines if len(line) > width] == []
    whole = found.get_help(click.Context(found, info_name=context.info_name, terminal_width=1000)).split()
    assert [word for line in lines for word in line.split() if word not in whole] == []


def _examples() -> list[str]:
    shown = (import_module(f"tocsin.cli.{name}").command.help for name in COMMANDS)
    return [
        line.strip()
        for text in shown
        for line in (text or "").splitlines()
        if line.startswith(" " * 6 + "tocsin ")
    ]


@pytest.mark.parametrize("example", _examples())
def test_each_example_is_a_call_that_its_command_takes(example, monkeypatch):
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, *_: value)  # its files are not here
    _, name, *arguments = shlex.split(re.split(" [|>#] ?", example)[0], comments=True)
    found = import_module(f"tocsin.cli.{name}").command
    found.make_context(name, arguments)


_WITH_A_THREAD = """
import sys, threading
from tocsin.cli import main
threading.Thread(target=threading.Event().wait).start()
sys.argv = ["tocsin", *sys.argv[1:]]
main()
"""


@pytest.mark.real
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["--nonsense"], 2)])
def test_a_thread_that_hangs_keeps_nobody_from_leaving(arguments, code):
    left = subprocess.run(
        [sys.executable, "-c", _WITH_A_THREAD, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert left.returncode == code
    assert "tocsin" in (left.stdout + left.stderr).lower()
