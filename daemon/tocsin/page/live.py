"""What changed, told to whoever looks: versions of topics, and the stream that names those that have a new one.

    GET /live     event: hello, data: Tocsin's version       then     event: alerts, data: 12; event: beat, where nothing was said for 15 s

Versions are found by comparing what is so with what was: no queue grows for a slow reader, and nothing is done while nobody
looks. A reader fetches the fragments of a topic anew; after a reconnect it fetches all.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import trio
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tocsin import __version__
from tocsin.alerts.silences import holds_at
from tocsin.control.snapshot import Snapshot
from tocsin.loop_budget import metered
from tocsin.page.admission import Admission
from tocsin.page.leaving import until_gone

LOOK_EVERY = 0.25  # seconds between two looks of a stream
OLDEST = 2.0  # seconds; however busy alerting is, what is told to have changed is no older
VERSION_EVERY = 0.5  # seconds between two versions of a topic, so that what shows it is made at most so often
# Seconds: so that proxies keep it open, and a page that hears nothing knows that it isn't live.
_BEAT_EVERY = 15.0
_WRITE_WITHIN = 20.0  # seconds; a browser that reads nothing holds nothing
_RETRY = 2000  # milliseconds after which a browser connects anew
MOST_STREAMS, MOST_OF_PERSON, MOST_OF_SESSION = 20, 10, 3


def _changes(*tables: str) -> Callable[[Snapshot], Any]:
    return lambda snapshot: [snapshot.changes.get(table) for table in tables]


def _holding(snapshot: Snapshot) -> list[str]:
    """The silences that hold: one ends by time alone."""
    return [each.id for each in snapshot.silences if holds_at(each, snapshot.measures.now)]


TOPICS: Mapping[str, Callable[[Snapshot], Any]] = {
    "status": lambda snapshot: (
        snapshot.measures.wrong,
        snapshot.measures.attention,
        snapshot.measures.alerts,
        snapshot.away,
        snapshot.outages,
    ),
    "alerts": lambda snapshot: (snapshot.alerts, snapshot.trails),
    "venues": lambda snapshot: (snapshot.measures.venues, snapshot.rates),
    "positions": lambda snapshot: (snapshot.entities.get("position"), snapshot.nearest, snapshot.away),
    "orders": lambda snapshot: (snapshot.entities.get("order"), snapshot.away),
    "accounts": lambda snapshot: (snapshot.entities.get("account"), snapshot.away),
    "rules": lambda snapshot: (snapshot.closest, snapshot.measures.rules, snapshot.alerts),
    "channels": lambda snapshot: (
        snapshot.measures.channels,
        snapshot.outages,
        snapshot.measures.actions,
        snapshot.measures.actions_paused,
    ),
    "history": lambda snapshot: (_changes("alerts", "acked", "acts")(snapshot), snapshot.acknowledged),
    "told": _changes("deliveries"),
    "runs": _changes("runs"),
    "silences": lambda snapshot: (snapshot.changes.get("silences"), _holding(snapshot)),
    "config": lambda snapshot: (snapshot.measures.reloaded_at, snapshot.measures.reload_success),
    "hours": lambda snapshot: snapshot.shut,
}
"""Of each topic what is another thing when it has changed."""


class Versions:
    """`look` gives what is so now; it answers the same thing when asked again at once. `has_time`: whether there is any for a new version."""

    def __init__(self, look: Callable[[], Snapshot], has_time: Callable[[], bool] = lambda: True) -> None:
        self._look, self._has_time = look, has_time
        self._last: Snapshot | None = None
        self._looked_at = float("-inf")
        self._seen: dict[str, Snapshot] = {}
        self._parts: dict[str, Any] = {}
        self._versions: Counter[str] = Counter()
        self._raised: dict[str, float] = {}

    def refresh(self, *, at_once: bool = False) -> Snapshot:
        """What is so now. Unless `at_once`: where there is no time, what was so two seconds before at most; and the versions are of what
        was so less than half a second before that.
        """
        at = trio.current_time()
        if self._last is not None and not at_once and at - self._looked_at < OLDEST and not self._has_time():
            return self._last
        now = self._look()
        self._last, self._looked_at = now, at
        for topic, of in TOPICS.items():
            due = at_once or at - self._raised.get(topic, -VERSION_EVERY) >= VERSION_EVERY
            if due and self._seen.get(topic) is not now:
                self._seen[topic] = now
                if (part := of(now)) != self._parts.get(topic):
                    self._parts[topic], self._raised[topic] = part, at
                    self._versions[topic] += 1
        return now

    def newer(self, seen: Mapping[str, int]) -> dict[str, int]:
        """The topics with another version than that."""
        return {topic: version for topic, version in self._versions.items() if seen.get(topic) != version}


class Live:
    """The stream, as an ASGI application. `whose` gives the person and the session that a request is of; at each look, which is admitted,
    `may` is asked whether they still may see it, and if not the stream ends.
    """

    def __init__(
        self,
        versions: Versions,
        whose: Callable[[Scope], tuple[str, str]],
        may: Callable[[Scope], bool],
        admission: Admission,
    ) -> None:
        self._versions, self._whose, self._may, self._admission = versions, whose, may, admission
        self._open: Counter[tuple[str, str]] = Counter()  # by person and session

    def _is_full(self, person: str, session: str) -> bool:
        of_person = sum(count for (name, _), count in self._open.items() if name == person)
        return (
            self._open.total() >= MOST_STREAMS
            or of_person >= MOST_OF_PERSON
            or self._open[person, session] >= MOST_OF_SESSION
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        whose = self._whose(scope)
        if self._is_full(*whose):
            headers = {"Cache-Control": "no-store", "Retry-After": "15"}
            await PlainTextResponse("too many look at once\n", 503, headers)(scope, receive, send)
            return
        self._open[whose] += 1
        try:
            async with trio.open_nursery() as nursery:

                async def leave() -> None:
                    await until_gone(receive)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(leave)
                with trio.CancelScope() as slow:
                    await metered(self._tell(scope, send, slow), self._admission.budget)
                nursery.cancel_scope.cancel()
        finally:
            self._open[whose] -= 1
            self._open += Counter()  # without those that are 0

    async def _tell(self, scope: Scope, send: Send, slow: trio.CancelScope) -> None:
        """Until they may no longer see it."""
        _, session = self._whose(scope)

        async def say(message: dict[str, Any]) -> None:
            slow.deadline = trio.current_time() + _WRITE_WITHIN
            await send(message)
            slow.deadline = float("inf")

        async def write(text: str) -> None:
            await say({"type": "http.response.body", "body": text.encode(), "more_body": True})

        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await say({"type": "http.response.start", "status": 200, "headers": headers})
        self._versions.refresh()
        seen = self._versions.newer({})
        await write(f"retry: {_RETRY}\nevent: hello\ndata: {__version__}\n\n")
        spoke = trio.current_time()
        while True:
            await trio.sleep(LOOK_EVERY)
            await self._admission.admit(session)
            if not self._may(scope):
                await say({"type": "http.response.body", "body": b""})
                return
            self._versions.refresh()
            if new := self._versions.newer(seen):
                seen |= new
                await write("".join(f"event: {topic}\ndata: {version}\n\n" for topic, version in new.items()))
                spoke = trio.current_time()
            elif trio.current_time() - spoke >= _BEAT_EVERY:  # as an event: browsers tell pages of no comment
                await write("event: beat\ndata:\n\n")
                spoke = trio.current_time()
