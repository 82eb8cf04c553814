"""What entities are made of, as templates use it: each value exact, and shown as people read it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tocsin.alerts.plain import plain
from tocsin.alerts.wording import Style, number_shown
from tocsin.delivery.sandbox import NamedText, ShownNumber
from tocsin.events import KINDS, number_text
from tocsin.events.vocabulary import all_fields, fields, following_fields, from_plain, parse_value


def entity_values(kind: str, member: Mapping[str, Any], style: Style) -> dict[str, Any]:
    """One entity of several: its fields, whether they have a value or not."""
    typed = typed_fields(kind, member, style, member.get("derived", ()))
    account = str(member.get("account") or "")
    if symbol := member.get("symbol"):
        typed["symbol"] = symbol_value(str(symbol), style)
    common = {
        "account": NamedText(plain(account), style.account(account)) if account else None,
        "id": plain(str(member.get("id") or "")),
    }
    return dict.fromkeys(fields(kind)) | typed | common


def symbol_value(symbol: str, style: Style) -> NamedText:
    return NamedText(plain(symbol), style.symbol(symbol))


def local_time(time: datetime, style: Style) -> datetime:
    return time.astimezone(style.tz)


def typed_fields(
    kind: str, plain_fields: Mapping[str, Any], style: Style, derived: Collection[str]
) -> dict[str, Any]:
    known = all_fields(kind) if kind in KINDS else {}
    typed: dict[str, Any] = {}
    for name, value in plain_fields.items():
        if name not in known:
            continue
        field_type = known[name].type
        try:
            parsed = parse_value(field_type, value)
        except ValueError:  # kept by another version, whose vocabulary had another type for it
            parsed = str(value)
        match parsed:
            case str():
                typed[name] = plain(parsed)
            case datetime():
                typed[name] = local_time(parsed, style)
            case Decimal():
                typed[name] = ShownNumber.of(parsed, number_shown(str(value), name, derived=name in derived))
            case _:
                typed[name] = parsed
    return typed | _following(kind, plain_fields, derived)


def _following(kind: str, plain_fields: Mapping[str, Any], derived: Collection[str]) -> dict[str, Any]:
    """The fields that follow from those that are kept."""
    if kind not in KINDS or not (following := following_fields(kind)):
        return {}
    try:
        state = from_plain(kind, plain_fields)
    except ValueError:  # kept by another version
        return {}
    values = {name: getattr(state, name) for name in following}
    return {
        name: ShownNumber.of(value, number_shown(number_text(value), name, derived=name in derived))
        for name, value in values.items()
        if value is not None
    }
