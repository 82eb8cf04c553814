"""A venue's stream for benchmarks: an account, and the yourfintech page's own position message for many of its positions."""

import json
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures" / "yourfintech"
POSITIONS = 500


def messages(count: int, symbols: int, loud: int = 0, positions: int = POSITIONS) -> list[str]:
    """The account, then `count` messages of its positions in turn, each newer than the last; all are real changes.

    Every `loud`th is below the first limit of a rule of `wants` and so tells; 0: none is.
    """
    whole = json.loads((FIXTURES / "position_updated.json").read_text())
    position = whole["message_type"]["server_message"]["position"]["updated"]
    written = [(FIXTURES / "account_added.json").read_text().replace("\n", "")]
    for number in range(count):
        symbol = number % symbols
        telling = loud and number % loud == 0
        position |= {
            "id": f"p{number % positions}",
            "asset_pair": f"S{symbol}",
            "side": "Sell" if symbol % 3 == 2 else "Buy",
            "profit": -60.25 if telling else (number * 7 % 1009) / 100 - 5.125,
            "leverage": 10,
            "lots_amount": 1.5,
            "last_update_date": 1731675320616143 + number,
        }
        written.append(json.dumps(whole, separators=(",", ":")))
    return written
