"""Recorded events through rules: what would have fired, and what an edit adds and loses."""

import json
import sqlite3
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.replaying import START, at_p1, lived, message, replayed, run, write
from tocsin.cli import cli
from tocsin.events import Observation, Position, Ticker, from_iso, iso, number
from tocsin.replay.records import Database
from tocsin.replay.replay import replay
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.simulation import Delivered

RULES = """
rules:
  - {id: in-the-red, watch: position, when: profit < -50, for: 30s}
  - {id: closed, watch: position.closed}
  - {id: away, watch: venue, when: {status: disconnected}}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


@pytest.fixture
def recording(here):
    return write(
        here / "fx.jsonl",
        (0, message("created", profit=-1)),
        (10, message("updated", profit=-60)),
        (45, message("updated", profit=-70)),
        (60, message("updated", profit=-5)),
        (70, message("updated", profit=-55)),
        (80, message("closed", profit=-55)),
    )


def fired(told: dict) -> dict[str, int]:
    return {rule["rule"]: rule["fired"] for rule in told["rules"]}


ALONE = ("fx.jsonl", "--rules", "rules.yaml", "--type", "yourfintech")


def test_it_says_how_often_each_rule_would_have_fired(recording):
    told = replayed(*ALONE)
    assert fired(told) == {"in-the-red": 2, "closed": 1, "away": 0}
    (first, last) = told["rules"][0]["alerts"]
    # Its timer was due between two messages; the last one ended with the position, while it was pending.
    assert (first["at"], first["until"]) == ("2024-11-15T12:56:00+00:00", "2024-11-15T12:56:20+00:00")
    assert last["at"] == "2024-11-15T12:56:40+00:00"
    assert (told["messages"], told["from"]) == (6, "2024-11-15T12:55:20+00:00")


def test_of_a_described_venue_by_its_description_or_by_the_config(here):
    position = {"symbol": "X", "positionIdx": 0, "side": "Buy", "size": "1"}
    pushes = [
        (0, {**position, "unrealisedPnl": "-1"}),
        (10, {**position, "unrealisedPnl": "-60"}),
        (50, {**position, "side": "", "size": "0", "curRealisedPnl": "-70"}),
    ]
    write(here / "px.jsonl", *((at, json.dumps({"topic": "position", "data": [row]})) for at, row in pushes))
    told = replayed("px.jsonl", "--rules", "rules.yaml", "--type", "bybit")
    assert fired(told) == {"in-the-red": 1, "closed": 1, "away": 0}
    given = "given: {key: kkkkkkkk, secret: ssssssss}"
    (here / "config.yaml").write_text(
        f"venues: {{px: {{type: json, describe: bybit, {given}}}}}\nchannels: {{me: 'json://127.0.0.1:9/'}}\nrules: [rules.yaml]\n"
    )
    (here / "config.yaml").chmod(0o600)
    assert fired(replayed("px.jsonl")) == fired(told)
    assert "no venue type is called bybt; did you mean bybit?" in run("px.jsonl", "--type", "bybt").output


def test_it_says_so_to_people(recording):
    output = run(*ALONE).output
    assert "6 messages, 2024-11-15 12:55:20 to 2024-11-15 12:56:40 UTC" in output
    assert "in-the-red: would have fired 2 times" in output
    assert "  2024-11-15 12:56:00 to 12:56:20  🟠 -60 USD BTCUSD long: profit < -50" in output
    assert "closed: would have fired 1 time\n" in output
    assert "would have fired 0 times: away" in output


def test_what_did_not_come_is_told_too(recording, here):
    rule = "{id: none-closed, watch: position.closed, absent: 40s, per: []}"
    (here / "rules.yaml").write_text(f"rules: [{rule}]")
    (alert,) = replayed(*ALONE)["rules"][0]["alerts"]
    assert (alert["at"], alert["until"]) == ("2024-11-15T12:56:00+00:00", "2024-11-15T12:56:40+00:00")


def test_against_other_rules_it_says_what_they_add_and_lose(recording, here):
    (here / "edited.yaml").write_text(
        "rules:\n"
        "  - {id: in-the-red, watch: position, when: profit < -50, for: 40s}\n"
        "  - {id: any-loss, watch: position, when: profit < -2}\n"
    )
    told = replayed(*ALONE, "--against", "edited.yaml")
    # `for: 40s` fires later for the same spell, which is the same alert.
    assert [(alert["rule"], alert["at"][11:19]) for alert in told["lost"]] == [("closed", "12:56:40")]
    assert [alert["rule"] for alert in told["added"]] == ["any-loss"]
    output = run(*ALONE, "--against", "edited.yaml").output
    assert "\nedited.yaml in the place of all the rules:\nadds 1 alert\n" in output
    assert "  any-loss  🟠 -60" in output
    assert "\nloses 1 alert\n" in output
    assert told["replaces"] is None


def test_the_same_rules_add_and_lose_nothing(recording):
    told = replayed(*ALONE, "--against", "rules.yaml")
    assert (told["added"], told["lost"]) == ([], [])


LOSSES = "rules:\n  - {id: in-the-red, watch: position, when: profit < -50, for: 30s}\n"
ENDS = "rules:\n  - {id: closed, watch: position.closed, inhibited_by: [in-the-red]}\n"
EDITED = "rules:\n  - {id: in-the-red, watch: position, when: profit < -2}\n"
CONFIG = (
    "venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}\n"
    "channels: {phone: 'json://127.0.0.1/'}\n"
    "rules: [rules/*.yaml, rules/ends.yaml, {id: opened, watch: position.opened}]\n"
)


@pytest.fixture
def files(recording, here):
    """Rules in files that name each other's, and one of them edited elsewhere under its own name."""
    (here / "rules").mkdir()
    (here / "rules" / "losses.yaml").write_text(LOSSES)
    (here / "rules" / "ends.yaml").write_text(ENDS)
    (here / "edited").mkdir()
    (here / "edited" / "losses.yaml").write_text(EDITED)
    (here / "config.yaml").write_text(CONFIG)
    (here / "config.yaml").chmod(0o600)
    return here


