"""What decoding by a description costs, against a decoder that was written by hand: TopOne's documented orders and balances."""

from datetime import UTC, datetime

import pytest

from support.decoding import TESTS, fixture
from tocsin.config.descriptions import described
from tocsin.venues.registry import adapter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 4000
MESSAGES = [fixture("topone", name) for name in ("sub-orders.json", "sub-balance.json")] * (COUNT // 2)
DECODERS = {
    "by hand": adapter("topone").decode,
    "described": described(str(TESTS / "fixtures" / "described" / "topone.yaml")).decode,
}


@pytest.mark.parametrize("name", DECODERS)
def bench_decode(measure, name):
    decode = DECODERS[name]

    def run():
        for message in MESSAGES:
            decode(message, NOW)

    measure(name, run, COUNT)
