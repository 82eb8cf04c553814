r"""Silences: `rule=position-in-the-red venue=fx symbol=~BTC.*` holds what matches, for a time. Pure.

    field = text     equal                  field != text     anything else
    field =~ regex   the whole value is it  field !~ regex    it isn't

Of symbols and events case tells nothing. Matchers are joined by *and*. A value with spaces stands in double quotes: in them
`\` goes before a quote and itself, and `\u000a` is a character that can't be seen. A field without a value is an empty text.
An account is called by its id or by its name (`names`: name by id).
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Any

import re2
from msgspec import Struct, structs

from tocsin.alerts.wording import time_text
from tocsin.engine.api import AlertContext, Severity
from tocsin.engine.rule import Rule
from tocsin.events import Key
from tocsin.events.vocabulary import nearest
from tocsin.quantities import parse_duration
from tocsin.store.model import Silence

LONGEST = timedelta(days=30)
"""What is silenced for longer is switched off, and is better said so in the config."""
_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)

_CASELESS = frozenset({"symbol", "event"})
FIELDS = ("rule", "severity", "venue", "account", "kind", "id", "symbol", "event")
_MAY_BE_EMPTY = frozenset({"venue"})  # of what there always is: a group can be of several
_MATCHER = re.compile(r'\s*(\w+)(=~|!~|!=|=)("(?:[^"\\]|\\.)*"|[^\s"]*)(?=\s|$)')
_BARE = re.compile(r"[^\s\"~][^\s\"]*")  # the first: `=~` is another operator
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})|\\(.)")
# What forms, terminals and eyes change or pass over: line ends, NUL, directions of writing.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_LAST_ESCAPED = "\uffff"
_MOST_NAMED = 250  # characters


class NotATime(ValueError):
    """What is written is no time at all. The text is fit to be shown."""


class Matcher(Struct, frozen=True):
    """One condition; `regex` is compiled where the operator is one of regexes."""

    field: str
    operator: str
    value: str
    regex: Any = None

    def may_match(self, known: Mapping[str, str]) -> bool | None:
        """Whether it matches what has these fields, and others that aren't known; None: it goes by one of these."""
        if (value := known.get(self.field)) is None:
            return None
        return self._is(value) is not self.operator.startswith("!")

    def matches(self, context: AlertContext, names: Mapping[str, str] = _NO_NAMES) -> bool:
        value = _value(self.field, context)
        if self.field in _CASELESS:
            value = value.casefold()
        found = self._is(value)
        if not found and self.field == "account" and (name := names.get(value)):
            found = self._is(name)
        return found is not self.operator.startswith("!")

    def _is(self, value: str) -> bool:
        return value == self.value if self.regex is None else self.regex.fullmatch(value) is not None


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers in a text. ValueError, fit to be shown, where it isn't made of them."""
    found: list[Matcher] = []
    rest = text.rstrip()
    while rest:
        match = _MATCHER.match(rest)
        if match is None:
            raise ValueError(f"not a matcher: {rest.strip():.80}; write it like venue=fx symbol=~BTC.*")
        field, operator, value = match.groups()
        if field not in FIELDS:
            raise ValueError(f"there is no {field} to match; there are {', '.join(FIELDS)}")
        found.append(
            _matcher(field, operator, _ESCAPED.sub(_meant, value[1:-1]) if value[:1] == '"' else value)
        )
        rest = rest[match.end() :]
    if not found:
        raise ValueError("a silence needs a matcher, like venue=fx; everything would be silenced")
    return tuple(found)


def _meant(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 16)) if escaped[1] else escaped[2]


def _matcher(field: str, operator: str, value: str) -> Matcher:
    if not operator.endswith("~"):
        return Matcher(field, operator, value.casefold() if field in _CASELESS else value)
    options = re2.Options()
    options.case_sensitive = field not in _CASELESS
    options.log_errors = False
    options.max_mem = 1 << 20  # bytes for one regex, as in rules
    try:
        return Matcher(field, operator, value, re2.compile(value, options))
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(
            f"not a regex: {said.decode(errors='replace') if isinstance(said, bytes) else said}"
        ) from None


