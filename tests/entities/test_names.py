"""Why a position was closed, in venues' own words: by force or not."""

import pytest

from tocsin.entities.names import is_forced

# freqtrade 13456 and 7107, vegaprotocol/frontend-monorepo 6019: closed out by the platform, in its words.
BY_FORCE = (
    "Liquidation", "LIQUIDATED", "partially liquidated", "StopOut", "STOP_OUT", "stop out", "stopout", "Stop-Out Level",
    "MarginCall", "MARGINCALL", "margin call", "AutoDeleveraging", "auto-deleveraged", "ADL", "ForcedClose", "forced",
)  # fmt: skip
NOT_BY_FORCE = (
    "", "StopLoss", "stop_loss", "sl", "take profit, slippage 0.2", "reinforced", "stop outside", "marginal call", "manual",
    "Ausgeglichen", "unforced error", "\N{SNOWMAN}" * 1000,
)  # fmt: skip


@pytest.mark.parametrize("reason", BY_FORCE)
def test_closed_by_force(reason):
    assert is_forced(reason)


@pytest.mark.parametrize("reason", NOT_BY_FORCE)
def test_closed_otherwise(reason):
    assert not is_forced(reason)
