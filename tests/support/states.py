"""What a page may have to show: nothing, an ordinary evening, a thousand of everything, and texts that want to be more than texts.

STATES["hostile"](site)     # the daemon runs, and all of it is there
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from support.daemon import Folder
from support.receivers import Reply
from support.site import Site
from support.stored import alert, attempt, delivery
from tocsin.simulator import Exchange, topone, yourfintech
from tocsin.store.model import Batch
from tocsin.store.store import Store

HOSTILE = "</script><img src=x onerror=alert(1)>"
"""Stands in what the hostile venue says wherever a venue can say something, and as such is to be read on the page."""
OURS_ALONE = ("/help", "/help/{topic}", "/login", "/health")
"""Screens on which neither venues nor services have a say."""
TURNED = "\u202e\u202d\u2066\u2067\u200f"
"""What turns letters round where a browser gets it; stands in the same texts, and nowhere on the page."""
_TURNED = f"{TURNED}EVIL"
_CONTROLS = "\x00\x07\x1b[31m\r\n\u2028"
LONG = "W" * 10_000
MANY, FIRING, RULES, ACCOUNTS = 1000, 200, 100, 40
_AT_ONCE = 250

_LISTED = {
    "id": "deep-red",
    "watch": "position",
    "when": "profit < -50",
    "until": "profit > -45",
    "severity": "critical",
}
_RULES: list[Any] = [
    _LISTED | {"run": ["note"], "repeat": "1h", "escalate": [{"after": "5m", "notify": ["boss"]}]},
    {"id": "slow-red", "watch": "position", "when": "profit < -20", "for": "1h"},
    {"id": "canceled", "watch": "order.canceled"},
    {"id": "low-balance", "watch": "account", "when": "balance < 5000", "severity": "info"},
]  # fmt: skip


def empty(site: Site) -> None:
    """No venue, and nothing that could fire."""
    site.start(
        venues={}, channels={"desk": site.desk.channel}, rules=[_LISTED], defaults={"notify": ["desk"]}
    )


def ordinary(site: Site) -> None:
    """Three venues and one that is away; four alerts, one of them acknowledged and one silenced; a channel that refuses."""
    exchange = site.exchange
    exchange.piexgo.refuse_with = 503
    site.start(**_sections(site, names={"accounts": {yourfintech.ACCOUNT: "Main"}}, rules=[*_RULES]))
    _connected(site, "fx", "spot", "bybit")
    site.at_the_venues(_ordinary, exchange)
    _fired(site, "deep-red", 3)
    _fired(site, "canceled", 1)
    ((second,),) = site.folder.rows("SELECT id FROM alerts WHERE rule = 'deep-red' AND entity = 'p-2'")
    site.post(f"/api/alerts/{second}/ack", **{"for": "4h"}, why="hedged at the desk")
    site.post("/api/silences", matchers="rule=deep-red symbol=EURUSD", **{"for": "2h"}, why="maintenance")
    _settled(site)


def _ordinary(exchange: Exchange) -> None:
    fx, spot = exchange.yourfintech, exchange.topone
    fx.push(yourfintech.account(6401.13))
    for number, (symbol, profit, entry) in enumerate(
        [("BTCUSD", -62.5, 89788.01), ("XAUUSD", -71.8, 2410.5), ("EURUSD", -55.25, 1.08412), ("GBPUSD", -22.1, 1.29),
         ("USDJPY", 104.004, 151.2), ("US500", -0.39, 5123.75)]
    ):  # fmt: skip
        fx.push(
            yourfintech.position(
                "created", f"p-{number + 1}", profit=profit, entry=entry, lots=0.05, asset_pair=symbol
            )
        )
    fx.push(yourfintech.pending("created", "o-1", price=88000.5))
    fx.push(yourfintech.pending("created", "o-2", price=2390.0, asset_pair="XAUUSD", side="Buy"))
    for number, status, filled in ((132991, 1, "0"), (132992, 1, "0.5"), (132993, 1, "0"), (132993, 3, "0")):
        spot.push(topone.order(number, status, price="0.08132", amount="1.389", filled=filled), "sub_orders")
    spot.push(topone.balance("ETH", "1.389", "0.5"), "sub_balance")
    exchange.bybit.set_position("0.50", "-3.11")
    exchange.bybit.place("b-1")


def many(site: Site) -> None:
    """A thousand positions and orders at many accounts, 200 that fire, 100 rules, a thousand alerts and messages of the last month."""
    exchange = site.exchange
    rules = [
        _LISTED,
        *(
            {"id": f"rule-{n:03}", "watch": "position", "when": f"profit < -{n + 1}00"}
            for n in range(1, RULES)
        ),
    ]
    names = {f"account-{n:02}": f"Account number {n}" for n in range(ACCOUNTS)}
    sections = _sections(site, names={"accounts": names}, rules=rules)
    _remember(site.folder, sections)
    site.start(**sections)
    _connected(site, "fx")
    counted = "SELECT count(*) FROM entities WHERE kind = 'order'"
    for number, messages in enumerate(_many(), 1):
        site.at_the_venues(_say, exchange, messages)
        orders = min(number * _AT_ONCE, MANY)
        site.until(
            lambda orders=orders: site.folder.rows(counted) == [(orders,)], f"{orders} orders are known"
        )
    _fired(site, "deep-red", FIRING)


def _say(exchange: Exchange, messages: list[Mapping[str, Any]]) -> None:
    for each in messages:
        exchange.yourfintech.push(each)


def _many() -> Iterator[list[Mapping[str, Any]]]:
    """As many at a time as may wait at the simulated venue."""
    for first in range(0, MANY, _AT_ONCE):
        made = []
        for number in range(first, first + _AT_ONCE):
            at = {"account_id": f"account-{number % ACCOUNTS:02}", "asset_pair": f"SYM{number:04}"}
            profit = -60.0 - number if number < FIRING else number / 10
            made += [
                yourfintech.position("created", f"p-{number}", profit=profit, entry=89788.01, **at),
                yourfintech.pending("created", f"o-{number}", price=100.5 + number, **at),
            ]
        yield made
    accounts = []
    for number in range(ACCOUNTS):
        made_up = yourfintech.account(1000.5 * number)
        made_up["message_type"]["server_message"]["account_event"]["account_added"]["id"] = (
            f"account-{number:02}"
        )
        accounts.append(made_up)
    yield accounts


def _remember(folder: Folder, sections: Mapping[str, Any]) -> None:
    """A month of the past, in the database that the daemon will open."""
    now = datetime.now(UTC)
    rules, venues = [rule["id"] for rule in sections["rules"]], [*sections["venues"]]
    store = Store.open(folder.state, now=now)
    alerts, deliveries, attempts = [], [], []
    for number in range(MANY):
        fired = now - timedelta(minutes=40 * (MANY - number))
        over = fired + timedelta(minutes=7 + number % 90)
        about = {
            "rule": rules[number % len(rules)],
            "instance": f"fx/position//old-{number}",
            "entity": f"old-{number}",
            "symbol": f"SYM{number:04}",
            "venue": venues[number % len(venues)],
            "severity": ("critical", "warning", "info")[number % 3],
        }
        id_ = f"01old{number:021}"
        alerts.append(
            alert(id_, state="resolved", started_at=fired, fired_at=fired, resolved_at=over,
                  title=f"-{number}.25 USD SYM{number:04} long", **about)
        )  # fmt: skip
        deliveries.append(
            delivery(f"old-{number}", alert=id_, severity=about["severity"], created_at=fired,
                     expires_at=fired + timedelta(days=1))
        )  # fmt: skip
        attempts.append(
            attempt(
                f"old-{number}",
                when=fired + timedelta(seconds=0.4),
                title=f"-{number}.25 USD SYM{number:04}",
                body="",
            )
        )
    try:
        store.commit(Batch(at=now, alerts=alerts, deliveries=deliveries))
        store.outbox.record(attempts)
    finally:
        store.close()


def hostile(site: Site) -> None:
    """As `ordinary`, said by venues and services that want a script to run, a line turned round, or a screen pushed aside."""
    exchange = site.exchange
    site.desk.always("localhost", Reply(400, f"{HOSTILE}{_TURNED}{_CONTROLS}{LONG}"))
    accounts = {yourfintech.ACCOUNT: HOSTILE}
    texts = {"title": f"{{{{ symbol }}}} {HOSTILE}", "message": f"{HOSTILE} {{{{ symbol }}}}"}
    rules = [_RULES[0] | {"run": ["note"]}, _RULES[1], _RULES[2] | texts, _RULES[3]]
    site.start(**_sections(site, names={"accounts": accounts}, rules=rules, actions=_actions(HOSTILE)))
    _connected(site, "fx", "spot", "bybit", "pix")
    site.at_the_venues(_hostile, exchange)
    _fired(site, "deep-red", 4)
    _fired(site, "canceled", 1)
    ((one,),) = site.folder.rows("SELECT min(id) FROM alerts WHERE rule = 'deep-red'")
    site.post(f"/api/alerts/{one}/ack", why=HOSTILE)
    site.post("/api/silences", matchers="rule=canceled", **{"for": "2h"}, why=f"{HOSTILE}{_TURNED}")
    _settled(site)


def _hostile(exchange: Exchange) -> None:
    fx, spot = exchange.yourfintech, exchange.topone
    fx.push(yourfintech.account(6401.13))
    texts = [HOSTILE, f"{_TURNED}{HOSTILE}", f"{_CONTROLS}{HOSTILE}", LONG]
    for number, text in enumerate(texts):
        about = {"asset_pair": text, "quote": text, "collateral_currency": text[:60], "account_id": text}
        fx.push(
            yourfintech.position("created", f"{text}{number}", profit=-62.5 - number, entry=89788.01, **about)
        )
        fx.push(yourfintech.pending("created", f"order {text}{number}", price=88000.5, **about))
        order = topone.order(132991 + number, 1, price="0.08132", amount="1.389")
        order["data"]["market"] = text
        spot.push(order, "sub_orders")
    canceled = topone.order(132991, 3, price="0.08132", amount="1.389")
    canceled["data"]["market"] = HOSTILE
    spot.push(canceled, "sub_orders")
    exchange.bybit.place(HOSTILE, symbol=HOSTILE)
    exchange.piexgo.push({"topic": "pinfo", "err_code": 10440, "err_msg": f"{HOSTILE}{_TURNED}{LONG}"})


STATES: Mapping[str, Callable[[Site], None]] = {
    "empty": empty,
    "ordinary": ordinary,
    "many": many,
    "hostile": hostile,
}

# ------------------------------------------------------------------------------------------------------------- parts


def _sections(site: Site, **more: Any) -> dict[str, Any]:
    """A config with all that a screen shows."""
    exchange = site.exchange
    venues = {
        "fx": exchange.yourfintech.settings(),
        "spot": exchange.topone.settings(),
        "bybit": exchange.bybit.settings(),
        "pix": exchange.piexgo.settings(),
    }
    return {
        "venues": {name: settings | {"silent_after": "1h"} for name, settings in venues.items()},
        "channels": {
            "phone": {"urls": [site.phone], "answers": ["anna"]},
            "desk": site.desk.channel,
            "boss": {"urls": ["json://127.0.0.1:1/"], "fallback": "desk"},
        },
        "defaults": {
            "notify": {"critical": ["phone", "desk"], "warning": ["desk", "boss"], "info": ["desk"]}
        },
        "actions": _actions("hedged")
        | {"an-action-that-no-rule-runs-" + "w" * 36: {"webhook": "http://127.0.0.1:1/"}},
        "tz": "Europe/Prague",
        **more,
    }


def _actions(says: str) -> dict[str, Any]:
    return {
        "note": {"command": ["/bin/echo", says, "{{ symbol }}"]},
        "hook": {"webhook": "http://127.0.0.1:1/", "dry_run": True},
    }


def _connected(site: Site, *names: str) -> None:
    query = "SELECT venue FROM venues WHERE status = 'connected'"
    site.until(
        lambda: {name for (name,) in site.folder.rows(query)}.issuperset(names), f"{names} are connected"
    )


def _fired(site: Site, rule: str, count: int) -> None:
    query = "SELECT count(*) FROM alerts WHERE rule = ?"
    site.until(lambda: site.folder.rows(query, rule)[0][0] >= count, f"{rule} fires {count} times")


def _settled(site: Site) -> None:
    """Until each channel has answered something, and the action ran."""
    site.until(
        lambda: site.folder.rows("SELECT 1 FROM deliveries WHERE status = 'sent'"), "something is sent"
    )
    site.until(
        lambda: site.folder.rows("SELECT 1 FROM deliveries WHERE error IS NOT NULL"), "and something isn't"
    )
    site.until(lambda: site.folder.rows("SELECT 1 FROM actions WHERE status = 'ok'"), "an action ran")
