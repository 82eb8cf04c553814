"""The one entrance: what venues say, waiting its turn. Each venue has a queue of its own, emptied in fair shares."""

from collections import Counter, deque

import trio

from tocsin.feed.model import Received

MOST_WAITING = 2000  # things observed by one venue; beyond that its reader waits, and its socket with it


def work_of(received: Received) -> int:
    """What a message counts for: one may hold a thousand trades, and takes as long as a thousand messages of one."""
    return max(len(received.observed), 1)


class Inbox:
    """A `Sink` for the feeds. A venue that floods fills its own queue only, and the others are served in between."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most = most_waiting
        self._queues: dict[str, deque[Received]] = {}
        self._work: Counter[str] = Counter()
        self._room: dict[str, trio.Event] = {}
        self._arrived = trio.Event()

    async def put(self, received: Received) -> None:
        """No checkpoint where there is room: who reads a socket has one there, and a second is dear at each message."""
        venue = received.venue
        while self._work[venue] >= self._most:
            await self._room.setdefault(venue, trio.Event()).wait()
        self._work[venue] += work_of(received)
        queue = self._queues.get(venue)
        if queue is None:
            queue = self._queues[venue] = deque()
        queue.append(received)
        self._arrived.set()

    def take(self, most: int) -> list[Received]:
        """Messages until what they observed is `most`, one of each venue at a time, each venue's in its own order. See `work_of`."""
        taken: list[Received] = []
        waiting = deque(venue for venue, queue in self._queues.items() if queue)
        while waiting and most > 0:
            venue = waiting.popleft()
            taken.append(self._queues[venue].popleft())
            work = work_of(taken[-1])
            most -= work
            self._work[venue] -= work
            self._queues[venue] = self._queues.pop(venue)  # who was served stands behind the others
            if self._queues[venue]:
                waiting.append(venue)
        for venue, event in list(self._room.items()):
            if self._work[venue] < self._most:
                del self._room[venue]
                event.set()
        if not any(self._queues.values()) and self._arrived.is_set():
            self._arrived = trio.Event()
        return taken

    def earliest(self) -> float | None:
        """The steady time of the oldest message that still waits."""
        return min((queue[0].at.steady for queue in self._queues.values() if queue), default=None)

    def drop(self, venue: str) -> None:
        """The venue is no longer configured: what it still had to say concerns nobody."""
        self._queues.pop(venue, None)
        del self._work[venue]
        if (room := self._room.pop(venue, None)) is not None:
            room.set()

    async def wait(self) -> None:
        """Until there is something to take, or `rouse` was called since the last `take`."""
        await self._arrived.wait()

    def rouse(self) -> None:
        """Whoever waits is to look about, though nothing came."""
        self._arrived.set()

    def waiting(self) -> int:
        return sum(map(len, self._queues.values()))
