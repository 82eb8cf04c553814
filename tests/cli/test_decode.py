"""`tocsin decode`, `tocsin test` of a description, `tocsin schema venue` and `tocsin init --venue`: what an author of a description sees."""

import json
import re

import pytest
import yaml
from click.testing import CliRunner

from support.adapters import DESCRIPTIONS
from support.decoding import TESTS, fixture
from tocsin.cli import cli
from tocsin.config import yaml as documents
from tocsin.config.descriptions import described
from tocsin.config.schema import venue_schema
from tocsin.venues.json.grammar import BLOCKS, LATER
from tocsin.venues.meaning import difference, meanings

OWN = """\
summary: an exchange
tried: documents
hosts: [example.com]
times: ms
sockets: {main: {url: wss://example.com}}
things: {order: {fields: {id: i, price: p, status: {path: s, map: {N: open}}, account: a}}}
messages: [{when: {t: o}, each: "d[]", gives: order}]
answers: [{text: pong, is: control}]
"""


def run(*arguments, stdin=None):
    return CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, catch_exceptions=False)


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(OWN.replace(", account: a", ""))
    return tmp_path / "own.yaml"


class TestDecode:
    @pytest.mark.parametrize("depth", [101, 600, 5000])
    def test_a_message_that_is_nested_deeply_is_malformed(self, own, depth):
        found = run("decode", "own.yaml", stdin=f'{{"t": "o", "d": {"[" * depth}{"]" * depth}}}')
        assert "- malformed: " in found.output

    @pytest.mark.parametrize("depth", [101, 600, 900])
    def test_what_nothing_is_said_of_is_not_looked_for_as_deep_as_it_goes(self, own, depth):
        message = f'{{"t": "o", "d": [{{"i": 1, "s": "N"}}], "x": {"[" * depth}{"]" * depth}}}'
        found = run("decode", "own.yaml", stdin=message)
        assert found.exit_code == 0
        assert "order:" in found.output

    def test_a_message_and_what_nothing_is_said_of(self, own):
        message = {
            "t": "o",
            "d": [{"i": 1, "p": "1.50", "s": "N", "x": {"y": 1}, "a-b": 2}, {"i": 2, "s": "odd"}],
            "z": [1],
        }
        (own.parent / "m.json").write_text(json.dumps(message, indent=1))
        found = run("decode", "own.yaml", "m.json", "--json")
        assert json.loads(found.output) == [
            {
                "message": "m.json",
                "gives": [
                    {"order": {"id": "1", "status": "open", "price": "1.50"}},
                    {"order": {"id": "2", "status": "unknown"}},
                    {"unreadable": "order.status: not documented: odd"},
                ],
                "unread": ["d[].x", 'd[]."a-b"', "z"],
            }
        ]
        text = run("decode", "own.yaml", "m.json").output
        assert "  - order:\n      id: '1'\n      status: open\n      price: '1.50'\n" in text
        assert 'nothing is said of:\n    d[].x, d[]."a-b", z\n' in text

    def test_several_on_the_standard_input_also_as_recorded(self, own):
        lines = [
            "pong",
            '{"t":"x"}',
            json.dumps({"received": "2026-01-01T00:00:00Z", "message": '{"t":"o","d":[]}'}),
            "no JSON",
        ]
        found = json.loads(run("decode", "own.yaml", "--json", stdin="\n".join(lines)).output)
        assert [each["message"] for each in found] == [f"standard input:{n}" for n in range(1, 5)]
        assert [each["gives"] for each in found] == [
            ["control"],
            [{"unrecognized": "a message that the description knows nothing of"}],
            ["control"],
            [{"malformed": "JSON is malformed: invalid character (byte 4)"}],
        ]

    @pytest.mark.parametrize("name", [*DESCRIPTIONS, "topone", "piexgo"])
    def test_of_each_venue(self, name):
        files = sorted((TESTS / "fixtures" / name).glob("*.json"))
        result = run("decode", name, *files)
        assert result.exit_code == 0
        assert all(str(file) in result.output for file in files)

    def test_hostile_text_is_shown_as_text(self, own):
        message = json.dumps({"t": "o", "d": [{"i": "\u001b[31m{{x}}", "s": "\u202e", "\u001b[31m": 1}]})
        output = run("decode", "own.yaml", stdin=message).output
        assert "\u001b" not in output
        assert "\u202e" not in output

    def test_what_there_is_not(self, own):
        assert "no description is called bybt; did you mean bybit?" in run("decode", "bybt").output
        assert "can't read nothing.json: No such file" in run("decode", "own.yaml", "nothing.json").output


