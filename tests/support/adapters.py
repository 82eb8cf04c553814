"""Every adapter whose messages are tested: of the built-in types, and of the descriptions that come with Tocsin."""

from functools import cache

from tocsin.config.descriptions import DESCRIBED, described, shipped_descriptions
from tocsin.venues.base import Adapter
from tocsin.venues.registry import adapter, venue_types

BUILT_IN = tuple(name for name in venue_types() if name != DESCRIBED)
DESCRIPTIONS = shipped_descriptions()
EVERY = (*BUILT_IN, *DESCRIPTIONS)


@cache
def adapter_of(name: str) -> Adapter:
    """By the name of a built-in type, or of a description."""
    return adapter(name) if name in BUILT_IN else described(name)
