"""A message of a described venue: what is wrong in how a step names its description."""

from pathlib import Path

import pytest

from tocsin.errors import ConfigError
from tocsin.ruletest.file_parser import read_tests

STEP = "rules: [{{id: a, watch: order.canceled}}]\ntests: [{{name: it, steps: [{{at: 0s, venue: px, {}, message: {{a: 1}}}}]}}]\n"
OWN = (Path(__file__).parent / "described" / "own.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("describe: bybt", "no description is called `bybt`"),
        ("type: json", "no venue type is called `json`"),
        ("type: bybit", "no venue type is called `bybit`"),
        ("describe: bybit, type: piexgo", "a message has either a type or a description"),
        ("describe: nowhere/own.yaml", "no description is called `nowhere/own.yaml`"),
        ("describe: broken.yaml", "must be a list"),
        ("at: 0s", "the key `type` is missing"),
    ],
)
def test_it_is_told_at_its_place(tmp_path, said, told):
    (tmp_path / "broken.yaml").write_text(OWN.replace('[{each: "o[]", gives: order}]', "order"))
    text = STEP.format(said) if not said.startswith("at") else STEP.format("").replace("px, ,", "px,")
    (tmp_path / "it.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_tests(tmp_path / "it.yaml")
    assert told in str(caught.value)
    assert "it.yaml:2:" in str(caught.value) or "broken.yaml:6:" in str(caught.value)
