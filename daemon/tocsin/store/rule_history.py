"""How often rules fired, and for how long: counted by SQL over the index of alerts by rule and time, which holds all that it needs."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from tocsin.events import iso
from tocsin.store.reader import Reader, Row
from tocsin.store.sql import json_text


def fired_by_rule(reader: Reader, since: datetime) -> dict[str, Row]:
    """Of each rule that ever fired: how often (`fired`), how often `since` then (`lately`), and when last (`last_fired_at`). Raises as `Reader` does."""
    found = reader.rows(
        "SELECT rule, count(*) AS fired, sum(fired_at >= ?) AS lately, max(fired_at) AS last_fired_at"
        " FROM alerts GROUP BY rule",
        iso(since),
    )
    return {row["rule"]: row for row in found}


def fired_of(reader: Reader, rule: str, since: datetime) -> Row:
    """The same of one rule, with `lasted`: the median length of those `since` then that are over, in seconds; None where none is."""
    (found,) = reader.rows(
        """
        WITH lasted AS (
            SELECT (julianday(resolved_at) - julianday(fired_at)) * 86400 AS seconds
            FROM alerts WHERE rule = ?1 AND fired_at >= ?2 AND resolved_at IS NOT NULL
        )
        SELECT count(*) AS fired, coalesce(sum(fired_at >= ?2), 0) AS lately, max(fired_at) AS last_fired_at,
            (SELECT round(avg(seconds), 3) FROM (
                SELECT seconds FROM lasted ORDER BY seconds
                LIMIT 2 - (SELECT count(*) FROM lasted) % 2 OFFSET (SELECT (count(*) - 1) / 2 FROM lasted)
            )) AS lasted
        FROM alerts WHERE rule = ?1
        """,
        rule, iso(since),
    )  # fmt: skip
    return found


def fired_between(reader: Reader, rule: str, bounds: Sequence[datetime]) -> list[int]:
    """How often it fired from each of these times to the next."""
    pairs = [[iso(begun), iso(ended)] for begun, ended in pairwise(bounds)]
    found = reader.rows(
        "SELECT (SELECT count(*) FROM alerts WHERE rule = ? AND fired_at >= json_extract(value, '$[0]')"
        " AND fired_at < json_extract(value, '$[1]')) AS fired FROM json_each(?) ORDER BY key",
        rule, json_text(pairs),
    )  # fmt: skip
    return [row["fired"] for row in found]


def last_fired(reader: Reader, rule: str) -> dict[str, str]:
    """By instance when it fired the last time (ISO 8601, UTC)."""
    found = reader.rows(
        "SELECT instance, max(fired_at) AS at FROM alerts WHERE rule = ? GROUP BY instance", rule
    )
    return {row["instance"]: row["at"] for row in found}
