"""`tocsin actions`."""

from datetime import tzinfo
from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import flat, time_of
from tocsin.cli.ask import ask_of_actions, zone_of
from tocsin.cli.options import config_option, format_option, paint, print_json

_COLOURS = {
    "ok": "green",
    "failed": "red",
    "unknown": "red",
    "asked": "yellow",
    "begun": "yellow",
    "pending": "yellow",
}
_SHOWN = 20


@click.command("actions")
@config_option
@click.option("--all", "everything", is_flag=True, help=f"All runs that are kept; else the last {_SHOWN}.")
@format_option
def command(config: Path | None, *, everything: bool, output: str) -> None:
    """The actions of the config: what they do, what stands in their way, and what came of their last runs, latest first.

    \b
    Examples:
      tocsin actions
      tocsin actions --json | jq '.runs[].status'
    """
    found = ask_of_actions(config)
    if output == "json":
        print_json(found)
        return
    tz = zone_of(config)
    if found["paused"]:
        click.echo(paint(f"all actions are paused {flat(found['paused'])}; tocsin resume", "yellow"))
    for action in found["actions"] or ():
        does = action["does"] if isinstance(action["does"], str) else " ".join(action["does"])
        also = ["dry run"] if action["dry_run"] else []
        also += [f"asks on {action['confirm']}"] if action["confirm"] else []
        also += [f"at most {action['rate']}"] if action["rate"] else []
        click.echo(f"{action['action']}  {flat(does)}" + (f"  ({', '.join(also)})" if also else ""))
        if action["paused"] and not found["paused"]:
            click.echo(
                paint(f"  paused {flat(action['paused'])}; tocsin resume {action['action']}", "yellow")
            )
        if action["circuit"]:
            click.echo(paint(f"  no more runs {action['circuit']}; tocsin resume {action['action']}", "red"))
    if not found["actions"]:
        click.echo("no action")
    runs = found["runs"] if everything else found["runs"][:_SHOWN]
    if found["actions"] and not runs:
        click.echo("nothing was run yet")
    for run in runs:
        _show(run, tz)
    if len(runs) < len(found["runs"]):
        click.echo(f"and {len(found['runs']) - len(runs)} older ones: tocsin actions --all")


def _show(run: dict[str, Any], tz: tzinfo) -> None:
    status = paint(run["status"].replace("_", " "), _COLOURS.get(run["status"]))
    result = f" {run['result']}" if run["result"] and run["status"] in ("ok", "failed") else ""
    tried = f", {run['attempts']} attempts" if run["attempts"] > 1 else ""
    if run["answered_by"] and run["status"] != "declined":
        tried += f", confirmed by {flat(run['answered_by'])}"
    elif run["answered_by"]:
        tried += f" by {flat(run['answered_by'])}"
    at = time_of(run["created_at"], tz)
    click.echo(f"{at}  {run['action']}  {run['told']}  {status}{result}{tried}  {flat(run['title'] or '')}")
    if run["reason"]:
        click.echo(f"  {flat(run['reason'])}")
    if run["command"] and run["status"] in ("dry_run", "failed", "unknown"):
        click.echo(f"  {flat(run['command'])}")
