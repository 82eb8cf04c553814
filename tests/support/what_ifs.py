"""A config of one rule, and the database of its daemon, with what a position's profit was at the times that are given."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from support.stored import T0, commit, opened
from tocsin.events import Change, Key, Position, number

RULES = "[{id: red, watch: position, when: {profit: {below: -50}}}, {id: closed, watch: position.closed}]"
CONFIG = (
    "venues: {fx: {type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}\n"
    "channels: {phone: 'json://127.0.0.1/'}\nrules: [rules.yaml]\nstate_dir: state\n"
)


def at_profit(profit: float, when: datetime) -> Change:
    return Change(
        key=Key("fx", "position", "a1", "p1"),
        events=("position.updated",),
        state=Position(id="p1", symbol="BTCUSD", side="long", profit=number(str(profit)), status="open"),
        previous=None,
        origin="live",
        time=when,
        received=when,
        known_since=T0,
        symbol="BTCUSD",
    )


def kept(here: Path, moves: Iterable[tuple[float, float]], *, everything: bool = False) -> Path:
    """`moves`: seconds, and the profit then. Of `everything` nothing was left out. The config's path."""
    (here / "rules.yaml").write_text(f"rules: {RULES}\n")
    (here / "config.yaml").write_text(CONFIG)
    (here / "config.yaml").chmod(0o600)
    store = opened(here / "state")
    events = [at_profit(profit, T0 + timedelta(seconds=at)) for at, profit in moves]
    commit(store, events=events, prices_left_out=not everything)
    store.close()
    return here / "config.yaml"
