"""Tocsin: the alarm bell for trading accounts."""

__version__ = "0.1.0"
