"""Conditions and changes for tests, from the plain data that YAML gives."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tocsin import document
from tocsin.config.yaml import load
from tocsin.engine.compile import Environment, compile_rule
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.mapping import lower
from tocsin.engine.language.scope import scope
from tocsin.engine.language.typecheck import check
from tocsin.engine.rule import Rule
from tocsin.errors import Place, Problem, Report
from tocsin.events import Change, Key, Linked
from tocsin.events.links import LINKS
from tocsin.events.vocabulary import all_fields, from_plain

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
BORN = NOW - timedelta(minutes=10)
CHANNELS = frozenset({"phone", "desk", "mail"})


def node_of(text: str, name: str = "rules.yaml") -> document.Node:
    node, problems = load(text, name)
    assert node is not None, problems
    assert not problems, problems
    return node


def rows(path: Path) -> list[dict[str, Any]]:
    node, problems = load(path)
    assert node is not None, problems
    assert not problems, problems
    return node.plain()  # type: ignore[return-value]  # the file is a list of mappings


def text_node(text: str) -> document.Scalar:
    return document.Scalar(text, text, Place("rules.yaml", 1, 1, len(text), text))


def condition(
    node: document.Node, *kinds: str, event: bool = False
) -> tuple[TreeCondition | None, list[Problem]]:
    """The compiled condition of a rule on those kinds, and what is wrong with it."""
    problems: list[Problem] = []
    tree = lower(node, problems)
    if tree is not None:
        tree = check(tree, scope(kinds, event), Report("rule", problems))
    return (TreeCondition(tree) if tree else None), problems


def sound(node: document.Node, *kinds: str, event: bool = False) -> TreeCondition:
    compiled, problems = condition(node, *kinds, event=event)
    assert compiled is not None, [problem.render() for problem in problems]
    return compiled


def rule(text: str, **environment: Any) -> Rule:
    """The rule in a YAML text; it has to be without fault and without warning."""
    found, problems = compile_rule(node_of(text), Environment(CHANNELS, **environment))
    assert not problems, [problem.render() for problem in problems]
    assert found is not None
    return found


def linked(link: str, key: Key, fields: Mapping[str, Any], at: datetime) -> Linked:
    """What something of that key belongs to by that link, as read at that time."""
    state = from_plain(link, {"id": key.account or "x1", **fields})
    own = LINKS[link].key(key, state) or key
    return Linked(key=Key(*own), state=state, previous=state, time=at, received=at, seen=at)


def change(
    kind: str,
    fields: Mapping[str, Any],
    previous: Mapping[str, Any] | None = None,
    account: Mapping[str, Any] | None = None,
    *,
    ticker: Mapping[str, Any] | None = None,
    events: tuple[str, ...] = (),
    symbol: str | None = None,
    venue: str = "fx",
    origin: Any = "live",
    received: datetime = NOW,
) -> Change:
    others = {"account": account, "ticker": ticker}
    for named in {*fields} | {*(previous or {})}:
        assert named in all_fields(kind), named
    key = Key(venue, kind, "a1" if account is not None else "", str(fields.get("id", "x1")))
    return Change(
        key=key,
        events=events or (f"{kind}.updated",),
        state=from_plain(kind, {"id": "x1", **fields}),
        previous=None if previous is None else from_plain(kind, {"id": "x1", **previous}),
        origin=origin,
        time=received,
        received=received,
        known_since=BORN,
        symbol=symbol,
        linked={kind: linked(kind, key, said, received) for kind, said in others.items() if said is not None},
    )
