"""An odd value of any JSON type, in the place of any field of any documented message, loses at most that field.

`odd_values.yaml` lists what may lose more: what makes the key of a thing or says what happened, the rows of lists, and
what other fields are worked out from. Public reports of messages lost by one odd detail: HKUDS/Vibe-Trading PR 1038 ("" for a
number), zerodha/pykiteconnect 235 (a date of the year 0), iexg/IEX-API 112 (1 for a flag).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pytest
import yaml

from support.decoding import RECEIVED, TESTS, cases, meaning
from tocsin.errors import TocsinError
from tocsin.events import Order
from tocsin.venues.base import Decoded, HttpResponse
from tocsin.venues.registry import adapter
from tocsin.venues.topone.rest import Rest, fetch, fetch_ended

_BEYOND = "\u0001"  # stands for a number out of all range, which json doesn't write
ODD = [None, True, False, 7, -1.5, 10**30, _BEYOND, "", " ", "odd", "7", [], [7], {}, {"odd": 7}]
EXCEPTIONS: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (TESTS / "venues" / "odd_values.yaml").read_text(encoding="utf-8")
)

NOT_DECODED = {
    ("piexgo", "subscribe-dealinfo.json"),
    ("piexgo", "subscribe-depth.json"),
    ("piexgo", "subscribe-pinfo.json"),
    ("topone", "token.json"),
    ("wealthsimple", "order.json"),
    ("wealthsimple", "ticket.json"),
}
"""What is sent to a venue, and what only its sign-in or another message's test reads."""


def pushed(venue: str) -> Callable[[str], Decoded]:
    return lambda text: adapter(venue).decode(text, RECEIVED)


REST = Rest("https://top", "t")
FETCHED = {
    "rest-orders.json": lambda: fetch(REST, ("TOP/ETH",), balances=False),
    "rest-balances.json": lambda: fetch(REST, (), balances=True),
    "rest-history.json": lambda: fetch_ended(REST, Order(id="26316", symbol="TOP/ETH")),
}


def fetched(name: str) -> Callable[[str], Decoded]:
    """The venue's answer to what is fetched, by its file's name."""

    def decode(text: str) -> Decoded:
        steps = FETCHED[name]()
        next(steps)
        try:
            steps.send(HttpResponse(status=200, headers={}, body=text.encode()))
        except StopIteration as done:
            return Decoded(tuple(done.value))
        raise AssertionError("asked for more")

    return decode


@dataclass(frozen=True)
class Document:
    venue: str
    name: str
    text: str
    decode: Callable[[str], Decoded]


def documents() -> Iterator[Document]:
    """The messages of the venues' documents that a venue sends on its socket, or answers to what is fetched."""
    for venue in EXCEPTIONS:
        for path in sorted((TESTS / "fixtures" / venue).glob("*.json")):
            text = path.read_text(encoding="utf-8")
            if path.name.startswith("rest-"):
                yield Document(venue, path.name, text, fetched(path.name))
            elif (venue, path.name) not in NOT_DECODED:
                yield Document(venue, path.name, text, pushed(venue))
    (price,) = (case.values[0] for case in cases("yourfintech") if "a price, whose date" in case.id)
    yield Document("yourfintech", "bid_ask", price.message, pushed("yourfintech"))


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where something stands in a message, and what."""
    if path:
        yield path, value
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield from chain.from_iterable(paths(inner, (*path, step)) for step, inner in below)


def spelled(path: tuple[Any, ...]) -> str:
    """As in `odd_values.yaml`: `data.deals[].price`, and `prices.*.bid` where the keys are the venue's symbols or prices."""
    steps = ("[]" if isinstance(step, int) else ".*" if _is_data(step) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _is_data(key: str) -> bool:
    return key.isdigit() or key.startswith("sec-")


def with_value(message: Any, path: tuple[Any, ...], value: Any) -> str:
    changed = json.loads(json.dumps(message))
    parent = changed
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return json.dumps(changed).replace(json.dumps(_BEYOND), "1e999")


def told(document: Document, text: str) -> tuple[list[dict[str, Any]], bool]:
    """What the message means, item by item as flat fields; and whether something of it is told to be unreadable."""
    try:
        items = meaning(document.decode(text))["items"]
    except TocsinError:
        return [], True
    kept, unreadable = [], False
    for item in items:
        if isinstance(item, dict) and any(key.startswith("unrea") for key in item):
            unreadable = True
        elif isinstance(item, dict):
            fields, cleared = item.pop("fields", {}), dict.fromkeys(item.pop("cleared", []))
            kept.append({**item, **fields, **cleared})
        else:
            kept.append({"item": item})
    return kept, unreadable


def lost(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> set[str]:
    """The names of the fields that are otherwise than before; "message" where not the same things are told of."""
    if [_what(item) for item in before] != [_what(item) for item in after]:
        return {"message"}
    return {
        name
        for old, new in zip(before, after, strict=True)
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name)
    }


def _what(item: dict[str, Any]) -> set[str]:
    return item.keys() & {
        "observation",
        "occurrence",
        "item",
        "accepted",
        "refused",
        "snapshot begins",
        "reply",
        "unrecognized",
    }


@pytest.mark.parametrize("document", [pytest.param(d, id=f"{d.venue} {d.name}") for d in documents()])
def test_an_odd_value_loses_at_most_its_field(document):
    message = json.loads(document.text, parse_float=float)
    before, _ = told(document, json.dumps(message))
    may_lose = EXCEPTIONS[document.venue]
    too_much = []
    for path, value in paths(message):
        name = spelled(path)
        fields: set[str] = set()
        for odd in ODD:
            after, unreadable = told(document, with_value(message, path, odd))
            gone = lost(before, after)
            fields |= gone
            if (
                odd
                and type(odd) in (list, dict)
                and type(odd) is not type(value)
                and gone - {"message"}
                and not unreadable
            ):
                too_much.append(f"{name} = {odd}: {gone} is lost and nobody is told")
        if len(fields) > 1 or "message" in fields:
            extra = fields - set(may_lose.get(name, []))
            if extra and "message" not in may_lose.get(name, []):
                too_much.append(f"{name}: {sorted(fields)}")
    assert not too_much, "\n".join(too_much)


def test_what_isnt_decoded_is_there():
    assert [path for path in NOT_DECODED if not (TESTS / "fixtures").joinpath(*path).exists()] == []


@pytest.mark.parametrize("venue", EXCEPTIONS)
def test_no_exception_is_for_what_isnt_there(venue):
    there = {
        spelled(path)
        for document in documents()
        if document.venue == venue
        for path, _ in paths(json.loads(document.text))
    }
    assert EXCEPTIONS[venue].keys() <= there
