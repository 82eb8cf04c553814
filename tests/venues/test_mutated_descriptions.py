"""A description with anything in any place of it is told to be wrong, or works: nothing but the errors of a venue comes of it."""

import random
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime

import pytest
import yaml

from support.adapters import DESCRIPTIONS
from support.decoding import TESTS
from support.mutating import paths
from tocsin.config import yaml as documents
from tocsin.config.descriptions import find_description, read_description
from tocsin.events import Order
from tocsin.venues.base import HttpResponse, Malformed, SignInFailed, SignInRefused

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ODD = [
    None, True, 5, -1.5, "", "x", "{{x}}", "{{", "a.b", "[0]", "data[]", "$.", "$.x", "s", "10s", [], [1], ["a"], {}, {"a": "b"},
    {"path": "x"}, {"path": "a", "map": {"x": "y"}}, {"map": "sides"}, {"is": "x"}, [["x"]], {"zero": True}, {"when": {}},
    {"get": "https://x.y"}, "https://evil.net", {"time": "ms"}, {"sum": ["a", "b"]}, {"text": "{{a}}:{{b}}"}, "a" * 2000,
]  # fmt: skip
KEYS = ["x", "path", "map", "each", "when", "gives", "get", "", "a-b", "time", "only", "else", "sign", "is"]


def changed(written, chance):
    """With one thing in it replaced, left out, or under another name."""
    found = deepcopy(written)
    path = chance.choice([path for path in paths(found) if path])
    parent = found
    for step in path[:-1]:
        parent = parent[step]
    how = chance.choice(["replace"] * 5 + ["drop", "rename"])
    if how == "replace" or isinstance(parent, list):
        parent[path[-1]] = deepcopy(chance.choice(ODD))
    else:
        value = parent.pop(path[-1])
        if how == "rename":
            parent[chance.choice(KEYS)] = value
    return found


def drive(steps, chance, answers):
    try:
        next(steps)
        for _ in range(50):
            status = chance.choice([200, 200, 200, 400, 401, 500])
            steps.send(HttpResponse(status=status, headers={}, body=chance.choice(answers).encode()))
    except StopIteration as done:
        return done.value
    except (SignInRefused, SignInFailed, Malformed):
        return None
    raise AssertionError("it asks for ever")


def try_out(venue, messages, chance):
    given = dict.fromkeys(venue.description.given, "c2VjcmV0")
    settings = venue.settings.model_validate({"type": "json", "describe": "x", "given": given})
    adapter = venue.configured(settings)
    for message in messages:
        with suppress(Malformed):
            adapter.decode(message, NOW)
        adapter.unread(message)
    answers = [*messages, "{}", "[]", "5", "x", '{"listenKey":"k"}', '{"error":[],"result":{"token":"t"}}']
    session = drive(adapter.sign_in(settings, {}, NOW), chance, answers)
    if session is not None:
        adapter.endpoints(settings, session)
        order = Order(id="5", symbol="X")
        for steps in (
            adapter.snapshot(settings, session, NOW, None),
            adapter.ask(settings, session, order, None, NOW),
        ):
            if steps is not None:
                drive(steps, chance, answers)


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_it_is_wrong_or_it_works(name):
    chance = random.Random(name)
    written = yaml.safe_load(find_description(name, TESTS).read_text(encoding="utf-8"))
    messages = [path.read_text() for path in sorted((TESTS / "fixtures" / name).glob("*.json"))]
    outcomes = set()
    for _ in range(40):
        node, _ = documents.load(yaml.safe_dump(changed(written, chance), sort_keys=False))
        venue, problems = read_description(node)
        outcomes.add(venue is not None)
        if venue is None:
            assert problems
            assert all(problem.render() and problem.place for problem in problems)
        else:
            try_out(venue, messages, chance)
    assert outcomes == {True, False}
