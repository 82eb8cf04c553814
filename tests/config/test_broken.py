"""Configs that are wrong, each with the exact text that its user is shown: broken/FAULT.yaml beside FAULT.txt."""

import shutil
from pathlib import Path

import pytest

from support.growing import shortened
from tocsin.config.load import load_settings
from tocsin.errors import ConfigError

BROKEN = Path(__file__).parent / "broken"
SECRET = "hunter2"
ENVIRON = {"HOME": "/nowhere", "EMPTY": ""}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A config's folder as the broken ones expect it: rules/ and slips/ beside, and secrets good, empty and open."""
    for name in ("rules", "slips"):
        shutil.copytree(BROKEN / name, tmp_path / name)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, text, mode in (
        ("good", f"{SECRET}-good", 0o600),
        ("empty", "\n", 0o600),
        ("open", f"{SECRET}-open", 0o644),
    ):
        (secrets / name).write_text(text)
        (secrets / name).chmod(mode)
    secrets.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(folder: Path, broken: Path) -> str:
    shutil.copy(broken, folder / "config.yaml")
    (folder / "config.yaml").chmod(0o644)
    with pytest.raises(ConfigError) as raised:
        load_settings(Path("config.yaml"), environ=ENVIRON)
    return shortened(str(raised.value).replace(str(folder), "FOLDER")) + "\n"


@pytest.mark.parametrize("broken", sorted(BROKEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_config_is_told_exactly(broken, folder):
    text = told(folder, broken)
    assert SECRET not in text
    assert text == broken.with_suffix(".txt").read_text()


def test_every_expectation_has_its_config():
    assert {path.stem for path in BROKEN.glob("*.txt")} == {path.stem for path in BROKEN.glob("*.yaml")}
