"""`tocsin replay --set`: what would be if a number of a rule were another, with how much is known of it said first."""

import json
from pathlib import Path

import pytest

from support.replaying import START, message, run, write
from support.stored import alert, at, commit, opened, order
from support.what_ifs import RULES as LIVED
from support.what_ifs import kept
from tocsin.store.model import InstanceRow

RULES = """
rules:
  - id: red
    watch: position
    when: {profit: {below: -50}}
    until: {profit: {above: -40}}
    for: 30s
    keep_firing_for: 0s
  - {id: updated, watch: position.updated, cooldown: 1m}
  - {id: crossed, watch: position, when: "crosses_below(profit, -50)"}
  - {id: off, watch: position, when: profit < -69, enabled: false}
"""
ALONE = ("fx.jsonl", "--rules", "rules.yaml", "--type", "yourfintech")
P2 = {"id": "p2"}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """Two positions: the first is in the red twice, down to -70 and to -56, the second once, down to -510."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    write(
        tmp_path / "fx.jsonl",
        (0, message("created", profit=-1)),
        (10, message("updated", profit=-60)),
        (45, message("updated", profit=-70)),
        (60, message("updated", profit=-5)),
        (70, message("updated", profit=-55)),
        (105, message("updated", profit=-56)),
        (180, message("closed", profit=-55)),
        (200, message("created", profit=-52, **P2)),
        (235, message("updated", profit=-510, **P2)),
        (300, message("updated", profit=-48, **P2)),
    )
    return tmp_path


def what_if(*said: str, files: tuple[str, ...] = ALONE) -> dict:
    result = run(*files, *(f"--set={each}" for each in said), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def brief(listed: dict) -> list[tuple]:
    """When it begins, in seconds from the record's, how bad it got, and by how much it is moved."""
    return [(seconds(each["at"]), each["worst"], each["by"]) for each in listed["alerts"]]


def seconds(time: str) -> float:
    return (START.fromisoformat(time) - START).total_seconds()


CASES = {
    # said: alerts as it is and edited, lost, gained, later, earlier
    "red.when.profit.below=-60": (3, 1, [(40, "-70", 0), (100, "-56", 0)], [], [(265, "-510", 35)], []),
    "red.when.profit.below=-54": (3, 3, [], [], [(265, "-510", 35)], []),
    "red.until.profit.above=-50": (3, 3, [], [], [], []),
    "red.until.profit.above=0": (3, 2, [(100, "-56", 0)], [], [], []),
    "red.for=50s": (3, 3, [], [], [(60, "-70", 20), (120, "-56", 20), (250, "-510", 20)], []),
    "red.for=80s": (3, 2, [(40, "-70", 0)], [], [(150, "-56", 50), (280, "-510", 50)], []),
    "red.for=0s": (3, 3, [], [], [], [(10, "-70", -30), (70, "-56", -30), (200, "-510", -30)]),
    "red.keep_firing_for=20s": (3, 2, [(100, "-56", 0)], [], [], []),
    # A cooldown that ends tells what it held back. The events are at 10, 45, 60, 70, 105, 235 and 300; as it is those of 60 and 105 are told at 70 and 130.
    "updated.cooldown=10s": (5, 7, [], [(45, None, 0), (70, None, 0)], [], [(105, None, -25), (60, None, -10)]),
    "updated.cooldown=2m": (5, 3, [(70, None, 0), (300, None, 0)], [], [(250, None, 15)], []),
    # It crosses -50 at 10 and 70, and -65 at 45; the second position crosses -65 at 235.
    "crossed.when.1=-65": (2, 2, [(70, None, 0)], [(235, None, 0)], [(45, None, 35)], []),
    "crossed.when.1=-52": (2, 3, [], [(235, None, 0)], [], []),
    "red.when=profit < -50 and leverage > 1000000": (
        3, 0, [(230, "-510", 0), (40, "-70", 0), (100, "-56", 0)], [], [], [],
    ),
    "off.when.1=-50": (2, 3, [], [(70, "-56", 0)], [], [(10, "-70", -35), (200, "-510", -35)]),
}  # fmt: skip


