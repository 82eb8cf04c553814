"""How messages are worded, whatever they say: marks, names, ids, times, spans, numbers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Literal, TypeAlias

from tocsin.alerts.plain import plain
from tocsin.engine.api import AlertContext
from tocsin.events import readable_text, rounded_text, stored_number
from tocsin.events.vocabulary import ended_by, unit_of

Marks: TypeAlias = Literal["emoji", "text"]
Sort: TypeAlias = Literal["critical", "warning", "info", "resolved", "ended"]
_LONG_ID = 12  # characters; longer ids are cut where people read
_ID_SHOWN = 8
_MARKS: Mapping[Sort, tuple[str, str]] = {
    "critical": ("🔴", "CRITICAL"),
    "warning": ("🟠", "WARNING"),
    "info": ("🔵", "INFO"),
    "resolved": ("🟢", "OK"),
    "ended": ("⚪", "ENDED"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names that people use: venue's account id or symbol -> name. Missing ones stay as the venue has them.

    A symbol is found in whatever case it is written, as everywhere else; spelled exactly it goes first. Ids are exact.
    """

    accounts: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)
    _folded: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folded = {symbol.casefold(): name for symbol, name in self.symbols.items()}
        object.__setattr__(self, "_folded", folded)

    def symbol(self, symbol: str) -> str | None:
        return self.symbols.get(symbol) or self._folded.get(symbol.casefold())


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one channel is written to. `tz`: of the times; `whole_ids`: no id is cut, for whoever looks it up; `links`: of venues
    their own pages. `page`: where our own page is, with a slash at its end; "" for who isn't to be sent there.
    """

    names: Names = field(default_factory=Names)
    links: Mapping[str, str] = field(default_factory=dict)
    tz: tzinfo = UTC
    marks: Marks = "emoji"
    whole_ids: bool = False
    page: str = ""

    def account(self, account: str) -> str:
        """Its name, else its first characters."""
        return self.names.accounts.get(account) or plain(account[:_ID_SHOWN])

    def account_and_id(self, account: str) -> str:
        name = self.names.accounts.get(account)
        return f"{name} ({self.id(account)})" if name else self.id(account)

    def symbol(self, symbol: str) -> str:
        """Its name, else the symbol, which for some venues is an id."""
        return self.names.symbol(symbol) or plain(symbol)

    def id(self, id_: str) -> str:
        cut = not self.whole_ids and len(id_) > _LONG_ID
        return f"{plain(id_[:_ID_SHOWN])}…" if cut else plain(id_)


class Times:
    """The times of one text: in one zone, which is said once; the day only where it isn't today's."""

    def __init__(self, tz: tzinfo, now: datetime) -> None:
        self._tz = tz
        self._today = now.astimezone(tz).date()
        self._zone_said = False

    def text(self, time: datetime) -> str:
        local = time.astimezone(self._tz)
        day = "" if local.date() == self._today else f"{local:%Y-%m-%d} "
        zone = "" if self._zone_said else f" {local:%Z}"
        self._zone_said = True
        return f"{day}{local:%H:%M:%S}{zone}"


def time_text(time: datetime) -> str:
    """A time by itself: to the second, in UTC, saying so."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def counted(count: int, what: str) -> str:
    """`1 alert`, `1,200 alerts`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def span_text(span: timedelta) -> str:
    """How long in words, as exactly as a person wants it: `45 s`, `11 min`, `3 h 20 min`, `2 d 4 h`."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 2:
        return f"{seconds} s"
    if hours < 2:
        return f"{minutes} min"
    large, small = (
        (f"{hours} h", f"{minutes % 60} min") if hours < 48 else (f"{hours // 24} d", f"{hours % 24} h")
    )
    return large if small.startswith("0 ") else f"{large} {small}"


def mark(context: AlertContext, style: Style) -> str:
    """What stands before the title: how bad it is, or that it is over."""
    sort: Sort = "resolved" if is_good_news(context) else context.severity
    return mark_of("ended" if has_ended(context) else sort, style)


def is_good_news(context: AlertContext) -> bool:
    """Whether it says that something is over, as a state that ended or as an event of its own."""
    return context.state == "resolved" or (context.event is not None and ended_by(context.event) is not None)


def has_ended(context: AlertContext) -> bool:
    """Whether it is over by something else than its own end condition."""
    return context.state == "resolved" and bool(context.reason)


def mark_of(sort: Sort, style: Style) -> str:
    return _MARKS[sort][style.marks == "text"]


def without_mark(title: str) -> str:
    """A title as it was sent, for who shows in another way how bad it is."""
    lead, _, rest = title.partition(" ")
    return rest if any(lead in marks for marks in _MARKS.values()) else title


# ------------------------------------------------------------------------------------------------------------- numbers


def field_text(context: AlertContext, name: str, *, padded: bool = False) -> str | None:
    """A field's number as people read it; None where it has none."""
    value = context.fields.get(name)
    return (
        None
        if value is None
        else number_shown(str(value), name, derived=name in context.derived, padded=padded)
    )


def value_shown(context: AlertContext, text: str, *, padded: bool = False) -> str:
    """A number of what the message speaks of (`value`, `worst`, `value_at_start`)."""
    name = context.value_of or ""
    beside = [stored_number(bound) for bound in context.bounds]
    return number_shown(text, name, derived=name in context.derived, beside=beside, padded=padded)


def number_shown(
    text: str, name: str, *, derived: bool, beside: Iterable[Decimal] = (), padded: bool = False
) -> str:
    """The wire's digits, as far as they say anything, or what we worked out rounded. Text that is no number is left so.

    `padded`: money that we worked out has its two digits behind the point.
    """
    unit = unit_of(of_member(name))
    if not derived:
        try:
            return readable_text(stored_number(text), unit, tuple(beside))
        except ValueError:
            return plain(text)
    shown = rounded_text(stored_number(text), unit, tuple(beside))
    _, point, behind = shown.partition(".")
    return f"{shown}0" if padded and unit == "money" and point and len(behind) == 1 else shown


def of_member(value_of: str) -> str:
    """`profit` of a group's `sum(profit)`; of anything else itself."""
    return value_of.partition("(")[2].removesuffix(")") if "(" in value_of else value_of


def unit_text(context: AlertContext, name: str) -> str:
    """What follows the number of a field: its currency, a percent sign, or nothing."""
    match unit_of(of_member(name)):
        case "percent":
            return " %"
        case "money" if currency := context.fields.get("currency"):
            return f" {plain(str(currency))}"
        case _:
            return ""


def value_name(context: AlertContext) -> str:
    """What people call the number that the message speaks of; empty where there is none."""
    return context.value_called or (context.value_of or "").replace("_", " ")


def value_and_unit(context: AlertContext, number: str | None) -> str:
    """A number of what the message speaks of, and its unit: `-39.50 USD`. Empty where there is none."""
    if number is None or context.value_of is None:
        return ""
    return f"{value_shown(context, number, padded=True)}{unit_text(context, context.value_of)}"
