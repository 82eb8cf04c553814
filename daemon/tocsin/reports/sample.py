"""Templates tried out before they are needed: on a state that has one of everything, and on one that has nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tocsin.alerts.wording import Style
from tocsin.delivery.own_words import OwnWords, why
from tocsin.events import KINDS, iso
from tocsin.events.vocabulary import fields
from tocsin.reports.facts import KINDS_TOLD, Facts
from tocsin.reports.render import names_in
from tocsin.reports.values import BOX, values

_AT = datetime(2026, 1, 5, 17, tzinfo=UTC)
_EMPTY = Facts(report="sample", at=_AT, since=_AT - timedelta(days=1), today=_AT - timedelta(hours=17))
_VALUES = {"number": "1", "time": iso(_AT), "flag": True}


def trouble(template: str) -> tuple[str, Literal["error", "warning"]] | None:
    """What goes wrong with a template of which all names are known, in words; None: nothing."""
    if said := _failure(template, _full()):
        return f"the template fails: {said}", "error"
    if said := _failure(template, _EMPTY):
        return (
            f"the template fails where there is nothing to tell of: {said}; ask first: {{% if positions %}}",
            "warning",
        )
    return None


def _failure(template: str, facts: Facts) -> str:
    style = Style()
    try:
        OwnWords(BOX, values(facts, style, names_in(template)), style.tz, facts.at, "").made(template)
    except Exception as error:  # noqa: BLE001 - a template is the user's program: whatever it raises is told
        return why(error)
    return ""


def _full() -> Facts:
    """One of everything, all fields of it known."""
    alert = {
        "id": "a1", "rule": "example", "severity": "warning", "state": "firing", "title": "example", "venue": "example",
        "account": "EXAMPLE", "entity": "1", "symbol": "EXAMPLE", "fired_at": iso(_AT), "resolved_at": iso(_AT),
        "acked_at": iso(_AT), "acked_by": "anna", "acked_until": iso(_AT), "data": {},
    }  # fmt: skip
    run = {
        "action": "example", "status": "ok", "result": "200", "reason": "example", "rule": "example", "symbol": "EXAMPLE",
        "created_at": iso(_AT),
    }  # fmt: skip
    return Facts(
        report="sample",
        at=_AT,
        since=_EMPTY.since,
        today=_EMPTY.today,
        entities={kind: [_one(kind)] for kind in KINDS_TOLD.values()},
        alerts=[alert],
        firing=[alert],
        runs=[run],
        undelivered=[{"channel": "example", "waiting": 1, "oldest": iso(_AT), "given_up": 1}],
    )


def _one(kind: str) -> dict[str, Any]:
    known = {
        name: _VALUES.get(each.type, (each.values or ("EXAMPLE",))[0]) for name, each in fields(kind).items()
    }
    return {
        **{name: value for name, value in known.items() if name in KINDS[kind].__struct_fields__},
        "venue": "example", "account": "EXAMPLE", "id": "1", "symbol": "EXAMPLE", "unconfirmed_since": _AT,
    }  # fmt: skip
