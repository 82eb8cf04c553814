"""Messages that are nearly JSON: read once more without what JSON doesn't have, and that is told."""

import json

import pytest

from support.decoding import RECEIVED, fixture
from tocsin.events import Observation
from tocsin.events.vocabulary import to_plain
from tocsin.venues.base import Decoded, Malformed, Unreadable
from tocsin.venues.decoding import decode, mended
from tocsin.venues.registry import adapter

# Of each venue: a document, a text in it, and the number after it with the field that it gives.
DOCUMENTS = {
    "yourfintech": (
        "account_update.json",
        '"Trading result"',
        '"balance": 6401.125104675008',
        "account",
        "balance",
    ),
    "piexgo": ("pinfo-order.json", '"BTC_USDT"', '"order_price":"7831.1600000000"', "order", "price"),
    "topone": ("sub-orders.json", '"ETH/BTC"', '"amount": "1.389"', "order", "amount"),
    "wealthsimple": ("price-quote-equity.json", '"CAD"', '"bid_size": 5200', "ticker", "bid_size"),
    "glocalflex": ("order_status_update.json", '"FI"', '"energy": 1', "order", "energy"),
}


def observed(decoded, kind):
    (item,) = (item for item in decoded.items if isinstance(item, Observation) and item.state.kind == kind)
    return to_plain(item.state)


def told(decoded):
    return [item.part for item in decoded.items if isinstance(item, Unreadable)]


def changed(venue, change):
    """The document's message with a change in its text, which is there."""
    text = fixture(venue, DOCUMENTS[venue][0])
    new = change(text)
    assert new != text
    return new


@pytest.mark.parametrize("venue", DOCUMENTS)
def test_json_is_read_once_and_nothing_is_told(venue):
    text = fixture(venue, DOCUMENTS[venue][0])
    assert decode(adapter(venue), text, RECEIVED) == adapter(venue).decode(text, RECEIVED)


# PixelPaw-Labs/codex-trace PR 279, NousResearch/hermes-agent PR 101666: a text cut within a surrogate pair.
@pytest.mark.parametrize("half", [r"\ud83d", r"\uDE00", "\ud83d", r"\ude00\ud83d"])
@pytest.mark.parametrize("venue", DOCUMENTS)
def test_half_of_a_character(venue, half):
    _, word, _, kind, field = DOCUMENTS[venue]
    text = changed(venue, lambda text: text.replace(word, f'{word[:-1]} {half}"'))
    decoded = decode(adapter(venue), text, RECEIVED)
    assert told(decoded) == ["JSON with half of a character"]
    assert "\ufffd" in json.dumps(
        [to_plain(item.state) for item in decoded.items if isinstance(item, Observation)], ensure_ascii=False
    )
    del kind, field


# evcc-io/evcc PR 3298, merbanan/rtl_433 558.
@pytest.mark.parametrize("number", ["NaN", "nan", "-nan", "Infinity", "-Infinity", "inf"])
@pytest.mark.parametrize("venue", ["yourfintech", "piexgo", "topone", "wealthsimple"])
def test_a_float_that_is_none_is_missing(venue, number):
    *_, pair, kind, field = DOCUMENTS[venue]
    name = pair.split(":")[0]
    text = changed(venue, lambda text: text.replace(pair, f"{name}: {number}"))
    decoded = decode(adapter(venue), text, RECEIVED)
    assert field not in observed(decoded, kind)
    assert told(decoded) == ["JSON with NaN or Infinity"]


@pytest.mark.parametrize("venue", DOCUMENTS)
def test_a_byte_order_mark(venue):
    text = fixture(venue, DOCUMENTS[venue][0])
    decoded = decode(adapter(venue), f"\ufeff{text}", RECEIVED)
    assert told(decoded) == ["JSON with a byte order mark"]
    assert decoded.items[:-1] == adapter(venue).decode(text, RECEIVED).items


@pytest.mark.parametrize("venue", DOCUMENTS)
@pytest.mark.parametrize(
    "message",
    [
        "\ufeff", "\ufeffoops", "NaN", "[NaN]", '{"type": NaN', '{"type": "\\ud83d"}', '{"message_type": Infinity}', "\ud83d",
        '{"method": "sub_orders", "data": {"id": NaN}}', "\ufeff[1]",
    ],
)  # fmt: skip
def test_what_means_nothing_then_either_is_malformed(venue, message):
    with pytest.raises(Malformed):
        decode(adapter(venue), message, RECEIVED)


def test_the_fault_that_is_told_is_the_first():
    with pytest.raises(Malformed, match="invalid character"):
        decode(adapter("glocalflex"), '\ufeff{"no": "type"}', RECEIVED)


def test_an_adapter_from_outside_has_it_too():
    class Outside:
        def decode(self, message, received):
            del received
            try:
                return Decoded(tuple(json.loads(message, parse_constant=self.refuse)))
            except ValueError as error:
                raise Malformed(str(error)) from None

        def refuse(self, word):
            raise ValueError(word)

    decoded = decode(Outside(), "[1, NaN]", RECEIVED)
    assert decoded.items[:2] == (1, None)
    assert told(decoded) == ["JSON with NaN or Infinity"]
    for half in ('["a\\ud800"]', '["a\\uDFFF"]', '["a\ud800"]'):
        decoded = decode(Outside(), half, RECEIVED)
        assert decoded.items[0] == "a\ufffd", "a text that could not be stored"
        assert told(decoded) == ["JSON with half of a character"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "NaN", "b": "Infinity and \\"NaN\\"", "nan": 1}', r'"\ud83d\ude00"', r'"\\ud83d"', r'"\\\\ud83d NaN"',
        '"information, finance"', "", '"',
    ],
)  # fmt: skip
def test_what_is_json_is_left_alone(text):
    assert mended(text) == (text, "")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (r'"\\\ud83d"', '"\\\\\ufffd"'),
        (r'"\ud83d\ud83d\ude00"', '"\ufffd\\ud83d\\ude00"'),
        ('["NaN", NaN,-Infinity]', '["NaN", null,null]'),
        ('{"a":"x\\"NaN",b:NaN', '{"a":"x\\"NaN",b:null'),
    ],
)
def test_what_is_replaced(text, whole):
    assert mended(text)[0] == whole


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 200_000 + " NaN", '"' * 200_000 + "nan", "nan" * 100_000, "\\ud83d" * 100_000]
)
def test_it_takes_no_longer_for_a_hostile_text(text):
    mended(text)
