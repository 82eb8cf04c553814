"""Exact numbers: what is read is what the wire spelled, however it is read."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.events import computed_text, json_number, number, number_text

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
    ],
)  # fmt: skip
def test_what_we_computed_is_shown_without_zeros_that_say_nothing(computed: str, shown: str) -> None:
    assert computed_text(Decimal(computed)) == shown
