"""What screens list of the database, page by page: each list goes by its own index, however much is kept.

Each function blocks and raises StoreUnavailable, as `Reader` does.
"""

from datetime import datetime

from tocsin.events import iso
from tocsin.store.reader import Reader, Row

_SILENCES = """
    SELECT s.*,
        (SELECT a.via FROM acts AS a WHERE a.target = s.id AND a.does = 'silence' ORDER BY a.id LIMIT 1) AS via,
        (SELECT a.by FROM acts AS a WHERE a.target = s.id AND a.does = 'unsilence' ORDER BY a.id DESC LIMIT 1) AS ended_by
    FROM silences AS s
"""


def silences_now(reader: Reader, now: datetime, limit: int) -> list[Row]:
    """Those that hold, the first to end first; `via` what each was made, None where that is no longer kept."""
    which = "WHERE s.ended_at IS NULL AND s.ends_at > ? ORDER BY s.ends_at, s.id LIMIT ?"
    return reader.rows(f"{_SILENCES} {which}", iso(now), limit)


def silences_over(reader: Reader, since: datetime, now: datetime, limit: int) -> list[Row]:
    """Those that ended since then, the last to end first; `ended_by`: who took it back, else None."""
    which = """
        WHERE coalesce(s.ended_at, s.ends_at) > ? AND (s.ended_at IS NOT NULL OR s.ends_at <= ?)
        ORDER BY coalesce(s.ended_at, s.ends_at) DESC, s.id LIMIT ?
    """
    return reader.rows(f"{_SILENCES} {which}", iso(since), iso(now), limit)
