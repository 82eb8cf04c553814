"""A failing test as a person reads it: what was expected beside what came, with times, and the rule's trace."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tocsin.alerts.wording import time_text
from tocsin.engine.language.ast import span_text
from tocsin.ruletest.expectations import differences, written
from tocsin.ruletest.model import ExpectActions, ExpectAlerts, Wanted
from tocsin.ruletest.runner import Failure, Note, Pair, Result

_TEXTS = ("title", "body")


def failure_text(result: Result) -> str:
    """Several lines, the first with the place of the step."""
    failure = result.failure
    if failure is None:
        raise ValueError("the test didn't fail")
    step = failure.step
    lines = [f"{step.place}: {result.test.name}", f"  at {step.written}, {time_text(failure.at.wall)}:"]
    if failure.said:
        lines.append(f"    {failure.said}")
    if failure.pairs:
        lines += _beside(failure)
        for count, pair in enumerate(failure.pairs, 1):
            lines += _apart(pair, count)
    lines += [f"    {_noted(note)}" for note in result.notes]
    lines += _trace(failure)
    return "\n".join(lines)


def notes_text(result: Result) -> list[str]:
    """Of a test that passes: what its steps came to that its writer may not have meant, and no rule of it tells."""
    return [
        f"{note.step.place}: {result.test.name}\n    {_noted(note)}"
        for note in result.notes
        if not note.heard
    ]


def _noted(note: Note) -> str:
    return f"at {note.step.written} (line {note.step.place.line}) {_indented(note.said)}"


def at_text(seconds: float) -> str:
    return span_text(timedelta(seconds=round(seconds, 3)))


def _beside(failure: Failure) -> list[str]:
    rows = [("", "expected", "came")]
    for wanted, came in failure.pairs:
        met = wanted is not None and came is not None and not differences(wanted, came)
        left = written(wanted.given) if wanted is not None else "nothing"
        rows.append((" " if met else "!", left, _came(came)))
    width = max(len(row[1]) for row in rows)
    return [f"    {mark:1} {left.ljust(width)}   {right}".rstrip() for mark, left, right in rows]


def _came(came: Mapping[str, Any] | None) -> str:
    if came is None:
        return "nothing"
    shown = written(came)
    return f"{shown} at {at_text(came['at'])}" if "at" in came else shown


def _apart(pair: Pair, count: int) -> list[str]:
    """The texts that differ, below one another."""
    wanted, came = pair
    if wanted is None or came is None:
        return []
    lines = []
    for name in differences(wanted, came):
        if name in _TEXTS:
            lines += [f"    {count}. {name} expected: {_indented(wanted.given[name])}"]
            lines += [f"    {count}. {name} came:     {_indented(came[name])}"]
    return lines


def _indented(text: object) -> str:
    return str(text).replace("\n", "\n" + " " * 8)


def _trace(failure: Failure) -> list[str]:
    lines: list[str] = []
    subject = None
    for line in failure.trace:
        if (line.rule, line.id) != subject:
            subject = (line.rule, line.id)
            lines.append(f"    trace of {line.rule}{f' for {line.id}' if line.id is not None else ''}:")
        when = at_text(line.at) if line.at is not None else "" if line.text.startswith(" ") else "now"
        lines.append(f"      {when.rjust(6)}  {line.text}")
    return lines


def as_json(result: Result) -> dict[str, Any]:
    """For programs: the test, where it stands, and the failure."""
    failure = result.failure
    told: dict[str, Any] = {
        "name": result.test.name,
        "file": result.test.place.file,
        "line": result.test.place.line,
        "passed": failure is None,
        "notes": [
            {"line": note.step.place.line, "at": note.step.written, "said": note.said}
            for note in result.notes
            if failure is not None or not note.heard
        ],
    }
    if failure is None:
        return told
    return told | {
        "failure": {
            "line": failure.step.place.line,
            "at": failure.step.written,
            "what": (_EXPECTED.get(type(failure.step.action), "expect") if failure.pairs else failure.said),
            "expected": [_plain(w.given) for w, _ in failure.pairs if w is not None],
            "came": [_plain(c) for _, c in failure.pairs if c is not None],
            "text": failure_text(result),
        }
    }


_EXPECTED: Mapping[type, str] = {ExpectAlerts: "expect_alerts", ExpectActions: "expect_actions"}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in item.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(one.given if isinstance(one, Wanted) else one) for one in value]
    return value
