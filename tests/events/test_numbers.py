"""Exact numbers: what is read is what the wire spelled, however it is read."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.events import (
    EXACT,
    computed,
    computed_text,
    json_number,
    number,
    number_text,
    stored_number,
)

DIGITS = st.text("0123456789", min_size=1, max_size=30)
WHOLE = st.just("0") | DIGITS.map(lambda digits: "7" + digits)
FRACTION = st.just("") | DIGITS.map(lambda digits: "." + digits)
EXPONENT = st.just("") | st.builds(
    "{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 300)
)
JSON_NUMBERS = st.builds("{}{}{}{}".format, st.sampled_from(["", "-"]), WHOLE, FRACTION, EXPONENT)


@given(JSON_NUMBERS)
def test_a_number_of_json_is_read_as_any_other_and_written_back_as_it_was(text: str) -> None:
    read = json_number(text)
    assert (type(read), read, number_text(read)) == (type(number(text)), number(text), text)


@given(st.integers(-(10**200) + 1, 10**200 - 1))
def test_a_whole_number_keeps_all_its_digits(whole: int) -> None:
    assert number_text(number(whole)) == str(whole)


@pytest.mark.parametrize("whole", [10**200, -(10**200), True, False])
def test_what_is_too_large_or_a_flag_is_no_number(whole: int) -> None:
    with pytest.raises(ValueError, match=r"^(a number of too many digits|not a number: (True|False))$"):
        number(whole)


@pytest.mark.parametrize("text", ["1." + "0" * 200, "1e999", "1e-9999", "0." + "0" * 100 + "1e-350"])
def test_a_fraction_without_measure_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="number"):
        msgspec.json.Decoder(float_hook=json_number).decode(text)


@pytest.mark.parametrize(
    ("computed", "shown"),
    [
        ("0E-20", "0"), ("-0.00", "0"), ("-38.150", "-38.15"), ("1E+3", "1000"), ("100", "100"), ("0.10", "0.1"),
        ("3.3333333333333333333", "3.33333333333"), ("-0.0000000000000000000123", "-0.0000000000000000000123"),
        ("1E-300", "1E-300"), ("-1234567890123456E+99", "-1.23456789012E+114"),
    ],
)  # fmt: skip
def test_what_we_computed_is_shown_without_zeros_that_say_nothing(computed: str, shown: str) -> None:
    assert computed_text(Decimal(computed)) == shown


OURS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(digits), exponent)),
    st.sampled_from([0, 1]),
    st.lists(st.integers(0, 9), min_size=1, max_size=80),
    st.integers(-9999, 9900),
)


@given(OURS)
def test_what_we_computed_is_read_back_however_large_it_is(value: Decimal) -> None:
    text = number_text(value)
    assert (stored_number(text), number_text(stored_number(text))) == (value, text)
    assert len(text) <= 201


@given(OURS | st.fractions().map(lambda f: EXACT.divide(Decimal(f.numerator), Decimal(f.denominator))))
def test_what_we_compute_is_kept_within_what_a_venue_may_say(value: Decimal) -> None:
    kept = computed(value)
    if kept is None:
        assert value.adjusted() > 400
    else:
        text = number_text(kept)
        assert number(text) == kept
        assert abs(kept - value) <= abs(value).scaleb(-79, EXACT) + Decimal("1E-400")
        assert not ("." in text and text.endswith("0"))
        assert text != "-0"


@pytest.mark.parametrize("text", ["", "1e999999", "NaN", "-inf", "1e", "0x1", "1 "])
def test_what_we_never_wrote_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        stored_number(text)
