"""`tocsin record`."""

import signal
from functools import partial
from pathlib import Path
from typing import Any

import click

from tocsin.cli.options import config_option, counted, settings_of, venue_of


@click.command("record")
@click.argument("venue")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file; it is appended to.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="End by itself after so long; else Ctrl-C does."
)
@config_option
def command(venue: str, out: Path, seconds: float | None, config: Path | None) -> None:
    """Keep VENUE's raw messages in a JSON Lines file: {"received", "stream", "message"}, secrets masked.

    It makes a connection of its own beside the daemon's. For bug reports, and to replay rules on. Of a long recording
    the venue's record_size (512MiB) is kept: what is full is set aside as OUT.TIME.jsonl, and the oldest go.

    \b
    Example:
      tocsin record fx --out fx.jsonl --seconds 600
    """
    import trio

    from tocsin.app.logs import make_log
    from tocsin.feed.recorder import unstamped

    settings = settings_of(config)
    chosen = venue_of(settings, venue)
    if not out.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {out.absolute().parent}")
    click.echo(f"recording {venue} into {out}; Ctrl-C ends it", err=True)
    log = make_log(settings.masker, log_format=settings.log.format, level=settings.log.level)
    trio.run(partial(_record, settings, chosen, out, seconds, log))
    parts = sorted(path for path in out.parent.glob("*") if unstamped(path) == out and path != out)
    for path in (*parts, out):
        lines = sum(1 for _ in path.open("rb")) if path.exists() else 0
        click.echo(f"{path} holds {counted(lines, 'message')}")


async def _record(settings: Any, venue: Any, out: Path, seconds: float | None, log: Any) -> None:
    import trio

    from tocsin.app.components import venue_feed
    from tocsin.clock import SystemClock
    from tocsin.feed import CredentialStore, Received, run_venue

    class Nowhere:
        """The meaning of the messages is not wanted here."""

        async def put(self, received: Received) -> None:
            del received
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            partial(
                run_venue,
                venue_feed(venue),
                sink=Nowhere(),
                clock=SystemClock(),
                masker=settings.masker,
                credentials=CredentialStore(settings.state_dir / "credentials", log),
                log=log,
                record_to=out,
            )
        )
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            with trio.move_on_after(seconds if seconds is not None else float("inf")):
                await anext(signals)
        nursery.cancel_scope.cancel()
