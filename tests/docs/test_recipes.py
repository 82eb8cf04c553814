"""CONTRIBUTING's recipes are walked: tests/recipes/NAME.diff does what one says, in a copy, and all that looks at it passes."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from support.pages import CONTRIBUTING, ROOT, text

pytestmark = pytest.mark.real

RECIPES = sorted((ROOT / "tests" / "recipes").glob("*.diff"), key=lambda path: path.stem)
COPIED = (
    "daemon",
    "rules",
    "tests",
    "systemd",
    ".github",
    *(path.name for path in ROOT.iterdir() if path.is_file()),
)
# What a venue, a function, a key, an option or a field could break: the lists of them, and all that is tested of each.
LOOK = (
    "tests/venues", "tests/config", "tests/engine/test_conditions.py", "tests/engine/test_rules_compiled.py",
    "tests/engine/test_broken_rules.py", "tests/ruletest/test_broken_files.py", "tests/alerts/test_decide.py", "tests/events",
    "tests/app/test_changes.py",
    "tests/docs/test_reference.py",
)  # fmt: skip
SECONDS = 600


def touched(recipe):
    """The files that it makes or changes."""
    return re.findall(r"^\+\+\+ b/(\S+)", recipe.read_text(encoding="utf-8"), re.MULTILINE)


def section(recipe):
    """What CONTRIBUTING says of it."""
    (found,) = (each for each in text(CONTRIBUTING).split("\n## ") if f"recipes/{recipe.name}" in each)
    return found


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_it_names_every_file_that_is_touched(recipe):
    said = section(recipe).replace("NAME", "nearby")
    assert [
        path for path in touched(recipe) if path not in said and f"{path.rpartition('/')[0]}/`" not in said
    ] == []


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this one in which all recipes are done."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        source, ignore = ROOT / name, shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, copy / name, ignore=ignore) if source.is_dir() else shutil.copy(
            source, copy / name
        )
    for recipe in RECIPES:
        run(copy, "git", "apply", "-C1", recipe)
    run(copy, sys.executable, "-m", "support.made_tables")  # ./run docs
    return copy


def run(folder, *command):
    environ = os.environ | {"PYTHONPATH": f"{folder / 'daemon'}:{folder / 'tests'}"}
    ran = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]


@pytest.mark.parametrize("how", [("check",), ("format", "--check")], ids=" ".join)
def test_what_it_says_is_in_style(checkout, how):
    changed = {path for recipe in RECIPES for path in touched(recipe) if path.endswith(".py")}
    run(checkout, sys.executable, "-m", "ruff", *how, "--no-cache", *sorted(changed))


def test_nothing_else_has_to_be_done(checkout):
    """Without examples that are made up, by hypothesis and by mutation: they are of code that no recipe touches."""
    made_up = ("-m", "not hypothesis", "--ignore=tests/venues/test_mutated_descriptions.py")
    run(checkout, sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *made_up, *LOOK)
