"""Comparisons with a plain model: a few examples in the suite, the same each time; many, and others, by `./run models`."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

MANY = "models"  # the hypothesis profile of `./run models`


def model(*, suite: int, many: int) -> Callable[[Any], Any]:
    """Marks a test that compares with a plain model: how many examples it tries in the suite, and by `./run models`."""

    def marked(test: Any) -> Any:
        examples = many if settings.default is settings.get_profile(MANY) else suite
        return pytest.mark.model(settings(max_examples=examples)(test))

    return marked
