"""The alerts that matchers choose, the same that silences are made of: `rule=in-the-red venue=fx symbol=~BTC.*`.

Of history a matcher for one rule or one entity chooses the index. The others, which no index knows (a regex, an event, `!=`), are asked row by row, of
so many rows at a time: who asks is told how far it was looked.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from tocsin.alerts.silences import Matcher, matchable, parse_matchers, refuse_unmet
from tocsin.engine.api import known_severity
from tocsin.events import Key
from tocsin.page.rows import MOST
from tocsin.pipeline.acts import FIRING
from tocsin.store import alert_history
from tocsin.store.alert_history import LATEST, Place
from tocsin.store.reader import Reader, Row

PAGE = 50  # alerts
MOST_LOOKED = 20_000  # rows, for one page
_STEP = 1_000  # rows of one query
_WITHIN = 0.8  # seconds, after which no more are looked at
_ANY = datetime(1970, 1, 1, tzinfo=UTC)
_INDEXED: Mapping[str, Literal["rule", "entity"]] = {"rule": "rule", "id": "entity"}


class Filter(NamedTuple):
    """Matchers, joined by *and*, or what is wrong with them (`trouble`); none choose all. `names`: of accounts, by their ids."""

    text: str
    matchers: tuple[Matcher, ...] = ()
    trouble: str = ""
    names: Mapping[str, str] = {}

    @classmethod
    def of(cls, text: str, names: Mapping[str, str]) -> "Filter":
        text = "".join(each for each in text if each.isprintable()).strip()
        try:
            return cls(text, parse_matchers(text) if text else (), "", names)
        except ValueError as error:
            return cls(text, (), str(error), names)

    def chosen(self, rows: Iterable[Row]) -> list[Row]:
        """Of rows of `Reader.alerts`, those that all matchers match."""
        return [row for row in rows if self._matches({**row, **_details(row)})]

    @property
    def only(self) -> tuple[Literal["rule", "entity"], str] | None:
        """What chooses an index; of an entity before a rule's, which are more."""
        exact = {each.field: each.value for each in self.matchers if each.operator == "="}
        return next(((_INDEXED[field], exact[field]) for field in ("id", "rule") if field in exact), None)

    @property
    def details(self) -> bool:
        """Whether a row's `kind` or `event` is asked for, which no column has."""
        return any(each.field in ("kind", "event") for each in self.matchers)

    def _matches(self, row: Mapping[str, Any]) -> bool:
        if not self.matchers:
            return True
        key = Key(row["venue"], row["kind"] or "", "", row["entity"])
        about = {name: row[name] for name in ("account", "symbol", "event")}
        context = matchable(row["rule"], known_severity(row["severity"]), key, _ANY, **about)
        return all(each.matches(context, self.names) for each in self.matchers)

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Of a row of `alert_history.step`."""
        return row["state"] not in FIRING and self._matches(row)


class Found(NamedTuple):
    """A page of what is over: `rows`, the latest first, behind which place there may be more (`following`; None: there is nothing more), and
    whether it was given up `looked_to` there, before the page was full.
    """

    rows: list[Row]
    following: Place | None
    looked: int
    gave_up: bool = False


def history(
    reader: Reader, wanted: Filter, before: Place = LATEST, *, page: int = PAGE, most: int = MOST_LOOKED
) -> Found:
    """The next page of what is over, from a place on. Blocks; StoreUnavailable."""
    ids: list[str] = []
    looked, place, last = 0, before, before
    over = time.monotonic() + _WITHIN
    with reader.snapshot() as one:
        while looked < most and (not looked or time.monotonic() < over):
            size = min(_STEP if wanted.matchers else 4 * page, most - looked)
            rows = alert_history.step(one, place, only=wanted.only, details=wanted.details, limit=size)
            for row in rows:
                if wanted.matches(row):
                    if len(ids) == page:  # one more than fits
                        return Found(alert_history.by_ids(one, ids), last, looked)
                    ids.append(row["id"])
                    last = Place(row["fired_at"], row["id"])
                looked += 1
                place = Place(row["fired_at"], row["id"])
            if len(rows) < size:
                return Found(alert_history.by_ids(one, ids), None, looked)
        return Found(alert_history.by_ids(one, ids), place, looked, gave_up=len(ids) < page)


def refuse_unmet_of(reader: Reader, wanted: Filter, known: Mapping[str, Collection[str]]) -> None:
    """As `refuse_unmet` of silences, but that there may be alerts of a rule or venue that is no longer `known`. Blocks; ValueError,
    StoreUnavailable.
    """
    named = [each for each in wanted.matchers if each.regex is None and each.value]
    earlier: dict[str, list[str]] = {"rule": [], "venue": []}
    for each in named:
        if each.field in earlier and each.value not in known[each.field]:
            of_it = Filter("", (Matcher(each.field, "=", each.value),))
            if history(reader, of_it, page=1).rows or of_it.chosen(alert_history.firing(reader, limit=MOST)):
                earlier[each.field].append(each.value)
    refuse_unmet(wanted.text, {field: [*names, *earlier.get(field, ())] for field, names in known.items()})


def place_of(text: str) -> Place:
    """Of `before=FIRED_AT,ID`; of anything else the beginning."""
    fired_at, comma, id_ = text.partition(",")
    return Place(fired_at, id_) if comma and id_ else LATEST


def _details(row: Row) -> Mapping[str, Any]:
    data = row["data"] if isinstance(row["data"], dict) else {}
    return {name: value if isinstance(value := data.get(name), str) else None for name in ("kind", "event")}
