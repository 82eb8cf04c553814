"""How it stands with one rule: looked at a few things at a time, and not again at once."""

import trio

from support.ruled import RULES, RuledWorld
from tocsin.app.components import make_options
from tocsin.config.load import load_settings


def say(world, *profits):
    for number, profit in enumerate(profits):
        world.say("position", id=f"p{number}", symbol=f"S{number}", profit=profit)


async def seen(world, rule="red", most=100):
    found = await world.seen.watched(rule, most)
    return [each.key.id for each in found.first], found.total


async def test_what_was_seen_is_good_for_a_second(tmp_path, autojump_clock):
    world = RuledWorld(tmp_path)
    say(world, "5")
    assert await seen(world) == (["p0"], 1)
    say(world, "5", "-10")
    assert await seen(world) == (["p0"], 1)
    await trio.sleep(1.1)
    assert await seen(world) == (["p1", "p0"], 2)


async def test_what_somebody_does_makes_what_was_seen_before_old_at_once(tmp_path, autojump_clock):
    world = RuledWorld(tmp_path)
    say(world, "5")
    assert await seen(world) == (["p0"], 1)
    say(world, "5", "-10")
    world.changes["acts"] += 1
    assert await seen(world) == (["p1", "p0"], 2)


async def test_who_asks_for_more_is_told_more(tmp_path, autojump_clock):
    world = RuledWorld(tmp_path)
    say(world, *(str(number) for number in range(130)))
    first, total = await seen(world, most=10)
    assert (first, total) == ([f"p{number}" for number in range(10)], 130)
    assert len((await seen(world, most=200))[0]) == 130
    assert len((await seen(world, most=10))[0]) == 10


async def test_messages_have_their_turn_between(tmp_path, autojump_clock):
    world = RuledWorld(tmp_path)
    say(world, *(str(number) for number in range(100)))
    turns = 0

    async def messages() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(messages)
        await seen(world)
        nursery.cancel_scope.cancel()
    assert turns >= 4


async def test_a_rule_that_was_edited_is_looked_at_anew_and_one_that_is_gone_is_about_nothing(
    tmp_path, autojump_clock
):
    world = RuledWorld(tmp_path)
    say(world, "-45", "5")
    assert (await world.seen.watched("red", 9)).first[0].distance.gap == "5"
    (tmp_path / "rules.yaml").write_text(
        RULES.replace("below: -50", "below: -47").replace("- id: deep", "- id: deeper")
    )
    settings = load_settings(tmp_path / "config.yaml", environ={}, validate_url=None)
    world.runtime.turn.reload(settings.rules, make_options(settings), world.clock.now())
    assert (await world.seen.watched("red", 9)).first[0].distance.gap == "2"
    assert await seen(world, "deep") == ([], 0)
    assert await seen(world, "switched-off") == ([], 0)


async def test_where_a_rule_selects_the_others_are_none_of_its_business(tmp_path, autojump_clock):
    world = RuledWorld(tmp_path, '- {id: eth, watch: position, where: symbol == "S1", when: profit < -50}\n')
    say(world, "5", "6", "7")
    assert await seen(world, "eth") == (["p1"], 1)
