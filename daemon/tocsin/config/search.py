"""Where the config is looked for, and where the state is kept."""

from collections.abc import Mapping
from glob import glob
from pathlib import Path

from tocsin.config.references import References
from tocsin.document import Node, Scalar
from tocsin.errors import ConfigError, Problem

_MOST_NAMED = 5


def find_config(given: Path | None, environ: Mapping[str, str]) -> Path:
    """The config's path: the given one, else the first that exists. ConfigError says where it was looked for."""
    if given is not None:
        if not given.is_file():
            raise ConfigError([Problem(f"there is no file {given}", hint=_remedy(given))])
        return given
    places = [
        Path("config.yaml"),
        _home(environ, "XDG_CONFIG_HOME", ".config") / "tocsin" / "config.yaml",
        Path("/etc/tocsin/config.yaml"),
    ]
    for path in places:
        if path.is_file():
            return path
    looked = ", ".join(map(str, places))
    raise ConfigError(
        [Problem(f"no config found (looked for {looked})", hint="tocsin init makes one to start from")]
    )


def _remedy(given: Path) -> str:
    """What to do about a path that isn't there."""
    if not any(each in str(given) for each in "*?["):
        return "tocsin init makes one to start from"
    found = sorted(glob(str(given)))  # noqa: PTH207  Path takes no absolute pattern
    there = f"these match: {', '.join(found[:_MOST_NAMED])}" if found else "nothing matches it"
    return f"a config is one file, and no pattern; {there}"


def given_state_dir(
    node: Node | None, folder: Path, references: References
) -> tuple[Path | None, list[Problem]]:
    """What the config in `folder` says under `state_dir`, and what is wrong with it; None where it says nothing."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return None, []
    text, problems = references.resolve(node, secret=False)
    try:
        return (folder / Path(text).expanduser()).absolute(), problems
    except RuntimeError:  # ~nobody/x
        return None, [*problems, Problem("no such user's home", node.place, "state_dir")]


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """Where the state is kept when the config doesn't say: systemd's folder for it, else the user's own."""
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd lists several with colons
    return Path(given) if given else _home(environ, "XDG_STATE_HOME", ".local/state") / "tocsin"


def _home(environ: Mapping[str, str], variable: str, default: str) -> Path:
    given = environ.get(variable, "")
    # The XDG rules: a relative path there is as good as none.
    return Path(given) if Path(given).is_absolute() else Path(environ.get("HOME") or Path.home()) / default
