"""`/r/ID`: one rule, as it is written and as it stands."""

from datetime import timedelta

import pytest

from support.looked import HOSTILE, ROOT, page_of, text_of
from support.ruled import RuledWorld
from tocsin.page.rendering import Renderer
from tocsin.page.screen import NoSuch
from tocsin.page.screens.overview import OVERVIEW
from tocsin.page.screens.rule import RULE
from tocsin.page.screens.rules import RULES

IDS = [
    "red",
    "deep",
    "account-sum",
    "filled",
    "none-filled",
    "round-trip",
    "crossed",
    "at-night",
    "switched-off",
]


@pytest.fixture
def world(tmp_path):
    return RuledWorld(tmp_path)


async def part(world, rule, name, **query):
    return await RULE.parts[name].data(world.asked(rule, **query))


async def page(world, rule, **query):
    return await page_of(RULE, world.asked(rule, **query), f"/r/{rule}")


def say(world, *profits):
    for number, profit in enumerate(profits, 1):
        world.say("position", id=f"p{number}", symbol=f"S{number}", profit=profit, currency="USD")


# -------------------------------------------------------------------------------------------------------- instances


async def test_what_fires_comes_first_then_what_is_nearest(world):
    world.stored(
        {"id_": "a1", "instance": '["fx","position","a1","p3"]', "fired_at": world.now - timedelta(days=3)}
    )
    say(world, "7.50", "-60.25", "-45", "-612.40")
    world.pass_(11)
    world.say("position", id="p5", symbol="S5", profit="-70", currency="USD")
    world.pass_(1)
    world.say("position", id="p6", symbol="S6", profit="-700", currency="USD")
    found = await part(world, "red", "instances")
    rows = found["instances"]
    assert [each["entity"] for each in rows] == ["p4", "p2", "p5", "p6", "p3", "p1"], "p5 fires before p6"
    assert [each["state"] for each in rows] == ["firing"] * 2 + ["pending"] * 2 + ["inactive"] * 2
    assert [(each["to_go"], each["beyond"]) for each in rows] == [
        ("562.40", True), ("10.25", True), ("20", True), ("650", True), ("5", False), ("57.50", False),
    ]  # fmt: skip
    assert rows[2]["timer"]["key"] == "for"
    assert rows[2]["timer"]["due"]
    assert rows[0]["done"] == 1.0
    assert 0.8 < rows[4]["done"] < 1.0


async def test_of_a_hedged_account_each_says_its_side_on_every_screen(world):
    for id_, side in (("p1", "long"), ("p2", "short")):
        world.say("position", id=id_, symbol="XAUUSD", side=side, profit="-45", currency="USD")
    await world.sample(6)
    text = text_of(await page(world, "red"))
    closest = await Renderer(ROOT).parts(OVERVIEW, ["closest"], world.asked(), "/")
    for side in ("long", "short"):
        assert f"XAUUSD {side} fx, a1" in text
        assert f"XAUUSD {side} position, fx, a1" in text_of(closest.html.decode())
    assert "XAUUSD long -45 → -50" in text_of(await page_of(RULES, world.asked()))


async def test_of_many_the_first_are_shown(tmp_path):
    world = RuledWorld(tmp_path)
    say(world, *(str(number) for number in range(130)))
    found = await part(world, "red", "instances")
    assert (len(found["instances"]), found["count"]) == (100, 130)
    assert len((await part(world, "red", "instances", all="1"))["instances"]) == 130


async def test_what_holds_messages_is_said_beside_each(world):
    say(world, "-60", "-600")
    world.pass_(11)
    rows = (await part(world, "deep", "instances"))["instances"]
    assert rows[0]["held_by"] == [{"what": "inhibited_by", "why": "red fires for fx"}]
    world.link("disconnected")
    rows = (await part(world, "red", "instances"))["instances"]
    assert rows[0]["away"]
    assert rows[0]["stale_since"]
    assert "fx away since" in text_of(await page(world, "red"))