@pytest.mark.parametrize("said", CASES)
def test_what_is_lost_gained_later_and_earlier(here, said):
    before, after, *listed = CASES[said]
    told = what_if(said)
    assert (told["as_it_is"]["alerts"], told["edited"]["alerts"]) == (before, after)
    assert [brief(told[what]) for what in ("lost", "gained", "later", "earlier")] == listed
    assert [told[what]["count"] for what in ("lost", "gained", "later", "earlier")] == [*map(len, listed)]


@pytest.mark.parametrize(
    ("said", "warned"),
    [
        ("red.until.profit.above=-60", ["red.until: `profit < -50` and `profit > -60` both hold in between"]),
        ("red.until.profit.above=-45", []),
        ("red.for=1m", []),
    ],
)
def test_what_is_doubtful_only_as_edited_is_told(here, said, warned):
    told = what_if(said)["warnings"]
    assert len(told) == len(warned)
    assert all(map(str.startswith, told, warned)), told
    text = run(*ALONE, f"--set={said}").output
    assert text.count("doubtful: ") == len(warned)


def test_several_rules_are_edited_at_once_and_the_others_do_not_count(here):
    told = what_if("red.for=80s", "red.when.profit.below=-54", "updated.cooldown=2m")
    assert [each["path"] for each in told["set"]] == ["for", "when.profit.below", "cooldown"]
    assert told["set"][0] == {
        "rule": "red", "path": "for", "called": "for", "before": "30s", "after": "80s",
    }  # fmt: skip
    assert (told["as_it_is"]["alerts"], {each["rule"] for each in told["lost"]["alerts"]}) == (
        8,
        {"red", "updated"},
    )
    assert told["off"] == []


def test_a_lost_alert_says_what_it_is_about_and_whether_another_goes_on_then(here):
    (lost,) = what_if("red.keep_firing_for=20s")["lost"]["alerts"]
    assert lost["covered"] is True
    lost = what_if("red.when.profit.below=-60")["lost"]["alerts"][0]
    assert lost["covered"] is False
    assert (lost["rule"], lost["kind"], lost["venue"], lost["symbol"]) == ("red", "position", "fx", "BTCUSD")
    assert (seconds(lost["at"]), seconds(lost["until"])) == (40, 60)
    assert (lost["of"], lost["title"].partition(" · ")[0]) == (
        "profit",
        "🟠 -60 USD BTCUSD long: profit < -50",
    )


def test_the_steps_of_a_chart_go_from_the_first_moment_to_the_last(here):
    told = what_if("red.when.profit.below=-60")
    steps = [(seconds(at), count) for at, count in told["as_it_is"]["steps"]]
    assert steps == [(0, 0), (40, 1), (100, 2), (230, 3), (300, 3)]
    assert [(seconds(at), count) for at, count in told["edited"]["steps"]] == [(0, 0), (265, 1), (300, 1)]
    assert (seconds(told["from"]), seconds(told["to"]), told["events"]) == (0, 300, 10)


def test_many_steps_are_thinned_and_many_alerts_cut(here):
    lines = [(at * 10, message("updated", profit=-at)) for at in range(600)]
    write(here / "fx.jsonl", *lines)
    told = what_if("updated.cooldown=0s")
    assert told["edited"]["alerts"] == 600
    steps = told["edited"]["steps"]
    assert (len(steps), steps[-1][1]) == (302, 600)
    assert (told["gained"]["count"], len(told["gained"]["alerts"])) == (500, 20)
    whole = json.loads(run(*ALONE, "--set=updated.cooldown=0s", "--all", "--json").stdout)
    assert len(whole["gained"]["alerts"]) == 500


def test_the_diff_is_there(here):
    assert what_if("red.for=1m")["diff"].endswith("-    for: 30s\n+    for: 1m\n     keep_firing_for: 0s")


