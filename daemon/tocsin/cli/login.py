"""`tocsin login`."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from tocsin.cli import FAILED
from tocsin.cli.ask import OK, ask, me
from tocsin.cli.options import config_option, paint, settings_of, venue_of
from tocsin.errors import TocsinError


@click.command("login")
@click.argument("venue")
@config_option
@click.pass_context
def command(ctx: click.Context, venue: str, config: Path | None) -> None:
    """Sign in to VENUE by hand and keep what the daemon needs to go on by itself.

    A venue that wants a password (wealthsimple) is asked for it here, with its one-time password; only the tokens it
    gives are kept, in the state directory, readable by you alone. For the others this tries the configured credentials, by a
    connection of its own. A running daemon that waits after a refusal tries again at once.

    \b
    Example:
      tocsin login broker
    """
    import trio

    from tocsin.app.logs import make_log
    from tocsin.feed import CredentialStore
    from tocsin.venues.base import SignInRefused

    settings = settings_of(config)
    chosen = venue_of(settings, venue)
    log = make_log(settings.masker, level="error")
    store = CredentialStore(settings.state_dir / "credentials", log)
    by_hand = getattr(chosen.adapter, "log_in", None)
    note = ""
    try:
        if by_hand is not None:
            _with_password(chosen, store, by_hand)
        elif not trio.run(_try, settings, chosen, store, log):
            note = ": it let us connect and refused nothing, which is all that it tells"
    except TocsinError as error:
        click.echo(
            f"{paint('not signed in', 'red', bold=True)}: {settings.masker.mask(str(error))}", err=True
        )
        if isinstance(error, SignInRefused) and error.remedy:
            click.echo(f"  {error.remedy_for(venue)}", err=True)
        ctx.exit(FAILED)
    click.echo(f"{paint('signed in', 'green', bold=True)} to {venue}{note}")
    _tell_the_daemon(settings.state_dir, venue)


def _tell_the_daemon(state_dir: Path, venue: str) -> None:
    """It waits some minutes after a refusal: now there is something new to try."""
    from tocsin.control.client import NotRunning

    try:
        status, _, _ = ask(state_dir, "POST", "/api/retry", venue=venue, by=me())
    except NotRunning:
        return
    if status == OK:
        click.echo("the daemon tries it now")


async def _try(settings: Any, venue: Any, store: Any, log: Any) -> bool:
    """As the daemon does it, on a connection beside the daemon's."""
    from tocsin.app.components import venue_feed
    from tocsin.clock import SystemClock
    from tocsin.feed.trial import try_credentials

    return await try_credentials(
        venue_feed(venue),
        clock=SystemClock(),
        masker=settings.masker,
        credentials=store,
        log=log,
        say=lambda why: click.echo(f"waiting: {why}"),
    )


def _with_password(venue: Any, store: Any, by_hand: Any) -> None:
    """Ask for the password, and for the one-time password where the venue wants one: three tries at that."""
    import trio

    from tocsin.secrets import Secret
    from tocsin.venues.wealthsimple.auth import OneTimePassword, OneTimePasswordNeeded

    _must_keep(store.obstacle(venue.name))  # before a one-time password is used up
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
    from tocsin.feed.model import Timings
    from tocsin.feed.session import drive
    from tocsin.feed.transport import HeldHttp
    from tocsin.http import Http

    async def pause(why: str) -> None:
        click.echo(f"waiting: {why}")

    async def keep(values: Any) -> None:
        _must_keep(store.keep(venue.name, values))

    async def try_to_keep() -> None:
        _must_keep(store.obstacle(venue.name))

    http = HeldHttp(Http(venue.settings.tls_ca, Timings().http), venue.adapter.hosts)
    await drive(steps(), request=http, keep=keep, try_to_keep=try_to_keep, pause=pause)


def _must_keep(obstacle: str | None) -> None:
    if obstacle is not None:
        raise TocsinError(f"what the sign-in gives can't be kept: {obstacle}")
