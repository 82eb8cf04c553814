"""`tocsin check` compares `names` with what venues told of, where the state of the daemon can be read."""

import pytest
from click.testing import CliRunner

from support.stored import alert, commit, opened, order
from tocsin.cli import cli
from tocsin.events import Key
from tocsin.store.store import DATABASE

MAIN, SPARE = "9020b4e5-dade-46da-9469-7a58fa25fd56", "9020ffff-0000-46da-9469-7a58fa25fd56"


@pytest.fixture
def state(tmp_path):
    store = opened(tmp_path / "st")
    commit(
        store,
        entities=[
            order("o1", key=Key("fx", "order", MAIN, "o1"), symbol="BTC_USDT"),
            order("o2", key=Key("fx", "order", SPARE, "o2"), symbol="sec-z-eth-1"),
            order("o3", key=Key("fx", "order", "", "o3"), symbol=None),
        ],
        alerts=[alert("a1", account="closed-long-ago", symbol="XRP\x1b[2J")],
    )
    store.close()
    return tmp_path / "st"


def check(tmp_path, names: str, venues: str = "fx") -> str:
    config = tmp_path / "config.yaml"
    config.touch(mode=0o600)
    listed = ", ".join(f"{name}: {{type: piexgo}}" for name in venues.split())
    config.write_text(
        f"venues: {{{listed}}}\nchannels: {{a: 'json://127.0.0.1:9/'}}\nrules: [{{id: a, watch: order.filled}}]\n"
        f"state_dir: st\nnames: {names}\n"
    )
    result = CliRunner().invoke(cli, ["--config", str(config), "check"])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    "names",
    [
        f"{{accounts: {{{MAIN}: Main, closed-long-ago: Old}}, symbols: {{BTC_USDT: Bitcoin}}}}",
        "{symbols: {btc_usdt: Bitcoin}}",
        "{accounts: {}, symbols: {}}",
        "{}",
    ],
)
def test_a_name_for_what_venues_told_of_is_right(tmp_path, state, names):
    assert "warning" not in check(tmp_path, names)


@pytest.mark.parametrize(
    ("names", "place", "says"),
    [
        ("{accounts: {9020b4e5: Main}}", "5:20", f"`9020b4e5` so far: this names nothing\n # = there are {MAIN}, {SPARE}, closed-long-ago\n"),
        ("{accounts: {9020f…: Main}}", "5:20", f"`9020f…` so far: this names nothing\n # = there are {SPARE}, "),
        (f"{{accounts: {{{MAIN.upper()}: Main}}}}", "5:20", f"this names nothing\n # = there are {MAIN}, "),
        ("{symbols: {btc-usdt: Bitcoin}}", "5:19", "no venue has told of a symbol `btc-usdt` so far: this names nothing\n # = there are BTC_USDT, "),
        ("{symbols: {sec-z-eth: Ether}}", "5:19", "# = there are sec-z-eth-1, "),
        ("{symbols: {XRP: Ripple}}", "5:19", "# = there are XRP [2J, "),
    ],
)  # fmt: skip
def test_a_name_for_nothing_is_told_with_what_there_is(tmp_path, state, names, place, says):
    output = check(tmp_path, names)
    assert f"config.yaml:{place}: warning: names." in output
    assert "1 warning" in output
    lines = [line for line in output.splitlines() if " | " not in line]
    flat = "\n".join(line.replace("      = ", " # = ") for line in lines)
    assert says in flat + "\n"


def test_a_venue_that_told_of_nothing_yet_may_be_the_one(tmp_path, state):
    output = check(tmp_path, "{accounts: {new: New}}", venues="fx px")
    assert "; nothing was heard from px yet\n" in output


def test_of_many_the_nearest_are_shown(tmp_path):
    store = opened(tmp_path / "st")
    commit(
        store, entities=[order(f"o{n}", key=Key("fx", "order", f"acc-{n:02}", f"o{n}")) for n in range(12)]
    )
    store.close()
    output = check(tmp_path, "{accounts: {acc-7: Seven}}")
    assert "there are acc-07, " in output
    assert " and 7 more\n" in output


@pytest.mark.parametrize("damage", ["none", "nothing told", "not a database", "of no version", "folder"])
def test_without_a_database_to_ask_it_goes_by_the_shape(tmp_path, damage):
    path = tmp_path / "st" / DATABASE
    if damage != "none":
        path.parent.mkdir(mode=0o700)
    if damage == "nothing told":
        opened(path.parent).close()
    elif damage == "folder":
        path.mkdir()
    elif damage == "of no version":
        path.touch()
    elif damage != "none":
        path.write_bytes(b"x" * 5000)
    output = check(tmp_path, "{accounts: {9020b4e5: Main, other: Other}, symbols: {x: y}}")
    assert "`9020b4e5` looks like the beginning of an account's id: it names no account" in output
    assert "1 warning" in output