def refuse_unmet(text: str, known: Mapping[str, Collection[str]]) -> None:
    """ValueError, fit to be shown, where one of these matchers names what there is none of: it would hold nothing, or with `!=`
    everything. `known`: of a field the values that there are. A regex may be meant for what comes.
    """
    for matcher in parse_matchers(text):
        there = known.get(matcher.field)
        if there is None:
            continue
        if not matcher.value and matcher.field not in _MAY_BE_EMPTY:
            example = next(iter(there), "…")
            raise ValueError(
                f"write which {matcher.field}, like {matcher.field}={example}: none has an empty name"
            )
        if matcher.regex is not None or not matcher.value or matcher.value in there:
            continue
        near = nearest(matcher.value, list(there))
        instead = f"did you mean {near}?" if near else f"there are {_some(there) or 'none'}"
        raise ValueError(f"no {matcher.field} is called {matcher.value:.80}; {instead}")


def _some(names: Collection[str]) -> str:
    """As many of them, whole, as a line takes, and how many more there are."""
    shown = list(names)
    while len(", ".join(shown)) > _MOST_NAMED and len(shown) > 1:
        shown.pop()
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def matchable(
    rule: str,
    severity: Severity,
    key: Key,
    at: datetime,
    *,
    account: str | None,
    symbol: str | None,
    event: str | None = None,
) -> AlertContext:
    """As much of a notification as matchers look at, of which there is none (yet): what it would be about, and when."""
    return AlertContext(
        rule=rule,
        severity=severity,
        state="firing",
        kind=key.kind,
        venue=key.venue,
        entity=key.id,
        account=account,
        symbol=symbol,
        event=event,
        started_at=at,
        at=at,
        time=at,
    )


def matchers_of(context: AlertContext) -> str:
    """What silences that alert and its like: of a state rule this entity's, of an event rule this symbol's, of a group this group's."""
    if context.group is not None:
        fields = tuple(field for field in FIELDS if field in context.group)
    else:
        fields = ("venue", "account", "symbol" if context.event is not None else "id")
    told = [(field, _value(field, context)) for field in ("rule", *fields)]
    return " ".join(f"{field}={quoted(value)}" for field, value in told if value)


def quoted(value: str) -> str:
    """As a matcher's value is written: what a venue calls something may hold anything, and comes through forms and terminals unchanged."""
    written = "".join(map(_written, value))
    return value if written == value and _BARE.fullmatch(value) else f'"{written}"'


