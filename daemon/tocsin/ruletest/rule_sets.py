"""Rules by themselves, without the config that they are part of. Blocks."""

from pathlib import Path

from tocsin.config.reading import Reading
from tocsin.document import Scalar, Sequence
from tocsin.engine.rule import Rule
from tocsin.errors import ConfigError, Place
from tocsin.ruletest.reading import compile_written


def rules_of(path: Path) -> list[Rule]:
    """The rules in a file (or, in a folder, in its *.yaml). ConfigError says what is wrong with them.

    Their channels are whichever they name.
    """
    reading = Reading(path / "*.yaml" if path.is_dir() else path, {})
    here = Place(str(path), 1, 1)
    name = reading.path.name
    rules, _ = compile_written(reading, Sequence((Scalar(name, name, here),), here), None)
    problems = [problem for problem in reading.shown() if problem.level == "error"]
    if problems:
        raise ConfigError(problems)
    return rules
