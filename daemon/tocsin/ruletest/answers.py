"""What `tocsin rules` and `tocsin explain` tell, as JSON: from the store, by the rules of these settings. Blocks."""

from typing import Any

from tocsin.config.settings import Settings
from tocsin.events import Instant
from tocsin.ruletest.explain import Explained, explain
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

Json = dict[str, Any]


def overview(settings: Settings) -> list[Json]:
    """The rules in their order: `rule watch severity enabled`, how often each `fired`, `last_fired_at`, and how many `firing`.

    Raises StoreUnavailable, SchemaRefused.
    """
    fired = {row["rule"]: row for row in Reader(settings.state_dir / DATABASE).rules()}
    nothing: Json = {"fired": 0, "last_fired_at": None, "active": 0}
    return [
        {
            "rule": rule.id,
            "watch": list(rule.events or sorted(rule.kinds)),
            "severity": rule.severity,
            "enabled": rule.enabled,
            "fired": (known := fired.get(rule.id, nothing))["fired"],
            "last_fired_at": known["last_fired_at"],
            "firing": known["active"],
        }
        for rule in settings.rules
    ]


def explained(settings: Settings, rule: str, id_: str | None, now: Instant | None, limit: int) -> Json:
    """`rule`, `watch`, `count` (how many there are that it is about), `last` (in words), the first of them, `explained`, and
    `several` ids that the shortened one may stand for.

    `now` is the running daemon's, None where none runs. Raises UnknownRule, StoreUnavailable, SchemaRefused.
    """
    found = settings.rule(rule)
    answer = explain(settings, found, id_, now, limit)
    return {
        "rule": rule,
        "watch": list(found.events or sorted(found.kinds)),
        "count": answer.count,
        "last": answer.last,
        "several": list(answer.several),
        "explained": [_plain(each) for each in answer.explained],
    }


def _plain(each: Explained) -> Json:
    return {
        "venue": each.entity.venue,
        "kind": each.entity.kind,
        "account": each.entity.account or None,
        "id": each.entity.id,
        "symbol": each.symbol,
        "title": each.title,
        "what": each.what,
        "state": each.state,
        "as_of": each.as_of.isoformat() if each.as_of is not None else None,
        "unconfirmed_since": each.unconfirmed_since.isoformat() if each.unconfirmed_since else None,
        "parts": [
            {
                "of": part.of,
                "asks": part.asks,
                "holds": part.holds,
                "saw": part.saw,
                "as_of": part.as_of.isoformat(),
            }
            for part in each.parts
        ],
        "held_back_by": [{"what": name, "why": reason} for name, reason in each.barriers],
    }