def test_what_is_read_is_the_same_whether_it_is_noted_or_not():
    for name in DESCRIPTIONS:
        venue = described(name)
        for file in sorted((TESTS / "fixtures" / name).glob("*.json")):
            told = venue.unread(file.read_text())
            assert len(told) == len(set(told))
    assert "data[].feeCurrency" in described("bybit").unread(fixture("bybit", "order-filled.json"))
    assert "data[].orderId" not in described("bybit").unread(fixture("bybit", "order-filled.json"))


class TestExamples:
    def described(self, own, gives, message="{t: o, d: [{i: 1, p: 1.50, s: N}]}"):
        own.write_text(
            own.read_text() + f"examples:\n  - about: it\n    message: {message}\n    gives: {gives}\n"
        )

    @pytest.mark.parametrize(
        ("gives", "wrong"),
        [
            ('[order: {id: "1", price: 1.50}]', ""),
            ("[order: {id: 1, status: open}]", ""),
            ("[order: {id: 1, price: 1.5}]", "1. order.price: wanted 1.5, and it is 1.50"),
            ("[order: {id: 1, amount: 2}]", "1. order.amount: wanted 2, and it is not said"),
            ("[order: {id: 1, price: null}]", "1. order.price: wanted none, and it is 1.50"),
            ("[position: {id: 1}]", "1. wanted position, and it is order"),
            ("[control]", "1. wanted control, and it is order"),
            ("[]", "0 wanted, and it means 1: order"),
            ("[order: {id: 1}, control]", "2 wanted, and it means 1: order"),
        ],
    )  # fmt: skip
    def test_each_is_held_against_what_it_means(self, own, gives, wrong):
        self.described(own, gives)
        result = run("test", "own.yaml")
        assert result.exit_code == (1 if wrong else 0)
        assert ("all passed: 1 example in 1 description" in result.output) is (not wrong)
        assert not wrong or re.search(rf"FAILED own.yaml:11:14: it\n    {re.escape(wrong)}\n", result.output)
        (told,) = json.loads(run("test", "own.yaml", "--json").output)["tests"]
        assert told["passed"] is (not wrong)

    def test_a_message_may_be_a_text(self, own):
        self.described(own, "[control]", message="pong")
        assert run("test", "own.yaml").exit_code == 0

    def test_a_description_that_is_wrong(self, own):
        own.write_text(OWN)
        result = CliRunner().invoke(cli, ["test", "own.yaml"])
        assert "order has no field `account`" in result.output


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_what_decode_prints_of_a_shipped_one_s_samples_is_an_example_that_holds(name, own):
    venue = described(name)
    for file in sorted((TESTS / "fixtures" / name).glob("*.json")):
        (found,) = json.loads(run("decode", name, file, "--json").output)
        written, _ = documents.load(yaml.safe_dump(found["gives"]))
        assert difference(written.plain(), meanings(venue, file.read_text(), None)) == ""


