"""`tocsin forget`, and how `tocsin status` and `explain` name what isn't confirmed."""

from datetime import UTC
from pathlib import Path

import pytest
from click.testing import CliRunner

from tocsin.cli import cli
from tocsin.cli.ask import me
from tocsin.cli.status import _unconfirmed

SOCKET = Path("/run/tocsin/control.sock")


@pytest.mark.parametrize(
    ("arguments", "answer", "exits", "says"),
    [
        (["fx", "position", "p"], (200, {"alerts": ["ended: red for p"]}), 0, "forgotten: position p on fx (the daemon at /run/tocsin/control.sock)\n  ended: red for p\n"),
        (["fx", "order", "o"], (409, {"accounts": ["a", None]}), 1, "several accounts have order o on fx: a, None; say --account\n"),
        (["fx", "order", "o", "--account", "b"], (404, {"accounts": []}), 1, "knows no order o of account b on fx\n"),
        (["fx", "order", "o"], (404, {"accounts": [], "near": ["fx order o1", "fx position o"]}), 1, "knows no order o on fx; did you mean fx order o1 or fx position o?\n"),
        (["fy", "order", "o"], (404, {"accounts": [], "near": ["fx order o"]}), 1, "knows no order o on fy; did you mean fx order o?\n"),
        (["fx", "order", "o"], (404, {"accounts": [], "near": []}), 1, "knows no order o on fx\n"),
    ],
)  # fmt: skip
def test_it_says_what_came_of_it(monkeypatch, arguments, answer, exits, says):
    asked = []

    def ask(_state_dir, method, path, **query):
        asked.append((method, path, query))
        return (*answer, SOCKET)

    monkeypatch.setattr("tocsin.cli.forget.ask_running", ask)
    result = CliRunner().invoke(cli, ["forget", *arguments])
    assert result.exit_code == exits
    assert result.output.endswith(says)
    venue, kind, id_, *account = arguments
    of = {"account": account[1]} if account else {}
    who = {"by": me(), "why": ""}
    assert asked == [("POST", "/api/forget", {"venue": venue, "kind": kind, "id": id_, **who, **of})]


@pytest.mark.parametrize("kind", ["venue", "daemon", "orders"])
def test_what_is_no_venue_s_is_not_forgotten(kind):
    assert CliRunner().invoke(cli, ["forget", "fx", kind, "x"]).exit_code == 2


@pytest.mark.parametrize(
    ("kind", "near"), [("orders", "order"), ("postion", "position"), ("ballance", "balance")]
)
def test_of_a_misspelt_kind_the_nearest_is_named(kind, near):
    result = CliRunner().invoke(cli, ["forget", "fx", kind, "x"])
    assert f"'{kind}' is no kind; did you mean {near}?" in result.output


FIRST = [{"kind": "order", "id": "132991", "account": None, "symbol": "ETH/BTC"}, {"kind": "position", "id": "p\x1b", "account": "a", "symbol": None}]  # fmt: skip


@pytest.mark.parametrize(
    ("venue", "says"),
    [
        ({}, ""),
        ({"unconfirmed": "0"}, ""),
        ({"unconfirmed": "2"}, "2 not confirmed"),
        (
            {
                "unconfirmed": "3",
                "unconfirmed_since": "2026-01-01T00:00:10.000000Z",
                "unconfirmed_first": FIRST,
            },
            "3 not confirmed since 2026-01-01 00:00:10 UTC: order 132991 (ETH/BTC), position p and 1 more",
        ),
    ],
)
def test_status_names_what_is_not_confirmed(venue, says):
    assert (
        "".join(c for c in _unconfirmed(venue, UTC) if c.isprintable()).replace("\N{SYMBOL FOR ESCAPE}", "")
        == says
    )
