"""The section `actions`: webhooks and commands by names that rules can run."""

import shutil
from collections.abc import Iterable
from collections.abc import Mapping as Map
from itertools import pairwise
from pathlib import Path

from jinja2 import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables

from tocsin.actions.model import ActionSettings
from tocsin.actions.values import NAMES
from tocsin.config import shape
from tocsin.config.hiding import hide_secrets
from tocsin.config.literals import looks_secret, seems_secret_name
from tocsin.config.reading import Reading
from tocsin.delivery.sandbox import Box
from tocsin.document import Entry, Mapping, Node, Scalar, listed
from tocsin.engine.rule import Rule
from tocsin.errors import Problem
from tocsin.events.vocabulary import all_fields, did_you_mean

_BOX = Box()


def read_actions(reading: Reading, node: Node | None) -> dict[str, ActionSettings]:
    """The actions that are right; what is wrong with the others is noted."""
    section = reading.section(node, "actions", "webhook or command")
    found = {entry.key.text: _action(reading, entry) for entry in section or ()}
    return {name: action for name, action in found.items() if action is not None}


def warn_of_unused(
    reading: Reading, node: Node | None, actions: Map[str, ActionSettings], run: set[str]
) -> None:
    """An action that no rule runs is allowed, and said (but not beside what may be the reason)."""
    if any(problem.level == "error" for problem in reading.problems):
        return
    for entry in node if isinstance(node, Mapping) else ():
        name = entry.key.text
        if name in actions and name not in run:
            what, path = f"no rule runs {name}", shape.dotted(("actions", name))
            reading.add(Problem(what, entry.key.place, path, f"in a rule: run: [{name}]", "warning"))


def check_names(
    reading: Reading, node: Node | None, actions: Map[str, ActionSettings], rules: Iterable[Rule]
) -> None:
    """That a command's arguments name what is known of what the rules watch that run it. Once for each name."""
    told: set[tuple[str, str]] = set()
    for rule in rules:
        if rule.is_group:
            continue
        usable = NAMES.union(*(all_fields(kind) for kind in rule.kinds))
        for name in (each for each in rule.run.all if each in actions):
            action = node.get(name) if isinstance(node, Mapping) else None
            for position, item in enumerate(_arguments(action)):
                for unknown in _undeclared(item) - usable:
                    if (name, unknown) not in told:
                        told.add((name, unknown))
                        kinds = " or ".join(sorted(rule.kinds))
                        what = f"`{unknown:.80}` is nothing that is known of a {kinds}, which rule {rule.id} watches"
                        where = shape.dotted(("actions", name, "command", position))
                        hint = did_you_mean(unknown, sorted(usable))
                        reading.add(Problem(what, item.place, where, hint))


def _arguments(action: Node | None) -> tuple[Node, ...]:
    """As they stand in its `command`; none where it has no list of them."""
    return listed(action.get("command")) if isinstance(action, Mapping) else ()


def _undeclared(item: Node) -> set[str]:
    if not isinstance(item, Scalar) or "{" not in item.text:
        return set()
    try:
        return set(find_undeclared_variables(_BOX.checked(item.text))) - set(_BOX.globals)
    except TemplateSyntaxError:
        return set()  # complained of where it is read


def _action(reading: Reading, entry: Entry) -> ActionSettings | None:
    node, path = entry.value, ("actions", entry.key.text)
    well_named = reading.check_name(entry, "action", path)
    if not isinstance(node, Mapping):
        reading.refuse_value(entry, "a mapping with webhook or command", path)
        return None
    _mind_literals(reading, node)
    action, problems = shape.check(ActionSettings, node, path, reading.plain(node), entry.key.place)
    reading.add(*problems)
    _check_templates(reading, node, path)
    _check_sources(reading, node, path)
    if action is None or not well_named:
        return None
    for secret in (action.secret, action.webhook):
        if secret is not None and (secret is action.secret or looks_secret(secret.reveal())):
            reading.masker.add(secret)
    _check_program(reading, node, action, path)
    return action


def _mind_literals(reading: Reading, node: Mapping) -> None:
    hide_secrets(reading, node, ActionSettings)
    secret, webhook = node.get("secret"), node.get("webhook")
    if isinstance(secret, Scalar) and "${" not in secret.text:
        reading.warn_of_literal(secret)
    if isinstance(webhook, Scalar) and looks_secret(webhook.text):
        reading.warn_of_literal(webhook)
    before = ""
    for item in _arguments(node):
        option, _, value = item.text.partition("=") if isinstance(item, Scalar) else ("", "", "")
        if before or (value and _is_secret_option(option)):
            reading.hide(item)
        before = option if not value and _is_secret_option(option) else ""


def _is_secret_option(argument: str) -> bool:
    """Whether what follows it, or stands behind its `=`, is a secret."""
    return argument.startswith("-") and seems_secret_name(argument)


def _check_templates(reading: Reading, node: Mapping, path: shape.Path) -> None:
    for position, item in enumerate(_arguments(node)):
        if isinstance(item, Scalar) and "{" in item.text:
            try:
                _BOX.ready(item.text)
            except TemplateSyntaxError as error:
                where = shape.dotted((*path, "command", position))
                reading.add(Problem(f"not a template: {error.message}", item.place, where))


_INTERPRETERS = (
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "ksh",
    "fish",
    "python",
    "python3",
    "perl",
    "ruby",
    "node",
    "php",
    "env",
)
_SOURCE = ("-c", "-e", "-r", "--eval", "-lc")  # what follows is a program in itself


def _check_sources(reading: Reading, node: Mapping, path: shape.Path) -> None:
    """A venue's text must not become a part of a program."""
    items = [item for item in _arguments(node) if isinstance(item, Scalar)]
    if not any(Path(item.text).name in _INTERPRETERS for item in items[:2]):
        return
    for position, (option, source) in enumerate(pairwise(items)):
        if option.text in _SOURCE and "{" in source.text:
            where = shape.dotted((*path, "command", position + 1))
            what = "a venue's text would become a part of a program"
            hint = """give it as an argument behind: ["sh", "-c", 'page "$1"', "sh", "{{ symbol }}"]"""
            reading.add(Problem(what, source.place, where, hint))


def _check_program(reading: Reading, node: Mapping, action: ActionSettings, path: shape.Path) -> None:
    """A program that isn't there may come; it is said."""
    if action.command is None:
        return
    program, (first, *_) = action.command[0], _arguments(node)
    where = shape.dotted((*path, "command"))
    if shutil.which(program) is None:
        what = f"there is no program {program:.100} that we may run"
        reading.add(Problem(what, first.place, where, "write its whole path", "warning"))
