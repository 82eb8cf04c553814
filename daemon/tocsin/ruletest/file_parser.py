"""Which test files there are; one from its text to checked tests, or to everything that is wrong with it at once."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tocsin.alerts.wording import Marks, Names, Style
from tocsin.config import shape
from tocsin.config.calendars import read_calendars
from tocsin.config.reading import Reading
from tocsin.config.rule_sets import ONLY_CHANNEL, compiled, written_rules
from tocsin.config.settings import NamesSection, Zone
from tocsin.config.shape import Section, unknown_key
from tocsin.config.yaml import load
from tocsin.document import Mapping, Node, Scalar, Sequence, listed
from tocsin.engine.rule import Rule
from tocsin.errors import ConfigError, Problem
from tocsin.ruletest.model import RuleTests, Step, Test
from tocsin.ruletest.observation_parser import time_of
from tocsin.ruletest.stand_ins import read_stand_ins, stand_ins
from tocsin.ruletest.step_parser import Known, no_such_rule, read_step
from tocsin.shipped import shipped

DEFAULT_START = datetime(2026, 1, 1, tzinfo=UTC)


class Wording(Section):
    """What a test file says of how messages are written; no config is read."""

    tz: Zone = ZoneInfo("UTC")
    names: NamesSection = NamesSection()
    marks: Marks = "emoji"


_FILE_KEYS = ["rules", "enabled", "channels", "calendars", "tests", "start", *Wording.model_fields]
_TEST_KEYS = ["name", "enabled", "steps", "start"]


def read_tests(path: Path) -> RuleTests:
    """The tests of a file. Raises ConfigError with every problem, those of its rules included. Blocks."""
    reading = Reading(path, {})
    found = _read(reading)
    problems = [problem for problem in reading.shown() if problem.level == "error"]
    if found is None or problems:
        raise ConfigError(problems)
    return found


def _read(reading: Reading) -> RuleTests | None:
    root = reading.load(reading.path)
    if root is None:
        return None
    if not isinstance(root, Mapping):
        reading.add(Problem("a test file is a mapping, with rules, channels and tests", root.place))
        return None
    _known_keys(reading, root, _FILE_KEYS)
    calendars = read_calendars(reading, root)
    channels = read_stand_ins(reading, root.get("channels"), calendars)
    rules: list[Rule] = []
    names = list(channels or [ONLY_CHANNEL])
    ids: tuple[str, ...] | None = None
    written = root.get("rules") or _tested_by(reading.path, root)
    if written is None:
        reading.add(
            Problem("the key `rules` is missing", root.place, hint="rules: ../NAME.yaml, or a list of rules")
        )
    else:
        before = len(reading.problems)
        found = written_rules(reading, written)
        ids = _ids(found) if len(reading.problems) == before else None
        rules, names = compiled(reading, found, channels, calendars)
    start = time_of(root.get("start"), "start", reading.add) or DEFAULT_START
    tests = _tests(reading, root, start, names, ids)
    return RuleTests(
        path=reading.path,
        rules=tuple(rules),
        channels=channels or stand_ins(names, calendars),
        tests=tuple(tests),
        calendars=calendars,
        style=_style(reading, root),
    )


def switched_on(rules: Iterable[Rule], enabled: Collection[str]) -> tuple[Rule, ...]:
    """The rules, with those running that are named, whatever they say of themselves."""
    return tuple(replace(rule, enabled=rule.enabled or rule.id in enabled) for rule in rules)


def _enabled(
    reading: Reading, node: Node | None, ids: tuple[str, ...] | None, path: str = "enabled"
) -> frozenset[str]:
    """The rules that run here though they are switched off."""
    if node is None:
        return frozenset()
    if not isinstance(node, Sequence) or not all(isinstance(item, Scalar) for item in node):
        hint = "those that are switched off and run here: enabled: [RULE]"
        reading.add(Problem("must be a list of rules", node.place, path, hint))
        return frozenset()
    named = [item for item in node if isinstance(item, Scalar)]
    for item in named:
        problem = no_such_rule(item, ids, path)
        if problem is not None:
            reading.add(problem)
    return frozenset(item.text for item in named)


def _ids(rules: Iterable[Mapping]) -> tuple[str, ...] | None:
    """The ids of these rules; None where one of them can't be told."""
    ids = [rule.get("id") for rule in rules]
    return (
        tuple(id_.text for id_ in ids if isinstance(id_, Scalar))
        if all(isinstance(id_, Scalar) for id_ in ids)
        else None
    )


def _tested_by(path: Path, root: Mapping) -> Node | None:
    """`rules/tests/NAME.yaml` tests `rules/NAME.yaml`, and needn't say so."""
    whole = path.absolute()
    name = f"../{whole.name}"
    there = whole.parent.name == "tests" and (whole.parent.parent / whole.name).is_file()
    return Scalar(name, name, root.place) if there else None


