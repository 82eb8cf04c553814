"""What a test expects: one item read from its node, and whether what came is that. Pure."""

from collections.abc import Callable
from collections.abc import Mapping as Map
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import re2

from tocsin.document import Mapping, Node, Scalar, Sequence, items
from tocsin.engine.api import SEVERITIES
from tocsin.errors import Problem
from tocsin.events.vocabulary import nearest
from tocsin.quantities import duration_text, parse_duration
from tocsin.ruletest.model import Wanted
from tocsin.ruletest.observation_parser import Add

_GATHERED = ("rule", "id", "state", "severity", "suppressed")
NOTIFIED = ("rule", "id", "state", "severity", "channels", "title", "body", "late", "suppressed", "alerts")
ALERT = ("rule", "id", "state")
RUN = ("action", "rule", "id", "state", "dropped")
_CALLED = {ALERT: "an alert", _GATHERED: "an alert", RUN: "a run"}
_TOLD = ("firing", "resolved")
_LASTING = ("pending", "firing", "recovering")
_HALF_A_SECOND = 0.5


@dataclass(frozen=True, slots=True)
class Names:
    """Say whether there is such a channel, or rule, after adding that there isn't."""

    channel: Callable[[Node], bool]
    rule: Callable[[Scalar], bool]


def read_wanted(node: Node, *, names: Names, add: Add, known: tuple[str, ...] = NOTIFIED) -> Wanted | None:
    """One item of `expect` (of `expect_alerts`, of `expect_actions`), with these keys; None after adding what is wrong."""
    what = _CALLED.get(known, "a notification")
    if not isinstance(node, Mapping):
        add(Problem(f"{what} is a mapping, like {{rule: …, state: firing}}", node.place, "expect"))
        return None
    given: dict[str, Any] = {"dropped": None} if known is RUN else {}
    for entry in node:
        name = entry.key.text
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean `{close}`?" if close else f"known here: {', '.join(known)}"
            add(Problem(f"unknown key `{name:.80}`", entry.key.place, "expect", hint))
            continue
        try:
            given[name] = _value(name, entry.value, lasting=known is ALERT, names=names, add=add)
        except ValueError as error:
            add(Problem(str(error), entry.value.place, f"expect.{name}"))
    return Wanted(given, node.place)


def _value(name: str, node: Node, *, lasting: bool, names: Names, add: Add) -> Any:
    match name:
        case "channels":
            return frozenset(
                item.text for item in items(node) if names.channel(item) and isinstance(item, Scalar)
            )
        case "alerts":
            if not isinstance(node, Sequence):
                raise ValueError("must be a list of the digest's alerts")
            read = [read_wanted(item, names=names, add=add, known=_GATHERED) for item in node]
            return tuple(item for item in read if item is not None)
    if not isinstance(node, Scalar) or node.value is None:
        raise ValueError("must be a single value")
    match name:
        case "late":
            return _late(node)
        case "suppressed":
            if not isinstance(node.value, int) or isinstance(node.value, bool):
                raise ValueError("must be a whole number")
            return node.value
        case "state" | "severity":
            return _one_of(node, SEVERITIES if name == "severity" else _LASTING if lasting else _TOLD)
    if _pattern(node.text) is None and name == "rule":
        names.rule(node)
    return node.text


def _late(node: Scalar) -> bool | float:
    if isinstance(node.value, bool):
        return node.value
    try:
        return parse_duration(node.text).total_seconds()
    except ValueError:
        raise ValueError("must be true, false, or how late: a duration like 5m") from None


def _one_of(node: Scalar, words: tuple[str, ...]) -> str:
    if node.text not in words:
        close = nearest(node.text, words)
        raise ValueError(f"must be {' or '.join(words)}" + (f"; did you mean {close}?" if close else ""))
    return node.text


def is_pattern(text: str) -> bool:
    return len(text) > 2 and text.startswith("/") and text.endswith("/")


def _pattern(text: str) -> Any:
    """The compiled `/regex/`; None for a plain text. ValueError for one that can't be compiled."""
    if not is_pattern(text):
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text[1:-1], options)
    except re2.error as error:
        words = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"not a regex: {words}") from None


