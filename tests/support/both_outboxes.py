"""The memory outbox and the real store, alike to a test that asks what became of what it put there."""

from typing import Any

import msgspec

from support.outboxes import START, MemoryOutbox, arrival
from tocsin.store.database import Database
from tocsin.store.model import Arrival, Batch, NewDelivery


class StoredOutbox:
    """The real store behind the memory outbox's test surface."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unseen: list[Arrival] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def arrived(self, *_of: Any) -> list[Arrival]:
        unseen, self._unseen = self._unseen, []
        return unseen

    async def put(self, *new: NewDelivery) -> None:
        self._unseen += [arrival(each) for each in new if each.state_told == "firing"]
        await self._database.commit(Batch(at=START, deliveries=list(new)))

    async def statuses(self, channel: str = "desk") -> dict[str, str]:
        rows = self._database._store._db.execute(
            "select id, status from deliveries where channel = ? order by sequence", [channel]
        )
        return dict(rows.fetchall())

    def by_state(self) -> dict[str, str]:
        """The status of what tells of each state last."""
        rows = self._database._store._db.execute(
            "SELECT state_told, status FROM deliveries ORDER BY sequence"
        )
        return dict(rows.fetchall())

    def set_handle(self, id_: str, handle: str) -> None:
        self._database._store._db.execute("UPDATE deliveries SET handle = ? WHERE id = ?", [handle, id_])

    async def error(self, id_: str) -> str:
        return self._column("error", id_)

    async def handed_to(self, id_: str) -> str:
        return self._column("handed_to", id_)

    def _column(self, name: str, id_: str) -> str:
        return self._database._store._db.execute(
            f"select {name} from deliveries where id = ?", [id_]
        ).fetchone()[0]


class InMemory(MemoryOutbox):
    """The memory outbox, asked as the stored one is."""

    async def put(self, *new: NewDelivery) -> None:
        self.add(*new)

    async def statuses(self, channel: str = "desk") -> dict[str, str]:
        return super().statuses(channel)

    def by_state(self) -> dict[str, str]:
        return {row.state_told: row.status for row in self.rows.values()}

    def set_handle(self, id_: str, handle: str) -> None:
        self.rows[id_] = msgspec.structs.replace(self.rows[id_], handle=handle)

    async def error(self, id_: str) -> str:
        return self.rows[id_].error

    async def handed_to(self, id_: str) -> str:
        return self.rows[id_].handed_to
