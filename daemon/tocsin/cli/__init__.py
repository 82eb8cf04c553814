"""The `tocsin` command. Each command is a module of this package, imported when it is called."""

import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from tocsin import __version__

CONFIG_ERROR = 78  # sysexits.h EX_CONFIG; systemd doesn't restart on it
FAILED = 1

# Command -> what it does, in one line. The module of the same name in this package holds it as `command`. In the
# order of use: `tocsin --help` keeps it.
COMMANDS = {
    "demo": "see it work: seven simulated venues, the shipped rules, alerts as they fire",
    "init": "make a config, rules and a secrets folder to start from",
    "check": "check config, rules, templates and channels; all problems at once",
    "test": "run rule tests, on a fake clock",
    "replay": "run recorded events through rules: what would have fired",
    "notify": "send a test message by a channel, and say what the service answered",
    "login": "sign in to a venue by hand, and keep the tokens",
    "run": "run the daemon",
    "reload": "have the daemon read its config anew",
    "status": "how the daemon and its venues are",
    "page": "a link that signs you in to the web page, once",
    "alerts": "what fires now, or ever fired",
    "ack": "acknowledge an alert: no more reminders of it until it ends",
    "silence": "hold what is told of alerts that match, for a time",
    "silences": "what is silenced, up to when, by whom and why",
    "unsilence": "take a silence back",
    "forget": "drop an order or position that its venue never mentions again",
    "actions": "what alerts start: webhooks and commands, and what came of them",
    "try": "show what an action would do for a rule's alert, or do it once",
    "pause": "run no more actions, or one of them, until resumed",
    "resume": "run actions again, also after failures had stopped one",
    "report": "show what a report would say now, or send it",
    "rules": "the rules: how often each fired, and when last",
    "deliveries": "what is unsent, and why",
    "record": "keep a venue's raw messages in a file",
    "explain": "why a rule fires, or doesn't",
    "fields": "the vocabulary: kinds, their fields and events",
    "venues": "the venues that can be watched: their options, and what each supplies",
    "decode": "what a venue's messages mean, and what in them nothing is said of",
    "schema": "JSON Schema of the config, of rule files or of a venue's description, for editors",
    "help": "the reference: rules, functions, channels, venues and the rest, topic by topic",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed, so that the program answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"tocsin.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            if near:
                remedy = f"; did you mean {near[0]}?"
            elif ctx.params.get("config") and os.path.isfile(args[0]):  # noqa: PTH113  loads nothing
                remedy = f"; --config takes one file, {ctx.params['config']}: did a pattern match several?"
            else:
                remedy = ""
            ctx.fail(f"no such command: {args[0]}{remedy}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """What we say is wrong is told in one place; a bug of ours passes through with its traceback."""
        from tocsin.errors import ConfigError, TocsinError

        try:
            return super().invoke(ctx)
        except ConfigError as error:
            click.echo(str(error), err=True)
            ctx.exit(CONFIG_ERROR)
        except TocsinError as error:
            click.echo(f"tocsin: {error}", err=True)
            ctx.exit(FAILED)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 well; 1 something failed; 2 wrong usage; 78 the configuration is wrong.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    help="The config; else ./config.yaml, $XDG_CONFIG_HOME/tocsin/config.yaml, /etc/tocsin/config.yaml."
    " May stand behind the command too.",
)
@click.version_option(__version__, prog_name="tocsin", message="%(prog)s %(version)s")
def cli(config: str | None) -> None:
    """The alarm bell for trading accounts.

    Holds a WebSocket for each of your venues, runs your rules on what they say, and tells you.

    \b
    To begin:
      tocsin demo                  see it work, as it is
      tocsin init && tocsin check  make a config, check it
      tocsin run                   watch, and tell
      tocsin help                  the reference
    """
    del config  # the commands look it up: see options.py


def main() -> None:
    try:
        cli(prog_name="tocsin")
    except SystemExit as end:
        if isinstance(end.code, int | None) and threading.active_count() > 1:
            _leave(end.code or 0)
        raise


def _leave(code: int) -> None:
    """At once: threads that were left behind, as on a disk that hangs, may be in code of C++ or Rust, which can't be unwound as the
    interpreter's own end does it (seen: `FATAL: exception not rethrown`, and SIGABRT instead of the exit code).
    """
    with suppress(OSError):  # nobody reads it any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
