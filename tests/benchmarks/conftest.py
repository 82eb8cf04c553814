"""What is measured in one run, side by side, and the table of it beside the targets.

Each benchmark notes its figures (seconds, bytes) under a name; the targets are ratios or bounds of those. A target that is
missed doesn't fail: other machines and other days have other figures, and the table says what is so.
"""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import pytest

MILLISECOND, SECOND, BYTE, MIB = 1e-3, 1.0, 1.0, float(1 << 20)


@dataclass(frozen=True)
class Target:
    """`figure`, or how many times `over` goes into it, is to be at most or at least `bound`."""

    what: str
    figure: str
    bound: float
    over: str | None = None
    at_least: bool = False
    unit: tuple[float, str] = (1.0, "x")


TARGETS = (
    Target("an event with 10,000 rules, against 10", "engine/10000", 1.5, over="engine/10"),
    Target("1,000 rules: faster than a loop over rule-engine", "rule-engine", 5000, "index", at_least=True),
    Target("1,000 rules: faster than a loop over CEL (Rust)", "cel", 500, "index", at_least=True),
    Target("1,000 rules: faster than durable_rules", "durable_rules", 40, "index", at_least=True),
    Target("1,000 rules: faster than Drools (drools_jpy)", "drools", 20, "index", at_least=True),
    Target("an event with 100,000 samples in a window, against 1,000", "windows/100000", 1.3, over="windows/1000"),
    Target("a position's message with 1,000 in its account, against 10", "account/1000", 1.3, over="account/10"),
    Target("a tick with 1,000 orders that read its price, against unread", "linked", 5, over="unread"),
    Target("an event that a cooldown holds back, against one that doesn't match", "suppressed", 2, over="unlike"),
    Target("decode, entities, engine; as fast as orjson.loads alone", "orjson", 0.6, "path", at_least=True),
    Target("decoding by a description, against a decoder written by hand", "described", 2.5, "by hand"),
    Target("the same over a socket, against a bare receive loop", "bare socket", 0.8, "socket", at_least=True),
    Target("frame to send, committed between, 1,000 events/s: median", "latency/1000", 10, unit=(MILLISECOND, "ms")),
    Target("the same at 300 events/s", "latency/300", 10, unit=(MILLISECOND, "ms")),
    Target("the same, asked for /healthz as often as may be", "latency, asked", 1.5, over="latency/300"),
    Target("20 people looking: by how much longer at 1,000 events/s", "looked at/1000", 10, unit=(MILLISECOND, "ms")),
    Target("the same at 300 events/s", "looked at/300", 10, unit=(MILLISECOND, "ms")),
    Target("the page's overview, 1,000 positions, 200 firing: made in", "overview", 30, unit=(MILLISECOND, "ms")),
    Target("the same: its size, packed", "overview/bytes", 60 << 10, unit=(BYTE, "B")),
    Target("the same on a slow phone, of a thousand of everything: first sight", "first sight", 3, unit=(SECOND, "s")),
    Target("the same once more", "second sight", 1, unit=(SECOND, "s")),
    Target("/metrics of 100 rules, 5 venues, 5 channels", "metrics", 20, unit=(MILLISECOND, "ms")),
    Target("what is so of 10,000 entities, of which 250 changed", "snapshot", 5, unit=(MILLISECOND, "ms")),
    Target("the same, against all of it made anew", "live", 5, over="snapshot", at_least=True),
    Target("for how long sampling keeps others from their turn: 99 of 100", "slice", 2, unit=(MILLISECOND, "ms")),
    Target("how often it answered /healthz meanwhile", "asked", 100, at_least=True, unit=(SECOND, "a second")),
    Target("files that a frame crosses on its way to the send", "way", 35, unit=(1.0, "")),
    Target("lines of code", "house/lines", 24_000, unit=(1.0, "")),
    Target("files of the engine", "house/engine", 40, unit=(1.0, "")),
    Target("files of rule tests, replay and explain", "house/tests", 15, unit=(1.0, "")),
    Target("lines of the longest module", "house/longest", 450, unit=(1.0, "")),
    Target("memory of a rule in the index", "bytes/rule", 500, unit=(BYTE, "B")),
    Target("memory of an entity, of 1,000,000", "bytes/entity", 500, unit=(BYTE, "B")),
    Target("memory of the idle daemon", "idle", 110, unit=(MIB, "MiB")),
    Target("`tocsin --version`", "version", 100, unit=(MILLISECOND, "ms")),
    Target("`tocsin check` of 10,000 rules", "check", 3, unit=(SECOND, "s")),
    Target("start to READY", "ready", 1, unit=(SECOND, "s")),
    Target("restart with 100,000 entities and 1,000 firing alerts", "restart", 3, unit=(SECOND, "s")),
)  # fmt: skip

_FIGURES = pytest.StashKey[dict[str, float]]()


def pytest_configure(config):
    config.stash[_FIGURES] = {}


@pytest.fixture
def figures(request):
    """Name -> seconds or bytes, of this run."""
    return request.config.stash[_FIGURES]


@pytest.fixture
def measure(benchmark, figures):
    """Measure a function that does something `times` over, and note the seconds of one time (the median of the rounds)."""

    def measured(name, function, times, *, rounds=7, setup=None):
        benchmark.pedantic(function, setup=setup, rounds=rounds, warmup_rounds=1 if setup is None else 0)
        figures[name] = benchmark.stats.stats.median / times

    return measured


def _row(target, figures):
    if target.figure not in figures or (target.over and target.over not in figures):
        return None
    scale, unit = target.unit
    value = figures[target.figure] / (figures[target.over] if target.over else scale)
    met = value >= target.bound if target.at_least else value <= target.bound
    return (
        target.what,
        f"{_shown(value)} {unit}",
        f"{'≥' if target.at_least else '≤'} {_shown(target.bound)} {unit}",
        "yes" if met else "no",
    )


def _shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _machine():
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cpu}, {os.cpu_count()} cores, {python}, {platform.system()} {platform.release()}"


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash[_FIGURES]
    rows = [row for target in TARGETS if (row := _row(target, figures))]
    if not rows:
        return
    rows.insert(0, ("", "measured", "target", "met"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("figures of this run")
    terminalreporter.write_line(_machine())
    for row in rows:
        cells = (
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        )
        terminalreporter.write_line("  ".join(cells))
