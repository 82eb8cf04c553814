"""What people do to alerts and silences, asked for as the commands ask: which ID is meant, what is refused, what is done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
import trio
from starlette.applications import Starlette

from support.outboxes import context
from support.stored import T0, alert, opened
from tocsin.alerts.silences import Silences, end_of
from tocsin.control.acts import ActsApi, with_silences
from tocsin.control.people import Nameless
from tocsin.control.server import nameless, unavailable
from tocsin.events import iso
from tocsin.pipeline.acts import Became, By, Target
from tocsin.store.errors import StoreError
from tocsin.store.model import Acked, Batch, Silence
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE

UNSAID = "`for` and `until` say a duration and a time: leave away what isn't meant"
NOW = T0 + timedelta(minutes=10)
ALERTS = [
    # id, rule, state, entity
    ("aaaa1111", "red", "firing", "p1"),
    ("aaaa2222", "red", "resolved", "p1"),
    ("bbbb1111", "red", "firing", "p2"),
    ("bbbb2222", "deep", "firing", "p2"),
    ("cccc1111", "canceled", "event", "o1"),
    ("cccc2222", "canceled", "event", "o2"),
    ("dddd1111", "canceled", "event", "o3"),
]
SILENCES = ["eeee1111", "eeee2222", "ffff1111"]


def silence(id_: str) -> Silence:
    ends = NOW + timedelta(hours=1)
    return Silence(id=id_, matchers=f"id={id_}", reason="", created_at=T0, starts_at=T0, ends_at=ends)


class Daemon:
    """Does what is asked, and keeps it; `bbbb1111` has ended a moment ago, and so has the silence `ffff1111`."""

    def __init__(self, keeps: bool = True) -> None:
        self.done: list[tuple[str, str, By]] = []
        self._keeps, self._acked = keeps, dict[str, Acked]()

    def kept(self) -> bool:
        return self._keeps

    def acknowledged(self) -> dict[str, Acked]:
        return self._acked

    def now(self) -> datetime:
        return NOW

    def silences(self) -> Silences:
        return Silences(map(silence, SILENCES))

    async def acknowledge(
        self, alert: Target, by: By, lasts: str | None = None, until: str | None = None
    ) -> Became:
        if lasts or until:
            end_of(lasts, until, NOW, UTC)
        await trio.lowlevel.checkpoint()
        self.done.append(("ack", alert.id, by))
        if alert.id == "bbbb1111":
            return "over"
        if alert.acked and alert.acked_until is None:
            return "already"
        self._acked[alert.id] = Acked(alert=alert.id, at=NOW, by=by.name)
        return "done"

    async def unacknowledge(self, alert: Target, by: By) -> bool:
        await trio.lowlevel.checkpoint()
        self.done.append(("unack", alert.id, by))
        return alert.acked

    def foreseen(self, matchers: str, lasts: str | None, until: str | None) -> Silences:
        would = Silences()
        would.begin("", matchers, end_of(lasts, until, NOW, UTC), NOW)
        return would

    async def silence(self, matchers: str, lasts: str | None, until: str | None, by: By) -> Silence:
        await trio.lowlevel.checkpoint()
        self.done.append(("silence", matchers, by))
        return Silences().begin("new", matchers, end_of(lasts, until, NOW, UTC), NOW, by=by.name)

    async def unsilence(self, id_: str, by: By) -> bool:
        await trio.lowlevel.checkpoint()
        self.done.append(("unsilence", id_, by))
        return id_ != "ffff1111"


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    store = opened(tmp_path_factory.mktemp("state"))
    store.commit(
        Batch(
            at=T0,
            alerts=[
                alert(
                    id_,
                    rule=rule,
                    state=state,
                    entity=entity,
                    resolved_at=NOW if state == "resolved" else None,
                    data=msgspec.to_builtins(context(rule=rule, entity=entity)),
                )
                for id_, rule, state, entity in ALERTS
            ],
            acked=[Acked(alert="bbbb2222", at=NOW, by="ben", until=NOW + timedelta(hours=1))],
            silences=[*map(silence, ("eeee1111", "eeee2222"))],  # of the third it knows nothing yet
        )
    )  # fmt: skip
    path = store.path
    store.close()
    return path


async def ask(
    database, method: str, path: str, body: Any = None, daemon: Daemon | None = None
) -> tuple[int, Any, list[Any]]:
    daemon = daemon or Daemon()

    async def inline(query: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return query()

    routes = ActsApi(daemon, Reader(database), inline).routes
    app = Starlette(routes=routes, exception_handlers={StoreError: unavailable, Nameless: nameless})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tocsin") as client:
        with trio.fail_after(10):
            sent = {"content": body} if isinstance(body, bytes) or body is None else {"json": body}
            answer = await client.request(method, path, **sent)
    return answer.status_code, answer.json(), daemon.done


@pytest.mark.parametrize(
    ("called", "status", "meant", "listed"),
    [
        ("aaaa1111", 200, "aaaa1111", []),
        ("aaaa", 200, "aaaa1111", []),  # the one that fires goes before the one that is over
        ("aaaa…", 200, "aaaa1111", []),
        ("aaa", 404, None, ["aaaa1111"]),  # too short to be meant for sure
        ("bbbb", 409, None, ["bbbb1111", "bbbb2222"]),
        ("bbbb1111", 409, "bbbb1111", None),  # it ended while it was asked
        ("aaaa2222", 409, None, None),  # it is over
        ("dddd", 200, "dddd1111", []),  # an event's alert has no end
        ("cccc", 409, None, ["cccc1111", "cccc2222"]),
        ("red", 404, None, ["aaaa1111", "bbbb1111"]),  # a rule's
        ("p2", 404, None, ["bbbb1111", "bbbb2222"]),
        ("aaab1111", 404, None, ["aaaa1111", "bbbb1111"]),
        ("nothing-like", 404, None, []),
        ("%25", 404, None, []),
    ],
)
async def test_which_alert_is_acknowledged(database, called, status, meant, listed):
    found, answer, done = await ask(
        database, "POST", f"/api/alerts/{called}/ack", {"by": "anna", "why": "on it"}
    )
    assert found == status, answer
    assert [(does, target) for does, target, _ in done] == ([("ack", meant)] if meant else [])
    assert all(by == By("anna", "cli", "on it") for _, _, by in done)
    if listed is not None:
        assert sorted(row["id"] for row in [*answer.get("several", []), *answer.get("near", [])]) == listed
    else:
        assert answer["over"] is True


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("aaaa1111/ack", {"for": "4h"}, 200, {"acknowledged": True, "already": False}),
        ("bbbb2222/ack", {}, 200, {"acknowledged": True, "already": False}),  # up to now it was for a time
        ("aaaa1111/ack", {"for": "31d"}, 400, {"error": "at most 30 days; for longer, switch the rule off in the config"}),
        ("aaaa1111/ack", {"for": ""}, 400, {"error": UNSAID}),
        ("aaaa1111/ack", {"until": ""}, 400, {"error": UNSAID}),
        ("aaaa1111/ack", {"for": "4h", "until": ""}, 400, {"error": UNSAID}),
        ("aaaa1111/ack", {"for": None, "until": None}, 200, {"acknowledged": True}),
        ("bbbb2222/unack", {}, 200, {"unacknowledged": True}),
        ("aaaa1111/unack", {}, 409, {"unacknowledged": False}),
        ("zzzz1111/unack", {}, 404, {"several": [], "near": []}),
    ],
)  # fmt: skip
async def test_for_a_time_and_taken_back(database, path, body, status, says):
    found, answer, _ = await ask(database, "POST", f"/api/alerts/{path}", {"by": "anna", **body})
    assert (found, {key: answer.get(key) for key in says}) == (status, says)


@pytest.mark.parametrize(
    ("called", "status", "meant", "listed"),
    [
        ("eeee1111", 200, "eeee1111", []),
        ("eeee1", 200, "eeee1111", []),
        ("eeee", 409, None, ["eeee1111", "eeee2222"]),
        ("ffff", 409, "ffff1111", []),  # it ended while it was asked
        ("zzzz", 404, None, SILENCES),
    ],
)
async def test_which_silence_is_taken_back(database, called, status, meant, listed):
    found, answer, done = await ask(database, "POST", f"/api/silences/{called}/end", {"by": "anna"})
    assert found == status
    assert [(does, target) for does, target, _ in done] == ([("unsilence", meant)] if meant else [])
    assert sorted(row["id"] for row in answer.get("several") or answer.get("near") or []) == listed


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize(
    ("matchers", "holds"),
    [("rule=red", ["aaaa1111", "bbbb1111"]), ("id=p2", ["bbbb1111", "bbbb2222"]), ("venue=px", [])],
)
async def test_a_silence_says_what_it_holds_of_what_fires(database, matchers, holds, dry):
    asked = {"by": "anna", "matchers": matchers, "for": "2h", "dry_run": dry}
    status, answer, done = await ask(database, "POST", "/api/silences", asked)
    assert (status, answer["silenced"]) == (200, not dry)
    assert sorted(row["id"] for row in answer["holds"]) == holds
    assert answer["silence"]["ends_at"] == msgspec.to_builtins(NOW + timedelta(hours=2))
    assert [does for does, _, _ in done] == ([] if dry else ["silence"])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"by": "a", "matchers": "venue=fx"}, "it needs an end"),
        ({"by": "a", "matchers": "venue=fx", "for": "1h", "until": "08:00"}, "it needs an end, one"),
        ({"by": "a", "matchers": "venue=fx", "for": "31d"}, "at most 30 days"),
        ({"by": "a", "matchers": "venue=fx", "for": ""}, UNSAID),
        ({"by": "a", "matchers": "venue=fx", "for": "0s"}, "must lie ahead"),
        ({"by": "a", "matchers": "venue=fx", "for": "1"}, "a duration needs a unit"),
        ({"by": "a", "matchers": "venue=fx", "until": "soon"}, "not a time: soon"),
        ({"by": "a", "matchers": "venu=fx", "for": "1h"}, "there is no venu to match"),
        ({"by": "a", "matchers": "", "for": "1h"}, "needs a matcher"),
        ({"matchers": "venue=fx", "for": "1h"}, "asked without `by`"),
        ({"by": "a", "matches": "venue=fx", "for": "1h"}, "unknown field `matches`"),
        ({"by": "a", "matchers": "venue=" + "x" * 20_000, "for": "1h"}, "at most 16 KiB"),
        ("venue=fx", "Expected `object`"),
        (None, "truncated"),
    ],
)
async def test_what_is_no_silence_is_refused(database, body, error):
    status, answer, done = await ask(database, "POST", "/api/silences", body)
    assert (status, done) == (400, [])
    assert error in answer["error"]


async def test_a_key_that_is_given_twice_is_refused(database):
    twice = b'{"by": "anna", "for": "1h", "for": "2h"}'
    status, answer, done = await ask(database, "POST", "/api/alerts/aaaa1111/ack", twice)
    assert (status, answer, done) == (400, {"error": "`for` is given twice"}, [])


@pytest.mark.parametrize("which", ["", "?all=1"])
async def test_the_silences_are_told_as_they_hold_whatever_the_database_knows(database, which):
    status, answer, _ = await ask(database, "GET", f"/api/silences{which}")
    assert (status, [row["id"] for row in answer]) == (200, SILENCES)
    kept = {row["id"]: row for row in Reader(database).silence_rows("", everything=True)}
    assert [row for row in answer if row["id"] in kept] == [kept["eeee1111"], kept["eeee2222"]]


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("alerts/aaaa1111/ack", {}, {"acknowledged": True}),
        ("alerts/bbbb2222/unack", {}, {"unacknowledged": True}),
        ("silences", {"matchers": "rule=red", "for": "1h"}, {"silenced": True}),
        ("silences/eeee1111/end", {}, {"ended": True}),
    ],
)
async def test_what_is_done_says_whether_it_is_kept(database, path, body, says, keeps):
    status, answer, _ = await ask(database, "POST", f"/api/{path}", {"by": "anna", **body}, Daemon(keeps))
    assert (status, {key: answer.get(key) for key in (*says, "kept")}) == (200, {**says, "kept": keeps})


async def test_an_alert_is_told_as_acknowledged_before_the_database_knows(database):
    daemon = Daemon(keeps=False)
    for by, already in (("anna", False), ("ben", True)):
        _, answer, _ = await ask(database, "POST", "/api/alerts/aaaa1111/ack", {"by": by}, daemon)
        alert = answer["alert"]
        assert (answer["already"], alert["acked_by"], alert["acked_at"]) == (already, "anna", iso(NOW))
    assert (
        with_silences(Reader(database).alerts(), Silences(), NOW, daemon.acknowledged())[0]["acked_by"]
        is not None
    )


async def test_without_a_database_it_says_so(tmp_path):
    status, answer, done = await ask(tmp_path / DATABASE, "POST", "/api/alerts/aaaa1111/ack", {"by": "a"})
    assert (status, done) == (503, [])
    assert "there is no" in answer["error"]


def test_alerts_say_until_when_they_are_silent(database):
    silences = Silences()
    silences.begin("s", "id=p2", NOW + timedelta(hours=1), NOW)
    rows = with_silences(Reader(database).alerts(), silences, NOW)
    silent = {row["id"] for row in rows if row["silenced_until"] == "2026-03-01T11:10:00.000000Z"}
    assert silent == {"bbbb1111", "bbbb2222"}
    assert {row["silenced_until"] for row in rows if row["id"] not in silent} == {None}
