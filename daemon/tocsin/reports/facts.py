"""What a report is made of, read from the database: what is so now, and what happened since the last one. Blocks."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from tocsin.events import KINDS, Change, iso
from tocsin.events.vocabulary import OURSELVES, to_plain
from tocsin.reports.model import Report
from tocsin.store.model import OPEN_RUNS
from tocsin.store.reader import Reader

KINDS_TOLD: Mapping[str, str] = {f"{kind}s": kind for kind in KINDS if kind != "daemon"}
"""What a template calls all entities of a kind, and the kind."""
MOST = 5_000  # entities of a kind, alerts and runs; more are counted
MOST_FIRING = 1_000

Row = Mapping[str, Any]


class Facts(Struct, frozen=True, kw_only=True):
    """All that one report says, as of `at`, of what happened from `since` on (both UTC). JSON-able but for the times.

    `entities`: by kind those that live, their fields with `venue`, `account`, `id` and what is `derived`. `counts`:
    by kind how many there are, and of `alerts` and `firing`, whatever is left out here. `title` and `message` are the
    user's templates.
    """

    report: str
    at: datetime
    since: datetime
    today: datetime
    title: str | None = None
    message: str | None = None
    entities: Mapping[str, Sequence[Row]] = {}
    alerts: Sequence[Row] = ()
    firing: Sequence[Row] = ()
    runs: Sequence[Row] = ()
    undelivered: Sequence[Row] = ()
    counts: Mapping[str, int] = {}

    @property
    def rule(self) -> str:
        """What it is called where a rule's messages are called by the rule."""
        return f"report {self.report}"

    @property
    def left_out(self) -> list[str]:
        """What there was too much of, in words."""
        have = {**self.entities, "alert": self.alerts, "firing alert": self.firing}
        return [
            f"of {self.counts[what]:,} {what}s only {len(rows):,} are counted here"
            for what, rows in have.items()
            if self.counts.get(what, 0) > len(rows)
        ]


def gather(reader: Reader, report: Report, since: datetime, at: datetime, kinds: Collection[str]) -> Facts:
    """What there is to tell, of one moment; of entities those of `kinds`. Raises StoreUnavailable, SchemaRefused."""
    today = at.astimezone(report.tz).replace(hour=0, minute=0, second=0, microsecond=0)
    with reader.snapshot() as now:
        entities = {kind: [_entity(each) for each in now.living(kind, MOST)] for kind in sorted(kinds)}
        fired = now.fired(min(since, today), MOST)
        firing = now.alerts(active_only=True, limit=MOST_FIRING)
        counts = {kind: now.count_living(kind) for kind in entities}
        counts["firing alert"] = sum(row["count"] for row in now.firing())
        counts["alert"] = now.count_fired(min(since, today))
        entities["venue"] = [row for row in entities.get("venue", ()) if row["venue"] != OURSELVES]
        counts["venue"] = min(counts.get("venue", 0), len(entities["venue"]))
        return Facts(
            report=report.id,
            at=at,
            since=since,
            today=today,
            title=report.title,
            message=report.message,
            entities=entities,
            alerts=[row for row in fired if row["fired_at"] <= iso(at)],
            firing=firing,
            runs=[
                row for row in now.runs(limit=MOST) if _last(row) > iso(since) or row["status"] in OPEN_RUNS
            ],
            undelivered=now.undelivered(since),
            counts=counts,
        )


def _last(run: Row) -> str:
    """When something happened to it last."""
    return str(run["ended_at"] or run["created_at"])


def _entity(change: Change) -> Row:
    """Numbers that prices move are mostly worked out by us, which the database doesn't say of them."""
    row: dict[str, Any] = {**to_plain(change.state), "venue": change.venue, "id": change.key.id}
    row["account"] = change.key.account
    row["symbol"] = change.symbol or row.get("symbol")
    row["derived"] = sorted(change.state.priced)
    row["unconfirmed_since"] = change.unconfirmed_since
    return row
