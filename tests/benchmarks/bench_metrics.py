"""What one look of Prometheus costs."""

from support.measured import measured, stored
from tocsin.control.metrics import exposition


def bench_metrics(measure):
    """The text of 100 rules, 5 venues and 5 channels."""
    measure("metrics", lambda: exposition(measured(venues=5, channels=5, rules=100), stored()), 1, rounds=20)