def _written(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    unseen = unicodedata.category(char) in _UNSEEN and char <= _LAST_ESCAPED
    return f"\\u{ord(char):04x}" if unseen else char


def _value(field: str, context: AlertContext) -> str:
    value = context.entity if field == "id" else getattr(context, field)
    return value if isinstance(value, str) else ""


def end_of(lasts: str | None, until: str | None, now: datetime, tz: tzinfo) -> datetime:
    """When (UTC) something that begins now ends: `lasts` so long (`2h`), or `until` the next `08:00` there, or a time with its day
    (`2026-01-31 08:00`). ValueError, fit to be shown, on anything else, on both or neither, and beyond `LONGEST`.
    """
    if (lasts is None) is (until is None):
        raise ValueError("it needs an end, one: --for 2h, or --until 08:00")
    ends = now + parse_duration(lasts) if lasts is not None else _time_meant(until or "", now, tz)
    if ends <= now:
        raise ValueError("its end must lie ahead")
    if ends - now > LONGEST:
        raise ValueError(f"at most {LONGEST.days} days; for longer, switch the rule off in the config")
    return ends


def _time_meant(text: str, now: datetime, tz: tzinfo) -> datetime:
    """The next time of day that is called so, or the time itself. Times are those of `tz` where they don't say otherwise."""
    if found := _TIME_OF_DAY.fullmatch(text):
        here = now.astimezone(tz)
        for days in (0, 1):
            day = here.date() + timedelta(days=days)
            meant = datetime(day.year, day.month, day.day, int(found[1]), int(found[2]))  # noqa: DTZ001 - of a clock on the wall
            if (there := _next_on_the_wall(meant, now, tz)) > now:
                return there
    try:
        meant = datetime.fromisoformat(text)
        return meant.astimezone(now.tzinfo) if meant.tzinfo is not None else _next_on_the_wall(meant, now, tz)
    except (ValueError, OverflowError):
        raise NotATime(f"not a time: {text:.40}; write it like 08:00 or 2026-01-31 08:00") from None


def _next_on_the_wall(meant: datetime, now: datetime, tz: tzinfo) -> datetime:
    """When clocks show that (or would, where they are put forward over it): the second time, where they do so twice and the first is over."""
    first, second = (meant.replace(tzinfo=tz, fold=fold).astimezone(now.tzinfo) for fold in (0, 1))
    if second < first:  # never: what is shown later on that day is past it
        return first if now.astimezone(tz).replace(tzinfo=None) < meant else second
    return first if first > now else second


def words_of(silence: Silence) -> str:
    """What it matches, up to when, and whose it is."""
    by = f", by {silence.created_by}" if silence.created_by else ""
    return f"{silence.matchers}, until {time_text(silence.ends_at)}{by}"


def holds_at(silence: Silence, now: datetime) -> bool:
    """None begins later than it is made, so that one holds also while the clock is set back to before that."""
    return silence.ended_at is None and now < silence.ends_at


class Silences:
    """Those that are not over, by id. `names` gives accounts' names by their ids, as they are at that moment."""

    def __init__(
        self, known: Iterable[Silence] = (), names: Callable[[], Mapping[str, str]] = lambda: _NO_NAMES
    ) -> None:
        self._names = names
        self._silences: dict[str, tuple[Silence, tuple[Matcher, ...]]] = {}
        for silence in known:
            self.add(silence)

    def __iter__(self) -> Iterator[Silence]:
        return (silence for silence, _ in self._silences.values())

    def __bool__(self) -> bool:
        return bool(self._silences)

    def add(self, silence: Silence) -> None:
        """ValueError where its matchers can't be read."""
        self._silences[silence.id] = (silence, parse_matchers(silence.matchers))

    def end(self, id_: str, now: datetime) -> Silence | None:
        """Take one back: the silence as it is to be kept; None where there is none of that id that isn't over."""
        known = self._silences.pop(id_, None)
        return (
            structs.replace(known[0], ended_at=now) if known is not None and now < known[0].ends_at else None
        )

    def over(self, context: AlertContext, now: datetime) -> Silence | None:
        """Of those that hold this notification now the one that lasts longest."""
        return max(self.holding(context, now), key=lambda silence: silence.ends_at, default=None)

    def holding(self, context: AlertContext, now: datetime) -> list[Silence]:
        """All that hold this notification now."""
        names = self._names()
        return [
            silence
            for silence, matchers in self._silences.values()
            if holds_at(silence, now) and all(matcher.matches(context, names) for matcher in matchers)
        ]

    def of_rule(self, rule: Rule, now: datetime) -> list[tuple[Silence, bool]]:
        """Those that hold what a rule tells now: True, whatever it is about; False, where that is what they match."""
        known = {"rule": rule.id, "severity": str(rule.severity)}
        found = []
        for silence, matchers in self._silences.values():
            matched = [matcher.may_match(known) for matcher in matchers]
            if holds_at(silence, now) and False not in matched:
                found.append((silence, None not in matched))
        return found

    def begin(
        self, id_: str, matchers: str, ends_at: datetime, now: datetime, *, reason: str = "", by: str = ""
    ) -> Silence:
        """A new one, from now on. ValueError where its matchers can't be read."""
        silence = Silence(
            id=id_, matchers=matchers, reason=reason, created_at=now, starts_at=now, ends_at=ends_at, created_by=by
        )  # fmt: skip
        self.add(silence)
        return silence

    def count(self, id_: str) -> Silence:
        """One more notification was kept from people: the silence as it is to be kept. KeyError for none that isn't over."""
        silence, matchers = self._silences[id_]
        counted = structs.replace(silence, held=silence.held + 1)
        self._silences[id_] = counted, matchers
        return counted

    def forget(self, now: datetime) -> None:
        """Let go of those that are over."""
        self._silences = {id_: known for id_, known in self._silences.items() if now < known[0].ends_at}
