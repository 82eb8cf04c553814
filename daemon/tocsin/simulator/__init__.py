"""Venues as real servers on loopback: their documents, played. The demo and the tests both use them."""

from tocsin.simulator.base import SimulatedVenue
from tocsin.simulator.exchange import Exchange

__all__ = ["Exchange", "SimulatedVenue"]
