"""Whom a rule tells, how often, and what it starts: `notify`, `escalate`, `repeat`, `run`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from tocsin import document
from tocsin.engine.api import SEVERITIES, Severity
from tocsin.engine.rule_schema import RuleConfig
from tocsin.errors import Place, Report
from tocsin.events.vocabulary import OWN_KINDS, did_you_mean
from tocsin.quantities import duration_text

_SHORTEST_REPEAT, _OFTEN = 1.0, 60.0  # seconds


def notified(node: document.Mapping, said: RuleConfig, channels: frozenset[str], report: Report) -> None:
    """`notify` names channels of the config."""
    written = node.get("notify")
    if written is None:
        return
    report.under("notify")
    for item in _texts(written):
        if item.text not in channels:
            _no_such("channel", item, channels, report)
    if said.notify == ():
        report.warning("an empty list: nobody is told", written.place)


def escalated(
    node: document.Mapping,
    said: RuleConfig,
    channels: frozenset[str],
    limits: Mapping[str, Severity],
    report: Report,
) -> None:
    """The steps of `escalate` name channels of the config that take what the rule tells, in the order of their times.

    `limits`: each channel's `min_severity`, as far as it is known.
    """
    written = node.get("escalate")
    if written is None:
        return
    report.under("escalate")
    for item in document.listed(written):
        notify = item.get("notify") if isinstance(item, document.Mapping) else None
        _check_step_channels(notify, said.severity, channels, limits, report)
    if said.escalate == ():
        report.error("an empty list: nobody is told", written.place, "leave `escalate` away")
    before = timedelta(0)
    for number, step in enumerate(said.escalate or ()):
        at = document.find(node, ("escalate", number, "after")).place
        if step.after <= before:
            report.error(
                "steps stand in the order of their times, each later than the one before"
                if before
                else "a time that is over at once",
                at,
            )
        before = step.after
        if not step.notify:
            there = document.find(node, ("escalate", number, "notify"))
            report.error("an empty list: nobody is told", there.place)
        if step.repeat is not None:
            _check_repeat(step.repeat, document.find(node, ("escalate", number, "repeat")).place, report)


def _check_step_channels(
    notify: document.Node | None,
    severity: Severity,
    channels: frozenset[str],
    limits: Mapping[str, Severity],
    report: Report,
) -> None:
    for item in _texts(notify):
        if item.text not in channels:
            _no_such("channel", item, channels, report)
        elif SEVERITIES.index(limits.get(item.text, "info")) > SEVERITIES.index(severity):
            report.error(
                f"`{item.text}` takes what is {limits[item.text]} only, and this rule's alerts are {severity}: "
                "it would hear of none",
                item.place,
                "lower its min_severity, raise the rule's severity, or name another channel",
            )


def _texts(written: document.Node | None) -> list[document.Scalar]:
    """The names in a list, or the one that stands alone; what is no text is complained of where shapes are."""
    named = document.items(written)
    return [item for item in named if isinstance(item, document.Scalar) and isinstance(item.value, str)]


def _no_such(
    what: Literal["channel", "action"], name: document.Scalar, names: frozenset[str], report: Report
) -> None:
    known = tuple(sorted(names))
    there = f"there are {', '.join(known)}" if known else f"the config has no `{what}s`"
    report.error(f"no {what} is called `{name.text:.80}`", name.place, did_you_mean(name.text, known, there))


def started(node: document.Mapping, said: RuleConfig, actions: frozenset[str], report: Report) -> None:
    """`run` names actions of the config. What starts them is what a venue says, of an alert that ends where its end is to start some."""
    written = node.get("run")
    if written is None:
        return
    report.under("run")
    named = [entry.value for entry in written] if isinstance(written, document.Mapping) else [written]
    for item in (item for names in named for item in _texts(names)):
        if item.text not in actions:
            _no_such("action", item, actions, report)
    if said.run is not None and not (said.run.on_firing or said.run.on_resolved):
        report.warning("an empty list: nothing is started", written.place)
    if said.run is not None and said.run.on_resolved and _is_event(said):
        place = document.find(node, ("run", "on_resolved")).place
        report.error(
            "what happens has no end, so this would never be started",
            place,
            "only what is so for a while ends",
        )
    if any(name.partition(".")[0] in OWN_KINDS for name in said.watch):
        what = "actions are started by what venues say, not by how we reach them"
        report.error(what, written.place, "tell people: notify")


def _is_event(said: RuleConfig) -> bool:
    return any("." in name for name in said.watch) and said.absent is None


def lasting(node: document.Mapping, said: RuleConfig, report: Report) -> None:
    """Times that are too short to mean anything."""
    if said.repeat is not None:
        _check_repeat(said.repeat, node.entries["repeat"].value.place, report.under("repeat"))
    if said.absent is not None and not said.absent:
        report.under("absent").error("a time that is over at once", node.entries["absent"].value.place)


def _check_repeat(repeat: timedelta, place: Place, report: Report) -> None:
    seconds = repeat.total_seconds()
    if seconds < _SHORTEST_REPEAT:
        report.error("a reminder more often than each second", place, "write it like 1h")
    elif seconds < _OFTEN:
        report.warning(
            f"a reminder every {duration_text(repeat)}, for as long as the alert fires and nobody acknowledges it",
            place,
            "write it like 1h",
        )
