"""`tocsin explain`."""

from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.alerts.plain import shown, time_of, times_in
from tocsin.cli import FAILED
from tocsin.cli.ask import ask_of_rules, zone_of
from tocsin.cli.options import config_option, format_option, paint, print_json

if TYPE_CHECKING:
    from tocsin.explain.explanation import Explanation

_MOST_NAMED = 10
_COLOURS = {True: "green", False: "red", None: "yellow"}


@click.command("explain")
@click.argument("rule")
@click.argument("id_", metavar="[ID]", required=False)
@config_option
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="At most so many of what it is about.",
)
@format_option
@click.pass_context
def command(
    ctx: click.Context, rule: str, id_: str | None, config: Path | None, *, limit: int, output: str
) -> None:
    """Why RULE fires, or doesn't: for the order, position, … of that ID, or for all that it is about.

    Asks the running daemon, or where none runs looks at the database that it left: each part of the condition with the
    value that it saw and since when, what state the alert is in, and what would hold a message back. Of an event rule
    the latest event of each instance is judged, and what became of its then or unless; of a rule on groups each group.
    ID may be shortened as messages show it, and may also be an alert's, a symbol or an account, or the name that the
    config gives them. Exits 1 where nothing is there that the rule is about.

    \b
    Examples:
      tocsin explain position-in-the-red
      tocsin explain position-in-the-red be06c5da
    """

    def look(settings: Any) -> dict[str, Any]:
        from tocsin.cli.stored import explained

        return explained(settings, rule, id_, limit)

    asked = {"rule": rule, "limit": str(limit)} | ({"id": id_} if id_ else {})
    found = ask_of_rules(config, "/api/explain", look, **asked)
    if output == "json":
        print_json(found)
    else:
        tell(found, id_, zone_of(config))
    ctx.exit(0 if found["explained"] else FAILED)


def tell(found: dict[str, Any], called: str | None, tz: tzinfo) -> None:
    """For people."""
    import msgspec

    from tocsin.explain.explanation import Answer, nothing_there

    answer = msgspec.convert(found, Answer)
    if answer.several:
        click.echo(
            f"{called} may be {' or '.join(map(shown, answer.several[:_MOST_NAMED]))}; give more of it"
        )
    elif not answer.explained:
        click.echo(times_in(f"{answer.rule} {nothing_there(answer, called)}", tz))
    for each in answer.explained:
        _tell_one(each, tz)
    if more := answer.count - len(answer.explained):
        click.echo(f"and {more} more; give an ID, or a higher --limit")


def _tell_one(each: "Explanation", tz: tzinfo) -> None:
    from tocsin.explain.explanation import MARKS, part_text

    def words(text: str) -> str:
        return times_in(shown(text), tz)

    state = paint(words(each.state), "red" if each.state.startswith("firing") else None, bold=True)
    since = each.unconfirmed_since
    unconfirmed = f"; not confirmed since {time_of(since, tz)}" if since else ""
    heard = f"last heard of {time_of(each.as_of, tz)}" if each.as_of else "never heard of"
    click.echo(f"{shown(each.title)}: {state}; {heard}{unconfirmed}")
    for part in each.parts:
        mark = paint(MARKS[part.holds], _COLOURS[part.holds])
        saw, as_of = part_text(part, words), time_of(part.as_of, tz)
        click.echo(f"  {part.of} {part.asks}: {mark}, {saw}, as of {as_of}")
    for barrier in each.held_back_by:
        click.echo(f"  held back by {barrier.what}: {words(barrier.why)}")
    if each.escalates:
        click.echo(f"  escalates to {words(each.escalates)}, unless somebody acknowledges it")
