"""The rule language as rows, for `tocsin fields` and the documentation."""

from typing import NamedTuple

from tocsin.engine.language.conditions_schema import MAPPING_OPERATORS
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.written import WrittenRule


class Row(NamedTuple):
    """A word of the language as it is written, and what it means."""

    spelling: str
    meaning: str


def functions() -> tuple[Row, ...]:
    """The functions that conditions may use: `crosses_above(x, n)`."""
    return tuple(Row(function.signature, function.doc) for function in FUNCTIONS.values())


def comparisons() -> tuple[Row, ...]:
    """The comparisons of the mapping spelling: `below`."""
    return tuple(Row(name, str(shape["description"])) for name, shape in MAPPING_OPERATORS.items())


def rule_keys() -> tuple[Row, ...]:
    """The keys of a rule: `keep_firing_for`."""
    return tuple(
        Row(field.alias or name, field.description or "") for name, field in WrittenRule.model_fields.items()
    )
