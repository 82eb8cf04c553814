"""`tocsin login`."""

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from tocsin.cli import FAILED
from tocsin.cli.options import config_option, paint
from tocsin.errors import TocsinError


@click.command("login")
@click.argument("venue")
@config_option
@click.pass_context
def command(ctx: click.Context, venue: str, config: Path | None) -> None:
    """Sign in to VENUE by hand and keep what the daemon needs to go on by itself.

    A venue that wants a password (wealthsimple) is asked for it here, with its one-time password; only the tokens it
    gives are kept, in the state directory, readable by you alone. For the others this tries the configured credentials.

    \b
    Example:
      tocsin login broker
    """
    import trio

    from tocsin.app.logs import make_log
    from tocsin.config.load import load_settings
    from tocsin.config.search import find_config
    from tocsin.feed import CredentialStore
    from tocsin.venues.base import SignInRefused

    settings = load_settings(find_config(config, os.environ), validate_url=None)
    if venue not in settings.venues:
        raise click.UsageError(
            f"no venue is called {venue}; there are: {', '.join(settings.venues) or 'none'}"
        )
    chosen = settings.venues[venue]
    store = CredentialStore(settings.state_dir / "credentials", make_log(settings.masker))
    by_hand = getattr(chosen.adapter, "log_in", None)
    try:
        if by_hand is not None:
            _with_password(chosen, store, by_hand)
        else:
            trio.run(_drive, chosen, store, None)
    except TocsinError as error:
        click.echo(
            f"{paint('not signed in', 'red', bold=True)}: {settings.masker.mask(str(error))}", err=True
        )
        if isinstance(error, SignInRefused) and error.remedy:
            click.echo(f"  {error.remedy_for(venue)}", err=True)
        ctx.exit(FAILED)
    click.echo(f"{paint('signed in', 'green', bold=True)} to {venue}")


def _with_password(venue: Any, store: Any, by_hand: Any) -> None:
    """Ask for the password, and for the one-time password where the venue wants one: three tries at that."""
    import trio

    from tocsin.secrets import Secret
    from tocsin.venues.wealthsimple_auth import OneTimePassword, OneTimePasswordNeeded

    username = click.prompt("Username")
    password = Secret(click.prompt("Password", hide_input=True))
    one_time: OneTimePassword | None = None
    for last in (False, False, False, True):
        try:
            steps = partial(by_hand, venue.settings, username, password, datetime.now(UTC), one_time)
            trio.run(_drive, venue, store, steps)
        except OneTimePasswordNeeded as needed:
            if last:
                raise
            if one_time is not None:
                click.echo("That one was not accepted.")
            how = f" (sent by {needed.method})" if needed.method == "email" else ""
            code = click.prompt(f"One-time password{how}", hide_input=True)
            one_time = OneTimePassword(Secret(code), needed.claim)
        else:
            return


async def _drive(venue: Any, store: Any, steps: Any) -> None:
    """Make a sign-in's requests, keeping what it asks to keep."""
    from tocsin.feed.http import Http
    from tocsin.feed.model import Timings
    from tocsin.feed.signin import drive

    def begin() -> Any:
        return (
            steps()
            if steps
            else venue.adapter.sign_in(venue.settings, store.load(venue.name), datetime.now(UTC))
        )

    async def pause(why: str) -> None:
        click.echo(f"waiting: {why}")

    http = Http(venue.settings.tls_ca, Timings().http)
    await drive(begin(), request=http, keep=partial(store.save, venue.name), pause=pause)
