"""Which venue types there are: one line each; outside packages add theirs by the entry-point group `tocsin.venues`."""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from tocsin.venues.base import Adapter

_OWN = {
    "glocalflex": "tocsin.venues.glocalflex",
    "piexgo": "tocsin.venues.piexgo",
    "topone": "tocsin.venues.topone",
    "wealthsimple": "tocsin.venues.wealthsimple",
    "yourfintech": "tocsin.venues.yourfintech",
}


@cache
def venue_types() -> tuple[str, ...]:
    """The names that `type:` accepts, sorted."""
    return tuple(sorted({*_OWN, *(point.name for point in entry_points(group="tocsin.venues"))}))


@cache
def adapter(venue_type: str) -> Adapter:
    """The adapter of that type. KeyError for a type that nobody registered."""
    if venue_type in _OWN:
        found: Adapter = import_module(_OWN[venue_type]).ADAPTER
        return found
    for point in entry_points(group="tocsin.venues", name=venue_type):
        outside: Adapter = point.load()
        return outside
    raise KeyError(venue_type)
