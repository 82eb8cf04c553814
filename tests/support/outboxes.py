"""An outbox in memory that behaves as the store's, a sender that does as it is told, and a clock that is trio's."""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import trio

from tocsin.delivery.model import Message, Outcome, Sender
from tocsin.engine.api import AlertContext
from tocsin.events import Instant
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import GATHERED, Arrival, Attempt, Delivery, Gathered, NewDelivery, Recent

START = datetime(2026, 1, 1, tzinfo=UTC)
SENT = Outcome(sent=True, answer="Slack: 200 ok")
FAILED = Outcome(sent=False, answer="Slack: 500 oops")
REFUSED = Outcome(sent=False, answer="Slack: 403 invalid_token", permanent=True)


class TrioClock:
    """Wall and steady time are trio's, so that `autojump_clock` moves them; `wall_jump` sets the wall-clock apart."""

    def __init__(self) -> None:
        self.wall_jump = timedelta(0)

    def now(self) -> Instant:
        steady = trio.current_time()
        return Instant(START + timedelta(seconds=steady) + self.wall_jump, steady)


def context(**changes: Any) -> AlertContext:
    values: dict[str, Any] = {
        "rule": "position-in-the-red",
        "severity": "warning",
        "state": "firing",
        "kind": "position",
        "venue": "fx",
        "entity": "p1",
        "symbol": "BTCUSD",
        "condition": "profit -60 < -50",
        "fields": {"id": "p1", "symbol": "BTCUSD", "side": "long", "profit": "-60", "currency": "USD"},
        "value_of": "profit",
        "value": "-60",
        "value_at_start": "-60",
        "worst": "-60",
        "started_at": START,
        "at": START,
        "time": START,
    }
    return AlertContext(**values | changes)


def delivery(
    id_: str, state: str = "firing", *, at: float = 0.0, alert: str = "a1", **changes: Any
) -> NewDelivery:
    """A delivery as the pipeline commits it `at` so many seconds from the start."""
    time = START + timedelta(seconds=at)
    severity = changes.pop("severity", "warning")
    expire = timedelta(seconds=changes.pop("expire", 86400.0))
    told = context(state=state, severity=severity, at=time, time=time, **changes.pop("says", {}))
    values: dict[str, Any] = {
        "id": id_,
        "alert": alert,
        "state_told": state,
        "channel": "desk",
        "target": 0,
        "severity": severity,
        "created_at": time,
        "expires_at": time + expire,
        "context": msgspec.to_builtins(told),
    }
    return NewDelivery(**values | changes)


def handed_id(
    alert: str, state: str = "firing", *, at: float = 0.0, to: str = "mail", target: int = 0
) -> str:
    """Of a delivery that was handed to a fallback: the same whoever hands it over."""
    return f"{alert}-{state}-{START + timedelta(seconds=at):%Y%m%dT%H%M%S%f}-{to}-{target}"


def arrival(row: NewDelivery) -> Arrival:
    return Arrival(row.id, row.created_at, str(row.context.get("rule")))