@pytest.mark.parametrize("own", [(), ("--rules", "rules")], ids=["of the config", "of a folder"])
def test_an_edited_file_takes_the_place_of_the_one_of_its_name(files, own):
    edit = ("fx.jsonl", *own, "--against", "edited/losses.yaml")
    told = replayed(*edit)
    # Two spells are one now; of the other files' rules nothing is lost, and what they inhibit by is there.
    assert ([alert["rule"] for alert in told["lost"]], told["added"]) == (["in-the-red"], [])
    assert told["replaces"] == "rules/losses.yaml"
    output = run(*edit).output
    assert "\nedited/losses.yaml in the place of rules/losses.yaml, the others as they are:\n" in output


def test_an_edited_file_of_another_name_takes_the_place_of_all(files):
    (files / "edited" / "losses.yaml").rename(files / "mine.yaml")
    told = replayed("fx.jsonl", "--against", "mine.yaml")
    assert sorted(alert["rule"] for alert in told["lost"]) == ["closed", "in-the-red", "opened"]
    assert told["replaces"] is None
    assert "\nmine.yaml in the place of all the rules:\n" in run("fx.jsonl", "--against", "mine.yaml").output


def test_what_is_wrong_with_an_edit_is_told_with_the_place_there(files):
    (files / "edited" / "losses.yaml").write_text(ENDS)
    result = run("fx.jsonl", "--against", "edited/losses.yaml")
    assert result.exit_code == 78
    assert "there is a rule `closed` already" in result.stderr
    assert "edited/losses.yaml:2" in result.stderr
    assert "no rule is called `in-the-red`" in result.stderr


def test_a_name_that_two_files_have_is_refused(files):
    (files / "more").mkdir()
    (files / "more" / "losses.yaml").write_text("rules: [{id: more, watch: position.updated}]\n")
    (files / "config.yaml").write_text(CONFIG.replace("rules: [", "rules: [more/*.yaml, "))
    result = run("fx.jsonl", "--against", "edited/losses.yaml")
    assert result.exit_code == 2
    assert "could take the place of each of more/losses.yaml, rules/losses.yaml" in result.stderr


