"""The recipe for a description works as it is written: each command prints what stands below it."""

import re

import pytest
import yaml
from click.testing import CliRunner

from support.pages import REFERENCE
from support.walked import FILE, run, steps
from tocsin.cli import cli

PAGE = REFERENCE["describe-a-venue"]
_SECONDS = re.compile(r"\d+\.\d\d s")


@pytest.mark.real
def test_the_recipe_is_walked(tmp_path):
    commands = 0
    for what, text in steps(PAGE):
        if what.startswith("tocsin "):
            assert _SECONDS.sub("", run(what, tmp_path)) == _SECONDS.sub("", text)
            commands += 1
        else:
            (tmp_path / what).write_text(text)
    assert commands == 4


def test_the_described_venue_is_one_of_a_config(tmp_path, monkeypatch):
    for what, text in steps(PAGE):
        if not what.startswith("tocsin "):
            (tmp_path / what).write_text(text)
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(cli, ["init", ".", "--venue", "./nearby.yaml"], catch_exceptions=False)
    assert "it connects to nearby.example; tried with: documents" in ran.output
    for name in ("nearby_key", "nearby_secret"):
        assert name in ran.output
        (tmp_path / "secrets" / name).write_text("0123456789abcdef")
        (tmp_path / "secrets" / name).chmod(0o600)
    checked = CliRunner().invoke(cli, ["check"], catch_exceptions=False)
    assert "venue nearby: json nearby.yaml, connects to nearby.example" in checked.output


@pytest.mark.real
def test_what_is_asked_by_post_is_a_description_that_holds(tmp_path):
    (_, text) = [step for step in steps(PAGE) if step[0] == FILE][-1]
    (asked,) = re.findall(
        r"^```text\n(ask:\n.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    said = yaml.safe_load(text) | yaml.safe_load(asked)
    said["given"]["user"] = {"secret": False}
    said["answers"].insert(
        0,
        yaml.safe_load('{when: {op: error, data: {begins: "orders"}}, refuses: orders, reason: "{{data}}"}'),
    )
    (tmp_path / FILE).write_text(yaml.safe_dump(said, sort_keys=False))
    (tmp_path / "m.json").write_text('{"op": "error", "data": "orders: too many"}')
    assert "- refused: orders\n    reason: 'orders: too many'" in run(
        "tocsin decode nearby.yaml m.json", tmp_path
    )
