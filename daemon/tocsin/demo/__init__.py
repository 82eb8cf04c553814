"""`tocsin demo`: seven simulated venues, the real daemon with the shipped rules, and stand-ins for the people."""

from tocsin.demo.show import show

__all__ = ["show"]
