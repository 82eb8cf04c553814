"""`watch`: a dot means "something happened", no dot means "something is so"."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tocsin import document
from tocsin.engine.language.report import Report, did_you_mean, misspelt
from tocsin.errors import Place
from tocsin.events import KINDS
from tocsin.events.vocabulary import canonical, events, nearest

_WORD = re.compile(r"\w[\w ./:-]*")  # what a venue may call its own
STATES = tuple(kind for kind in KINDS if kind != "daemon")
"""What a state rule can watch; of the daemon only what happens is known."""


@dataclass(frozen=True, slots=True)
class Watch:
    """`events` is empty for a state rule. All are in the order in which they were written."""

    kinds: tuple[str, ...]
    events: tuple[str, ...]
    places: Mapping[str, Place]


def read(node: document.Node, report: Report) -> Watch | None:
    """What is watched; None, with the reason in the report, where that can't be told."""
    items = list(node) if isinstance(node, document.Sequence) else [node]
    names = [(_name(item, report), item.place) for item in items if isinstance(item, document.Scalar)]
    places = {name: place for name, place in names if name is not None}
    if len(names) != len(items) or any(name is None for name, _ in names):
        return None
    found = list(places)
    happened = tuple(name for name in found if "." in name)
    states = [name for name in found if "." not in name]
    if states and happened:
        report.error("a rule watches what happens or what is so, not both", node.place,
                     f"`{states[0]}` has no dot: it is something that is so; make a rule for each")  # fmt: skip
        return None
    if len(states) > 1:
        report.error("a state rule watches one kind", node.place, "make a rule for each")
        return None
    return Watch(tuple(dict.fromkeys(name.partition(".")[0] for name in found)), happened, places)


def _name(item: document.Scalar, report: Report) -> str | None:
    """The name in its standard spelling, if it is one."""
    written = str(item.value)
    kind, dot, what = written.partition(".")
    if kind not in KINDS:
        known = tuple(name for kind in KINDS for name in (kind, *events(kind)))
        report.error(f"there is no `{written:.80}` to watch", item.place,
                     did_you_mean(written, known, f"there are {', '.join(STATES)} and what happens to them"))  # fmt: skip
        return None
    if not dot:
        return _state(kind, item, report)
    if what == "*":
        return written
    return _event(kind, canonical(written).partition(".")[2], item, report)


def _state(kind: str, item: document.Scalar, report: Report) -> str | None:
    if kind in STATES:
        return kind
    report.error(
        f"`{kind}` has no state to watch", item.place, f"watch what happens: {kind}.*, {events(kind)[0]}"
    )
    return None


def _event(kind: str, what: str, item: document.Scalar, report: Report) -> str | None:
    name, known = f"{kind}.{what}", KINDS[kind].events
    if what in known:
        return name
    if not KINDS[kind].open_status or not _WORD.fullmatch(what):
        near = nearest(what, known)
        hint = f"did you mean `{kind}.{near}`?" if near else f"there are {', '.join(events(kind))}"
        report.error(f"unknown event `{item.text:.80}`", item.place, hint)
        return None
    if near := misspelt(what, known):
        report.warning(f"`{item.text:.80}` is no event that is known; a venue would have to use that word", item.place,
                       f"did you mean `{kind}.{near}`?")  # fmt: skip
    return name
