"""Which of many rules does an event concern? Ours and other engines', on the same rules and the same events.

All of them have to find the same rules, or they aren't measured.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.wants import asked, rules, wants
from tocsin.engine.engine import Engine
from tocsin.engine.index import Index
from tocsin.entities import Entities
from tocsin.events import Instant

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)
FEW = 40  # events for engines that take milliseconds for one


def hits_of(matching, events):
    """How often something matched: the same for every engine."""
    return sum(len(matching(event)) for event in events)


def expected(events):
    index = Index(rules(wants(1000)))
    return hits_of(
        lambda event: [rule for rule in index.candidates(event.change) if _holds(rule, event)], events
    )


def _holds(rule, event):
    return rule.when.holds(event.change, NOW.wall) is True


# ------------------------------------------------------------------------------------------------------------ ourselves


@pytest.mark.parametrize("count", [10, 1000, 10_000])
def bench_engine(measure, count):
    """The whole of the engine, a change at a time. Every event is of a symbol that has rules."""
    engine = Engine(rules(wants(count)), Entities(), lambda: "id")
    events = [event.change for event in asked(2000, count)]

    def run():
        for change in events:
            engine.process([change], NOW)

    measure(f"engine/{count}", run, len(events))


def bench_index(measure):
    """Finding the rules that match, which is what the other engines are asked for."""
    index = Index(rules(wants(1000)))
    events = [event.change for event in asked(2000, 1000)]

    def run():
        for change in events:
            for rule in index.candidates(change):
                rule.when.holds(change, NOW.wall)

    measure("index", run, len(events))


# --------------------------------------------------------------------------------------------------------------- others


def bench_rule_engine(measure):
    rule_engine = pytest.importorskip("rule_engine")
    loop = [rule_engine.Rule(want.said("and")) for want in wants(1000)]
    events = list(asked(FEW, 1000))

    def matching(event):
        return [rule for rule in loop if rule.matches(event.plain)]

    assert hits_of(matching, events) == expected(events)
    measure("rule-engine", lambda: hits_of(matching, events), len(events), rounds=3)


def bench_cel(measure):
    cel = pytest.importorskip("cel")
    loop = [cel.compile(want.said("&&")) for want in wants(1000)]
    events = list(asked(FEW, 1000))

    def matching(event):
        return [program for program in loop if program.execute(event.plain)]

    assert hits_of(matching, events) == expected(events)
    measure("cel", lambda: hits_of(matching, events), len(events), rounds=3)


def bench_durable_rules(measure):
    lang = pytest.importorskip("durable.lang")
    engine = pytest.importorskip("durable.engine")
    told = []

    def tell(context):
        told.append(context)

    with lang.ruleset("benchmark"):
        for want in wants(1000):
            field = getattr(lang.m, want.field)
            limit = field < want.limit if want.operator == "<" else field > want.limit
            # The limit first: with the symbol first, version 2.0.28 doesn't come back from the first event of 900 rules.
            whole = limit & (lang.m.symbol == want.symbol) & (lang.m.side == want.side)
            lang.when_all(whole)(tell)
    events = list(asked(FEW, 1000))

    def matching(event):
        told.clear()
        try:
            lang.post("benchmark", dict(event.plain))
        except engine.MessageNotHandledException:
            return []
        return told

    assert hits_of(matching, events) == expected(events)
    measure("durable_rules", lambda: hits_of(matching, events), len(events), rounds=3)


def bench_drools(measure, tmp_path):
    java = shutil.which("java")
    if java is None:
        pytest.skip("no Java")
    os.environ.setdefault("JAVA_HOME", str(Path(java).resolve().parents[1]))
    os.environ.setdefault("DROOLS_JPY_JVM_LOG", f"defaultLogLevel=error,logFile={tmp_path / 'drools.log'}")
    ruleset = pytest.importorskip("drools.ruleset")
    rule = pytest.importorskip("drools.rule")
    written = [
        {"Rule": {"name": want.name, "condition": _for_drools(want), "enabled": True,
                  "actions": [{"Action": {"action": "debug", "action_args": {}}}]}}
        for want in wants(1000)
    ]  # fmt: skip
    try:
        known = ruleset.Ruleset(
            "benchmark", json.dumps({"name": "benchmark", "hosts": ["all"], "sources": [], "rules": written})
        )
    except ImportError as error:
        pytest.skip(f"Java can't be loaded: {error}")
    told = []
    for want in wants(1000):
        known.add_rule(rule.Rule(want.name, told.append))
    events = list(asked(FEW * 5, 1000))

    def matching(event):
        told.clear()
        known.assert_event(json.dumps(event.plain))
        return told

    assert hits_of(matching, events) == expected(events)
    measure("drools", lambda: hits_of(matching, events), len(events), rounds=7)


def _for_drools(want):
    words = {"==": "EqualsExpression", "<": "LessThanExpression", ">": "GreaterThanExpression"}
    whole = None
    for field, operator, value in want.parts:
        constant = {"String": value} if isinstance(value, str) else {"Float": value}
        part = {words[operator]: {"lhs": {"Event": field}, "rhs": constant}}
        whole = part if whole is None else {"AndExpression": {"lhs": whole, "rhs": part}}
    return {"AllCondition": [whole]}
