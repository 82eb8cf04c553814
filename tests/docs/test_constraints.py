"""What is installed is what the constraints file says: a new version elsewhere changes nothing here by itself."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).resolve().parent.parent.parent
_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)")
# pip comes with the virtual environment, uv with `./run floors` and `./run upgrade`.
_NOT_OURS = {"tocsin", "pip", "setuptools", "wheel", "uv"}


def constraints() -> dict[str, Version]:
    lines = [line for line in (TOP / ".constraints.txt").read_text().splitlines() if line]
    found = [_LINE.match(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in found if match}


def test_all_that_is_installed_is_there_in_that_version():
    pinned = constraints()
    installed = {
        canonicalize_name(each.metadata["Name"]): Version(each.version)
        for each in importlib.metadata.distributions()
    }
    assert {
        name: (str(version), str(pinned.get(name)))
        for name, version in installed.items()
        if name not in _NOT_OURS and pinned.get(name) != version
    } == {}, "installed, and in .constraints.txt: ./run upgrade"


def test_it_keeps_what_pyproject_promises():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    pinned = constraints()
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement
