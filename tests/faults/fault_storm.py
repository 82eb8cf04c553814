"""Ten thousand alerts in a minute on one Telegram group: what it is sent, what a person reads, and what others notice of it."""

import re
import statistics
import time
from collections import Counter
from functools import partial

import pytest
import trio

from support.daemon import TELEGRAM_TOKEN, Folder
from support.mission import connected
from support.receivers import TELEGRAM, HttpReceiver, Services, telegram_text
from tocsin.simulator import Exchange, topone

pytestmark = [pytest.mark.real, pytest.mark.timed]
ALERTS, SECONDS = 10_000, 60.0
GROUP = "-100456"
CRITICAL_EVERY = 200  # of the flood
BESIDE_EVERY = 5.0  # seconds
PRICES = {"gone": "0.25", "deep": "0.5", "beside": "2"}
RULES = [
    {"id": "gone", "watch": "order.canceled", "where": "price == 0.25", "notify": "group", "title": "{{ id }}"},
    {"id": "deep", "watch": "order.canceled", "where": "price == 0.5", "notify": "group", "severity": "critical"},
    {"id": "beside", "watch": "order.canceled", "where": "price == 2", "notify": "hook", "severity": "critical"},
]  # fmt: skip
CLI = (("status",), ("deliveries",), ("alerts",))


class Flood:
    """Cancels orders, whose numbers are never used again, and knows when."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._number = 100_000
        self.canceled: dict[str, dict[int, float]] = {rule: {} for rule in PRICES}

    def cancel(self, rule: str) -> None:
        self._number += 1
        text = topone.order(self._number, 3, price=PRICES[rule], amount=str(self._number))
        assert self._exchange.topone.push(text, "sub_orders")
        self.canceled[rule][self._number] = time.time()

    async def pour(self) -> None:
        began = trio.current_time()
        for number in range(ALERTS):
            self.cancel("gone" if number % CRITICAL_EVERY else "deep")
            await trio.sleep_until(began + number * SECONDS / ALERTS)

    async def beside(self, count: int, every: float) -> None:
        for _ in range(count):
            self.cancel("beside")
            await trio.sleep(every)


def latencies(flood: Flood, hook: HttpReceiver, since: float) -> list[float]:
    """Milliseconds from an order's end to the request that tells of it, of those that ended `since` then."""
    arrived = {}
    for request in list(hook.requests):
        for number in re.findall(r"\b1\d{5}\b", request.body.decode()):
            arrived.setdefault(int(number), request.arrived)
    return [(arrived[number] - at) * 1000 for number, at in flood.canceled["beside"].items() if at >= since]


async def fault_ten_thousand_on_a_group(tmp_path, nursery, *, figure):
    exchange = Exchange()
    await nursery.start(exchange.serve)
    flood = Flood(exchange)
    with Services(tmp_path) as services, HttpReceiver() as hook:
        folder = Folder(tmp_path / "tocsin", services.environment)
        folder.write(
            venues={"spot": exchange.topone.settings()},
            channels={
                "group": f"tgram://{folder.secret('telegram', TELEGRAM_TOKEN)}/{GROUP}",
                "hook": hook.channel,
            },
            rules=RULES,
        )
        async with folder.running(secrets=exchange.secrets) as daemon:
            await connected(daemon, "spot")
            await flood.beside(1, 1.0)  # what is loaded late is loaded on its way
            since = time.time()
            await flood.beside(15, 1.0)
            calm = latencies(flood, hook, since)
            before: list[float] = []
            await ask(folder, before)
            since = time.time()
            answers: list[float] = []
            async with trio.open_nursery() as storm:
                storm.start_soon(flood.pour)
                storm.start_soon(flood.beside, round(SECONDS / BESIDE_EVERY), BESIDE_EVERY)
                storm.start_soon(partial(ask, folder, answers))
            alerts = ALERTS + len(flood.canceled["beside"])
            await daemon.until(
                lambda: folder.rows("SELECT count(*) FROM alerts") == [(alerts,)],
                "all is in the books",
                within=300,
            )
            over = "SELECT count(*) FROM deliveries WHERE status = 'sent' AND title LIKE '%storm over%'"
            await daemon.until(lambda: folder.rows(over) == [(1,)], "the storm is over", within=600)
            await daemon.until(lambda: not folder.unsent(), "nothing waits", within=300)
            told = latencies(flood, hook, since)
        requests = [each for each in services.requests if each.host == TELEGRAM]
    most = at_most_twenty_a_minute(requests)
    each_is_in_a_message(folder, flood, requests)
    figure("storm: requests in any minute, most", most, aim=20)
    figure("storm: requests in all", len(requests))
    figure("beside a storm: told later, 95 of 100", quantile(told) - quantile(calm), unit="ms", aim=100)
    figure("beside a storm: told within, median", statistics.median(told), unit="ms")
    figure("a command takes, median of a calm minute", statistics.median(before), unit="s")
    figure(
        "beside a storm: it takes longer, median",
        statistics.median(answers) - statistics.median(before),
        unit="s",
        aim=1,
    )
    figure("… worst", max(answers) - statistics.median(before), unit="s")


async def ask(folder: Folder, answers: list[float]) -> None:
    for command in CLI * 3:
        await trio.sleep(2)
        began = time.monotonic()
        assert (await folder.command(*command)).returncode == 0
        answers.append(time.monotonic() - began)


def quantile(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def at_most_twenty_a_minute(requests) -> int:
    times = [
        request.arrived for request in requests if request.path.endswith(("/sendMessage", "/editMessageText"))
    ]
    most = max(sum(at <= other < at + 60 for other in times) for at in times)
    assert most <= 20
    return most


def each_is_in_a_message(folder: Folder, flood: Flood, requests) -> None:
    """Each alert in a row that says by which message it was told; a person reads the counts, and each that is critical."""
    rows = folder.rows("""
        SELECT a.rule, a.entity, d.digest, d.status, d.reason, coalesce(c.title, d.title), coalesce(c.body, d.body)
        FROM alerts AS a LEFT JOIN deliveries AS d ON d.alert = a.id LEFT JOIN deliveries AS c ON c.id = d.digest
        WHERE a.rule <> 'beside'
    """)
    assert Counter(int(entity) for _, entity, *_ in rows) == Counter(
        [*flood.canceled["gone"], *flood.canceled["deep"]]
    )
    assert {status for _, _, _, status, *_ in rows} == {"sent"}
    sent = [telegram_text(request) for request in requests]
    by_digest: dict[str, Counter[str]] = {}
    for rule, entity, digest, _, _, title, body in rows:
        text = f"{title}\n{body}"
        if digest:
            by_digest.setdefault(digest, Counter())[rule] += 1
            assert sum(title in each for each in sent) == 1, title
        if rule == "deep":
            assert entity in text
    titles = dict(folder.rows("SELECT id, title FROM deliveries WHERE state_told = 'digest'"))
    for digest, counts in by_digest.items():
        if "storm over" not in titles[digest]:
            for rule, count in counts.items():
                assert f"{count} × {rule}" in titles[digest]
