"""Who can read what of a configuration: other users what they needn't, the service what it must."""

import os
import pwd
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tocsin.cli.ask import SERVICE_CONFIG, state_dir_of
from tocsin.config.names import Seen
from tocsin.config.references import readable_by_others
from tocsin.config.settings import Settings
from tocsin.errors import ConfigError, Problem

SERVICE_USER = "tocsin"
# What the unit's ProtectHome= hides.
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_PRINTS_UNREADABLE = 'for file; do [ -r "$file" ] || printf "%s\\0" "$file"; done'


def open_to_others(settings: Settings) -> Iterator[Problem]:
    """What other users of this machine can read and needn't: the config, its secrets, the state."""
    for path, what in (
        (settings.path, "the config"),
        (settings.path.parent / "secrets", "the secrets"),
        (settings.state_dir, "the state, with all that venues said"),
    ):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        reach = stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
        if mode & reach and (stat.S_ISDIR(mode) or readable_by_others(path)):
            private = "700" if stat.S_ISDIR(mode) else "600"
            hint = f"run: chmod {private} {path}"
            yield Problem(f"others can read {path} ({what})", hint=hint, level="warning")


def out_of_the_services_reach(settings: Settings) -> Iterator[Problem]:
    """Of the service's own configuration, checked by root: the files that root can read, and the service can't."""
    if settings.path.absolute().parent != SERVICE_CONFIG or os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return
    unreadable = _unreadable(settings.sources, user)
    for path in settings.sources:
        if any(Path(os.path.realpath(path)).is_relative_to(home) for home in _HOMES):
            hint = f"keep it below {SERVICE_CONFIG}: the service sees no home"
            yield Problem(f"the service can't read {path}, which leads to a home", hint=hint, level="warning")
        elif str(path.absolute()) in unreadable:
            hint = f"run: chgrp {SERVICE_USER} {path}; chmod g+r {path}"
            yield Problem(f"the service can't read {path}", hint=hint, level="warning")


def seen(config: Path) -> Seen | None:
    """What venues told of, by the state of that config's daemon; None where there is none, or none that we can read."""
    from tocsin.store.errors import SchemaRefused, StoreUnavailable
    from tocsin.store.reader import Reader
    from tocsin.store.store import DATABASE

    try:
        with Reader(state_dir_of(config) / DATABASE).snapshot() as reader:
            return Seen(
                reader.told_of("account"), reader.told_of("symbol"), frozenset(reader.told_of("venue"))
            )
    except (ConfigError, StoreUnavailable, SchemaRefused):  # what is wrong with the config is told elsewhere
        return None


def _unreadable(paths: Sequence[Path], user: pwd.struct_passwd) -> frozenset[str]:
    """Those that the user can't read, as the kernel says: modes, groups and the folders on the way count."""
    asked = ["/bin/sh", "-c", _PRINTS_UNREADABLE, "sh", *(str(path.absolute()) for path in paths)]
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    done = subprocess.run(  # noqa: S603 - our own words; the paths are arguments
        asked,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=groups,
        cwd="/",
        capture_output=True,
        check=False,
    )
    return frozenset(os.fsdecode(path) for path in done.stdout.split(b"\0") if path)
