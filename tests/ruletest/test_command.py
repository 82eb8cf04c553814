"""`tocsin test` as its user meets it."""

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tocsin.cli import cli
from tocsin.shipped import shipped

TEST = """
rules: ../mine.yaml
tests:
  - name: a canceled order is told
    steps:
      - {at: 0s, venue: fx, order: {id: o1, status: canceled}}
      - {at: 0s, expect: [{rule: canceled, id: ID}]}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ("test", *arguments), prog_name="tocsin")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write(here: Path, expected: str = "o1") -> Path:
    (here / "rules" / "tests").mkdir(parents=True)
    (here / "rules" / "mine.yaml").write_text("rules: [{id: canceled, watch: order.canceled}]\n")
    path = here / "rules" / "tests" / "mine.yaml"
    path.write_text(TEST.replace("ID", expected))
    return path


def test_without_a_file_it_runs_those_here(here):
    write(here)
    result = run()
    assert result.exit_code == 0
    assert result.output.startswith("all passed: 1 test in 1 file, 2 steps")


def test_without_any_here_it_runs_the_shipped_ones(here):
    result = run()
    assert result.exit_code == 0
    assert f"in {len(list(shipped('rules').glob('tests/*.yaml')))} files" in result.output


@pytest.mark.parametrize("which", ["rules/tests/mine.yaml", "rules/tests", "rules/mine.yaml"])
def test_a_file_a_folder_or_the_rules_themselves(here, which):
    write(here)
    result = run(which, "--verbose")
    assert result.exit_code == 0
    assert "passed rules/tests/mine.yaml: a canceled order is told" in result.output


@pytest.mark.parametrize("which", ["", "rules/tests/mine.yaml", "rules/mine.yaml"])
def test_a_file_beside_its_rules_neednt_name_them(here, which):
    path = write(here)
    path.write_text(path.read_text().replace("rules: ../mine.yaml\n", ""))
    result = run(*filter(None, [which]))
    assert result.exit_code == 0, result.output
    path.with_name("other.yaml").write_text("tests: [{name: x, steps: [{at: 0s, expect: []}]}]\n")
    lost = run()
    assert lost.exit_code == 78
    assert "other.yaml:1:1: error: the key `rules` is missing" in lost.stderr


def test_it_exits_1_where_a_test_fails(here):
    write(here, "o2")
    result = run()
    assert result.exit_code == 1
    assert "FAILED rules/tests/mine.yaml:7:18: a canceled order is told" in result.output
    assert result.output.splitlines()[-1].startswith("1 failed: 1 test in 1 file")


def test_it_exits_78_where_a_file_is_wrong_and_tells_of_all(here):
    path = write(here)
    path.with_name("other.yaml").write_text("rules: ../mine.yaml\ntests: [{nam: x}]\n")
    path.with_name("third.yaml").write_text("tests: []\n")
    result = run()
    assert result.exit_code == 78
    assert "other.yaml:2:10: error: unknown key `nam`" in result.output
    assert "third.yaml" in result.output
    assert "passed" not in result.output


def test_it_exits_78_for_a_file_that_is_not_there(here):
    result = run("none.yaml")
    assert result.exit_code == 78
    assert "there is no" in result.output or "can't read none.yaml" in result.output


def test_as_json(here):
    write(here, "o2")
    result = run("--json")
    told = json.loads(result.output)
    assert (told["passed"], told["failed"]) == (0, 1)
    (test,) = told["tests"]
    assert (test["name"], test["line"], test["passed"]) == ("a canceled order is told", 4, False)
    assert test["failure"]["expected"] == [{"rule": "canceled", "id": "o2"}]
    assert test["failure"]["came"][0]["id"] == "o1"
    assert test["failure"]["came"][0]["channels"] == ["channel"]


def test_a_note_is_shown_of_a_test_that_passes(here):
    path = write(here)
    path.write_text(path.read_text() + "      - {at: 1s, reload: nofile.yaml}\n")
    result = run()
    assert result.exit_code == 0
    assert (
        "note rules/tests/mine.yaml:8:18: a canceled order is told\n    at 1s (line 8) the reload"
        in result.output
    )
    assert result.output.splitlines()[-1].startswith("all passed: 1 test in 1 file")


def test_the_wheel_carries_the_rules_tests():
    """They stand below the folder that the wheel takes whole."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["rules"] == "tocsin/shipped/rules"
    assert (Path(__file__).parents[2] / "rules" / "tests" / "positions.yaml").is_file()