def test_several_recordings_are_told_in_the_order_of_time(recording, here):
    other = {"id": "p2"}
    write(
        here / "px.jsonl",
        (5, message("created", profit=-60, **other)),
        (50, message("closed", profit=0, **other)),
    )
    told = replayed("fx.jsonl", "px.jsonl", *ALONE[1:])
    assert fired(told) == {"in-the-red": 3, "closed": 2, "away": 0}
    assert {alert["venue"] for alert in told["rules"][1]["alerts"]} == {"fx", "px"}


def test_the_files_of_one_recording_are_one_in_whatever_order_they_are_given(recording, here):
    """The clock was set back by half a minute between them: they are told as they were written."""
    first = recording.rename(here / "fx.20241115T125640000000Z.jsonl")
    write(recording, (15, message("updated", profit=-1)), (20, message("updated", profit=-60)))
    told = replayed("fx.jsonl", first.name, *ALONE[1:])
    assert told["messages"] == replayed(first.name, *ALONE[1:])["messages"] + 2
    assert {alert["venue"] for rule in told["rules"] for alert in rule["alerts"]} == {"fx"}
    assert told == replayed(first.name, "fx.jsonl", *ALONE[1:])


def test_a_config_says_whose_messages_they_are_and_has_the_rules(recording, here):
    (here / "config.yaml").write_text(
        "venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}\n"
        "channels: {phone: 'json://127.0.0.1/'}\nrules: [rules.yaml]\n"
    )
    (here / "config.yaml").chmod(0o600)
    assert fired(replayed("fx.jsonl"))["in-the-red"] == 2


def test_the_calendars_that_rules_name_are_the_configs(recording, here):
    """The recording is of a Friday, 12:55 to 12:57 UTC."""
    (here / "mornings.yaml").write_text(
        "rules: [{id: in-the-red, watch: position, when: profit < -50, active: mornings}]\n"
    )
    (here / "config.yaml").write_text(
        "calendars:\n  mornings: {tz: UTC, open: 'mon-fri 08:00-12:56'}\n  days: {tz: UTC, open: '08:00-20:00'}\n"
    )
    (here / "days.yaml").write_text(
        "rules: [{id: in-the-red, watch: position, when: profit < -50, active: days}]\n"
    )
    own = ("fx.jsonl", "--rules", "mornings.yaml", "--type", "yourfintech")
    told = replayed(*own, "--against", "days.yaml")
    assert fired(told) == {"in-the-red": 1}
    assert [alert["at"][11:19] for alert in told["added"]] == ["12:56:30"]
    (here / "elsewhere.yaml").write_text("calendars: {mornings: {tz: UTC, open: '06:00-07:00'}}\n")
    assert fired(replayed(*own, "--config", "elsewhere.yaml")) == {"in-the-red": 0}
    (here / "elsewhere.yaml").write_text("tz: Asia/Tokyo\ncalendars: {mornings: {open: '21:00-22:00'}}\n")
    assert fired(replayed(*own, "--config", "elsewhere.yaml")) == {"in-the-red": 2}


def test_without_a_config_no_calendar_has_a_name(recording, here):
    (here / "hours.yaml").write_text(
        "rules: [{id: in-the-red, watch: position, when: profit < -50, active: mornings}]\n"
    )
    result = run("fx.jsonl", "--rules", "hours.yaml", "--type", "yourfintech")
    assert result.exit_code == 78
    assert "mornings" in result.stderr
    (here / "config.yaml").write_text("calendars: {mornings: {tz: UTC, open: 'noon'}}\n")
    faulty = run("fx.jsonl", "--rules", "hours.yaml", "--type", "yourfintech")
    assert faulty.exit_code == 78
    assert "calendars.mornings" in faulty.stderr


