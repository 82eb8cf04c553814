"""Asking the running daemon, or where none runs the database that it left."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from tocsin.alerts.plain import NOT_KEPT
from tocsin.cli.options import Command, print_json, settings_of
from tocsin.config.search import default_state_dir, find_config, given_state_dir

if TYPE_CHECKING:
    from tocsin.document import Node

OK, WRONG, UNKNOWN = 200, 400, 404  # what HTTP calls them
SERVICE_CONFIG, SERVICE_STATE = Path("/etc/tocsin"), Path("/var/lib/tocsin")  # as systemd/install has them
MOST_ROWS = 1000  # what one look at the database gives


def state_dir_of(config: Path | None) -> Path:
    """The state directory that the config names. Only that is read: no secret is needed to look at the state."""
    from tocsin.config.references import References
    from tocsin.errors import ConfigError
    from tocsin.secrets import Masker

    path, node = _written(config, "state_dir")
    if path is None:
        return default_state_dir(os.environ)
    references = References(path.parent, os.environ, Masker())
    given, problems = given_state_dir(node, path.parent, references)
    if any(problem.level == "error" for problem in problems):
        raise ConfigError(problems)
    if given is not None:
        return given
    # Of the service's config, asked about while it is stopped, nobody's own folder is meant.
    if path.absolute().parent == SERVICE_CONFIG and not os.environ.get("STATE_DIRECTORY"):
        return SERVICE_STATE
    return default_state_dir(os.environ)


def zone_of(config: Path | None) -> tzinfo:
    """The time zone that people read times in, by the config; UTC where it names none, or none that there is."""
    from tocsin.document import Scalar

    _, node = _written(config, "tz")
    try:
        return ZoneInfo(node.text) if isinstance(node, Scalar) else UTC
    except (ValueError, OSError, LookupError):
        return UTC


def _written(config: Path | None, key: str) -> "tuple[Path | None, Node | None]":
    """The config that is used, if there is one, and what stands there under a key. ConfigError where the given one isn't there."""
    from tocsin.config.sections import read_sections
    from tocsin.config.yaml import load, read
    from tocsin.document import Mapping
    from tocsin.errors import ConfigError

    try:
        path = find_config(config, os.environ)
    except ConfigError:
        if config is not None:
            raise
        return None, None
    node, problems = load(path)
    if node is None:  # a slip somewhere else hides no key
        text, unreadable = read(path, str(path))
        # Whoever may ask the service's daemon need not be able to read its config.
        if unreadable and config is None:
            return path, None
        sections = None if unreadable else read_sections(text, str(path))
        if sections is None or key in sections.broken:
            raise ConfigError(problems)
        node = sections.root
    return path, node.get(key) if isinstance(node, Mapping) else None


def ask(state_dir: Path, method: str, path: str, **query: str) -> tuple[int, Any, Path]:
    """The HTTP status, the JSON and the socket that answered. NotRunning where no daemon does."""
    from tocsin.control.client import ControlClient, socket_paths

    client = ControlClient(socket_paths(state_dir))
    status, answer = client.request(method, path, **query)
    return status, answer, client.answered or state_dir


def act(config: Path | None, path: str, why: str, **what: Any) -> tuple[int, Any, Path]:
    """Have the config's daemon do something for who calls this command; as `ask`. UsageError with its words for what it refuses."""
    from tocsin.control.client import ControlClient, socket_paths
    from tocsin.errors import TocsinError

    state_dir = state_dir_of(config)
    client = ControlClient(socket_paths(state_dir))
    with _remedy(config, state_dir):
        status, answer = client.post(path, {"by": me(), "via": "cli", "why": why, **what})
    socket = client.answered or state_dir
    if status == WRONG:
        raise click.UsageError(f"{answer['error']}")
    if "error" in answer:
        raise TocsinError(f"the daemon at {socket}: {answer['error']}")
    if status == OK and not answer.get("kept", True):
        note(f"done, but {NOT_KEPT}")
    return status, answer, socket


def ask_running(config: Path | None, method: str, path: str, **query: str) -> tuple[int, Any, Path]:
    """As `ask`, of the config's daemon. NotRunning also says how one is started, or what hides one that runs."""
    state_dir = state_dir_of(config)
    with _remedy(config, state_dir):
        return ask(state_dir, method, path, **query)


@contextmanager
def _remedy(config: Path | None, state_dir: Path) -> Iterator[None]:
    """What to do where no daemon answers: start one, or find the one that a `state_dir` hides that was edited."""
    from tocsin.control.client import NotAllowed, NotRunning
    from tocsin.store.store import DATABASE

    try:
        yield
    except NotAllowed:
        raise
    except NotRunning as error:
        path, written = _written(config, "state_dir")
        if written is not None and not os.path.exists(state_dir / DATABASE):  # noqa: PTH110  Path's raises where we may not look
            remedy = (
                f"no daemon has worked in {state_dir} yet: one that was started before state_dir was edited is found by"
                " the old one only; end it (Ctrl-C, or kill) and start it anew, or write the old one back"
            )
        elif path is not None and path.absolute().parent == SERVICE_CONFIG:
            remedy = "start it: sudo systemctl start tocsin"
        else:
            remedy = f"start one: tocsin run{f' --config {config}' if config is not None else ''}"
        raise NotRunning(f"{error}\n  = {remedy}") from None


