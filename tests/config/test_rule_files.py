"""Which files are read as rules: nothing meant as rules is left out silently, and nothing is read twice.

Reported elsewhere: dmlc/dmlc-core 358, adrienverge/yamllint 399 (links that lead nowhere); kimai/kimai 4105,
Netcentric/accesscontroltool 150 (.yml beside .yaml); open-policy-agent/opa 1109, YelpArchive/elastalert 2270 (one file by
two ways).
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tocsin.config.load import load_settings
from tocsin.errors import ConfigError


def rule(name: str) -> str:
    return f"- {{id: {name}, watch: order.{name}}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "canceled.yaml").write_text(rule("canceled"))
    return tmp_path


def read(folder: Path, *patterns: str) -> tuple[list[str], list[str]]:
    """The ids of the rules, and what is said besides (where it isn't about venues and channels)."""
    config = folder / "config.yaml"
    config.write_text(f"rules: [{', '.join(f'{each!r}' for each in patterns)}]\n")
    try:
        settings = load_settings(config, environ={})
    except ConfigError as error:
        return [], [problem.render() for problem in error.problems if problem.level == "error"]
    said = [problem.render() for problem in settings.warnings if "configured" not in problem.message]
    return [each.id for each in settings.rules], said


def dangling(folder: Path) -> None:
    (folder / "rules" / "stops.yaml").symlink_to("/nonexistent/stops.yaml")


def a_loop(folder: Path) -> None:
    (folder / "rules" / "stops.yaml").symlink_to("stops.yaml")


def a_folder(folder: Path) -> None:
    (folder / "rules" / "stops.yaml").mkdir()


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "rules" / "stops.yaml")


def not_text(folder: Path) -> None:
    (folder / "rules" / "stops.yaml").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("odd", [dangling, a_loop, a_folder, a_pipe, not_text])
@pytest.mark.parametrize("pattern", ["rules/*.yaml", "rules/s*", "**/*.yaml", "rules/stops.yaml"])
def test_what_is_called_like_rules_and_cannot_be_read_is_an_error(
    folder: Path, odd: Callable[[Path], None], pattern: str
):
    odd(folder)
    rules, said = read(folder, pattern)
    assert rules == []
    assert len(said) == 1
    assert "stops.yaml" in said[0]


def test_a_link_that_leads_nowhere_is_told_with_where_it_leads(folder):
    dangling(folder)
    assert read(folder, "rules/*.yaml")[1] == [
        f"error: can't read {folder}/rules/stops.yaml, a link to /nonexistent/stops.yaml: No such file or directory"
    ]


@pytest.mark.parametrize(
    "name", [".#canceled.yaml", "canceled.yaml~", "#canceled.yaml#", "README.md", ".canceled.yaml.swp"]
)
@pytest.mark.parametrize("pattern", ["rules/*.yaml", "**/*.yaml"])
def test_what_editors_leave_behind_is_no_rules(folder, name, pattern):
    (folder / "rules" / name).symlink_to("me@host.123:456")
    assert read(folder, pattern) == (["canceled"], [])


@pytest.mark.parametrize("name", ["stops.yml", "stops.YAML", "stops.Yml"])
@pytest.mark.parametrize("pattern", ["rules/*.yaml", "rules/**/*.yaml"])
def test_a_file_that_only_its_suffix_leaves_out_is_warned_of(folder, name, pattern):
    (folder / "rules" / name).write_text(rule("filled"))
    rules, said = read(folder, pattern)
    assert rules == ["canceled"]
    assert len(said) == 1
    assert f"warning: rules/{name} lies there too, and isn't read" in said[0]
    assert read(folder, pattern, f"rules/{name}") == (["canceled", "filled"], [])


def test_a_pattern_of_yml_minds_the_yaml_beside(folder):
    (folder / "rules" / "stops.yml").write_text(rule("filled"))
    rules, said = read(folder, "rules/*.yml")
    assert rules == ["filled"]
    assert "rules/canceled.yaml lies there too" in said[0]


@pytest.mark.parametrize(
    "patterns",
    [
        ["rules/**/*.yaml"],
        ["**"],
        ["**/*.yaml", "rules/canceled.yaml"],
        ["rules/canceled.yaml", "linked.yaml", "./rules/../rules/canceled.yaml"],
        ["again/*.yaml", "rules/*.yaml"],
    ],
)
def test_a_file_is_read_once_whatever_ways_lead_to_it(folder, patterns):
    for name, target in (("current", "."), ("back", ".."), ("and-again", "current")):
        (folder / "rules" / name).symlink_to(target)
    (folder / "again").symlink_to("rules")
    (folder / "linked.yaml").symlink_to("rules/canceled.yaml")
    if patterns == ["**"]:
        (folder / "config.yaml").touch()
        patterns = ["rules/**"]
    assert read(folder, *patterns)[0] == ["canceled"]


def test_a_folder_elsewhere_is_read_through_its_link(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("shared")
    (elsewhere / "deep").mkdir()
    (elsewhere / "deep" / "filled.yaml").write_text(rule("filled"))
    (folder / "rules" / "shared").symlink_to(elsewhere)
    assert read(folder, "rules/**/*.yaml") == (["canceled", "filled"], [])


def test_no_line_of_a_file_outside_the_configs_folder_is_shown(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("etc") / "shadow"
    secret.write_text("root:$6$verysecret:19000:0:99999:7:::\n")
    inside = folder / "rules" / "stops.yaml"
    for pattern in (str(secret), "rules/stops.yaml"):
        if pattern.startswith("rules"):
            inside.symlink_to(secret)
        rules, said = read(folder, pattern)
        assert rules == []
        assert said
        assert "verysecret" not in "".join(said)


def test_a_slip_in_ten_thousand_rules_is_told_beside_what_else_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rules = [f"- id: r{number}\n  watch: order.filled\n" for number in range(10_000)]
    rules[3000] = "- id: r3000\n  watch: [order.filled\n"
    rules[7000] = "- id: r7000\n  watch: order.filed\n"
    Path("rules.yaml").write_text("".join(rules))
    Path("config.yaml").write_text("rules: [rules.yaml]\n")
    with pytest.raises(ConfigError) as raised:
        load_settings(Path("config.yaml"), environ={})
    told = [(problem.place.line, problem.level) for problem in raised.value.problems if problem.place]
    assert told == [(6002, "error"), (14002, "error")]


@pytest.mark.parametrize("text", ["- [\n" * 50_000, "a: [\n" * 50_000, "- a: [\n" * 3 + "x" * 100_000])
def test_what_is_no_list_of_rules_at_all_is_given_up_soon(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, config in (("rules.yaml", "rules: [rules.yaml]\n"), ("other", text)):
        Path(name).write_text(text)
        Path("config.yaml").write_text(config)
        with pytest.raises(ConfigError) as raised:
            load_settings(Path("config.yaml"), environ={})
        assert len(raised.value.problems) < 50
