"""A venue's stream for benchmarks: the yourfintech page's own position message, for many positions whose profit moves."""

import json
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "fixtures" / "yourfintech" / "position_updated.json"
POSITIONS = 500


def messages(count: int, symbols: int, loud: int = 0) -> list[str]:
    """Of the positions in turn, each newer than the last; all are real changes.

    Every `loud`th is below the first limit of a rule of `wants` and so tells; 0: none is.
    """
    whole = json.loads(FIXTURE.read_text())
    position = whole["message_type"]["server_message"]["position"]["updated"]
    written = []
    for number in range(count):
        symbol = number % symbols
        telling = loud and number % loud == 0
        position |= {
            "id": f"p{number % POSITIONS}",
            "asset_pair": f"S{symbol}",
            "side": "Sell" if symbol % 3 == 2 else "Buy",
            "profit": -60.25 if telling else (number * 7 % 1000) / 100 - 5.125,
            "leverage": 10,
            "lots_amount": 1.5,
            "last_update_date": 1731675320616143 + number,
        }
        written.append(json.dumps(whole, separators=(",", ":")))
    return written
