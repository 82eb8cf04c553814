"""`tocsin explain` takes ids as people are shown them: shortened, or an alert's; what may be several is said."""

import json

import pytest
from click.testing import CliRunner

from support.stored import alert, commit, opened, order
from tocsin.cli import cli
from tocsin.events import Key

LONG, OTHER, ALIKE = (
    "be06c5da-35d4-4ca1-8865-f9b24b9038a3",
    "77aa0000-35d4-4ca1-8865-f9b24b9038a3",
    "77aa0000-ffff-4ca1-8865-f9b24b9038a3",
)
ALERT = "01a224a98ff058e8ce25be1ca1b0d7f0"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    store = opened(tmp_path / "st")
    orders = [
        order(id_, key=Key("fx", "order", account, id_))
        for id_, account in ((LONG, "main-account"), (OTHER, "b"), (ALIKE, "b"), ("132991", "b"))
    ]
    commit(store, entities=orders, alerts=[alert(ALERT, rule="low", entity=LONG)])
    store.close()
    (tmp_path / "config.yaml").write_text(
        "state_dir: st\nrules: [{id: low, watch: order, when: price < 1}, {id: held, watch: position, when: profit < 1}]\n"
    )
    (tmp_path / "config.yaml").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


def explained(*arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(cli, ["explain", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (LONG, [LONG]),
        ("be06c5da…", [LONG]),
        ("be06c5da", [LONG]),
        ("be06", [LONG]),
        ("77aa0000-f", [ALIKE]),
        ("132991", ["132991"]),
        ("1329", ["132991"]),
        ("main-acc", [LONG]),
        (ALERT, [LONG]),
        ("01a224a9", [LONG]),
        ("BTC-EUR", [OTHER, ALIKE, "132991", LONG]),
    ],
)
def test_what_is_meant_is_explained(asked, found):
    code, told = explained("low", asked)
    assert code == 0
    assert sorted(each["id"] for each in told["explained"]) == sorted(found)
    assert told["several"] == []


@pytest.mark.parametrize("asked", ["be0", "BE06C5DA", "06c5da", "nothing", "…", "%"])
def test_what_nothing_begins_with_is_unknown(asked):
    code, told = explained("low", asked)
    assert (code, told["explained"], told["several"]) == (1, [], [])


def test_of_another_kind_nothing_is_meant():
    assert explained("held", "be06c5da")[1]["explained"] == []


@pytest.mark.parametrize("asked", ["77aa0000", "77aa0000…"])
def test_what_may_be_several_is_said(asked):
    code, told = explained("low", asked)
    assert (code, told["explained"], sorted(told["several"])) == (1, [], [OTHER, ALIKE])
    output = CliRunner().invoke(cli, ["explain", "low", asked]).stdout
    assert output == f"{asked} may be {OTHER} or {ALIKE}; give more of it\n"
