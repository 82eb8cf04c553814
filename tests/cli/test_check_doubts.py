"""`tocsin check` says "right" only where it is: what is allowed and most likely not meant is a warning, with its remedy."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tocsin.cli import cli

WELL = {
    "venues": "{px: {type: piexgo, streams: [dealinfo.btc_usdt]}}",
    "channels": '{phone: "json://127.0.0.1:9/"}',
    "rules": '[{id: a, watch: ticker, when: "price < 5"}]',
    "state_dir": "st",
}


def check(folder: Path, **sections: str) -> str:
    config = folder / "config.yaml"
    config.touch(mode=0o600)
    config.write_text("".join(f"{key}: {value}\n" for key, value in {**WELL, **sections}.items()))
    result = CliRunner().invoke(cli, ["--config", str(config), "check"])
    assert result.exit_code == 0, result.output  # what a running service has accepted goes on being accepted
    return result.output


def test_nothing_is_said_of_what_is_right(tmp_path):
    assert "warning" not in check(tmp_path)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"names": "{accounts: {9020b4e5: Main}}"}, "it names no account"),
        ({"names": "{accounts: {9020B4E5…: Main}}"}, "it names no account"),
        (
            {"venues": "{tocsin: {type: piexgo, streams: [dealinfo.btc_usdt]}}"},
            "what the daemon calls itself",
        ),
        ({"calendars": '{day: {tz: Etc/GMT+2, open: "09:00-17:00"}}'}, "Etc/GMT+2 is UTC-2"),
        ({"tz": "Etc/GMT-5"}, "Etc/GMT-5 is UTC+5"),
        ({"tz": "Europe/Prague"}, None),
        ({"calendars": '{day: {tz: GMT-0, open: "09:00-17:00"}}'}, None),
        ({"names": "{accounts: {9020b4e5-dade-46da-9469-7a58fa25fd56: Main}}"}, None),
        ({"channels": '{tocsin: "json://127.0.0.1:9/"}'}, None),
    ],
)
def test_what_is_doubtful_is_told(tmp_path, sections, said):
    output = check(tmp_path, **sections)
    assert (said in output) if said else ("warning" not in output)


@pytest.mark.parametrize(("name", "remedy"), [("config.yaml", "600"), ("secrets", "700"), ("st", "700")])
def test_what_others_can_read_is_told_with_the_remedy(tmp_path, name, remedy):
    tmp_path.chmod(0o755)
    path = tmp_path / name
    if name != "config.yaml":
        path.mkdir()
    for mode, said in ((0o777, True), (0o700, False)):
        path.touch()
        path.chmod(mode)
        output = check(tmp_path)
        assert (f"others can read {path}" in output) is said
        assert (f"run: chmod {remedy} {path}" in output) is said


def test_shipped_rules_that_nobody_edited_are_one_line(tmp_path):
    CliRunner().invoke(cli, ["init", str(tmp_path)])
    output = check(tmp_path, rules="[rules/*.yaml]")
    assert output.count("warning:") == 1
    assert "can't fire with these venues: " in output
    edited = tmp_path / "rules" / "positions.yaml"
    edited.write_text(edited.read_text() + "\n# ours\n")
    assert "position-in-the-red.watch: no configured venue tells of a position" in check(
        tmp_path, rules="[rules/*.yaml]"
    )


def test_a_shipped_rule_that_fires_without_a_field_isn_t_said_not_to(tmp_path):
    CliRunner().invoke(cli, ["init", str(tmp_path)])
    output = check(
        tmp_path,
        rules="[rules/*.yaml]",
        venues="{bybit: {type: json, describe: bybit, given: {key: abcdefgh, secret: abcdefgh}}}",
    )
    (never,) = [line for line in output.splitlines() if "can't fire with these venues" in line]
    (asking,) = [line for line in output.splitlines() if "fields that these venues don't supply" in line]
    assert "contract-settled" in never
    assert "position-closed" not in never
    assert "position-closed" in asking
    assert "contract-settled" not in asking