GATED = """
rules:
  - {id: first, watch: position, when: profit < -50}
  - {id: second, watch: position, when: profit < -55, inhibited_by: [first]}
  - {id: after, watch: position.closed, inhibited_by: [first]}
  - {id: hours, watch: position, when: profit < -65, notify_during: {tz: UTC, open: ["12:56-13:00"]}}
  - {id: event, watch: position.opened, notify_during: {tz: UTC, open: ["12:56-13:00"]}}
  - {id: event-later, watch: position.opened, notify_during: {tz: UTC, open: ["13:00-13:30"]}}
  - {id: nobody, watch: position.opened, notify: []}
  - {id: nobody-later, watch: position.opened, notify: [], notify_during: {tz: UTC, open: ["12:56-13:00"]}}
"""


def told_of(told: dict) -> dict[str, tuple[int, int]]:
    return {rule["rule"]: (rule["fired"], rule["told"]) for rule in told["rules"]}


def test_it_says_what_would_have_been_told(recording, here):
    """What the rules themselves hold back is told when the way is free, or never; as in production."""
    (here / "gated.yaml").write_text(GATED)
    told = replayed("fx.jsonl", "--rules", "gated.yaml", "--type", "yourfintech")
    assert told_of(told) == {
        "first": (2, 2),
        "second": (1, 0),
        "after": (1, 1),
        "hours": (1, 1),
        "event": (1, 1),
        "event-later": (1, 0),
        "nobody": (1, 0),
        "nobody-later": (1, 0),
    }
    of = {rule["rule"]: rule["alerts"][0] for rule in told["rules"]}
    assert (of["second"]["held_by"], of["second"]["told"]) == ("first fires for fx", None)
    # At eight seconds before the hour nothing comes in: the calendar opens by itself.
    assert of["event"]["told"] == "2024-11-15T12:56:00+00:00"
    assert of["event"]["held_by"].startswith("closed until ")
    output = run("fx.jsonl", "--rules", "gated.yaml", "--type", "yourfintech").output
    assert "second: would have fired 1 time, told 0\n" in output
    assert "(first fires for fx: nobody was notified)" in output
    assert "hours: would have fired 1 time\n" in output
    assert ": told 2024-11-15 12:56:00)" in output


def test_an_edit_of_what_holds_back_shows(recording, here):
    (here / "gated.yaml").write_text(GATED)
    (here / "open.yaml").write_text(
        GATED.replace("when: profit < -55, inhibited_by: [first]", "when: profit < -55").replace(
            "watch: position, when: profit < -50",
            "watch: position, when: profit < -50, notify_during: {tz: UTC, open: ['20:00-21:00']}",
        )
    )
    own = ("fx.jsonl", "--rules", "gated.yaml", "--type", "yourfintech", "--against", "open.yaml")
    told = replayed(*own)
    assert (told["added"], told["lost"]) == ([], [])
    assert [alert["rule"] for alert in told["freed"]] == ["second"]
    assert [alert["rule"] for alert in told["kept_back"]] == ["first", "first"]
    output = run(*own).output
    assert "\nadds 0 alerts\nloses 0 alerts\ntells 1 alert more of those that both have\n" in output
    assert "\nholds back 2 alerts more of those that both have\n" in output


TORN = (
    '{"received": "2024-11-15T12:5',  # by a crash, and what came after the next start glued to it
    '{"received": "2024-11-15T12:5{"received": "2024-11-15T12:55:21Z", "stream": "s", "message": "{}"}',
    "\0\0\0\0",
    '{"received": 1, "message": "x"}',
    '{"received": "2024-11-15T12:55:21Z", "message": 5}',
    "[" * 100_000,
    "\ufeffnot ours",
)


@pytest.mark.parametrize("torn", TORN)
def test_a_line_that_is_none_is_skipped_and_told(recording, torn):
    whole = replayed(*ALONE)
    lines = recording.read_text().splitlines(keepends=True)
    recording.write_text("".join([*lines[:3], torn, "\n", *lines[3:], "{}\n"]))
    told = replayed(*ALONE)
    (of_fx,) = told["recordings"]
    assert (of_fx["skipped_lines"], of_fx["first_skipped"]) == (2, "fx.jsonl:4")
    assert {**told, "recordings": None} == {**whole, "recordings": None}
    result = run(*ALONE)
    assert result.exit_code == 0
    said = "skipped 2 lines that tocsin record didn't write, or a crash tore; the first is fx.jsonl:4\n"
    assert result.stderr == said
    assert "in-the-red: would have fired 2 times" in result.stdout


