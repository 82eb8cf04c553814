"""What a reload says that it changed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tocsin.app import changes
from tocsin.config.load import load_settings
from tocsin.engine.calendars import Calendar

CONFIG = """
channels: {mail: "json://127.0.0.1:9/"}
rules:
  - {id: open, watch: order, when: status == "open", notify: mail}
"""


@pytest.mark.parametrize("edit", [{"inhibited_by": ("down",)}, {"notify_during": object.__new__(Calendar)}])
def test_an_edit_of_when_a_rule_is_told_is_a_change_of_it(tmp_path: Path, edit: dict[str, Any]) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    before = load_settings(tmp_path / "config.yaml", environ={}, validate_url=None)
    after = replace(before, rules=tuple(replace(rule, **edit) for rule in before.rules))
    assert changes.rules(before, after).told("rule") == ["rule open changed"]
