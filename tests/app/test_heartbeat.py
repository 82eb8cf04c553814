"""A dead man's switch hears while all is well, and within two intervals of what isn't well it hears no more."""

import dataclasses
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import yaml
from msgspec.structs import replace

from support.daemon_parts import Lines
from support.measured import measured, watched
from support.outboxes import TrioClock
from support.receivers import HttpReceiver, Reply
from tocsin.alerts.wording import time_text
from tocsin.app import heartbeat, progress_probe
from tocsin.app.heartbeat import HeartbeatTask, Judge
from tocsin.config.settings import Heartbeat
from tocsin.http import HttpFailed
from tocsin.pipeline import Pipeline
from tocsin.pipeline.acts import By
from tocsin.secrets import Masker, Secret
from tocsin.simulator import Exchange
from tocsin.store.database import Database
from tocsin.store.errors import StoreUnavailable
from tocsin.venues.base import HttpRequest, HttpResponse

URL = "https://hc.example.org/0b4ea7d2-secret"
EVERY = 60.0


class Daemon:
    """What the judge looks at; all is well."""

    def __init__(self) -> None:
        self.wrong: tuple[str, ...] = ()
        self.status = "connected"
        self.unheard_count = 0
        self.database_answers: Any = True

    def measures(self):
        found = measured(wrong=self.wrong)
        return replace(found, venues=tuple(replace(each, status=self.status) for each in found.venues))

    def unheard(self, before, channels) -> int:
        assert channels == ["channel0"]
        assert before == TrioClock().now().wall - timedelta(minutes=5)
        if self.database_answers is not True:
            raise StoreUnavailable("the disk doesn't answer")
        return self.unheard_count


class World:
    def __init__(self, *answers: Any, url: str = URL, **settings: Any) -> None:
        self.daemon, self.log, self.counted = Daemon(), Lines(), Counter[str]()
        self.requests: list[tuple[float, HttpRequest]] = []
        self.told: list[tuple[float, str]] = []
        self.answers = list(answers)
        self.begun, self.began = trio.current_time(), TrioClock().now().wall
        masker = Masker()
        masker.add(url)
        judge = Judge(self.daemon.measures, self.daemon, TrioClock(), trio.CapacityLimiter(1))
        self.task = HeartbeatTask(
            Heartbeat(url=Secret(url), **settings), judge=judge, request=self.request, tell=self.tell,
            counted=self.counted, masker=masker, clock=TrioClock(), log=self.log,
        )  # fmt: skip

    async def request(self, request: HttpRequest, within: float) -> HttpResponse:
        self.requests.append((round(trio.current_time() - self.begun), request))
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "hang":
            await trio.sleep(within)
            raise HttpFailed(request, f"no answer within {within:g} s")
        await trio.lowlevel.checkpoint()
        return HttpResponse(status=answer, headers={}, body=b"")

    async def tell(self, event: str, reason: str, subject: str) -> None:
        assert (event, subject) == ("daemon.degraded", "heartbeat")
        self.told.append((round(trio.current_time() - self.begun), reason))

    async def run(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.task.run()


@pytest.fixture(autouse=True)
def inline(monkeypatch):
    """The database is asked here and now: in a thread the clock would jump."""

    async def run_sync(call, *, abandon_on_cancel, limiter):
        return call()

    monkeypatch.setattr(heartbeat.trio, "to_thread", SimpleNamespace(run_sync=run_sync))


async def test_it_beats_at_once_and_then_in_its_time(autojump_clock):
    world = World()
    await world.run(3 * EVERY + 1)
    assert [(at, each.method, each.url) for at, each in world.requests] == [
        (0, "GET", URL), (60, "GET", URL), (120, "GET", URL), (180, "GET", URL),
    ]  # fmt: skip
    assert world.counted == {"sent": 4}
    assert world.task.attention == world.told == []


NOT_WELL = {
    "main loop hung, disk refusing": ({"wrong": ("no progress for 21 s",)}, "no progress for 21 s"),
    "required venue away": ({"status": "disconnected"}, "venue venue0 is disconnected"),
    "required venue silent": ({"status": "silent"}, "venue venue0 is silent"),
    "every channel of a critical alert refusing": (
        {"unheard_count": 2},
        "2 critical messages reached nobody for 5m",
    ),
    "every channel of one refusing": ({"unheard_count": 1}, "1 critical message reached nobody for 5m"),
    "two reasons": (
        {"wrong": ("no progress for 21 s",), "status": "silent"},
        "no progress for 21 s; venue venue0 is silent",
    ),
    "the database can't be asked": (
        {"database_answers": False},
        "nobody can say whether critical messages arrive: the disk doesn't answer",
    ),
}


@pytest.mark.parametrize(("broken", "reason"), NOT_WELL.values(), ids=NOT_WELL)
async def test_it_stays_away_while_all_is_not_well_and_comes_back(autojump_clock, broken, reason):
    world = World(require=("venue0",))
    await world.run(EVERY + 1)
    well = {name: getattr(world.daemon, name) for name in broken}
    heard = len(world.requests)
    world.daemon.__dict__.update(broken)
    since = TrioClock().now().wall
    await world.run(5 * EVERY)
    assert len(world.requests) == heard
    assert world.counted["withheld"] == 5
    assert world.log.lines == ["error: heartbeats are withheld"], "once"
    assert world.task.attention == [
        f"heartbeat to hc.example.org is withheld, since {time_text(since)}: {reason}"
    ]
    world.daemon.__dict__.update(well)
    await world.run(1)
    assert len(world.requests) == heard + 1
    assert world.log.lines == ["error: heartbeats are withheld", "info: heartbeats again"]
    assert world.task.attention == []


async def test_a_required_venue_that_is_none_is_not_well(autojump_clock):
    world = World(require=("gone",))
    await world.run(1)
    assert world.task.attention[0].endswith(": venue gone is not configured")


async def test_a_venue_that_connects_at_the_start_is_waited_for(autojump_clock):
    """Else each restart would ring."""
    world = World(require=("venue0",), on_failure="fail")
    world.daemon.status = "connecting"

    async def connect():
        await trio.sleep(6.8)  # between two looks
        world.daemon.status = "connected"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connect)
        await world.run(30)
    assert [(at, each.method) for at, each in world.requests] == [(7, "GET")]
    away = World(require=("venue0",), on_failure="fail")
    away.daemon.status = "connecting"
    await away.run(EVERY + 1)
    assert [(at, each.method) for at, each in away.requests] == [(60, "POST")]


