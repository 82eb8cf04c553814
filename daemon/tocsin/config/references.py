"""Secrets by reference: `${cred:NAME}`, `${env:NAME}`, `${file:PATH}`; `$${` is a plain `${`.

`cred` is a systemd credential (`$CREDENTIALS_DIRECTORY/NAME`), else a file in `secrets/` beside the config that nobody
else can read. A problem names the reference and never what it stands for; all that was resolved goes to the masker.
"""

import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from tocsin.document import Scalar
from tocsin.errors import Problem
from tocsin.secrets import Masker

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<kind>[^:}]*)(?P<colon>:?)(?P<name>[^}]*)(?P<end>\}?)")
# What is meant as a reference, and isn't one: `$cred:x`, `$CRED{x}`, `{{cred.x}}`; and a shell's `$TOKEN`, which may be meant.
_NEARLY = re.compile(
    r"""(?<!\$) (?: \$[({]? | [%#@]?\{\{?[ ]?)
    (?: (?P<kind>cred|env) [:.({] (?P<name>[\w.-]+) | (?P<file>file) [:.({] (?P<path>[\w./~-]+) ) [ ]?[)}]{0,2}""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_VARIABLE = re.compile(r"(?:(?<=[/:@=])|^)\$([A-Z][A-Z0-9_]+)(?=[/:@?&]|$)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", re.ASCII)
_LARGEST = 64 << 10  # bytes; a secret, not a file by mistake
# A byte order mark is no character of a secret and is left out; quotes and blanks might be.
_ALONG: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("begins or ends with a space or another blank", lambda text: text != text.strip()),
    (
        "stands in quotes",
        lambda text: (
            len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] and text.strip()[0] in "\"'`"
        ),
    ),
    (
        "holds an invisible character",
        lambda text: any(char in "\ufeff\u200b\u200e\u200f\u2060\u00a0" for char in text.strip()),
    ),
)
_UNRESOLVED = "unresolved"
_HOW = "write ${cred:NAME}, ${env:NAME} or ${file:PATH}; a plain ${ is written $${"


def how_to_keep(file: Path | str) -> str:
    """The command that keeps what is pasted in a file of one's own: it isn't shown, in no history, and no line's end is added."""
    return f'(umask 077; read -rs s; printf %s "$s" > {shlex.quote(str(file))})'


class _Unresolved(Exception):
    """Why a reference stands for nothing, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class References:
    """Resolves the references of one config; relative paths are relative to its folder."""

    def __init__(self, folder: Path, environ: Mapping[str, str], masker: Masker) -> None:
        self._folder = folder
        self._environ = environ
        self._masker = masker
        self._warned: set[Path] = set()
        self._along: set[str] = set()
        self._warnings: list[Problem] = []

    def resolve(self, scalar: Scalar, *, secret: bool = True) -> tuple[str, list[Problem]]:
        """The scalar's text with its references replaced, and what is wrong with them.

        In a URL's user name, password and query a value is percent-encoded: the secret is kept as it is. What isn't
        `secret` (a path) isn't masked later on.
        """
        text = scalar.text
        problems: list[Problem] = []
        parts: list[str] = []
        done = 0
        for match in _REFERENCE.finditer(text):
            parts.append(text[done : match.start()])
            done = match.end()
            try:
                parts.append(self._value(text, match, secret=secret))
            except _Unresolved as error:
                place = scalar.within(match.start(), match.end() - match.start())
                problems.append(Problem(str(error), place, hint=error.hint))
                parts.append(_UNRESOLVED)
            problems += [
                Problem(warning.message, scalar.place, hint=warning.hint, level="warning")
                for warning in self._warnings
            ]
            self._warnings.clear()
        resolved = "".join(parts) + text[done:]
        if is_nearly(text):
            problems += _nearly(scalar)
            resolved = _NEARLY.sub(_UNRESOLVED, resolved)
        return resolved, problems

    def _value(self, text: str, match: re.Match[str], *, secret: bool) -> str:
        if match[0] == "$${":
            return "${"
        if not match["end"] or not match["colon"] or match["kind"] not in ("cred", "env", "file"):
            raise _Unresolved("not a reference to a secret", _meant(match[0]))
        value = {"cred": self._credential, "env": self._variable, "file": self._file}[match["kind"]](
            match["name"]
        ).removeprefix("\ufeff")
        if secret:
            self._masker.add(value)
            self._warn_of_what_came_along(value, f"${{{match['kind']}:{match['name']}}}")
        return quote(value, safe="") if _needs_encoding(text, match) else value

    def _variable(self, name: str) -> str:
        value = self._environ.get(name)
        if not value:
            raise _Unresolved(
                f"the environment variable {name:.80} is {'not set' if value is None else 'empty'}",
                f"set it where tocsin is started, or keep it in a file and write ${{cred:{name.lower():.80}}}",
            )
        return value

    def _credential(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise _Unresolved(
                f"{name!r} can't be a credential's name", "letters, digits, _, - and . make a name"
            )
        given = self._environ.get("CREDENTIALS_DIRECTORY")
        # systemd puts a prefix before the names of a whole directory's credentials; our unit's is `tocsin`.
        for credential in (name, f"tocsin_{name}") if given else ():
            if os.path.lexists(path := Path(given or "") / credential):
                return self._read(path)
        own = self._folder / "secrets" / name
        if own.parent.is_dir() and not os.access(own.parent, os.X_OK):
            if given:  # as the service: systemd read that folder for it
                raise _Unresolved(
                    f"no secret is named {name} in $CREDENTIALS_DIRECTORY",
                    f"keep it in {own}, then restart the service: it gets its secrets when it starts",
                )
            raise _Unresolved(f"can't look into {own.parent}", "be the user that it belongs to")
        if not os.path.lexists(own):
            raise _Unresolved(
                f"no secret is named {name}"
                + (", neither in $CREDENTIALS_DIRECTORY nor here" if given else ""),
                f"paste it, then Enter: {how_to_keep(own)}",
            )
        if readable_by_others(own):
            raise _Unresolved(f"others can read {own}", f"run: chmod 600 {own}")
        return self._read(own)

    def _file(self, name: str) -> str:
        if not name:
            raise _Unresolved("a file needs a path", _HOW)
        path = self._folder / os.path.expanduser(name)  # noqa: PTH111  Path's raises for an unknown user
        value = self._read(path)
        if readable_by_others(path) and path not in self._warned:
            self._warned.add(path)
            self._warnings.append(Problem(f"others can read {path}", hint=f"run: chmod 600 {path}"))
        return value

    def _read(self, path: Path) -> str:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise _Unresolved(f"{path} is not a file")
            with path.open("rb") as file:
                data = file.read(_LARGEST + 1)
            text = data.decode().rstrip("\r\n")
        except OSError as error:
            raise _Unresolved(f"can't read {path}: {error.strerror}") from None
        except (UnicodeDecodeError, ValueError):
            raise _Unresolved(f"{path} doesn't hold text") from None
        if len(data) > _LARGEST:
            raise _Unresolved(f"{path} is larger than {_LARGEST >> 10} KiB; that is no secret")
        if not text:
            raise _Unresolved(f"{path} is empty")
        if "\0" in text:
            raise _Unresolved(f"{path} doesn't hold text")
        if "\n" in text or "\r" in text:
            raise _Unresolved(f"{path} holds several lines; a secret is one")
        return text

    def _warn_of_what_came_along(self, text: str, where: str) -> None:
        """What editors and copying add to a secret, and a service then doesn't know it."""
        found = [name for name, is_there in _ALONG if is_there(text)]
        if found and where not in self._along:
            self._along.add(where)
            self._warnings.append(
                Problem(
                    f"the secret in {where} {' and '.join(found)}, which rarely belong to it",
                    hint=f"if they don't, keep it anew: {how_to_keep('FILE')}; paste it, then Enter",
                )
            )


def is_nearly(text: str) -> bool:
    """Whether something in it may be meant as a reference, and isn't one."""
    if "$" not in text and "{" not in text:
        return False
    return _NEARLY.search(text) is not None or _VARIABLE.search(text) is not None


def _nearly(scalar: Scalar) -> Iterator[Problem]:
    """What is meant as a reference and isn't one."""
    covered = _REFERENCE.sub(lambda match: "\0" * len(match[0]), scalar.text)
    for match in _NEARLY.finditer(covered):
        place = scalar.within(match.start(), len(match[0]))
        yield Problem("not a reference to a secret", place, hint=_instead(match))
    for match in _VARIABLE.finditer(covered):
        place = scalar.within(match.start(), len(match[0]))
        hint = f"{_variable(match[1])}; as it is it is taken literally"
        yield Problem("not a reference to a secret", place, hint=hint, level="warning")


def _meant(reference: str) -> str:
    """What to write in the place of a reference that is none."""
    if (nearly := _NEARLY.fullmatch(reference)) is not None:
        return _instead(nearly)
    bare = reference.removeprefix("${").removesuffix("}")
    return _variable(bare) if re.fullmatch(r"[A-Z][A-Z0-9_]+", bare, re.ASCII) else _HOW


def _instead(nearly: re.Match[str]) -> str:
    kind, name = nearly["kind"] or nearly["file"], nearly["name"] or nearly["path"]
    return f"write ${{{kind.lower()}:{name}}}"


def _variable(name: str) -> str:
    return (
        f"write ${{env:{name}}} for an environment variable, ${{cred:{name.lower()}}} for a file in secrets/"
    )


def readable_by_others(path: Path) -> bool:
    """Whether any user of this machine can read the file: by its own mode and its folder's."""
    try:
        return bool(
            path.stat().st_mode & stat.S_IROTH and path.resolve().parent.stat().st_mode & stat.S_IXOTH
        )
    except OSError:
        return False


def _needs_encoding(text: str, match: re.Match[str]) -> bool:
    """Whether the reference is a part of a URL where only one meaning is possible: user name, password or query.

    In a path it is left alone: services' tokens have slashes and colons of their own there.
    """
    _, scheme, before = text[: match.start()].partition("://")
    if not scheme:
        return False
    after = _REFERENCE.sub("", text[match.end() :])
    return "?" in before or ("/" not in before and bool(re.match(r"[^/?#]*@", after)))
