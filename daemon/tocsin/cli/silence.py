"""`tocsin silence`."""

from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import flat, time_of
from tocsin.cli.ask import act, zone_of
from tocsin.cli.options import config_option, counted, format_option, print_json

_SHOWN = 20


@click.command("silence")
@click.argument("matchers", nargs=-1, required=True)
@click.option("--for", "lasts", metavar="DURATION", help="How long, such as 2h; at most 30d.")
@click.option("--until", metavar="TIME", help="The next 08:00 in the config's tz, or a day with its time.")
@click.option("--why", default="", metavar="TEXT", help="Kept with it, and shown.")
@click.option("--dry-run", is_flag=True, help="Only say which alerts that fire now it would hold.")
@config_option
@format_option
def command(
    matchers: tuple[str, ...],
    *,
    lasts: str | None,
    until: str | None,
    why: str,
    dry_run: bool,
    config: Path | None,
    output: str,
) -> None:
    """Hold what is told of alerts that match, for a time. What still fires at its end is told then; what was told to fire is told
    to end all the same.

    MATCHERS, all of which have to match: FIELD=TEXT, FIELD!=TEXT, and with regexes FIELD=~REGEX, FIELD!~REGEX. Fields are
    rule, severity, venue, account (its id or its name), kind, id, symbol and event. A value with spaces stands in double quotes.

    \b
    Examples:
      tocsin silence 'venue=fx symbol=~BTC.*' --for 2h
      tocsin silence rule=stop-out --for 1h --why "I know"
      tocsin silence 'account="My main"' --until 08:00
      tocsin silence venue=fx --for 1h --dry-run
    """
    asked: dict[str, Any] = {"matchers": " ".join(matchers), "for": lasts, "until": until, "dry_run": dry_run}
    _, answer, socket = act(config, "/api/silences", why, **asked)
    if output == "json":
        print_json(answer)
        return
    silence, holds = answer["silence"], answer["holds"]
    ends = time_of(silence["ends_at"], zone_of(config))
    if dry_run:
        click.echo(f"would be silenced until {ends}: {flat(silence['matchers'])}")
    else:
        click.echo(
            f"silenced until {ends}: {flat(silence['matchers'])} (the daemon at {socket})\n  id {silence['id']}"
        )
    would = "would hold" if dry_run else "holds"
    click.echo(f"  {would} {counted(len(holds), 'alert')} of those that fire now" + (":" if holds else ""))
    for alert in holds[:_SHOWN]:
        click.echo(f"    {alert['rule']}  {flat(alert['title'])}")
    if len(holds) > _SHOWN:
        click.echo(f"    and {len(holds) - _SHOWN} more")
