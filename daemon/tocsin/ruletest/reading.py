"""A test file from its text to checked tests, or to everything that is wrong with it at once."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from tocsin.config.calendars import read_calendars
from tocsin.config.reading import Reading
from tocsin.config.rule_files import read_rules
from tocsin.config.shape import unknown_key
from tocsin.delivery.template_check import check_template
from tocsin.document import Mapping, Node, Scalar, Sequence
from tocsin.engine.compile import Environment, compile_rules
from tocsin.engine.language.calendar import Calendars
from tocsin.engine.rule import Rule
from tocsin.errors import ConfigError, Problem
from tocsin.events.vocabulary import nearest
from tocsin.ruletest.actions import Known
from tocsin.ruletest.model import Reload, RuleTests, Step, Test
from tocsin.ruletest.said import time_of
from tocsin.ruletest.steps import read_step, rules_named

DEFAULT_START = datetime(2026, 1, 1, tzinfo=UTC)
ONLY_CHANNEL = "channel"
"""The one stand-in where neither the file nor its rules name any."""
_FILE_KEYS = ["rules", "channels", "calendars", "tests", "start"]
_TEST_KEYS = ["name", "steps", "start"]


def read_tests(path: Path) -> RuleTests:
    """The tests of a file. Raises ConfigError with every problem, those of its rules included. Blocks."""
    reading = Reading(path, {})
    found = _read(reading)
    problems = [problem for problem in reading.shown() if problem.level == "error"]
    if found is None or problems:
        raise ConfigError(problems)
    return found


def compile_written(
    reading: Reading, node: Node, channels: Iterable[str] | None, calendars: Calendars = MappingProxyType({})
) -> tuple[list[Rule], list[str]]:
    """The rules that `node` (a list, or the name of a file) holds, and the channels; problems are in the reading.

    `calendars` are those that the rules can name: no config is read.

    `channels` None: those that the rules name, else one.
    """
    listed = Sequence((node,), node.place) if isinstance(node, Scalar) else node
    written = read_rules(reading, listed)
    names = list(_named(written) or [ONLY_CHANNEL]) if channels is None else list(channels)
    rules, problems = compile_rules(
        written, Environment(channels=frozenset(names), check_template=check_template, calendars=calendars)
    )
    reading.add(*problems)
    return list(rules.values()), names


def _read(reading: Reading) -> RuleTests | None:
    root = reading.load(reading.path)
    if root is None:
        return None
    if not isinstance(root, Mapping):
        reading.add(Problem("a test file is a mapping, with rules, channels and tests", root.place))
        return None
    _known_keys(reading, root, _FILE_KEYS)
    channels = _channels(reading, root.get("channels"))
    calendars = read_calendars(reading, root.get("calendars"))
    rules: list[Rule] = []
    names = channels or [ONLY_CHANNEL]
    written = root.get("rules") or _tested_by(reading.path, root)
    if written is None:
        reading.add(
            Problem("the key `rules` is missing", root.place, hint="rules: ../NAME.yaml, or a list of rules")
        )
    else:
        rules, names = compile_written(reading, written, channels, calendars)
    start = time_of(root.get("start"), "start", reading.add) or DEFAULT_START
    tests = _tests(reading, root, start, names)
    if not any(problem.level == "error" for problem in reading.problems):
        _know_rules(reading, tests, rules)
    return RuleTests(reading.path, tuple(rules), tuple(names), tuple(tests), calendars)


def _tested_by(path: Path, root: Mapping) -> Node | None:
    """`rules/tests/NAME.yaml` tests `rules/NAME.yaml`, and needn't say so."""
    whole = path.absolute()
    name = f"../{whole.name}"
    there = whole.parent.name == "tests" and (whole.parent.parent / whole.name).is_file()
    return Scalar(name, name, root.place) if there else None


def _named(rules: Iterable[Mapping]) -> list[str]:
    """The channels that rules name, as far as they can be read."""
    named: dict[str, None] = {}
    for rule in rules:
        node = rule.get("notify")
        for item in node if isinstance(node, Sequence) else (node,):
            if isinstance(item, Scalar) and isinstance(item.value, str):
                named[item.text] = None
    return list(named)


def _channels(reading: Reading, node: Node | None) -> list[str] | None:
    if node is None:
        return None
    if not isinstance(node, Sequence) or not node.items:
        reading.add(Problem("must be a list of names, at least one", node.place, "channels"))
        return None
    names: dict[str, None] = {}
    for count, item in enumerate(node):
        if not isinstance(item, Scalar) or not item.text:
            reading.add(Problem("must be a name", item.place, f"channels[{count}]"))
        elif item.text in names:
            reading.add(Problem(f"`{item.text:.80}` stands here twice", item.place, f"channels[{count}]"))
        else:
            names[item.text] = None
    return list(names)


def _tests(reading: Reading, root: Mapping, start: datetime, channels: list[str]) -> list[Test]:
    node = root.get("tests")
    if not isinstance(node, Sequence) or not node.items:
        place = node.place if node is not None else root.place
        reading.add(
            Problem("must be a list of tests, at least one", place, "tests", "begin each with '- name: …'")
        )
        return []
    tests = []
    for count, item in enumerate(node):
        path = f"tests[{count}]"
        if not isinstance(item, Mapping):
            reading.add(Problem("a test is a mapping, with name and steps", item.place, path))
            continue
        tests.append(_test(reading, item, path, start, channels))
    return tests


def _test(reading: Reading, node: Mapping, path: str, start: datetime, channels: list[str]) -> Test:
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
        steps = _steps(reading, written, f"{path}.steps", channels)
    at = time_of(node.get("start"), f"{path}.start", reading.add) or start
    return Test(name.text if isinstance(name, Scalar) else "", tuple(steps), at, node.place)


def _steps(reading: Reading, node: Sequence, path: str, channels: list[str]) -> list[Step]:
    known = Known(channels=tuple(channels))
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


def _know_rules(reading: Reading, tests: list[Test], rules: list[Rule]) -> None:
    """That every rule which a step names exists, in the file's rules or in those that a step loads."""
    ids = dict.fromkeys(rule.id for rule in rules)
    for test in tests:
        for step in test.steps:
            if isinstance(step.action, Reload):
                # What is wrong with them is no fault of the test: a reload that is refused can be what it shows.
                apart = Reading(reading.path, {})
                listed = step.action.rules
                loaded = read_rules(
                    apart, Sequence((listed,), listed.place) if isinstance(listed, Scalar) else listed
                )
                ids |= {
                    rule_id.text: None for rule in loaded if isinstance(rule_id := rule.get("id"), Scalar)
                }
    for test in tests:
        for step in test.steps:
            _know(reading, step, list(ids))


def _know(reading: Reading, step: Step, ids: list[str]) -> None:
    for name, place in rules_named(step):
        if name not in ids:
            close = nearest(name, ids)
            hint = f"did you mean `{close}`?" if close else f"rules here: {', '.join(ids) or 'none'}"
            reading.add(Problem(f"no rule is called `{name:.80}`", place, "rule", hint))


def _known_keys(reading: Reading, node: Mapping, known: list[str]) -> None:
    for entry in node:
        if entry.key.text not in known:
            reading.add(unknown_key(entry.key, (), known))
