# ruff: noqa: N999 - what the command is called
"""`tocsin try`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tocsin.alerts.plain import flat
from tocsin.cli import FAILED
from tocsin.cli.options import config_option, format_option, paint, print_json, settings_of, unknown

if TYPE_CHECKING:
    from tocsin.config.settings import Settings
    from tocsin.engine.api import AlertContext


@click.command("try")
@click.argument("action")
@click.option(
    "--like",
    metavar="RULE",
    required=True,
    help="As that rule's last alert would run it; one that is made up, where it has told of nothing yet.",
)
@click.option("--resolved", is_flag=True, help="As the alert's end would.")
@click.option(
    "--run",
    "really",
    is_flag=True,
    help="Do it, here and now, as you: with your rights and your PATH.",
)
@config_option
@format_option
@click.pass_context
def command(
    ctx: click.Context,
    action: str,
    *,
    like: str,
    resolved: bool,
    really: bool,
    config: Path | None,
    output: str,
) -> None:
    """Show what ACTION would do for a rule's alert: a command's arguments, or a webhook's body. With --run do it, once.

    No rail is asked, nothing is recorded, and the daemon isn't needed.

    \b
    Examples:
      tocsin try hedge --like position-deep-in-the-red
      tocsin try hedge --like position-deep-in-the-red --run
    """
    settings = settings_of(config)
    if action not in settings.actions:
        raise unknown("action", action, list(settings.actions))
    if like not in (known := [rule.id for rule in settings.rules]):
        raise unknown("rule", like, known)
    report, exit_code = _tried(settings, action, like, "resolved" if resolved else "firing", really=really)
    if output == "json":
        print_json(report)
    else:
        _show(report)
    ctx.exit(exit_code)


def _tried(
    settings: "Settings", action: str, like: str, told: str, *, really: bool
) -> tuple[dict[str, Any], int]:
    from datetime import UTC, datetime

    import msgspec
    import trio

    from tocsin.actions.model import Refused, described
    from tocsin.actions.task import perform, prepared
    from tocsin.app.components import new_id
    from tocsin.clock import SystemClock
    from tocsin.store.model import RunRow

    context, made_up = _context(settings, like)
    does = settings.actions[action]
    row = RunRow(
        id=new_id(), action=action, alert=new_id(), status="pending", created_at=datetime.now(UTC), told=told,
        data=msgspec.to_builtins(context),
    )  # fmt: skip
    report: dict[str, Any] = {
        "action": action,
        "like": like,
        "made_up": made_up,
        "does": described(does, settings.masker)["does"],
    }
    try:
        arguments, body = prepared(does, row, context)
    except Refused as error:
        return {**report, "refused": str(error)}, FAILED
    masked = [*map(settings.masker.mask, arguments)]
    report |= {"arguments": masked or None, "body": msgspec.json.decode(body)}
    if not really:
        return report, 0
    result = trio.run(perform, does, row, arguments, body, SystemClock())
    report |= {
        "ok": result.ok,
        "result": result.result,
        "output": settings.masker.mask(result.output),
        "reason": settings.masker.mask(result.reason) or None,
    }
    return report, 0 if result.ok else FAILED


def _context(settings: "Settings", like: str) -> "tuple[AlertContext, bool]":
    """An alert of that rule, and whether it is made up."""
    from datetime import UTC, datetime

    import msgspec

    from tocsin.delivery.sample import made_up
    from tocsin.engine.api import AlertContext
    from tocsin.store.errors import SchemaRefused, StoreUnavailable
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    try:
        if (last := Reader(settings.state_dir / DATABASE).last_firing(like)) is not None:
            return msgspec.convert(last, AlertContext), False
    except (StoreUnavailable, SchemaRefused, ValueError):
        pass  # no state, or another version's: then one that is made up
    venue = next(iter(settings.venues), "")
    return made_up(settings.rule(like), venue, datetime.now(UTC)), True


def _show(report: dict[str, Any]) -> None:
    import json

    if report["made_up"]:
        click.echo(f"{report['like']} has told of nothing yet: this is of an alert that is made up", err=True)
    if "refused" in report:
        click.echo(paint("would be refused", "red", bold=True) + f": {flat(report['refused'])}")
        return
    if report["arguments"] is not None:
        for number, argument in enumerate(report["arguments"]):
            click.echo(f"argument {number}: {json.dumps(argument, ensure_ascii=False)}")
        click.echo("standard input:")
    else:
        click.echo(f"{report['does']}:")
    click.echo(json.dumps(report["body"], indent=2, ensure_ascii=False))
    if "ok" in report:
        word = paint("done", "green", bold=True) if report["ok"] else paint("failed", "red", bold=True)
        click.echo(
            f"{word}: {report['result']}" + (f": {flat(report['reason'])}" if report["reason"] else "")
        )
        for line in report["output"].splitlines():
            click.echo(f"  {flat(line)}")
