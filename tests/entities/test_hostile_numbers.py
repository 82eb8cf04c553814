"""Whatever numbers a venue says, what is worked out of them is kept so that the next start reads it."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.observing import state_of
from tocsin.entities import Entities
from tocsin.events import Instant, Observation
from tocsin.store import rows

NOW = Instant(datetime(2026, 1, 1, tzinfo=UTC), 0.0)
NUMBERS = st.sampled_from(
    ["1e400", "-1e400", "9.9e400", "1e-400", "9" * 200, "-" + "9" * 199, "0." + "0" * 150 + "1", "0", "-0", "0E-16", "3", "1e9"]
)  # fmt: skip


def _said(kind: str, known: dict[str, str], *numbers: str) -> st.SearchStrategy[tuple[str, dict[str, str]]]:
    fields = st.fixed_dictionaries({}, optional=dict.fromkeys(numbers, NUMBERS))
    return fields.map(lambda found: (kind, {"id": "x", **known, **found}))


SAID = st.one_of(
    _said("ticker", {"symbol": "x"}, "bid", "ask", "last"),
    _said("book", {"symbol": "x"}, "bid", "ask"),
    _said(
        "position",
        {"symbol": "x", "side": "long", "status": "open"},
        "amount", "lot_size", "entry_price", "profit_price", "margin_price", "leverage", "profit",
    ),
    _said("account", {}, "balance", "leverage", "equity", "margin"),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(SAID, max_size=12))
def test_all_that_is_kept_is_read_again(said: list[tuple[str, dict[str, Any]]]) -> None:
    entities = Entities()
    for kind, fields in said:
        account = "x" if kind == "position" else None
        observed = Observation(state=state_of(kind, fields), account=account)
        for change in entities.apply("fx", observed, NOW, None):
            row = rows.entity_row(change)
            assert rows.entity_row(rows.entity(row)) == row
