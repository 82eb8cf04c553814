"""Rules by themselves, without the config that they are part of; of that, only the hours that they can name. Blocks."""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from tocsin import document
from tocsin.calendars import NO_CALENDARS, Calendars
from tocsin.config.calendars import read_calendars
from tocsin.config.edits import edited
from tocsin.config.reading import Reading
from tocsin.config.rule_files import read_rules
from tocsin.config.rule_sources import RuleSource, rule_sources
from tocsin.delivery.template_check import check_template
from tocsin.document import Mapping, Node, Scalar
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.rule import Rule
from tocsin.errors import ConfigError, Place, Problem

ONLY_CHANNEL = "channel"
"""The one where neither a test file nor its rules name any."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules, the files that they were read from, where each is written there, and what is doubtful in them."""

    rules: Sequence[Rule]
    files: Sequence[Path]
    rule_sources: Map[str, RuleSource]
    warnings: Sequence[Problem]


def rules_of(
    path: Path,
    calendars: Calendars = NO_CALENDARS,
    instead: Map[Path, Path] = MappingProxyType({}),
    edits: Sequence[str] = (),
) -> RuleSet:
    """The rules in a file (or, in a folder, in its *.yaml). ConfigError says what is wrong with them.

    Their channels are whichever they name, their calendars those. `instead`: of the files that is read in the place of
    which; `edits`: what is set otherwise in them, as `config.edits` has it.
    """
    reading = Reading(path / "*.yaml" if path.is_dir() else path, {}, instead)
    here = Place(str(path), 1, 1)
    name = reading.path.name
    written = written_rules(reading, document.Sequence((Scalar(name, name, here),), here))
    rules, _ = compiled(reading, edited(reading, written, edits), None, calendars)
    warnings = _refuse_errors(reading)
    return RuleSet(rules, reading.sources, rule_sources(written, reading.texts), warnings)


def calendars_of(config: Path) -> Calendars:
    """The hours that a config names; nothing else in it is looked at. ConfigError says what is wrong with them."""
    reading = Reading(config, {})
    root = reading.load(config)
    found = read_calendars(reading, root) if isinstance(root, Mapping) else NO_CALENDARS
    _refuse_errors(reading)
    return found


def compile_written(
    reading: Reading, node: Node, channels: Iterable[str] | None, calendars: Calendars = NO_CALENDARS
) -> tuple[list[Rule], list[str]]:
    """The rules that `node` (a list, or the name of a file) holds, and the channels; problems are in the reading.

    `calendars` are those that the rules can name: no config is read.

    `channels` None: those that the rules name, else one.
    """
    return compiled(reading, written_rules(reading, node), channels, calendars)


def written_rules(reading: Reading, node: Node) -> list[Mapping]:
    """The rules in a list, or in the file of that name, as they are written."""
    return read_rules(reading, document.Sequence((node,), node.place) if isinstance(node, Scalar) else node)


def compiled(
    reading: Reading, written: list[Mapping], channels: Iterable[str] | None, calendars: Calendars
) -> tuple[list[Rule], list[str]]:
    """See `compile_written`."""
    names = list(channels_named(written) or [ONLY_CHANNEL]) if channels is None else list(channels)
    environment = Environment(
        channels=frozenset(names),
        actions=frozenset(actions_named(written)),
        check_template=check_template,
        calendars=calendars,
    )
    rules, problems = compile_rules(written, environment)
    reading.add(*problems)
    return list(rules.values()), names


def channels_named(rules: Iterable[Mapping]) -> list[str]:
    """The channels that rules name, as far as they can be read."""

    def where(rule: Mapping) -> Iterable[Node | None]:
        steps = (step for step in document.items(rule.get("escalate")) if isinstance(step, Mapping))
        return (rule.get("notify"), *(step.get("notify") for step in steps))

    return _texts(chain.from_iterable(map(where, rules)))


def actions_named(rules: Iterable[Mapping]) -> list[str]:
    """The actions that rules name, as far as they can be read."""

    def where(rule: Mapping) -> Iterable[Node | None]:
        run = rule.get("run")
        return [entry.value for entry in run] if isinstance(run, Mapping) else (run,)

    return _texts(chain.from_iterable(map(where, rules)))


def _texts(nodes: Iterable[Node | None]) -> list[str]:
    """Each once, of lists and of what stands alone."""
    items = chain.from_iterable(map(document.items, nodes))
    found = (item.text for item in items if isinstance(item, Scalar) and isinstance(item.value, str))
    return list(dict.fromkeys(found))


def _refuse_errors(reading: Reading) -> list[Problem]:
    """The warnings, where there is nothing worse."""
    problems = reading.shown()
    if errors := [problem for problem in problems if problem.level == "error"]:
        raise ConfigError(errors)
    return problems
