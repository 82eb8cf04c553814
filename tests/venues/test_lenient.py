"""Optional fields, read leniently: what each way of spelling a value gives, and what is told of the others."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec import UNSET

from tocsin.events import number_text
from tocsin.venues.base import Malformed, Unreadable
from tocsin.venues.lenient import Part

MISSING = (None, "", "  ")
_WORDS = {"buy": "buy", "1": "sell"}


def read(how, wire, *said):
    """What it gives, and how many parts are told to be unreadable."""
    part = Part("order")
    return getattr(part, how)(wire, *said), len(part.unreadable)


@pytest.mark.parametrize("how", ["number", "iso", "flag", "text"])
def test_what_is_not_mentioned_stays_so_and_null_and_nothing_are_missing_in_silence(how):
    assert read(how, UNSET, "f") == (UNSET, 0)
    for wire in MISSING[: 2 if how == "text" else 3]:
        assert read(how, wire, "f") == (None, 0)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (7, "7"),
        (Decimal("7.50"), "7.50"),
        ("7.50", "7.50"),
        (" 7.50 ", "7.50"),
        ("+1", "+1"),
        ("-1e-8", "-1e-8"),
    ],
)
def test_numbers_keep_their_digits(wire, text):
    value, told = read("number", wire, "f")
    assert (number_text(value), told) == (text, 0)


@pytest.mark.parametrize(
    "wire", [True, "1,000", "seven", "NaN", "--", [], {}, 1.5, float("inf"), "1e999", 10**300]
)
def test_what_is_no_number_is_missing_and_told(wire):
    assert read("number", wire, "f") == (None, 1)


@pytest.mark.parametrize(
    ("wire", "flag"),
    [
        (True, True), (1, True), ("true", True), ("TRUE", True), ("1", True), (" True", True), (Decimal(1), True),
        (False, False), (0, False), ("false", False), ("False", False), ("0", False),
    ],
)  # fmt: skip
def test_flags(wire, flag):
    assert read("flag", wire, "f") == (flag, 0)


@pytest.mark.parametrize("wire", [2, -1, "yes", "no", "maybe", Decimal("0.5"), [], [True], {}])
def test_what_is_no_flag_is_missing_and_told(wire):
    assert read("flag", wire, "f") == (None, 1)


@pytest.mark.parametrize(
    ("wire", "text"), [("a ", "a "), (7, "7"), (2**63, "9223372036854775808"), ("NaN", "NaN")]
)
def test_texts_and_ids_are_never_rewritten(wire, text):
    assert read("text", wire, "f") == (text, 0)


@pytest.mark.parametrize("wire", [True, Decimal("1.5"), [], {}, 1.5])
def test_what_is_no_text_is_missing_and_told(wire):
    assert read("text", wire, "f") == (None, 1)


# ccxt/ccxt 16842 and Polymarket/py-sdk 191: a time of 0 is none. The others are what Go, .NET and SQL write for none.
@pytest.mark.parametrize(
    "wire",
    [
        "0001-01-01T00:00:00Z", "0001-01-01", "0001-01-01T00:00:00+02:00", "0000-00-00 00:00:00", "0000-12-31",
        "1970-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00", "1969-12-31T23:59:59Z", "1900-01-01", "1970-12-31T23:59:59.999Z",
        "9999-12-31", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59-05:00",
    ],
)  # fmt: skip
def test_dates_by_which_servers_mean_none(wire):
    assert read("iso", wire, "f") == (None, 0)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("wire", [0, "0", "0.0", Decimal("0.0"), -1, -62135596800, 1, "", " "])
def test_zero_is_no_time_in_any_unit(wire, unit):
    assert read("epoch", wire, unit, "f") == (None, 0)


@pytest.mark.parametrize(
    ("unit", "wire"), [("s", 253402300799), ("ms", 253402300799999), ("us", 253402214400000000)]
)
def test_the_calendars_last_day_is_no_time(unit, wire):
    assert read("epoch", wire, unit, "f") == (None, 0)


@pytest.mark.parametrize(
    ("how", "said", "wire"),
    [
        ("epoch", ("s", "f"), 1767225600),
        ("epoch", ("s", "f"), "1767225600"),
        ("epoch", ("ms", "f"), Decimal(1767225600000)),
        ("iso", ("f",), "2026-01-01T00:00:00Z"),
        ("iso", ("f",), " 2026-01-01 "),
    ],
)
def test_times(how, said, wire):
    assert read(how, wire, *said) == (datetime(2026, 1, 1, tzinfo=UTC), 0)


def test_the_first_and_the_last_day_that_are_days():
    assert read("iso", "1971-01-01", "f")[0] == datetime(1971, 1, 1, tzinfo=UTC)
    assert read("iso", "9999-12-30", "f")[0] == datetime(9999, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("how", "said", "wire"),
    [
        ("iso", ("f",), 1767225600), ("iso", ("f",), "noon"), ("iso", ("f",), []), ("iso", ("f",), True),
        ("epoch", ("s", "f"), "2026-01-01"), ("epoch", ("s", "f"), 2**63), ("epoch", ("s", "f"), {}), ("epoch", ("us", "f"), True),
    ],
)  # fmt: skip
def test_what_is_no_time_is_missing_and_told(how, said, wire):
    assert read(how, wire, *said) == (None, 1)


@pytest.mark.parametrize(("wire", "word"), [("buy", "buy"), ("BUY", "buy"), (1, "sell"), ("1", "sell")])
def test_words_are_the_same_in_any_case(wire, word):
    assert read("word", wire, _WORDS, "f") == (word, 0)


def test_a_word_that_nobody_knows():
    assert read("word", "hold", _WORDS, "f") == (None, 1)
    assert read("word", "hold", _WORDS, "f", "unknown") == ("unknown", 0)
    assert read("word", [], _WORDS, "f", "unknown") == (None, 1)


@pytest.mark.parametrize(
    ("wire", "status", "told"),
    [
        ("New", ("open", "New"), 0), (7, ("filled", "7"), 0), ("odd", ("unknown", "odd"), 0), (None, (UNSET, None), 0),
        (UNSET, (UNSET, UNSET), 0), (True, ("unknown", "true"), 1), (Decimal("7.0"), ("unknown", "7.0"), 1),
        ([1, {"a": None}], ("unknown", '[1,{"a":null}]'), 1),
    ],
)  # fmt: skip
def test_a_status_that_cant_be_read_is_unknown_with_its_json_text(wire, status, told):
    assert read("status", wire, {"new": "open", "7": "filled"}, "f", "unknown") == (status, told)


def test_what_is_told_names_the_field_and_not_the_venues_words_at_length():
    part = Part("order")
    part.number("x" * 10_000 + "\n", "stop")
    (told,) = part.unreadable
    assert told.part == "order.stop"
    assert len(told.reason) <= 200
    assert "\n" not in told.reason


def test_of_rows_only_the_bad_ones_are_left_out():
    def meaning(row):
        if row % 2:
            raise Malformed(f"odd: {row}")
        return row

    part = Part("list")
    assert part.each([1, 2, 3, 4], meaning, "rows[]") == [2, 4]
    assert part.unreadable == (
        Unreadable("list.rows[]", "odd: 1", row=True),
        Unreadable("list.rows[]", "odd: 3", row=True),
    )
