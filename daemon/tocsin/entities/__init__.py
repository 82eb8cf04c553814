"""The entities: observations in, changes out. `Entities` merges, compares, derives and names what happened; pure."""

from tocsin.entities.entities import Entities

__all__ = ["Entities"]