class MemoryOutbox:
    """Deliveries by id, in the order in which they came. `unavailable` counts down the calls that fail."""

    def __init__(self) -> None:
        self.rows: dict[str, Delivery] = {}
        self.unavailable = 0
        self._unseen: dict[tuple[str, int], list[Arrival]] = {}

    def add(self, *new: NewDelivery) -> None:
        for row in new:
            if row.id in self.rows:
                raise AssertionError(f"{row.id} is there already")
            self.rows[row.id] = Delivery(**msgspec.structs.asdict(row), next_at=row.created_at)
            if row.state_told == "firing":
                self._unseen.setdefault((row.channel, row.target), []).append(arrival(row))

    async def due(
        self, channel: str, target: int, now: datetime, limit: int, prompt: bool | None = None
    ) -> list[Delivery]:
        await self._reach()
        return [
            row
            for row in self._heads(channel, target)
            if row.next_at <= now and prompt in (None, row.is_prompt)
        ][:limit]

    async def next_due(self, channel: str, target: int, after: datetime | None = None) -> datetime | None:
        await self._reach()
        times = (row.next_at for row in self._heads(channel, target))
        return min((at for at in times if after is None or at > after), default=None)

    async def is_waited_on(self, channel: str, target: int) -> bool:
        await self._reach()
        return bool(self._pending(channel, target))

    async def waiting(self, alert: str, channel: str, target: int) -> list[Delivery]:
        await self._reach()
        found = [row for row in self._pending(channel, target) if row.alert == alert]
        return [] if any(row.digest for row in found) else found

    async def gatherable(
        self, channel: str, target: int, now: datetime, after: str | None, limit: int, *, critical: bool
    ) -> list[Delivery]:
        await self._reach()
        found, ended = [], set()
        for row in self._pending(channel, target):
            if row.state_told == "edit":
                continue
            fits = row.state_told in GATHERED and (row.severity == "critical") is critical
            if row.digest is not None or row.next_at > now or not fits:
                ended.add(row.alert)
            elif row.alert not in ended:
                found.append(row)
        place = {id_: number for number, id_ in enumerate(self.rows)}
        return [row for row in found if after is None or place[row.id] > place[after]][:limit]

    async def ends_behind(self, digest: str, channel: str, target: int) -> list[Delivery]:
        await self._reach()
        alerts = {row.alert for row in self.rows.values() if row.digest == digest}
        return [
            row
            for row in self._pending(channel, target)
            if row.alert in alerts and (row.state_told, row.digest, row.handed_to) == ("resolved", None, None)
        ]

    async def recent(self, channel: str, target: int, since: datetime, until: datetime) -> Recent:
        await self._reach()
        rows = [row for row in self.rows.values() if (row.channel, row.target) == (channel, target)]
        return Recent(
            tuple(
                arrival(row) for row in rows if row.state_told == "firing" and since < row.created_at <= until
            ),
            max((row.created_at for row in rows if row.state_told == "digest"), default=None),
            tuple(
                row.sent_at
                for row in rows
                if row.sent_at is not None
                and since < row.sent_at <= until
                and (row.severity, row.state_told, row.digest) == ("critical", "firing", None)
            ),
        )

    def arrived(self, channel: str, target: int) -> list[Arrival]:
        return self._unseen.pop((channel, target), [])

    async def gather(self, gathered: Gathered) -> list[str]:
        await self._reach()
        self.add(gathered.digest, *(each for each in gathered.also if each.id not in self.rows))
        for id_, _ in gathered.parts:
            self.rows[id_] = msgspec.structs.replace(
                self.rows[id_], digest=gathered.digest.id, reason=gathered.reason
            )
        return []

    async def not_escalated(self, channel: str, target: int, after: str | None, limit: int) -> list[Delivery]:
        await self._reach()
        order = list(self.rows)
        late = set(order if after is None else order[order.index(after) + 1 :])
        carried = {row.alert for row in self._pending(channel, target) if row.digest}
        return [
            row
            for row in self._pending(channel, target)
            if row.alert not in carried
            and row.id in late
            and row.severity == "critical"
            and row.handed_to is None
        ][:limit]

    async def history(self, alert: str, channel: str) -> list[Delivery]:
        await self._reach()
        return [row for row in self.rows.values() if (row.alert, row.channel) == (alert, channel)]

    async def record(self, attempts: Sequence[Attempt]) -> list[str]:
        await self._reach()
        changed = []
        for attempt in attempts:
            row = self.rows.get(attempt.delivery)
            if row is None or row.status != "pending":
                if row is None or row.status != attempt.status:
                    changed.append(attempt.delivery)
                continue
            self.rows[row.id] = msgspec.structs.replace(
                row,
                status=attempt.status,
                attempts=row.attempts + (attempt.status != "superseded"),
                error=attempt.error,
                handed_to=attempt.handed_to or row.handed_to,
                handle=attempt.handle,
                next_at=attempt.next_at or row.next_at,
                sent_at=attempt.at if attempt.status == "sent" else None,
            )
            if attempt.status != "pending":
                for part in [each for each in self.rows.values() if each.digest == row.id]:
                    self.rows[part.id] = msgspec.structs.replace(
                        part,
                        status=attempt.status,
                        attempts=part.attempts + 1,
                        sent_at=self.rows[row.id].sent_at,
                        error=attempt.error,
                        handed_to=part.handed_to or self.rows[row.id].handed_to,
                    )
            self.add(*(each for each in attempt.also if each.id not in self.rows))
        return changed

    def statuses(self, channel: str = "desk") -> dict[str, str]:
        return {row.id: row.status for row in self.rows.values() if row.channel == channel}

    def _pending(self, channel: str, target: int) -> list[Delivery]:
        return [
            row
            for row in self.rows.values()
            if row.status == "pending" and (row.channel, row.target) == (channel, target)
        ]

    def _heads(self, channel: str, target: int) -> list[Delivery]:
        seen: set[str] = set()
        order = sorted(self._pending(channel, target), key=lambda row: row.state_told == "edit")
        first = [row for row in order if row.alert not in seen and not seen.add(row.alert)]
        return [
            row for row in first if row.digest is None and row.alert not in self._carried(channel, target)
        ]

    def _carried(self, channel: str, target: int) -> set[str]:
        return {row.alert for row in self._pending(channel, target) if row.digest}

    async def _reach(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.unavailable > 0:
            self.unavailable -= 1
            raise StoreUnavailable("the disk is full")


class ScriptedSender(Sender):
    """Answers as scripted, then `always`. `sent` holds (seconds, message) of every try, `told` of the accepted ones."""

    name = "desk"

    def __init__(self, *script: Outcome | str, always: Outcome | str = SENT, takes: float = 0.0) -> None:
        self.script: deque[Outcome | str] = deque(script)
        self.always = always
        self.takes = takes
        self.tries: list[tuple[float, Message]] = []
        self.told: list[tuple[float, Message]] = []

    async def send(self, message: Message, handle: Any = None) -> Outcome:
        begun = trio.current_time()
        self.tries.append((begun, message))
        answer = self.script.popleft() if self.script else self.always
        if answer == "hang":
            await trio.sleep_forever()
        await trio.sleep(self.takes)
        assert isinstance(answer, Outcome)
        if answer.sent:
            self.told.append((trio.current_time(), message))
        return answer

    def ids(self) -> list[str]:
        return [message.delivery_id for _, message in self.told]

    def times(self) -> list[float]:
        return [round(at, 3) for at, _ in self.tries]