@pytest.mark.parametrize("status", ["disconnected", "connecting"])
async def test_a_venue_that_is_not_required_is_nobody_s_business(autojump_clock, status):
    world = World()
    world.daemon.status = status
    await world.run(1)
    assert world.counted == {"sent": 1}


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (URL, f"{URL}/fail"),
        ("https://hc.example.org/beat/?key=a/b", "https://hc.example.org/beat/fail?key=a/b"),
        ("https://hc.example.org", "https://hc.example.org/fail"),
    ],
)
async def test_the_reasons_are_sent_where_that_is_wanted(autojump_clock, url, asked):
    world = World(on_failure="fail", url=url, require=("venue0",))
    world.daemon.wrong, world.daemon.status = ("no progress for 21 s",), "silent"
    await world.run(1)
    ((_, request),) = world.requests
    assert (request.method, request.url) == ("POST", asked)
    assert request.content == b"no progress for 21 s; venue venue0 is silent"
    assert request.headers == {"content-type": "text/plain; charset=utf-8"}
    assert world.counted == {"withheld": 1}


@pytest.mark.parametrize(
    ("answers", "outcome", "times"),
    [
        ((500, 299), "sent", [0, 1]),
        ((302, 302, 302), "failed", [0, 1, 2]),
        (("hang", "hang", "hang"), "failed", [0, 11, 22]),
        (("hang", 200), "sent", [0, 11]),
    ],
)
async def test_it_is_tried_twice_more_within_the_interval(autojump_clock, answers, outcome, times):
    world = World(*answers)
    await world.run(EVERY - 1)
    assert [at for at, _ in world.requests] == times
    assert world.counted == {outcome: 1}