def differences(wanted: Wanted, came: Map[str, Any]) -> list[str]:
    """The names of the fields in which what came isn't what was wanted."""
    return [name for name, value in wanted.given.items() if not _matches(name, value, came.get(name))]


def _matches(name: str, wanted: Any, came: Any) -> bool:
    if name == "late":
        return (
            bool(came) is wanted
            if isinstance(wanted, bool)
            else abs((came or 0.0) - wanted) <= _HALF_A_SECOND
        )
    if name == "alerts":
        return isinstance(came, tuple) and all(
            one is not None and other is not None and not differences(one, other)
            for one, other in unordered(wanted, came)
        )
    if isinstance(wanted, str):
        if not isinstance(came, str):
            return False
        pattern = _pattern(wanted)
        return bool(pattern.search(came)) if pattern else came.strip() == wanted.strip()
    return bool(wanted == came)


def pairs(
    wanted: tuple[Wanted, ...], came: tuple[Map[str, Any], ...]
) -> list[tuple[Wanted | None, Map[str, Any] | None]]:
    """What was wanted beside what came, in order, so that as much as possible stands beside its like."""
    rows, columns = len(wanted), len(came)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            alike = _likeness(wanted[row], came[column])
            best[row][column] = max(
                best[row + 1][column], best[row][column + 1], best[row + 1][column + 1] + alike
            )
    found: list[tuple[Wanted | None, Map[str, Any] | None]] = []
    row = column = 0
    while row < rows or column < columns:
        if (
            row < rows
            and column < columns
            and best[row][column] == best[row + 1][column + 1] + _likeness(wanted[row], came[column])
            and _likeness(wanted[row], came[column]) > 0
        ):
            found.append((wanted[row], came[column]))
            row, column = row + 1, column + 1
        elif column >= columns or (row < rows and best[row][column] == best[row + 1][column]):
            found.append((wanted[row], None))
            row += 1
        else:
            found.append((None, came[column]))
            column += 1
    return found


def _likeness(wanted: Wanted, came: Map[str, Any]) -> float:
    different = differences(wanted, came)
    if not different:
        return 10.0
    return (
        1.0 + (len(wanted.given) - len(different)) / (len(wanted.given) + 1)
        if "rule" not in different
        else 0.0
    )


def unordered(
    wanted: tuple[Wanted, ...], came: tuple[Map[str, Any], ...]
) -> list[tuple[Wanted | None, Map[str, Any] | None]]:
    """The same, whatever the order: each wanted one beside the first that is it, the rest by rule and id."""
    left = list(came)
    found: list[tuple[Wanted | None, Map[str, Any] | None]] = []
    open_: list[Wanted] = []
    for item in wanted:
        hit = next((other for other in left if not differences(item, other)), None)
        if hit is None:
            open_.append(item)
        else:
            left.remove(hit)
            found.append((item, hit))
    for item in open_:
        like = next(
            (
                other
                for other in left
                if "state" in differences(item, other) and len(differences(item, other)) == 1
            ),
            None,
        )
        if like is not None:
            left.remove(like)
        found.append((item, like))
    return [*found, *((None, other) for other in left)]


def written(item: Map[str, Any]) -> str:
    """An item in one line: `firing position-in-the-red p1 [desk phone]`, and in words what else is given."""
    words = [str(item[name]) for name in ("action", "state", "rule", "id") if item.get(name) is not None]
    if item.get("dropped") is not None:
        words.append(f"dropped: {item['dropped']}")
    if item.get("channels") is not None:
        words.append(f"[{' '.join(sorted(item['channels']))}]")
    if item.get("late"):
        late = item["late"]
        words.append("late" if late is True else f"late {duration_text(timedelta(seconds=late))}")
    if item.get("suppressed"):
        words.append(f"suppressed {item['suppressed']}")
    if item.get("alerts") is not None:
        alerts = [written(one.given if isinstance(one, Wanted) else one) for one in item["alerts"]]
        words.append(f"digest of {', '.join(alerts) or 'no alert'}")
    return " ".join(words) or "anything"
