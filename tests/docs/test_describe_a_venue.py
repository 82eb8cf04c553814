"""The recipe for a description works as it is written: each command prints what stands below it."""

import re

import pytest
from click.testing import CliRunner

from support.pages import REFERENCE
from support.walked import run, steps
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