def id_argument(command: Command) -> Command:
    """The argument ID; of an empty one nothing could be found."""
    return click.argument("id_", metavar="ID", callback=_in_path("the beginning of one is needed"))(command)


def action_argument(command: Command) -> Command:
    """The argument ACTION; without it all are meant, which an empty one, of a script's variable, must not."""
    empty = "the name of an action is empty; for all of them leave it away"
    return click.argument("action", required=False, callback=_in_path(empty))(command)


def _in_path(empty: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """What an argument has to be that becomes a part of a request's path; `empty` is said of one that is."""

    def checked(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        name = parameter.make_metavar(ctx)
        if value is not None and not value.strip("… ."):
            raise click.BadParameter(empty, param_hint=name)
        if value is not None and "/" in value:
            raise click.BadParameter("there is no / in any", param_hint=name)
        return value

    return checked


def me() -> str:
    """Who asks: the user's name, under sudo that of who called it."""
    import pwd

    if (called := os.environ.get("SUDO_USER")) and os.geteuid() == 0:
        return called
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user without a name
        return f"uid {os.geteuid()}"


def note(said: str) -> None:
    """On standard error, where there is something to say."""
    if said:
        click.echo(f"note: {said}", err=True)


def listed(
    config: Path | None, what: str, output: str, *, everything: bool, none: str
) -> list[dict[str, Any]]:
    """`alerts`, `deliveries` or `silences` to be shown to people, who read `none` where there are none; programs get all of it here."""
    found = rows(config, what, everything=everything)
    if output == "json":
        print_json(found)
        return []
    if len(found) == MOST_ROWS:
        click.echo(f"the latest {MOST_ROWS} are shown; the rest is in tocsin.db", err=True)
    if not found:
        click.echo(none)
    return found


def rows(config: Path | None, what: str, *, everything: bool) -> list[dict[str, Any]]:
    """`alerts`, `deliveries` or `silences`, from the daemon, else from the database."""
    from tocsin.alerts.silences import Silences
    from tocsin.control.acts import with_silences
    from tocsin.control.client import NotAllowed, NotRunning
    from tocsin.events import iso
    from tocsin.store.opening import taken
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    state_dir = state_dir_of(config)
    try:
        status, found, _ = ask(state_dir, "GET", f"/api/{what}", all="1" if everything else "0")
    except NotRunning as error:
        if isinstance(error, NotAllowed) and not os.access(state_dir / DATABASE, os.R_OK):
            raise
        click.echo(f"note: {error}; this is what the database holds", err=True)
        note(taken(state_dir / DATABASE))
        reader = Reader(state_dir / DATABASE)
        if what == "alerts":
            found = reader.alerts(active_only=not everything)
            return with_silences(found, Silences(reader.silences()), datetime.now(UTC))
        if what == "silences":
            return reader.silence_rows(iso(datetime.now(UTC)), everything=everything)
        return _previewed(reader.deliveries(unsent_only=not everything, contexts=True))
    return list(_answered(status, found))


def ask_of_actions(config: Path | None) -> dict[str, Any]:
    """The actions and their runs, of the running daemon; where none runs, by the config and the database."""
    from tocsin.actions.model import described
    from tocsin.control.client import NotAllowed, NotRunning
    from tocsin.store.opening import taken
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    state_dir = state_dir_of(config)
    try:
        status, found, _ = ask(state_dir, "GET", "/api/actions")
    except NotAllowed:
        raise
    except NotRunning as error:
        click.echo(f"note: {error}; this is by the config and the database", err=True)
        note(taken(state_dir / DATABASE))
        settings = settings_of(config)
        actions = [
            {"action": name, **described(each, settings.masker), "paused": "", "circuit": ""}
            for name, each in settings.actions.items()
        ]
        return {"paused": "", "actions": actions, "runs": Reader(state_dir / DATABASE).runs()}
    answer: dict[str, Any] = _answered(status, found)
    return answer


def _answered(status: int, found: Any) -> Any:
    """What the daemon found. TocsinError with its words where it found nothing."""
    from tocsin.errors import TocsinError

    if status != OK:
        raise TocsinError(found.get("error", found))
    return found


def _previewed(deliveries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from functools import partial

    import trio

    from tocsin.alerts.wording import Style
    from tocsin.delivery.backoff import next_try
    from tocsin.delivery.templates import in_place, preview

    now = datetime.now(UTC)
    for row in deliveries:
        row["next_try"] = next_try(row, now)
    trio.run(partial(preview, deliveries, lambda _channel, _target: Style(), now, in_place))
    return deliveries


def ask_of_rules(config: Path | None, path: str, look: Callable[[Any], Any], **asked: str) -> Any:
    """What the running daemon says of its rules; where none runs, what `look` finds by the config's (its Settings)."""
    from tocsin.config.settings import UnknownRule
    from tocsin.control.client import NotAllowed, NotRunning
    from tocsin.store.opening import taken
    from tocsin.store.store import DATABASE

    try:
        status, found, socket = ask(state_dir_of(config), "GET", path, **asked)
    except NotAllowed:
        raise
    except NotRunning as error:
        click.echo(f"note: {error}; this is by the config and the database", err=True)
        note(taken(state_dir_of(config) / DATABASE))
        try:
            return look(settings_of(config))
        except UnknownRule as error:
            raise click.UsageError(str(error)) from None
    if status == UNKNOWN:
        raise click.UsageError(f"{found['error']} (asked the daemon at {socket})")
    return _answered(status, found)
