"""One step of a test, from its node to an action; what is wrong with it is added, with its place."""

from tocsin.document import Entry, Mapping, Scalar
from tocsin.errors import Problem
from tocsin.events.vocabulary import nearest
from tocsin.ruletest.actions import READ, Known, Reader, seconds_of, text_of
from tocsin.ruletest.model import Action, Restart, Step
from tocsin.ruletest.said import OBSERVED, Add

_DOING = (
    *OBSERVED, "message", "disconnect", "connect", "restart", "reload", "channel_fails", "channel_works", "ack", "silence",
    "expect", "expect_alerts",
)  # fmt: skip
_BESIDE = {
    "venue": (*OBSERVED, "event", "message"),
    "event": OBSERVED,
    "origin": OBSERVED,
    "account": OBSERVED,
    "type": ("message",),
}


def read_step(node: Mapping, known: Known, add: Add) -> Step | None:
    """The step; None after adding what is wrong with it."""
    complaints: list[Problem] = []
    at = _at(node, known, complaints.append)
    doing = _doing(node, complaints.append)
    action: Action | None = None
    if doing is not None:
        action = READ[doing.key.text](Reader(node, doing, known, complaints.append))
        if at is not None and isinstance(action, Restart) and action.down:
            known.now, known.now_written = at + action.down, f"the end of the restart at {known.now_written}"
    for problem in complaints:
        add(problem)
    if at is None or action is None or complaints:
        return None
    written = node.get("at")
    return Step(
        at,
        written.text if isinstance(written, Scalar) else "",
        action,
        doing.key.place if doing else node.place,
    )


def _at(node: Mapping, known: Known, add: Add) -> float | None:
    written = node.get("at")
    if written is None:
        add(
            Problem(
                "the key `at` is missing", node.place, hint="when it happens, from the test's start: at: 30s"
            )
        )
        return None
    at = 0.0 if text_of(written) == "0" else seconds_of(written, "at", add)  # the start needs no unit
    if at is None:
        return None
    if at < known.now:
        hint = "steps go in order of `at`"
        add(
            Problem(
                f"{text_of(written)} is before {known.now_written}, which stands above",
                written.place,
                "at",
                hint,
            )
        )
        return None
    known.now, known.now_written = at, text_of(written)
    return at


def _doing(node: Mapping, add: Add) -> Entry | None:
    """The entry that says what the step does. `event` beside an observation names what happened, alone it is a step."""
    found = []
    unknown = False
    for entry in node:
        key = entry.key.text
        if key in _DOING and not (key == "account" and isinstance(entry.value, Scalar)):
            found.append(entry)
        elif key != "at" and key not in _BESIDE:
            keys = ["at", *_DOING, *_BESIDE]
            close = nearest(key, keys)
            hint = f"did you mean `{close}`?" if close else f"known here: {', '.join(dict.fromkeys(keys))}"
            add(Problem(f"unknown key `{key:.80}`", entry.key.place, "", hint))
            unknown = True
    event = node.entries.get("event")
    if not found and event is not None:
        found.append(event)
    if not found and unknown:
        return None
    if not found:
        add(
            Problem(
                "the step does nothing", node.place, hint=f"it holds one of {', '.join((*_DOING, 'event'))}"
            )
        )
        return None
    if len(found) > 1:
        names = " and ".join(entry.key.text for entry in found)
        add(
            Problem(
                f"a step does one thing; this has {names}",
                found[1].key.place,
                hint="make it two steps of the same `at`",
            )
        )
        return None
    doing = found[0].key.text
    for entry in node:
        goes = _BESIDE.get(entry.key.text)
        if goes is not None and entry is not found[0] and doing not in goes:
            add(Problem(f"`{entry.key.text}` makes no sense beside `{doing}`", entry.key.place))
    return found[0]
