"""`/rules`: all rules by their files, and what is so of each."""

import re
from datetime import timedelta

import pytest

from support.looked import HOSTILE, page_of, text_of
from support.ruled import RULES as WRITTEN
from support.ruled import RuledWorld
from tocsin.page.screens.rules import RULES


@pytest.fixture
def world(tmp_path):
    world = RuledWorld(tmp_path)
    begun = world.now - timedelta(days=40)
    world.stored(
        {"id_": "long-ago", "fired_at": begun, "resolved_at": begun, "state": "resolved"},
        {"id_": "lately", "fired_at": world.now - timedelta(hours=3), "state": "resolved"},
    )
    return world


async def data(world, **query):
    return await RULES.parts["rules"].data(world.asked(**query))


async def test_each_with_its_place_its_state_and_how_often_it_fired(world):
    for id_, profit in (("p1", "-60"), ("p2", "-600"), ("p3", "5")):
        world.say("position", id=id_, symbol="BTCUSD", profit=profit)
    world.pass_(11)
    world.say("position", id="p4", symbol="ETHUSD", profit="-70")
    found = await data(world)
    rules = {each["id"]: each for each in found["rules"]}
    assert list(rules) == [rule.id for rule in world.settings.rules]
    assert (found["count"], found["all"], found["firing"], found["alerts"]) == (9, 9, 2, 3)
    assert "9 rules 2 rules fire, 3 alerts" in text_of(await page_of(RULES, world.asked()))
    red = rules["red"]
    assert (red["file"], red["line"], red["watch"], red["severity"]) == (
        "rules.yaml",
        1,
        ["position"],
        "warning",
    )
    assert (red["firing"], red["pending"]) == (2, 1)
    assert (red["fired"], red["lately"]) == (2, 1)
    assert red["last_fired_at"].startswith(f"{world.now - timedelta(hours=3):%Y-%m-%dT%H}")
    assert (red["nearest"]["state"], red["nearest"]["limit"]) == ("firing", "-50")
    assert rules["filled"]["last_fired_at"] is None
    assert not rules["switched-off"]["enabled"]
    assert rules["at-night"]["paused"]
    assert rules["at-night"]["paused_until"].startswith("2026-01-03T02:00")
    assert {rule: each["sort"] for rule, each in rules.items()} == {
        "red": "state",
        "deep": "state",
        "account-sum": "group",
        "filled": "event",
        "none-filled": "absence",
        "round-trip": "sequence",
        "crossed": "change",
        "at-night": "state",
        "switched-off": "state",
    }


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("filled", ["filled", "none-filled", "round-trip"]),
        ("ORDER none", ["none-filled"]),
        ("critical", ["deep"]),
        ("off", ["switched-off"]),
        ("rules.yaml ticker", ["crossed"]),
        ("nothing like it", []),
    ],
)
async def test_words_filter(world, words, ids):
    found = await data(world, q=words)
    assert [each["id"] for each in found["rules"]] == ids
    assert found["all"] == 9


async def test_the_list_is_cut_and_can_be_had_whole(tmp_path):
    many = "".join(
        f"- {{id: r{number}, watch: position, when: profit < -{number}}}\n" for number in range(1, 251)
    )
    world = RuledWorld(tmp_path, many)
    assert len((await data(world))["rules"]) == 100
    assert len((await data(world, all="1"))["rules"]) == 250
    html = await page_of(RULES, world.asked(), "/rules?q=r")
    assert "100 of 250 shown" in text_of(html)
    assert 'href="/below/rules?q=r&amp;all=1"' in html or 'href="/below/rules?q=r&all=1"' in html


async def test_what_is_read_and_what_can_be_done(world):
    world.say("position", id="p1", symbol=HOSTILE, profit="-60")
    world.pass_(11)
    html = await page_of(RULES, world.asked(q="re<d"), "/rules?q=re%3Cd")
    assert 'value="re&lt;d"' in html
    assert "No rule has these words." in text_of(html)
    text = text_of(await page_of(RULES, world.asked(), "/rules"))
    assert "rules.yaml" in text
    assert "red line 1, ■ warning position ■ 1 firing" in text
    assert "at-night" in text
    assert "out of its hours until 3 Jan, 03:00" in text


async def test_of_what_is_pending_the_first_to_fire_is_nearest(world):
    for id_ in ("p1", "p2"):
        world.say("position", id=id_, symbol=id_, profit="-60")
        world.pass_(2)
    red = next(each for each in (await data(world))["rules"] if each["id"] == "red")
    assert (red["pending"], red["nearest"]["entity"]) == (2, "p1")
    assert re.search(r"p1 -60 → -50 fires [\d:]+ , in \d s", text_of(await page_of(RULES, world.asked())))


async def test_no_rule_at_all(tmp_path):
    world = RuledWorld(tmp_path, "")
    assert "No rule is configured." in text_of(await page_of(RULES, world.asked(), "/rules"))


def test_the_rules_of_this_test_are_of_every_sort():
    for key in ("per:", "then:", "absent:", "crosses_above", "active:", "enabled: false"):
        assert key in WRITTEN
