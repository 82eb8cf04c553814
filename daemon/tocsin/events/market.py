"""What is market data: prices, books and public trades, and what prices alone move of positions and accounts."""

from collections.abc import Mapping

from msgspec import UNSET, structs

from tocsin.events.kinds import KINDS, Entity
from tocsin.events.model import Change

# Of a kind, field by field: whether another value of it is news of the entity itself.
_NEWS: Mapping[type[Entity], tuple[bool, ...]] = {
    kind: tuple(name not in kind.priced for name in kind.__struct_fields__)
    for kind in KINDS.values()
    if kind.priced
}


def is_market_data(change: Change) -> bool:
    """Whether it comes all the time and says nothing but prices: it is kept as the config says, or where a rule told of it."""
    state, previous = change.state, change.previous
    if state.market_data:
        return True
    news = _NEWS.get(state.__class__)
    if news is None or previous is None or change.events != (f"{state.kind}.updated",):
        return False
    return not any(
        is_news and new is not old and new != old and not (new is UNSET and name in state.momentary)
        for name, is_news, new, old in zip(
            state.__struct_fields__, news, structs.astuple(state), structs.astuple(previous), strict=True
        )
    )
