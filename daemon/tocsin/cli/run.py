"""`tocsin run`."""

import os
from functools import partial
from pathlib import Path

import click

from tocsin.cli import CONFIG_ERROR, FAILED
from tocsin.cli.options import config_option
from tocsin.errors import gathered, leaves


@click.command("run")
@config_option
@click.option("--dry-run", is_flag=True, help="Do everything but the sending; say what would have been sent.")
@click.pass_context
def command(ctx: click.Context, config: Path | None, *, dry_run: bool) -> None:
    """Run the daemon in the foreground: watch the venues, and tell.

    SIGHUP reloads the config, SIGTERM and Ctrl-C stop within ten seconds. Logs go to standard error. One daemon at a
    time works on a state directory: a second one exits with 78, as a wrong configuration does. A dry run works on a
    copy of the state, also beside the daemon, and leaves the real one as it is.

    \b
    Examples:
      tocsin run
      tocsin run --dry-run --config ./config.yaml
    """
    from tocsin.app.logs import make_log
    from tocsin.app.serve import run_daemon, run_dry
    from tocsin.config.load import load_settings
    from tocsin.config.search import find_config
    from tocsin.store.errors import SchemaRefused, StateInUse, StoreUnavailable

    # Absolute: a reload reads the same file, whatever the working directory.
    path = find_config(config, os.environ).absolute()
    load = partial(load_settings, path)
    # The channels' URLs are checked by `tocsin check` and by a reload; Apprise takes a second that a start hasn't.
    settings = load_settings(path, validate_url=None)
    log = make_log(settings.masker, log_format=settings.log.format, level=settings.log.level)
    for warning in gathered(settings.warnings):
        log.warning(
            "the configuration", problem=warning.message, place=str(warning.place or path), hint=warning.hint
        )
    code = 0
    try:
        (run_dry if dry_run else run_daemon)(settings, load, log=log)
    except* (StateInUse, SchemaRefused) as group:
        for error in leaves(group):
            click.echo(f"tocsin: {error}", err=True)
        code = CONFIG_ERROR
    except* StoreUnavailable as group:  # a full disk may have room again at the next try
        for error in leaves(group):
            click.echo(f"tocsin: {error}", err=True)
        code = FAILED
    if code:  # not above: what is raised in an except* comes out in a group
        ctx.exit(code)
