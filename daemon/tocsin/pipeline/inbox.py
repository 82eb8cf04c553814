"""The one entrance: what venues say, waiting its turn. Each venue has a queue of its own, emptied in fair shares."""

from collections import deque

import trio

from tocsin.feed.model import Received

MOST_WAITING = 2000  # messages of one venue; beyond that its reader waits, and its socket with it


class Inbox:
    """A `Sink` for the feeds. A venue that floods fills its own queue only, and the others are served in between."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most = most_waiting
        self._queues: dict[str, deque[Received]] = {}
        self._room: dict[str, trio.Event] = {}
        self._arrived = trio.Event()

    async def put(self, received: Received) -> None:
        """No checkpoint where there is room: who reads a socket has one there, and a second is dear at each message."""
        venue = received.venue
        queue = self._queues.get(venue)
        while queue is not None and len(queue) >= self._most:
            await self._room.setdefault(venue, trio.Event()).wait()
            queue = self._queues.get(venue)
        if queue is None:
            queue = self._queues[venue] = deque()
        queue.append(received)
        self._arrived.set()

    def take(self, most: int) -> list[Received]:
        """Up to `most` messages, one of each venue at a time, each venue's in its own order."""
        taken: list[Received] = []
        waiting = [venue for venue, queue in self._queues.items() if queue]
        while waiting and len(taken) < most:
            for venue in waiting[: most - len(taken)]:
                taken.append(self._queues[venue].popleft())
                self._queues[venue] = self._queues.pop(venue)  # who was served stands behind the others
            waiting = [venue for venue in waiting if self._queues[venue]]
        for venue, event in list(self._room.items()):
            if len(self._queues.get(venue, ())) < self._most:
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
