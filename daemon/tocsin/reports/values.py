"""What a report's template can use: lists of what is so and of what happened, and functions that add up."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from jinja2.exceptions import SecurityError

from tocsin.alerts.message import digest_line
from tocsin.alerts.plain import plain
from tocsin.alerts.wording import Style, number_shown
from tocsin.delivery.entity_values import entity_values, local_time, symbol_value
from tocsin.delivery.sandbox import Box, NamedText, ShownNumber
from tocsin.engine.api import SEVERITIES, AlertContext, known_severity
from tocsin.engine.rule_keys import Usable
from tocsin.events import EXACT, from_iso, iso, number_text
from tocsin.events.vocabulary import fields
from tocsin.reports.facts import KINDS_TOLD, Facts, Row

Values = dict[str, Any]

_ALERT = frozenset({
    "id", "rule", "severity", "state", "title", "venue", "account", "entity", "symbol", "fired_at", "resolved_at", "acked_at",
    "acked_by", "acked_until",
})  # fmt: skip
_ENTITY = frozenset({"venue", "account", "id", "unconfirmed_since"})
_LISTS: Mapping[str, frozenset[str]] = {
    **{name: frozenset(fields(kind)) | _ENTITY for name, kind in KINDS_TOLD.items()},
    "venues_away": frozenset(fields("venue")) | _ENTITY,
    **dict.fromkeys(("alerts", "alerts_today", "firing", "acknowledged"), _ALERT),
    "runs": frozenset({"action", "status", "result", "reason", "rule", "symbol", "at"}),
    "undelivered": frozenset({"channel", "waiting", "since", "given_up"}),
}
USABLE = Usable(frozenset({"report", "since", "until", *_LISTS}), _LISTS, frozenset())
"""What a template may use."""


def values(facts: Facts, style: Style, names: Collection[str] = USABLE.names) -> Values:
    """Those of these `names`, each value exact, and shown as people read it."""
    found: Values = {
        "report": facts.report,
        "since": local_time(facts.since, style),
        "until": local_time(facts.at, style),
        "runs": [_run(row, style) for row in facts.runs],
        "undelivered": [_waiting(row, style) for row in facts.undelivered],
    }
    for name in names:
        if (kind := KINDS_TOLD.get(name)) is not None:
            found[name] = [_entity(kind, row, style) for row in facts.entities.get(kind, ())]
    venues = [_entity("venue", row, style) for row in facts.entities.get("venue", ())]
    found["venues_away"] = [each for each in venues if each["status"] != "connected"]
    since, today = iso(facts.since), iso(facts.today)
    alerts = [(row["fired_at"], _alert(row, style)) for row in facts.alerts]
    found["alerts"] = [alert for at, alert in alerts if at > since]
    found["alerts_today"] = [alert for at, alert in alerts if at >= today]
    firing = [_alert(row, style, told=_line(row, style)) for row in facts.firing]
    firing.sort(key=lambda each: (each["acked_at"] is not None, -SEVERITIES.index(each["severity"])))
    found["firing"] = firing
    found["acknowledged"] = [each for each in firing if each["acked_at"] is not None]
    return found


def _entity(kind: str, row: Row, style: Style) -> Values:
    unconfirmed = row.get("unconfirmed_since")
    return entity_values(kind, row, style) | {
        "venue": plain(str(row["venue"])),
        "unconfirmed_since": local_time(unconfirmed, style) if unconfirmed is not None else None,
    }


def _alert(row: Row, style: Style, *, told: str = "") -> Values:
    account, symbol = row["account"], row["symbol"]
    found: Values = {name: plain(str(row[name] or "")) for name in ("id", "rule", "state", "venue", "entity")}
    times = ("fired_at", "resolved_at", "acked_at", "acked_until")
    return found | {name: _time(row[name], style) for name in times} | {
        "severity": known_severity(row["severity"]),
        "title": told or plain(str(row["title"])),
        "account": NamedText(plain(account), style.account(account)) if account else None,
        "symbol": symbol_value(symbol, style) if symbol else None,
        "acked_by": plain(row["acked_by"]) if row["acked_by"] else None,
    }  # fmt: skip


def _line(row: Row, style: Style) -> str:
    """As a digest says it; "" where what it is made of can't be read."""
    try:
        context = msgspec.convert(row["data"], AlertContext)
        if context.state == "reminder":
            context = msgspec.structs.replace(context, state="firing")
        return digest_line(context, style)
    except (ValueError, ArithmeticError):  # a damaged row
        return ""


def _run(row: Row, style: Style) -> Values:
    found: Values = {
        name: plain(str(row[name])) if row[name] else None
        for name in ("action", "status", "result", "reason", "rule")
    }
    symbol = row["symbol"]
    return found | {
        "symbol": symbol_value(symbol, style) if symbol else None,
        "at": _time(row["created_at"], style),
    }


def _waiting(row: Row, style: Style) -> Values:
    return {
        "channel": plain(str(row["channel"])),
        "waiting": row["waiting"],
        "since": _time(row["oldest"], style),
        "given_up": row["given_up"],
    }


def _time(text: str | None, style: Style) -> datetime | None:
    try:
        return local_time(from_iso(text), style) if text else None
    except (ValueError, OverflowError):  # a damaged row
        return None


# ----------------------------------------------------------------------------------------------------------- functions

_MOST_CURRENCIES = 8


def total(items: Iterable[Values], field: str) -> ShownNumber:
    """The sum of a field's numbers; what has no value counts for nothing."""
    found = Decimal(0)
    for each in items:
        if (value := _number(each, field)) is not None:
            found = EXACT.add(found, value)
    return ShownNumber.of(found, _shown(found, field))


def totals(items: Iterable[Values], field: str) -> str:
    """`-612.40 USD, 19.44 CAD`: a sum for each currency, the largest first; what has none, or no value, is said apart."""
    sums: dict[str, Decimal] = {}
    count = without = 0
    for each in items:
        count += 1
        value = _number(each, field)
        if value is None:
            without += 1
            continue
        currency = str(each.get("currency") or each.get("asset") or "")
        sums[currency] = EXACT.add(sums.get(currency, Decimal(0)), value)
    ordered = sorted(sums.items(), key=lambda each: (not each[0], -abs(each[1])))
    said = [
        f"{_shown(value, field)} {currency or 'without a currency'}"
        for currency, value in ordered[:_MOST_CURRENCIES]
    ]
    if more := len(ordered) - len(said):
        said.append(f"and {more} more currencies")
    if without == count:
        return "unknown" if count else "0"
    missing = f" ({without} of {count} without a value)" if without else ""
    return f"{', '.join(said)}{missing}"


def length(items: Iterable[Any]) -> int:
    """How many there are."""
    return sum(1 for _ in items)


def _number(item: Any, field: str) -> Decimal | None:
    if not isinstance(item, Mapping) or field not in item:
        raise SecurityError(f"nothing here has a field {field:.60}")
    value = item[field]
    if value is None or isinstance(value, Decimal):
        return value
    raise SecurityError(f"{field:.60} is no number")


def _shown(value: Decimal, field: str) -> str:
    return number_shown(number_text(value), field, derived=True, padded=True)


class ReportBox(Box):
    """The box that reports' templates run in."""

    def __init__(self) -> None:
        super().__init__()
        self.globals |= {"sum": total, "totals": totals, "length": length}


BOX = ReportBox()