def test_people_read_first_how_much_is_known(here):
    output = run(*ALONE, "--set", "red.when.profit.below=-60").output.splitlines()
    assert output == [
        "profit kept at 10 moments in 5 min: all that came",
        "recorded from 2024-11-15 12:55:20 to 2024-11-15 13:00:20 UTC",
        "red: when profit below -50 → -60",
        "as it is 3 alerts, edited 1 alert",
        "2 alerts lost, the worst first",
        "  2024-11-15 12:56:00 to 12:56:20  🟠 -60 USD BTCUSD long: profit < -50 · fx 9020b4e5  profit reached -70",
        "  2024-11-15 12:57:00 to 12:58:20  🟠 -55 USD BTCUSD long: profit < -50 · fx 9020b4e5  profit reached -56",
        "0 alerts gained",
        "1 alert later",
        "  2024-11-15 12:59:45 to the end  35 s later  🟠 -510 USD BTCUSD long: profit < -60 · fx 9020b4e5",
    ]
    assert "off is switched off (enabled: false); here it runs" in run(*ALONE, "--set=off.when.1=-5").output
    events = run(*ALONE, "--set=updated.cooldown=1s").output
    assert events.startswith("position.updated kept 7 times in 5 min: all that came\n")


# ------------------------------------------------------------------------------------------- what a daemon's database holds

DAY = 86400.0
MOVES = [(day * DAY, -45 - day % 3 * 10) for day in range(15)]  # of three the last two are below -50


@pytest.fixture
def database(here) -> Path:
    """What a daemon kept that had `store_market_data: none`."""
    kept(here, MOVES)
    return here


def test_of_market_data_that_was_not_kept_none_is_never_said_to_be_gained(database):
    # Without a file it is the database of the config's daemon.
    told = what_if("red.when.profit.below=-44", files=())
    (coverage,) = told["coverage"]
    assert coverage["whole"] is False
    assert coverage["words"] == "profit kept at 15 moments in 14 days; between them unknown"
    assert (told["at_least"], told["gained"]["count"], told["lost"]["count"]) == (True, 0, 4)
    assert "keeps only what made rules fire" in told["because"]
    lines = run("--set=red.when.profit.below=-44").output.splitlines()
    assert lines[0] == coverage["words"]
    assert "at least 0 alerts gained" in lines
    assert any(line.startswith("at most ") and "lost" in line for line in lines)
    assert any(line.startswith("as it is at least ") and ", edited at least " in line for line in lines)
    assert lines[-1].startswith("at least: of market data a database keeps only what made rules fire")


def test_where_nothing_was_kept_nothing_can_be_said(database):
    rules = (database / "rules.yaml").read_text().replace("profit: {", "mark_price: {")
    (database / "rules.yaml").write_text(rules)
    told = what_if("red.when.mark_price.below=-44", files=())
    words = "no mark_price was kept in 14 days, so nothing can be said of what would be"
    assert (told["coverage"][0]["words"], told["coverage"][0]["kept"]) == (
        words,
        [{"what": "mark_price", "moments": 0}],
    )
    assert run("--set=red.when.mark_price.below=-44").output.splitlines() == [
        words,
        "recorded from 2026-03-01 10:00:00 to 2026-03-15 10:00:00 UTC",
        "red: when mark_price below -50 → -44",
    ]


def red_alert(id_: str, day: float, worst: str, *, days: float | None = 1, of: str = "profit"):
    """One that fired then, as the daemon kept it."""
    ended = at((day + days) * DAY) if days is not None else None
    return alert(
        id_,
        rule="red",
        account="a1",
        fired_at=at(day * DAY),
        state="firing" if ended is None else "resolved",
        resolved_at=ended,
        data={"worst": worst, "value_of": of},
    )


def test_how_bad_a_lost_alert_got_says_the_alert_that_fired_then(database):
    # Fires on the days 1, 4, 7, 10 and 13; what made it worse than the events tell was left out.
    store = opened(database / "state")
    known = InstanceRow(rule="red", instance="fx/position//p1", record={"alert_id": "e", "worst": "-910"})
    alerts = [
        red_alert("a", 1, "-510"),
        red_alert("b", 4.5, "-510", days=0.2),
        red_alert("b2", 4, "-120", days=0.4),
        red_alert("c", 7, "-510", of="leverage"),
        red_alert("d", 9.2, "-510", days=0.1),
        red_alert("e", 13, "-66", days=None),
    ]
    commit(store, alerts=alerts, instances=[known])
    store.close()
    told = what_if("red.when.profit.below=-80", files=())
    listed = {
        name: [(each["at"][:10], each["worst"]) for each in told[name]["alerts"]]
        for name in ("lost", "unknown")
    }
    # What got beyond -80 isn't lost for all that is known, nor does it fire for sure.
    assert listed == {
        "unknown": [("2026-03-14", "-910"), ("2026-03-02", "-510"), ("2026-03-05", "-120")],
        "lost": [("2026-03-08", "-65"), ("2026-03-11", "-65")],
    }
    lines = run("--set=red.when.profit.below=-80").output.splitlines()
    assert "at most 2 alerts lost, the worst first" in lines
    unknown = "3 alerts later, or not at all: how long they were beyond the edited limit isn't known, the worst first"
    assert unknown in lines


