"""Which venue types there are: a package here for each; others add theirs by the entry-point group `tocsin.venues`."""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from tocsin.venues.base import Adapter

_OWN = (
    "glocalflex",
    "json",
    "piexgo",
    "topone",
    "wealthsimple",
    "yourfintech",
)


@cache
def venue_types() -> tuple[str, ...]:
    """The names that `type:` accepts, sorted."""
    return tuple(sorted({*_OWN, *(point.name for point in entry_points(group="tocsin.venues"))}))


@cache
def adapter(venue_type: str) -> Adapter:
    """The adapter of that type. KeyError for a type that isn't registered."""
    if venue_type in _OWN:
        own: Adapter = import_module(f"tocsin.venues.{venue_type}.adapter").ADAPTER
        return own
    for point in entry_points(group="tocsin.venues", name=venue_type):
        outside: Adapter = point.load()
        return outside
    raise KeyError(venue_type)