async def test_all_tries_end_within_the_shortest_interval(autojump_clock):
    world = World(*["hang"] * 30, every="10s")
    await world.run(25)
    assert world.counted == {"failed": 2}
    assert [at for at, _ in world.requests][:4] == [0, 3, 7, 10]


async def test_that_it_isnt_taken_is_told_once_an_hour(autojump_clock):
    world = World(*[500] * 10000)
    await world.run(2.5 * 3600)
    assert [at for at, _ in world.told] == [2, 3602, 7202]
    again = World(*[500] * 3)
    await again.run(2.5)
    assert len(again.task.attention) == 1
    await again.run(1)
    assert again.task.attention == []
    assert set(world.log.lines) == {"warning: a heartbeat isn't taken"}
    assert {reason for _, reason in world.told} == {
        "heartbeat to hc.example.org isn't taken: it answered 500"
    }
    assert "secret" not in str(world.told) + str(world.log.fields)
    since = world.began + timedelta(seconds=2)
    assert world.task.attention == [
        f"heartbeat to hc.example.org fails, since {time_text(since)}: it answered 500"
    ]


@pytest.mark.real
async def test_it_goes_by_the_environments_proxy(monkeypatch):
    with HttpReceiver() as proxy, trio.fail_after(20):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        answer = await heartbeat.over_http()(HttpRequest(method="GET", url="http://hc.example.org/x"), 10.0)
    assert (answer.status, len(proxy.requests)) == (200, 1)


# ------------------------------------------------------------------------------------------------------ the real daemon

CONFIG = """
state_dir: state
venues: {{fx: {{type: yourfintech, url: "ws://127.0.0.1:9/", secret_key: none-at-all}}}}
channels: {{phone: "json://127.0.0.1:9/"}}
rules: [{{id: loud, watch: daemon.reloaded, severity: critical}}]
heartbeat: {{url: "http://127.0.0.1:{port}/beat", {more}}}
"""


@pytest.fixture
async def exchange(nursery):
    made = Exchange()
    await nursery.start(made.serve)
    return made


class Ills:
    """What befalls the daemon while `ill`: its main loop, or its disk."""

    def __init__(self, monkeypatch) -> None:
        self.ill = False
        self._monkeypatch = monkeypatch

    def none(self) -> None:
        """All that is ill is outside."""

    def loop_hangs(self) -> None:
        self._before(Pipeline, "_wait", self._hang)

    def disk_refuses(self) -> None:
        self._before(Database, "commit", self._refuse)

    def disk_hangs(self) -> None:
        self._before(Database, "commit", self._hang)

    def _before(self, of: type, name: str, ail: Callable[[], Awaitable[None]]) -> None:
        healthy = getattr(of, name)

        async def ailing(this, *given):
            await ail()
            return await healthy(this, *given)

        self._monkeypatch.setattr(of, name, ailing)

    async def _hang(self) -> None:
        while self.ill:  # noqa: ASYNC110 - as a disk does
            await trio.sleep(0.01)

    async def _refuse(self) -> None:
        if self.ill:
            raise StoreUnavailable("the disk is full")


