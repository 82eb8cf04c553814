"""`tocsin try`: what an action would do, and doing it."""

import json

import pytest
from click.testing import CliRunner

from tocsin.cli import cli

CONFIG = """
channels: {phone: "json://127.0.0.1:9/"}
state_dir: state
actions:
  note: {command: ["/bin/echo", "--", "{{ symbol }}", "{{ profit }}"]}
  odd: {command: ["/bin/echo", "{{ profit / 0 }}"]}
  fails: {command: ["/bin/sh", "-c", "echo no; exit 3"]}
  hook: {webhook: "https://hooks.example.org/secret-path", secret: hunter2hunter2}
rules:
  - {id: red, watch: position, when: profit < -5, run: [note, odd, fails, hook]}
"""


@pytest.fixture
def tried(tmp_path):
    (tmp_path / "config.yaml").touch(mode=0o600)
    (tmp_path / "config.yaml").write_text(CONFIG)

    def run(*words):
        return CliRunner().invoke(cli, ["try", "--config", str(tmp_path / "config.yaml"), *words])

    return run


def test_it_is_shown(tried):
    shown = tried("note", "--like", "red")
    assert shown.exit_code == 0, shown.output
    assert "red has told of nothing yet: this is of an alert that is made up" in shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[:5] == [
        'argument 0: "/bin/echo"',
        'argument 1: "--"',
        'argument 2: "EXAMPLE"',
        'argument 3: "1"',
        "standard input:",
    ]


def test_a_webhooks_body_without_its_secrets(tried):
    shown = tried("hook", "--like", "red", "--resolved", "--json")
    report = json.loads(shown.stdout)
    assert (report["does"], report["arguments"], report["body"]["state"]) == (
        "POST https://hooks.example.org",
        None,
        "resolved",
    )
    assert "secret-path" not in shown.output
    assert "hunter2" not in shown.output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("note", "--like", "red", "--run"), 0, "done: exit 0\n  -- EXAMPLE 1\n"),
        (("fails", "--like", "red", "--run"), 1, "failed: exit 3: exit 3: no\n  no\n"),
        (
            ("odd", "--like", "red"),
            1,
            "would be refused: argument 1, '{{ profit / 0 }}': ",
        ),
        (("not", "--like", "red"), 2, "no action is called not; did you mean note?"),
        (("note", "--like", "rde"), 2, "no rule is called rde; did you mean red?"),
        (("note",), 2, "Missing option '--like'"),
    ],
)
@pytest.mark.real
def test_what_comes_of_it(tried, words, code, said):
    done = tried(*words)
    assert done.exit_code == code
    assert said in done.output
