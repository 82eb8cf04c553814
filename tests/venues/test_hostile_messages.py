"""Whatever a venue sends, a decoder gives its meaning or says Malformed; and gives nothing that it didn't promise."""

import json
import re
from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from support.adapters import EVERY, adapter_of
from support.decoding import RECEIVED, TESTS, assert_supplied
from tocsin.events import Observation, Occurrence
from tocsin.events.vocabulary import all_fields, fields, from_plain, is_event, to_plain
from tocsin.venues.base import Decoded, Malformed
from tocsin.venues.decoding import decode

VENUES = EVERY
FIXTURES = {
    venue: [path.read_text(encoding="utf-8") for path in sorted((TESTS / "fixtures" / venue).glob("*.json"))]
    for venue in VENUES
}
FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([10**30, -(10**250), 1e300, -(6 * 10**16)]),
)
texts = st.one_of(
    st.text(max_size=8), st.sampled_from(["", "Buy", "NaN", "1e999", "2024-05-02T13:15:00Z", "0001-01-01", "9999-12-31T23:59:59-23:00"])
)  # fmt: skip
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def paths(value, path=()):
    """Where in a message something stands."""
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield from chain.from_iterable(paths(inner, (*path, step)) for step, inner in below)


@st.composite
def mutated(draw, venue):
    """A documented message with up to three of its parts replaced, left out, or put under another name."""
    message = json.loads(draw(st.sampled_from(FIXTURES[venue])))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from([path for path in paths(message) if path] or [("type",)]))
        parent = message
        for step in above:
            parent = parent[step]
        kind = draw(st.sampled_from(["replace", "drop", "rename"]))
        if kind == "replace" or isinstance(parent, list):
            parent[last] = deepcopy(draw(values))
        elif (old := parent.pop(last, None)) is not None and kind == "rename":
            parent[draw(texts)] = old
    return json.dumps(message)


@st.composite
def torn(draw, venue):
    """A documented message with a stretch of its text cut out, and another put in."""
    text = draw(st.sampled_from(FIXTURES[venue]))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 20)))
    return text[:start] + draw(st.text(max_size=5)) + text[end:]


def means_or_malformed(venue, message):
    found = adapter_of(venue)
    try:
        decoded = found.decode(message, RECEIVED)
    except Malformed:
        return
    assert isinstance(decoded, Decoded)
    assert decoded.items, "a message that means nothing at all is not dropped without a word"
    assert_supplied(found, decoded)
    for item in decoded.items:
        if isinstance(item, (Observation, Occurrence)):
            assert item.event is None or is_event(item.event)
            stored = json.loads(json.dumps(to_plain(item.state), ensure_ascii=False).encode())
            assert to_plain(from_plain(item.state.kind, stored)) == stored
            assert all(not isinstance(value, float) for value in values_of(item.state))


def values_of(state):
    return [value for name in state.__struct_fields__ if (value := getattr(state, name)) is not UNSET]


@pytest.mark.parametrize("venue", VENUES)
@FUZZ
@given(data=st.data())
def test_any_json(venue, data):
    means_or_malformed(venue, json.dumps(data.draw(values)))


@pytest.mark.parametrize("venue", VENUES)
@FUZZ
@given(data=st.data())
def test_documented_messages_with_parts_replaced(venue, data):
    means_or_malformed(venue, data.draw(mutated(venue)))


@pytest.mark.parametrize("venue", VENUES)
@FUZZ
@given(data=st.data())
def test_documented_messages_with_their_text_torn(venue, data):
    means_or_malformed(venue, data.draw(torn(venue)))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "message",
    [
        "",
        " ",
        "null",
        '"Ping"',
        "[" * 100_000,
        '{"type":' * 50_000,
        '{"a":1}{"b":2}',
        "\ud800",
        '{"type": "\\ud800", "message_type": "\\ud800"}',
        "1" * 5000,
        '{"message_type": NaN, "type": Infinity}',
        '{"x": 1e999999999, "type": "\\ud800", "data": [{"oid": "\\ud800"}]}',
        '[1e999999999, "\\udfff"]',
    ],
    ids=range(13),
)
def test_what_is_no_message_at_all(venue, message):
    with pytest.raises(Malformed):
        adapter_of(venue).decode(message, RECEIVED)


@pytest.mark.parametrize("venue", VENUES)
def test_half_of_a_character_behind_a_number_out_of_all_range_is_no_text(venue):
    for message in FIXTURES[venue]:
        for text in set(re.findall(r'"[^"\\]*"', message)):
            odd = message.replace(text, '"\\ud800"').replace("{", '{"odd": 1e999999999, ', 1)
            means_or_malformed(venue, odd)


@pytest.mark.parametrize("depth", [101, 600, 985])
@pytest.mark.parametrize("venue", VENUES)
def test_a_message_that_is_nested_deep_is_malformed_at_worst(venue, depth):
    for message in FIXTURES[venue]:
        for odd in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            for text in set(re.findall(r'(?<=: )"[^"\\]*"', message)):
                with suppress(Malformed):
                    decode(adapter_of(venue), message.replace(text, odd), RECEIVED)


@pytest.mark.parametrize("venue", VENUES)
def test_a_text_of_brackets_is_not_nested(venue):
    for message in FIXTURES[venue]:
        odd = message.replace("{", '{"odd": "\\"' + "[{" * 200 + '", ', 1)
        assert adapter_of(venue).decode(odd, RECEIVED).items


@pytest.mark.parametrize("venue", VENUES)
def test_supplies_names_the_vocabulary_s_fields_and_no_others(venue):
    for kind, names in adapter_of(venue).supplies.items():
        assert names <= all_fields(kind).keys(), kind
        assert names & fields(kind).keys(), kind


def test_yourfintech_supplies_what_is_derived_from_its_prices():
    supplies = adapter_of("yourfintech").supplies
    assert {"price", "spread"} <= supplies["ticker"]
    assert {"profit", "mark_price"} <= supplies["position"]
    assert {"equity", "margin", "margin_level"} <= supplies["account"]


# The other venues' numbers come as text too, and some of theirs are computed: their cases have every digit.
@pytest.mark.parametrize("venue", ["yourfintech", "glocalflex"])
def test_every_number_of_a_documented_message_keeps_its_digits(venue):
    for message in FIXTURES[venue]:
        on_the_wire = set()
        json.loads(message, parse_float=on_the_wire.add, parse_int=on_the_wire.add)
        for item in adapter_of(venue).decode(message, RECEIVED).items:
            if isinstance(item, (Observation, Occurrence)) and item.state.kind != "book":
                plain = to_plain(item.state)
                sent = {name for name in plain if isinstance(getattr(item.state, name), Decimal)} - {"swap"}
                assert {plain[name] for name in sent} <= on_the_wire