async def test_a_group_is_an_instance(world):
    say(world, "-600", "-399")
    (row,) = (await part(world, "account-sum", "instances"))["instances"]
    assert (row["entity"], row["shown"], row["to_go"], row["currency"]) == ("a1", "-999", "1", "USD")
    assert "1 group of positions" in text_of(await page(world, "account-sum"))


async def test_of_a_rule_on_events_what_happened_is_told(world):
    world.stored(
        {"id_": "e1", "rule": "filled", "state": "event", "title": "🔵 Order filled", "fired_at": world.now - timedelta(hours=2)},
        {"id_": "e2", "rule": "filled", "state": "event", "title": f"{HOSTILE} filled", "fired_at": world.now},
    )  # fmt: skip
    found = await part(world, "filled", "instances")
    assert found["sort"] == "event"
    assert [each["id"] for each in found["happened"]] == ["e2", "e1"]
    html = await page(world, "filled")
    assert 'href="/below/a/e1"' in html
    assert "Order filled" in text_of(html)


async def test_out_of_its_hours_and_switched_off(world):
    say(world, "-60")
    assert (await part(world, "at-night", "instances"))["instances"] == []
    assert "Out of its hours it looks at nothing." in text_of(await page(world, "at-night"))
    assert "It is switched off, and looks at nothing." in text_of(await page(world, "switched-off"))


# ------------------------------------------------------------------------------------------------------------- told


@pytest.mark.parametrize(
    ("rule", "channels"),
    [
        ("red", ["phone", "desk"]),
        ("deep", ["phone", "desk"]),
        ("filled", ["phone"]),
        ("account-sum", ["desk"]),
    ],
)
async def test_who_would_be_told(world, rule, channels):
    found = await part(world, rule, "told")
    assert [each["channel"] for each in found["channels"]] == channels
    assert all(not each["held"] for each in found["channels"])
    assert found["held_by"] == []


async def test_what_a_channel_holds_and_what_the_rule_does(world):
    world.quiet["phone"] = "quiet until 07:00"
    found = await part(world, "red", "told")
    assert found["channels"] == [
        {"channel": "phone", "services": ["JSON"], "held": "quiet until 07:00"},
        {"channel": "desk", "services": ["JSON"], "held": ""},
    ]
    assert found["escalate"] == [{"after": 600.0, "notify": ["phone"]}]
    assert "phone JSON, held: quiet until 07:00 desk JSON, at once" in text_of(await page(world, "red"))
    off = await part(world, "switched-off", "told")
    assert off["held_by"] == [{"what": "enabled", "why": "the rule is switched off"}]
    night = await part(world, "at-night", "told")
    assert night["held_by"] == [{"what": "active", "why": "closed until 2026-01-03 02:00:00 UTC"}]
    assert (await part(world, "deep", "told"))["inhibited_by"] == ["red"]


@pytest.mark.parametrize(
    ("matchers", "held_by", "in_part"),
    [
        ("rule=red", ["rule=red, until 2026-01-01 01:00:11 UTC, by anna"], []),
        ("rule=~r.d severity=warning", ["rule=~r.d severity=warning, until 2026-01-01 01:00:11 UTC, by anna"], []),
        ("venue=fx", [], [("venue=fx", 2, 2)]),
        ("rule=red symbol=S2", [], [("rule=red symbol=S2", 1, 2)]),
        ("symbol=~never", [], [("symbol=~never", 0, 2)]),
        ("venue=", [], [("venue=", 0, 2)]),  # what is of several venues, as groups may be; of this rule nothing
        ("rule=deep", [], []),
        ("rule!=red venue=fx", [], []),
        ("severity=info", [], []),
    ],
)  # fmt: skip
async def test_what_silences_hold_of_what_the_rule_tells(world, matchers, held_by, in_part):
    say(world, "7.50", "-60.25", "-70")
    world.pass_(11)
    now = world.clock.now()
    world.runtime.turn.silence(matchers, now.wall + timedelta(hours=1), now, reason="", by="anna")
    found = await part(world, "red", "told")
    assert [each["why"] for each in found["held_by"]] == held_by
    assert [(each["matchers"], each["holds"], each["of"]) for each in found["silenced"]] == in_part
    text = text_of(await page(world, "red"))
    assert ("no silence" in text) is (not held_by and not in_part)
    for which, holds, of in in_part:
        assert f"held in part silence {which}, until" in text
        assert f": {holds} of {of} that fire now" in text


