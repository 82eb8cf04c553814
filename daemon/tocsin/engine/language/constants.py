"""Constants, by what they are compared with: a quoted `5m` beside an age is a duration, `cancelled` is `canceled`."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from tocsin.engine.language.functions import function_of
from tocsin.engine.language.report import Report, did_you_mean, listed, misspelt
from tocsin.engine.language.scope import Readable, Scope
from tocsin.engine.language.tree import Call, Constant, Name, Node, Type, constant_text, text
from tocsin.events import from_iso, number
from tocsin.events.vocabulary import ALIASES, canonical
from tocsin.quantities import parse_duration

SAID: dict[Type, str] = {
    "number": "a number", "text": "a text", "time": "a time", "flag": "true or false", "duration": "a duration",
    "event": "the name of an event", "list": "a list", "?": "anything",
}  # fmt: skip


_FLAGS = {
    "yes": "true", "on": "true", "true": "true", "1": "true", "no": "false", "off": "false", "false": "false", "0": "false",
}  # fmt: skip
_IN_WORDS = {"<": "below", ">": "above", "<=": "at_most", ">=": "at_least"}


def alike(left: Node, right: Node, scope: Scope, report: Report) -> tuple[Node, Node]:
    """Both sides of a comparison, a constant among them as the type that it is compared with, if it can be read so."""
    if isinstance(right, Constant):
        return left, _fitted(right, left, scope, report)
    if isinstance(left, Constant):
        return _fitted(left, right, scope, report), right
    return left, right


def as_parameter(constant: Constant, types: frozenset[Type], report: Report) -> Constant:
    """A constant as what must stand there, if it can be read so: a duration may be in quotes, a text without."""
    if types == {"text"} and constant.written is not None:
        return Constant(constant.written, "text", constant.place)
    if types == {"duration"} and isinstance(constant.value, str):
        return _parsed(constant, constant.value, "duration", report)
    return constant


def _fitted(constant: Constant, other: Node, scope: Scope, report: Report) -> Constant:
    if other.type in ("text", "event") and constant.written is not None:
        constant = Constant(constant.written, "text", constant.place)
    if constant.type != "text" or not isinstance(constant.value, str):
        return constant
    if other.type in ("time", "duration"):
        return _parsed(constant, constant.value, other.type, report)
    field = _field_of(other, scope)
    return _word(constant, constant.value, field, report) if field else constant


def _parsed(constant: Constant, written: str, wanted: Type, report: Report) -> Constant:
    try:
        value: datetime | timedelta
        value = from_iso(written) if wanted == "time" else parse_duration(written)
    except (ValueError, OverflowError) as error:
        hint = 'times are written like "2026-01-31T09:30:00Z"' if wanted == "time" else ""
        said = "not a time" if wanted == "time" else str(error)
        report.error(f"{constant_text(written)}: {said}", constant.place, hint)
        return replace(constant, type="?")
    return Constant(value, wanted, constant.place)


def _word(constant: Constant, written: str, field: Readable, report: Report) -> Constant:
    """A word compared with a field that has only certain words, or mostly has."""
    known = field.words or field.usual
    if field.type == "event":  # the names of events have no case
        constant = Constant(canonical(written), "text", constant.place)
        written = str(constant.value)
    if not known or written in known or (field.caseless and written.casefold() in known):
        return constant
    kind, dot, status = written.rpartition(".")
    if (alias := f"{kind}{dot}{ALIASES.get(status, status)}") in known:
        return Constant(alias, "text", constant.place)
    if field.words:
        report.error(f"`{field.name}` is never {constant_text(written)}", constant.place,
                     did_you_mean(written, field.words, f"it is one of {listed(field.words)}"))  # fmt: skip
    elif near := misspelt(written.casefold() if field.caseless else written, field.usual):
        report.warning(f"{constant_text(written)} is no `{field.name}` that is known", constant.place,
                       f"did you mean `{near}`?")  # fmt: skip
    return constant


def _field_of(node: Node, scope: Scope) -> Readable | None:
    """The field whose words the value has."""
    if isinstance(node, Name):
        return scope.fields.get(node.name)
    function = function_of(node)
    if function is not None and function.chooses and isinstance(node, Call) and node.arguments:
        return _field_of(node.arguments[0], scope)
    return None


def complain_unlike(left: Node, right: Node, scope: Scope, report: Report) -> None:
    """Say that these two can't be compared, and what was most likely meant."""
    report.error(
        f"`{text(left)}` is {SAID[left.type]}, `{text(right)}` is {SAID[right.type]}: they can't be compared",
        right.place if isinstance(right, Constant) or not isinstance(left, Constant) else left.place,
        _unlike_hint(left, right, scope),
    )


def _unlike_hint(left: Node, right: Node, scope: Scope) -> str:
    subject, constant = (left, right) if isinstance(right, Constant) else (right, left)
    if not isinstance(constant, Constant):
        return ""
    value = constant.value
    if isinstance(value, str) and subject.type == "number":
        return _instead_of_text(value, text(subject), scope)
    if subject.type == "flag" and (meant := _FLAGS.get(str(value).lower())):
        return f"write {meant}"
    if subject.type == "duration":
        return "durations are written like 30s, 5m, 1h30m"
    if subject.type == "time" and isinstance(value, timedelta):
        return f"to ask how long ago it was write `time_since({text(subject)})`"
    if subject.type == "text" and isinstance(value, Decimal):
        return f"put it in quotes: {constant_text(constant_text(value))}"
    return ""


def _instead_of_text(written: str, subject: str, scope: Scope) -> str:
    """What was most likely meant by a text beside a number."""
    if written in scope.fields:
        return f"to compare two fields write an expression: `{subject} > {written}`"
    sign, rest = written.rstrip("0123456789.,-+ \t"), written.lstrip("<>= ")
    if sign in _IN_WORDS and _is_number(rest):
        return f"write {{{subject}: {{{_IN_WORDS[sign]}: {rest}}}}}"
    return "write the number without quotes" if _is_number(written) else ""


def _is_number(written: str) -> bool:
    try:
        number(written)
    except ValueError:
        return False
    return True
