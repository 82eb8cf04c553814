"""`tocsin report`."""

from pathlib import Path

import click

from tocsin.cli import FAILED
from tocsin.cli.ask import note, state_dir_of
from tocsin.cli.options import config_option, format_option, print_json, settings_of, unknown
from tocsin.cli.sending import all_taken, send

_STALE_AFTER = 60.0  # seconds since the daemon was last known to live


@click.command("report")
@click.argument("id_", metavar="ID")
@click.option(
    "--send", "really", is_flag=True, help="Send it by its channels, too, and say what the services answered."
)
@config_option
@format_option
@click.pass_context
def command(ctx: click.Context, id_: str, *, really: bool, config: Path | None, output: str) -> None:
    """Show report ID as it would be now, of what happened since the last one. With --send it is sent, too.

    It is made of what the database holds, and the next one that is due tells the same again.

    \b
    Examples:
      tocsin report evening
      tocsin report evening --send
    """
    from datetime import UTC, datetime

    import trio

    from tocsin.alerts.wording import Style, time_text
    from tocsin.delivery.templates import in_place
    from tocsin.reports.asked import asked
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    settings = settings_of(config)
    if id_ not in (known := [report.id for report in settings.reports]):
        raise unknown("report", id_, known)
    report, now = settings.report(id_), datetime.now(UTC)
    reader = Reader(state_dir_of(config) / DATABASE)
    alive = reader.alive()
    if alive is not None and (now - alive.wall).total_seconds() > _STALE_AFTER:
        note(f"no daemon runs: venues and positions are as they stood at {time_text(alive.wall)}")
    style = Style(names=settings.names, tz=report.tz)
    made = trio.run(asked(reader, report, now).message, style, "", now, in_place)
    sent = send(config, settings, report.notify, {"report": id_}, output) if really else []
    if output == "json":
        print_json({"report": id_, "title": made.title, "body": made.body, "sent": sent})
    else:
        click.echo(f"{made.title}\n{made.body}")
    ctx.exit(0 if all_taken(sent) else FAILED)