# ------------------------------------------------------------------------------------------------------------ fired


async def test_it_is_counted_by_the_days_of_people_and_how_long_it_lasted(world):
    ago = [timedelta(minutes=5), timedelta(hours=2), timedelta(days=3), timedelta(days=40)]
    lengths = [60, None, 600, 5]
    world.stored(
        *(
            {
                "id_": f"a{number}",
                "fired_at": world.now - back,
                "resolved_at": world.now - back + timedelta(seconds=length) if length else None,
            }
            for number, (back, length) in enumerate(zip(ago, lengths, strict=True))
        )
    )
    found = await part(world, "red", "fired")  # it is 01:00 in Prague
    assert len(found["days"]) == 30
    assert found["days"][-1] == ["1 Jan", 1]
    assert found["days"][-2] == ["31 Dec", 1]
    assert found["days"][-4] == ["29 Dec", 1]
    assert (found["count"], found["lasted"]) == (3, 330.0)
    heading = await part(world, "red", "heading")
    assert (heading["fired"], heading["lately"]) == (4, 3)
    assert "fired 3 times in 30 days, 4 in all · last" in text_of(await page(world, "red"))


# ------------------------------------------------------------------------------------------------------------- text


async def test_it_is_shown_as_it_was_read(world):
    found = await part(world, "red", "text")
    assert (found["file"], found["line"], len(found["lines"]), found["differs"]) == (
        "rules.yaml",
        1,
        8,
        False,
    )
    assert "${cred:no_secret}" in found["lines"][-1]
    html = await page(world, "red")
    assert '<span data-n="3"><b>  when:</b> {profit: {below: -50}}\n</span>' in html


async def test_what_runs_is_shown_where_the_file_has_changed(world):
    path = world.folder / "rules.yaml"
    path.write_text(path.read_text().replace("below: -50", "below: -55"))
    found = await part(world, "red", "text")
    assert found["differs"]
    assert "below: -50" in found["lines"][2]
    assert "tocsin reload" in text_of(await page(world, "red"))


# ------------------------------------------------------------------------------------------------------------- all


@pytest.mark.parametrize("rule", IDS)
async def test_every_sort_is_shown_with_nothing_and_with_something(world, rule):
    empty = await page(world, rule)
    assert f"<h1>{rule}</h1>" in empty
    assert f"matchers=rule%3D{rule}" in empty
    say(world, "-60", "-2000", "7")
    world.say("position", id="p9", symbol=HOSTILE, profit="-700", currency=HOSTILE)
    world.pass_(11)
    world.stored({"id_": "h1", "rule": rule, "title": HOSTILE, "symbol": HOSTILE, "fired_at": world.now})
    assert f"<h1>{rule}</h1>" in await page(world, rule)


async def test_a_rule_that_there_is_not(world):
    with pytest.raises(NoSuch, match="no rule is called rad; did you mean red"):
        await part(world, "rad", "heading")


async def test_while_the_database_can_not_be_read_the_page_shows_what_it_knows_without(world):
    for file in world.folder.glob("tocsin.db*"):
        file.unlink()
    text = text_of(await page(world, "red"))
    assert "what waits to be sent isn" in text
    assert text.count("This can't be shown: there is no") == 3, "how often it fired, and since when"
    assert "{profit: {below: -50}}" in text
    assert "phone JSON, at once desk JSON, at once" in text