def test_a_file_without_a_line_of_ours_is_refused(recording, here):
    (here / "px.jsonl").write_text("\nnothing\nof ours\n")
    result = run("px.jsonl", *ALONE)
    assert result.exit_code == 1
    assert "px.jsonl:2: not a line that tocsin record writes" in result.stderr


def test_messages_that_nobody_understood_are_told(recording):
    with recording.open("a") as file:
        for text in ("not json", '{"neither": 1}'):
            line = {"received": iso(START + timedelta(seconds=90)), "stream": "s", "message": text}
            file.write(json.dumps(line) + "\n")
    result = run(*ALONE)
    assert result.exit_code == 0
    assert "2 of fx's 8 messages not understood; the first is fx.jsonl:7: " in result.stderr
    (of_fx,) = replayed(*ALONE)["recordings"]
    assert (of_fx["messages"], of_fx["not_understood"]) == (8, 2)
    assert of_fx["first_not_understood"].startswith("fx.jsonl:7: ")


@pytest.mark.parametrize("wrong", ["topone", "piexgo", "glocalflex", "wealthsimple"])
def test_where_nothing_was_understood_the_type_is_doubted(recording, wrong):
    arguments = (*ALONE[:-1], wrong)
    result = run(*arguments)
    assert result.exit_code == 1
    assert (
        f"nothing in fx's 6 messages was understood: are they a venue's of the type {wrong}?" in result.stderr
    )
    told = run(*arguments, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["recordings"][0]["not_understood"] == 6


def test_of_links_and_the_daemon_a_recording_tells_nothing(recording, here):
    (here / "ours.yaml").write_text(
        "rules:\n  - {id: stopped, watch: daemon.stopping}\n  - {id: closed, watch: position.closed}\n"
        "  - {id: off, watch: venue.silent, enabled: false}\n"
        '  - {id: while-away, watch: position, when: venue.status != "connected"}\n'
    )
    assert replayed(*ALONE, "--against", "ours.yaml")["unsure"] == ["away", "stopped", "while-away"]
    last = run(*ALONE).output.splitlines()[-1]
    assert last == (
        "unsure: away; a recording holds messages, and nothing of links or of the daemon: replay its tocsin.db"
    )


def test_a_venue_nobody_knows_is_wrong_usage(recording):
    result = run("fx.jsonl", "--rules", "rules.yaml", "--type", "yourfintek")
    assert result.exit_code == 2
    assert "no venue type is called yourfintek" in result.stderr


def test_an_empty_recording(here):
    (here / "fx.jsonl").write_text("")
    assert run(*ALONE).output == "nothing is recorded there\n"


def live(here: Path, rules: str, said: tuple[tuple[float, str, str], ...]) -> list[Delivered]:
    """What people were told in a run of these rules; what it kept is in state/. Its position's profit and status are said."""
    return lived(here, rules, [(at, (at_p1(profit, status),)) for at, profit, status in said]).told


def test_it_tells_what_the_daemon_told(here):
    """Of every alert that a run told, or kept from people, the replay of its database says the same."""
    (here / "gated.yaml").write_text(GATED)
    said = (
        (0, "-60", "open"),
        (30, "-70", "open"),
        (60, "-5", "open"),
        (70, "-58", "open"),
        (75, "-1", "closed"),
    )
    told = [
        delivered for delivered in live(here, "gated.yaml", said) if delivered.delivery.state_told == "firing"
    ]
    lived = Counter(
        (delivered.delivery.context["rule"], START + timedelta(seconds=delivered.at)) for delivered in told
    )
    assert sorted(rule for rule, _ in lived) == ["after", "event", "first", "first", "hours"]
    again = replayed("state/tocsin.db", "--rules", "gated.yaml")
    alerts = [alert for rule in again["rules"] for alert in rule["alerts"]]
    assert Counter((alert["rule"], from_iso(alert["told"])) for alert in alerts if alert["told"]) == lived
    assert {alert["rule"] for alert in alerts if not alert["told"]} == {
        "second",
        "event-later",
        "nobody",
        "nobody-later",
    }


def test_what_came_with_one_message_is_one_again(here):
    """A rule on groups judges it when all of it is there, as in the run."""
    (here / "groups.yaml").write_text(
        "rules:\n  - {id: loss, watch: position, per: [account], when: sum(profit) < -50}\n"
    )
    both = (at_p1("-60"), at_p1("20", id_="p2"))
    told = lived(here, "groups.yaml", [(0, both), (10, (at_p1("0", id_="p2"),))]).told
    assert [each.at for each in told] == [10]
    again = replayed("state/tocsin.db", "--rules", "groups.yaml")["rules"][0]["alerts"]
    assert [alert["at"] for alert in again] == ["2024-11-15T12:55:30+00:00"]


def test_a_database_tells_its_own_events_again(here):
    """What a run of rule tests left in its store is replayed to the same alerts."""
    live(here, "rules.yaml", ((0, "-60", "open"), (40, "-5", "open"), (50, "-5", "closed")))
    with sqlite3.connect(here / "state" / "tocsin.db") as connection:
        lived = dict(connection.execute("SELECT rule, count(*) FROM alerts GROUP BY rule").fetchall())
        (kept,) = connection.execute("SELECT count(*) FROM events").fetchone()
    connection.close()
    assert lived == {"in-the-red": 1, "closed": 1, "away": 1}
    told = replayed("state/tocsin.db", "--rules", "rules.yaml")
    assert fired(told) == lived
    assert ("messages" in told, told["events"], told["recordings"], told["unsure"]) == (False, kept, [], [])
    # Of market data it has only what made rules fire, which is said of the rules that watch some.
    (here / "prices.yaml").write_text(
        "rules:\n  - {id: dear, watch: ticker, when: price > 100}\n"
        "  - {id: after, watch: position.closed, then: {watch: trade.executed, match: {symbol: symbol}, within: 1h}}\n"
        "  - {id: off, watch: book, when: spread > 1, enabled: false}\n"
        "  - {id: near, watch: order, when: ticker.price < price}\n"
        "  - {id: at-price, watch: position.closed, when: ticker.spread > 1}\n"
        "  - {id: then-dear, watch: order.filled, then: {watch: position.closed, when: ticker.price > 5, match: {symbol: symbol}, within: 1h}}\n"
        '  - {id: at-a-venue, watch: order, when: venue.status == "connected"}\n'
    )
    told = replayed("state/tocsin.db", "--rules", "rules.yaml", "--against", "prices.yaml")
    assert told["unsure"] == ["dear", "after", "near", "at-price", "then-dear"]
    output = run("state/tocsin.db", "--rules", "prices.yaml").output
    assert output.startswith(f"{kept} events, 2024-11-15 12:55:20 to ")
    assert output.splitlines()[-1].startswith(
        "unsure: dear, after, near, at-price, then-dear; of market data a database keeps only"
    )


def test_of_what_prices_moved_a_database_may_not_know(here):
    """Rules that read it are named, as long as any of it was left out; others aren't."""
    numbers = dict.fromkeys(("amount", "lot_size", "profit_price"), number("1"))
    opened = Position(id="p1", symbol="X", side="long", status="open", entry_price=number("100"), **numbers)
    price = Observation(state=Ticker(id="X", symbol="X", bid=number("90"), ask=number("91")))
    (here / "prices.yaml").write_text(
        "rules:\n  - {id: red, watch: position, when: profit < -5}\n"
        "  - {id: of-the-account, watch: order.filled, when: account.equity < 5}\n"
        "  - {id: large, watch: position, when: amount > 5}\n"
        "  - {id: then-red, watch: order.filled, then: {watch: position.closed, when: profit < 0, match: {symbol: symbol}, within: 1h}}\n"
    )
    quiet = "rules:\n  - {id: quiet, watch: position, when: profit < -500}\n"
    for name, messages, unsure in (
        ("known", [(0, (Observation(state=opened, account="a1"),))], []),
        ("left-out", [(0, (Observation(state=opened, account="a1"),)), (10, (price,))], ["red", "of-the-account", "then-red"]),
    ):  # fmt: skip
        (there := here / name).mkdir()
        (there / "quiet.yaml").write_text(quiet)
        lived(there, "quiet.yaml", messages)
        told = replayed(f"{name}/state/tocsin.db", "--rules", "prices.yaml")
        assert told["unsure"] == unsure, name


# Tr3kkR/Yuzu 2347, microsoft/gctoolkit 127: a step back of the wall-clock silently froze a replay.


def test_a_clock_set_back_in_a_recording_stops_no_timer_and_is_named(here):
    write(
        here / "fx.jsonl",
        (3600, message("created", profit=-1)),
        (3610, message("updated", profit=-60)),
        (15, message("updated", profit=-61)),  # set back by an hour
        (30, message("updated", profit=-62)),
        (50, message("updated", profit=-5)),
    )
    told = replayed(*ALONE)
    assert fired(told)["in-the-red"] == 1
    assert told["recordings"][0]["steps_back"] == 1
    said = run(*ALONE).output
    assert "the clock was set back 1 time while fx was recorded, first before fx.jsonl:3" in said


def test_recordings_of_one_machine_stay_side_by_side_when_its_clock_is_set_back(here):
    write(here / "fx.jsonl", (100, message("created", profit=-1)), (110, message("updated", profit=-60)))
    write(
        here / "fy.jsonl",
        (105, message("created", profit=-1)),
        (20, message("updated", profit=-60)),
        (60, message("updated", profit=-5)),
    )
    told = replayed("fx.jsonl", "fy.jsonl", "--rules", "rules.yaml", "--type", "yourfintech")
    assert [each["steps_back"] for each in told["recordings"]] == [0, 1]
    assert fired(told)["in-the-red"] == 2  # fx's goes on to the end, fy's for 40 s


def test_a_hole_of_months_takes_no_minute(here):
    write(here / "fx.jsonl", (0, message("created", profit=-1)), (330 * 86400, message("updated", profit=-2)))
    (here / "rules.yaml").write_text("- {id: old, watch: position, when: age() > 1000d}\n")
    assert fired(replayed(*ALONE)) == {"old": 0}


def test_rules_that_kept_silent_are_a_count(recording, here):
    silent = [f"  - {{id: never-{n}, watch: order.canceled}}\n" for n in range(3)]
    (here / "rules.yaml").write_text(RULES + "".join(silent))
    said = run(*ALONE).output
    assert said.index("closed: would have fired 1 time") < said.index(
        "4 other rules would have fired 0 times"
    )
    assert "never-1" not in said
    assert "would have fired 0 times: away, never-0, never-1, never-2" in run(*ALONE, "--all").output


def test_a_compressed_recording_is_named(here):
    (here / "fx.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00")
    result = CliRunner().invoke(
        cli, ["replay", "fx.jsonl.gz", "--rules", "rules.yaml", "--type", "yourfintech"], prog_name="tocsin"
    )
    assert result.exit_code == 2
    assert "fx.jsonl.gz is compressed: gunzip it first" in result.output


def test_it_says_how_often_more_people_would_have_been_told(recording, here):
    (here / "escalating.yaml").write_text(
        "rules: [{id: in-the-red, watch: position, when: profit < -50, escalate: [{after: 5s, notify: boss, repeat: 5s}]}]\n"
    )
    asked = ("fx.jsonl", "--rules", "escalating.yaml", "--type", "yourfintech")
    (rule,) = replayed(*asked)["rules"]
    first = rule["alerts"][0]
    assert (first["at"][11:19], first["until"][11:19], first["escalated"]) == ("12:55:30", "12:56:20", 10)
    assert " (escalated 10 times, if nobody acknowledges)" in run(*asked).output


GATHERING = """
venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}
channels:
  phone: {urls: ['json://127.0.0.1/'], quiet: ["12:55-12:56"], min_severity: warning}
  desk: {urls: ['json://127.0.0.1/'], digest: 30s}
  loud: {urls: ['json://127.0.0.1/'], min_severity: critical}
defaults: {notify: {warning: [phone, desk, loud], info: [loud]}}
rules: [gathered.yaml]
"""
GATHERED = """
rules:
  - {id: red, watch: position, when: profit < -50, repeat: 10s}
  - {id: opened, watch: position.opened, severity: info}
"""


def test_what_channels_would_have_gathered(recording, here):
    """The config's channels hold back and tell as one; what they still hold at the end goes out when its time comes."""
    (here / "gathered.yaml").write_text(GATHERED)
    (here / "config.yaml").write_text(GATHERING)
    (here / "config.yaml").chmod(0o600)
    told = replayed("fx.jsonl", "--config", "config.yaml")
    of = {rule["rule"]: rule for rule in told["rules"]}
    first, second = ((alert["told"][11:19], alert["held_by"]) for alert in of["red"]["alerts"])
    assert first == ("12:56:00", "quiet: the channel is quiet until 2024-11-15 12:56 UTC")
    assert second == ("12:56:30", None)
    assert (of["red"]["told"], of["opened"]["told"]) == (2, 0)
    assert of["opened"]["alerts"][0]["held_by"] == "channel loud: below min_severity critical"
    digest = {"at": "2024-11-15T12:56:40+00:00", "held_by": "digest", "alerts": 2}
    assert told["channels"] == [
        {"channel": "phone", "messages": 7, "digests": [], "dropped": 2},
        {"channel": "desk", "messages": 3, "digests": [digest], "dropped": 0},
        {"channel": "loud", "messages": 0, "digests": [], "dropped": 0},
    ]
    (here / "edited.yaml").write_text(GATHERED.replace("repeat: 10s", "notify: [desk]"))
    output = run("fx.jsonl", "--config", "config.yaml", "--against", "edited.yaml").output
    assert "red: would have fired 2 times, told 2 in 4 messages on 2 channels\n" in output
    assert (
        "\nphone would have got 7 messages; 2 reminders dropped: the channel was quiet\n"
        "desk would have got 3 messages, 1 of them digests (1 digest) of 2 alerts\n"
        "edited.yaml in the place of all the rules:\n"
    ) in output
    assert "phone would get 0 messages instead of 7\n" in output


REPEATED = "rules: [{id: red, watch: position, when: profit < -50, repeat: 10s}]"


def test_a_database_tells_again_under_what_people_did(here):
    """Silences hold from when to when they did, taken back or not; whoever had acknowledged an alert is not reminded of it."""
    (here / "rules.yaml").write_text(REPEATED)
    live(here, "rules.yaml", ((0, "-60", "open"), (100, "-60", "closed")))

    def at(seconds: float) -> str:
        return iso(START + timedelta(seconds=seconds))

    with sqlite3.connect(here / "state" / "tocsin.db") as connection:
        ((alert,),) = connection.execute("SELECT id FROM alerts").fetchall()
        for id_, begins, ends, ended in (("s1", -3600, 5, None), ("s2", 17, 3600, 37)):
            connection.execute(
                "INSERT INTO silences (id, matchers, reason, created_at, starts_at, ends_at, ended_at)"
                " VALUES (?, 'rule=red', '', ?, ?, ?, ?)",
                (id_, at(begins), at(begins), at(ends), at(ended) if ended else None),
            )
        for seconds, does in ((47, "ack"), (75, "unack")):
            connection.execute(
                "INSERT INTO acts (at, by, via, does, target, why) VALUES (?, 'anna', 'cli', ?, ?, '')",
                (at(seconds), does, alert),
            )
    connection.close()
    told = replay(
        Database(here / "state" / "tocsin.db"), [read_tests(here / "it.yaml").rules], lambda _done: None
    )
    came = [
        ((sent.at - START).total_seconds(), each.state_told)
        for sent in told.outcomes[0].sent
        for each in sent.told
    ]
    assert [each for each in came if each[0] < 75] == [(5, "firing"), (15, "reminder"), (45, "reminder")]
    assert [what for _, what in came if _ > 75] == ["reminder", "reminder", "resolved"]
    assert told.outcomes[0].held_back == {"silence": 3}
    (firing,) = told.outcomes[0].of("red")
    assert (firing.held_by, iso(firing.acknowledged)) == ("rule=red, until 2024-11-15 12:55:25 UTC", at(47))