def test_what_another_alert_goes_on_for_is_lost_however_far_it_got(database):
    told = what_if("red.when=profit < -60", "red.until=profit > 1000", files=())
    assert told["edited"]["alerts"] == 1
    assert told["unknown"]["count"] == 0
    lost = told["lost"]["alerts"]
    assert [(each["worst"], each["covered"]) for each in lost] == [("-65", True)] * 4


def test_where_everything_was_kept_it_is_told_as_it_is(here):
    kept(here, MOVES, everything=True)
    lines = run("--set=red.when.profit.below=-44").output.splitlines()
    assert lines[0] == "profit kept at 15 moments in 14 days: all that came"
    assert "0 alerts gained" in lines
    assert not any("at least" in line for line in lines)


def test_what_the_database_holds_whole_is_told_as_such(database):
    told = what_if("closed.cooldown=1h", files=())
    assert (told["at_least"], told["because"]) == (False, "")
    assert told["coverage"][0]["words"] == "position.closed kept 0 times in 14 days: all that came"


def test_of_a_database_its_last_events_alone_can_be_asked_for(database):
    told = what_if("red.when.profit.below=-60", files=("--last=4",))
    assert (told["events"], told["from"][:10], told["coverage"][0]["kept"][0]["moments"]) == (
        4,
        "2026-03-12",
        4,
    )
    assert what_if("red.when.profit.below=-60", files=("--last=400",))["events"] == 15


def test_only_what_the_rules_can_read_is_looked_at(database):
    store = opened(database / "state")
    commit(store, events=[order(when=at(3600 * hour)) for hour in range(20)])
    store.close()
    assert what_if("red.when.profit.below=-60", files=())["events"] == 15
    result = run("state/tocsin.db", "--json")
    assert json.loads(result.stdout)["events"] == 35


def test_of_a_database_without_events_it_says_that_nothing_is_recorded(here):
    kept(here, [])
    told = what_if("red.when.profit.below=-60", files=())
    assert (told["from"], told["coverage"][0]["words"], told["as_it_is"]) == (
        None,
        "nothing is recorded",
        {"alerts": 0, "steps": []},
    )
    assert run("--set=red.when.profit.below=-60").output == "nothing is recorded there\n"


def test_without_a_database_it_says_so(database):
    (database / "state" / "tocsin.db").rename(database / "gone")
    result = run("--set=red.for=3s")
    assert result.exit_code == 1
    assert "state/tocsin.db; has the daemon run yet?" in result.stderr


# ------------------------------------------------------------------------------------------------------- what is refused


def test_a_wrong_path_is_answered_with_those_there_are(here):
    result = run(*ALONE, "--set=red.when.loss.below=-60")
    assert result.exit_code == 78
    assert "nothing is called `when.loss.below` there" in result.stderr
    assert "= red has when.profit.below (-50), until.profit.above (-40), for (30s)" in result.stderr


def test_an_edit_is_said_in_one_way(here):
    result = run(*ALONE, "--set=red.for=3s", "--against", "rules.yaml")
    assert (result.exit_code, "--set and --against both say how" in result.stderr) == (2, True)


def test_what_the_edited_rule_makes_wrong_is_told_with_its_place(here):
    result = run(*ALONE, "--set=red.until=crosses_above(profit, 3)", "--set=red.when=profitt < 3")
    assert result.exit_code == 78
    assert "--set:2:10: error: red.when: unknown field `profitt`" in result.stderr


def test_a_rule_that_stands_in_the_config_can_be_set(database):
    config = (database / "config.yaml").read_text()
    (database / "config.yaml").write_text(config.replace("[rules.yaml]", LIVED))
    told = what_if("red.when.profit.below=-60", files=())
    assert told["diff"].startswith("--- config.yaml\n")
    assert told["set"][0]["before"] == "-50"