class TestInit:
    def test_a_described_venue_with_the_secrets_that_it_needs(self, tmp_path):
        output = run("init", tmp_path, "--venue", "okx").output
        assert f"added venue okx to {tmp_path}/config.yaml" in output
        assert "it connects to okx.com" in output
        text = (tmp_path / "config.yaml").read_text()
        assert (
            "venues:\n  okx:\n    type: json\n    describe: okx\n    given:\n      key: ${cred:okx_key}"
            in text
        )
        assert (tmp_path / "config.yaml").stat().st_mode & 0o777 == 0o600
        for name in ("okx_key", "okx_secret", "okx_passphrase"):
            assert name in output
            (tmp_path / "secrets" / name).write_text("0123456789abcdef")
            (tmp_path / "secrets" / name).chmod(0o600)
        checked = run("--config", tmp_path / "config.yaml", "check").output
        assert "venue okx: json okx, connects to okx.com" in checked

    def test_what_is_given_and_no_secret_is_to_be_filled_in(self, tmp_path):
        given = "given: {key: {about: its key}, user: {secret: false, about: the account's address}}\n"
        (tmp_path / "own.yaml").write_text(OWN.replace(", account: a", "") + given)
        output = run("init", tmp_path, "--venue", tmp_path / "own.yaml").output
        assert f"  fill in given.user of own in {tmp_path}/config.yaml: the account's address\n" in output
        assert "fill in given.key" not in output
        checked = CliRunner().invoke(cli, ["--config", str(tmp_path / "config.yaml"), "check"])
        assert checked.exit_code == 78
        assert "venues.own.given.user: is empty: fill it in" in checked.output
        assert "= the account's address" in checked.output

    def test_one_more_and_one_of_a_type_and_one_that_is_there(self, tmp_path):
        for name in ("bybit", "binance-usdm", "topone"):
            assert "added venue" in run("init", tmp_path, "--venue", name).output
        assert "has a venue bybit already" in run("init", tmp_path, "--venue", "bybit").output
        venues = yaml.safe_load((tmp_path / "config.yaml").read_text())["venues"]
        assert {name: venue["type"] for name, venue in venues.items()} == {
            "topone": "topone", "binance_usdm": "json", "bybit": "json",
        }  # fmt: skip

    def test_a_config_of_one_s_own_keeps_its_indentation(self, tmp_path):
        (tmp_path / "config.yaml").write_text(
            "state_dir: x\nvenues: # mine\n\n    # a\n    a: {type: piexgo}\nchannels: {}\n"
        )
        run("init", tmp_path, "--venue", "kraken")
        text = (tmp_path / "config.yaml").read_text()
        assert text.startswith("state_dir: x\nvenues: # mine\n    kraken:\n      type: json\n")
        assert text.endswith("\n    # a\n    a: {type: piexgo}\nchannels: {}\n")

    @pytest.mark.parametrize("text", ["venues: {a: {type: piexgo}}\n", "channels: {}\n"])
    def test_a_config_that_can_t_be_added_to_is_left_alone(self, tmp_path, text):
        (tmp_path / "config.yaml").write_text(text)
        result = CliRunner().invoke(cli, ["init", str(tmp_path), "--venue", "kraken"])
        assert "put this under its `venues:`\n  kraken:\n" in result.output
        assert (tmp_path / "config.yaml").read_text() == text

    def test_a_file_that_can_t_be_written_is_told(self, tmp_path):
        (tmp_path / "config.yaml.new").touch()
        result = CliRunner().invoke(cli, ["init", str(tmp_path), "--venue", "kraken"])
        assert f"can't write {tmp_path}/config.yaml.new: File exists" in result.output

    @pytest.mark.parametrize(
        "about",
        [
            "its key\\n    plaintext: true",
            "its key\\n  evil:\\n    type: piexgo",
            "its key\\nstate_dir: /elsewhere",
        ],
    )
    def test_what_a_description_says_of_a_secret_adds_nothing_else(self, tmp_path, about):
        written = OWN.replace(", account: a", "") + f'given: {{key: {{about: "{about}"}}}}\n'
        (tmp_path / "own.yaml").write_text(written)
        result = CliRunner().invoke(cli, ["init", str(tmp_path), "--venue", str(tmp_path / "own.yaml")])
        assert "given.key.about: must be one line" in result.output
        assert not (tmp_path / "config.yaml").exists()

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("own #1", "venues:\n"),
            ("own: it", "venues:\n"),
            ("own", "state_dir: 'x\nvenues:\n  a'\nchannels: {}\n"),
            ("own", "venues:\n  a: b: c\n"),
        ],
    )
    def test_only_that_one_venue_is_added_or_nothing(self, tmp_path, name, text):
        (tmp_path / f"{name}.yaml").write_text(OWN.replace(", account: a", ""))
        (tmp_path / "config.yaml").write_text(text)
        result = CliRunner().invoke(cli, ["init", str(tmp_path), "--venue", str(tmp_path / f"{name}.yaml")])
        assert "can't be added to as it is written" in result.output
        assert (tmp_path / "config.yaml").read_text() == text
        assert not (tmp_path / "config.yaml.new").exists()

    def test_a_venue_that_there_is_not(self, tmp_path):
        assert "no venue is called byb; did you mean bybit?" in run("init", tmp_path, "--venue", "byb").output
        assert not (tmp_path / "config.yaml").exists()


def test_the_schema_has_every_key_that_is_checked():
    schema = venue_schema()
    for name, keys in BLOCKS.items():
        block = schema if name == "description" else schema["$defs"][name]
        assert block["properties"].keys() == keys.keys()
        assert block["additionalProperties"] is False
        assert set(block["required"]) == {key for key, each in keys.items() if each.needed}
        assert not set(LATER.get(name, ())) & keys.keys()
