"""Rules by themselves, without the config that they are part of; of that, only the hours that they can name. Blocks."""

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tocsin import document
from tocsin.calendars import NO_CALENDARS, Calendars
from tocsin.config.calendars import read_calendars
from tocsin.config.reading import Reading
from tocsin.document import Mapping, Scalar
from tocsin.engine.rule import Rule
from tocsin.errors import ConfigError, Place
from tocsin.ruletest.reading import compile_written


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules, and the files that they were read from."""

    rules: Sequence[Rule]
    files: Sequence[Path]


def rules_of(
    path: Path, calendars: Calendars = NO_CALENDARS, instead: Map[Path, Path] = MappingProxyType({})
) -> RuleSet:
    """The rules in a file (or, in a folder, in its *.yaml). ConfigError says what is wrong with them.

    Their channels are whichever they name, their calendars those. `instead`: of the files that is read in the place of
    which.
    """
    reading = Reading(path / "*.yaml" if path.is_dir() else path, {}, instead)
    here = Place(str(path), 1, 1)
    name = reading.path.name
    rules, _ = compile_written(reading, document.Sequence((Scalar(name, name, here),), here), None, calendars)
    _refuse_errors(reading)
    return RuleSet(rules, reading.sources)


def calendars_of(config: Path) -> Calendars:
    """The hours that a config names; nothing else in it is looked at. ConfigError says what is wrong with them."""
    reading = Reading(config, {})
    root = reading.load(config)
    found = read_calendars(reading, root) if isinstance(root, Mapping) else NO_CALENDARS
    _refuse_errors(reading)
    return found


def _refuse_errors(reading: Reading) -> None:
    problems = [problem for problem in reading.shown() if problem.level == "error"]
    if problems:
        raise ConfigError(problems)