def _style(reading: Reading, root: Mapping) -> Style:
    """How the fake channels are written to: what a config says in several places."""
    written = {name: entry for name, entry in root.entries.items() if name in Wording.model_fields}
    found, problems = shape.check(Wording, Mapping(written, root.place))
    reading.add(*problems)
    said = found or Wording()
    names = Names(accounts=said.names.accounts, symbols=said.names.symbols)
    return Style(names=names, tz=said.tz, marks=said.marks)


def _tests(
    reading: Reading, root: Mapping, start: datetime, channels: list[str], ids: tuple[str, ...] | None
) -> list[Test]:
    node = root.get("tests")
    if not isinstance(node, Sequence) or not node.items:
        place = node.place if node is not None else root.place
        reading.add(
            Problem("must be a list of tests, at least one", place, "tests", "begin each with '- name: …'")
        )
        return []
    known = tuple(dict.fromkeys((*ids, *_loaded(reading, node)))) if ids is not None else None
    everywhere = _enabled(reading, root.get("enabled"), ids)
    tests: list[Test] = []
    for count, item in enumerate(node):
        path = f"tests[{count}]"
        if not isinstance(item, Mapping):
            reading.add(Problem("a test is a mapping, with name and steps", item.place, path))
            continue
        enabled = everywhere | _enabled(reading, item.get("enabled"), ids, f"{path}.enabled")
        test = replace(_test(reading, item, path, start, Known(tuple(channels), known)), enabled=enabled)
        same = next((other for other in tests if other.name and other.name == test.name), None)
        if same is not None:
            hint = f"the first is at line {same.place.line}"
            place = item.entries["name"].value.place
            reading.add(Problem("there is a test of this name already", place, f"{path}.name", hint))
        tests.append(test)
    return tests


def _test(reading: Reading, node: Mapping, path: str, start: datetime, known: Known) -> Test:
    _known_keys(reading, node, _TEST_KEYS)
    name = node.get("name")
    if not isinstance(name, Scalar) or not name.text:
        place = name.place if name is not None else node.place
        reading.add(Problem("must have a name that says what it shows", place, f"{path}.name"))
    written = node.get("steps")
    steps: list[Step] = []
    if not isinstance(written, Sequence) or not written.items:
        place = written.place if written is not None else node.place
        reading.add(Problem("must be a list of steps, at least one", place, f"{path}.steps"))
    else:
        steps = _steps(reading, written, f"{path}.steps", known)
    at = time_of(node.get("start"), f"{path}.start", reading.add) or start
    return Test(name.text if isinstance(name, Scalar) else "", tuple(steps), at, node.place)


def _steps(reading: Reading, node: Sequence, path: str, known: Known) -> list[Step]:
    steps: list[Step] = []
    for count, item in enumerate(node):
        if not isinstance(item, Mapping):
            reading.add(
                Problem("a step is a mapping, like {at: 30s, expect: []}", item.place, f"{path}[{count}]")
            )
            continue
        step = read_step(item, known, reading.add)
        if step is not None:
            steps.append(step)
    return steps


def _loaded(reading: Reading, tests: Sequence) -> Iterator[str]:
    """The ids of the rules that steps load, as far as they can be read.

    What is wrong with them is no fault of the test: a reload that is refused can be what it shows.
    """
    for test in tests:
        steps = test.get("steps") if isinstance(test, Mapping) else None
        for step in listed(steps):
            loaded = step.get("reload") if isinstance(step, Mapping) else None
            if loaded is not None:
                for rule in written_rules(Reading(reading.path, {}), loaded):
                    if isinstance(rule_id := rule.get("id"), Scalar):
                        yield rule_id.text


def _known_keys(reading: Reading, node: Mapping, known: list[str]) -> None:
    for entry in node:
        if entry.key.text not in known:
            reading.add(unknown_key(entry.key, (), known))


_HERE = Path("rules/tests")


def test_files(given: Iterable[Path]) -> list[Path]:
    """The given files (a folder: those in it; a rule file: its tests), else `rules/tests/*.yaml` here, else the shipped ones.

    Raises ConfigError for what isn't there.
    """
    asked = list(given)
    if not asked:
        return sorted(_HERE.glob("*.yaml")) or sorted((shipped("rules") / "tests").glob("*.yaml"))
    problems: list[Problem] = []
    found: dict[Path, None] = {}
    for path in asked:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [_tests_of(path)]
        if not all(file.is_file() for file in files) or not files:
            hint = "a folder's tests are its *.yaml" if path.is_dir() else ""
            problems.append(Problem(f"there is no test file {path}", hint=hint))
        found |= dict.fromkeys(files)
    if problems:
        raise ConfigError(problems)
    return list(found)


def _tests_of(path: Path) -> Path:
    """The file itself; of a file of rules, that of its tests, where there is one."""
    beside = path.parent / "tests" / path.name
    if not beside.is_file():
        return path
    node, _ = load(path)
    return path if isinstance(node, Mapping) and "tests" in node.entries else beside
