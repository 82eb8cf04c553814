"""Entities and events as a database has them, for looking at rules without the daemon. Blocks."""

from typing import Any

from tocsin.engine.context import matches_event
from tocsin.engine.rule import Rule
from tocsin.events import Account, Change, Key, from_iso
from tocsin.events.vocabulary import from_plain, is_live
from tocsin.store.reader import Reader, Row

_LOOKED_AT = 20_000  # events, from the latest back, among which a rule's last one is looked for


def entities_of(reader: Reader, rule: Rule, id_: str | None) -> list[Change]:
    """The live entities that a state rule is about, each as it stands; of that id, where one is given, ended ones too."""
    accounts = {(row["venue"], row["id"]): _state(row) for row in reader.entities("account")}
    rows = (row for kind in sorted(rule.kinds) for row in reader.entities(kind))
    return [
        _standing(row, accounts) for row in rows if row["id"] == id_ or (id_ is None and not row["ended"])
    ]


def last_events_of(reader: Reader, rule: Rule, id_: str | None) -> list[Change]:
    """The latest event that an event rule is about (of that id, where one is given); none where none is kept."""
    for row in reader.latest_events(limit=_LOOKED_AT):
        if (id_ is None or row["entity"] == id_) and matches_event(rule, row["event"]):
            return [_happened(row)]
    return []


def _state(row: Row) -> Any:
    return from_plain(row["kind"], row["data"])


def _standing(row: Row, accounts: dict[tuple[str, str], Any]) -> Change:
    state = _state(row)
    account = accounts.get((row["venue"], row["account"]))
    return Change(
        key=Key(row["venue"], row["kind"], row["account"], row["id"]),
        events=(),
        state=state,
        previous=state,
        origin=row["origin"],
        time=from_iso(row["time"]),
        received=from_iso(row["received_at"]),
        known_since=from_iso(row["known_since"]),
        ended=bool(row["ended"]),
        symbol=row["symbol"],
        account_state=account if isinstance(account, Account) else None,
    )


def _happened(row: Row) -> Change:
    kind = row["event"].partition(".")[0]
    data = {name: value for name, value in row["data"].items() if name != "raw"}
    state = from_plain(kind, data)
    received = from_iso(row["received_at"])
    return Change(
        key=Key(row["venue"], kind, row["account"] or "", row["entity"]),
        events=(row["event"],),
        state=state,
        previous=None,
        origin=row["origin"],
        time=from_iso(row["time"]),
        received=received,
        known_since=received,
        ended=not is_live(state),
        symbol=row["symbol"],
    )