@pytest.mark.real
@pytest.mark.parametrize(
    "case",
    {
        "main loop": (Ills.loop_hangs, "", "no progress for "),
        "disk refuses": (Ills.disk_refuses, "", "nothing could be committed for "),
        "disk hangs": (Ills.disk_hangs, "", "no progress for "),
        "required venue": (Ills.none, "venue", "venue fx is "),
        "every channel of a critical alert": (
            Ills.none,
            "people",
            "1 critical message reached nobody for 500ms",
        ),
    }.items(),
    ids=itemgetter(0),
)
async def test_a_dead_man_s_switch_hears_no_more_within_two_intervals(tmp_path, monkeypatch, exchange, case):
    """And again when it is well. An interval is a second; what is too long for the daemon is half of one."""
    befalls, required, reason = case[1]
    monkeypatch.undo()
    monkeypatch.setattr(heartbeat, "UNHEARD_AFTER", timedelta(seconds=0.5))
    monkeypatch.setattr(progress_probe, "OVERDUE_AFTER", 0.5)
    monkeypatch.setattr(progress_probe, "_TOO_LONG", 0.5)
    monkeypatch.setattr(progress_probe, "_EVERY", 0.1)
    ills = Ills(monkeypatch)
    befalls(ills)
    with HttpReceiver() as watch, HttpReceiver() as phone:
        config = yaml.safe_dump({
            "state_dir": "state",
            "venues": {"fx": dict(exchange.yourfintech.settings())},
            "channels": {"phone": phone.url, "desk": {"urls": [phone.url], "fallback": "phone"}},
            "rules": [{"id": "loud", "watch": "daemon.reloaded", "severity": "critical"}],
            "heartbeat": {
                "url": f"http://127.0.0.1:{watch.port}/beat", "every": "10s", "require": ["fx"] if required == "venue" else [],
            },
        })  # fmt: skip
        async with watched(tmp_path, config, change=faster) as seen:
            await seen.until(lambda: len(watch.requests) >= 2)
            since, ills.ill = time.time(), True
            if required == "venue":
                exchange.yourfintech.refuse_with = 503
                exchange.yourfintech.hang_up()
            elif required == "people":
                phone.always("localhost", Reply(503, "not now"))
                await seen.daemon.reload()
                since = time.time() + 0.5  # when it has waited for too long
            withheld = seen.daemon.measures().counted.heartbeats["withheld"]
            await seen.until(lambda: seen.daemon.measures().counted.heartbeats["withheld"] >= withheld + 2)
            assert all(each.arrived - since <= 2.0 for each in watch.requests)
            assert reason in "\n".join(seen.daemon.measures().attention)
            ills.ill, heard = False, len(watch.requests)
            exchange.yourfintech.refuse_with = None
            phone.always("localhost", Reply(200, "ok"))
            seen.daemon.retry("fx", By("anna", "cli"))
            await seen.until(lambda: len(watch.requests) > heard)


@pytest.mark.real
async def test_the_reason_of_a_real_daemon_is_sent_and_it_is_healthy_all_the_same(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(heartbeat, "UNHEARD_AFTER", timedelta(seconds=0.5))
    with HttpReceiver() as watch:
        config = CONFIG.format(port=watch.port, more="every: 10s, on_failure: fail")
        async with watched(tmp_path, config, change=faster) as seen:
            await seen.until(lambda: len(watch.requests) >= 3)
            assert {(each.method, each.path) for each in watch.requests} == {("GET", "/beat")}
            await seen.daemon.reload()
            await seen.until(lambda: watch.requests[-1].path == "/beat/fail")
            assert watch.requests[-1].body == b"1 critical message reached nobody for 500ms"
            found = await seen.series()
            assert found['tocsin_heartbeats_total{outcome="sent"}'] >= 3
            status = (await seen.get("/api/status")).json()
            assert any("is withheld" in line for line in status["attention"])
            assert status["healthy"] is True


@pytest.mark.real
async def test_a_required_venue_that_is_away_keeps_it_away_from_the_start(tmp_path, monkeypatch):
    monkeypatch.undo()
    with HttpReceiver() as watch:
        config = CONFIG.format(port=watch.port, more="every: 10s, require: [fx]")
        async with watched(tmp_path, config, change=faster) as seen:
            await seen.until(lambda: seen.daemon.measures().counted.heartbeats["withheld"] >= 2)
            assert watch.requests == []


@pytest.mark.real
async def test_it_is_sent_by_the_loop_that_it_tells_of(tmp_path, monkeypatch):
    monkeypatch.undo()
    with HttpReceiver() as watch:
        config = CONFIG.format(port=watch.port, more="every: 10s")
        async with watched(tmp_path, config, change=faster) as seen:
            await seen.until(lambda: len(watch.requests) >= 2)
            hung_at = time.time()
            time.sleep(2.5)  # noqa: ASYNC251 - this is what hangs
            on_again = time.time()
            assert [each for each in watch.requests if hung_at + 0.5 < each.arrived < on_again] == []
            heard = len(watch.requests)
            await seen.until(lambda: len(watch.requests) > heard)


def faster(settings):
    """Heartbeats each second."""
    beats = tuple(each.model_copy(update={"every": timedelta(seconds=1)}) for each in settings.heartbeat)
    return dataclasses.replace(settings, heartbeat=beats)
