"""What people read of the shipped rules: rendered of each venue's own messages, in every state and for every reason to end.

All files of rules are loaded together: what happens once is told once.
"""

import msgspec
import pytest
import yaml

from support.decoding import RECEIVED, cases
from support.story import Story, compiled
from tocsin.alerts.wording import Style
from tocsin.delivery.render import render
from tocsin.engine.api import AlertContext
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.runner import run_tests
from tocsin.shipped import shipped
from tocsin.venues.base import Malformed
from tocsin.venues.registry import adapter

VENUES = ("glocalflex", "piexgo", "topone", "wealthsimple", "yourfintech")
REASONS = (
    "position closed: @x", "order filled", "rule removed", "rule changed", "venue lost", "out of hours", "forgotten", "no margin in use",
)  # fmt: skip
SHIPPED = [
    {name: value for name, value in rule.items() if name != "enabled"}
    for path in sorted(shipped("rules").glob("*.yaml"))
    for rule in yaml.safe_load(path.read_text())["rules"]
]


class Contexts(Story):
    """Keeps what messages are made of."""

    def commit(self, batch):
        super().commit(batch)
        found = self.__dict__.setdefault("contexts", [])
        found += [
            msgspec.convert(msgspec.to_builtins(each.context), AlertContext)
            for each in batch.deliveries
            if each.channel == "phone"
        ]


def _contexts(venue):
    """Of each message of the venue, told for itself, what the shipped rules tell of it and of the days that follow."""
    rules = compiled(SHIPPED)
    for case in (param.values[0] for param in cases(venue)):
        story = Contexts(rules, start=RECEIVED.isoformat().replace("+00:00", "Z"))
        story.connect(venue)
        try:
            items = adapter(venue).decode(case.message, RECEIVED).items
        except Malformed:
            continue
        observed = [item for item in items if type(item).__module__ == "tocsin.events.model"]
        story.say(venue, *observed)
        story.disconnect(venue)
        story.run_to(120)
        story.connect(venue)
        story.run_to(330)
        yield from story.contexts


@pytest.mark.parametrize("venue", VENUES)
def test_every_message_reads_well_in_every_state(venue):
    told = list(_contexts(venue))
    assert len({context.rule for context in told}) > 3
    for context in told:
        _reads_well(context)
        if context.event is None:
            _reads_well(msgspec.structs.replace(context, state="reminder"))
            for reason in REASONS:
                _reads_well(msgspec.structs.replace(context, state="resolved", reason=reason))


def _reads_well(context):
    for style in (Style(), Style(marks="text")):
        message = render(context, style, delivery_id="d")
        said = f"{context.rule} {context.state} {context.reason}: {message.title}"
        assert "missing" not in message.title, said
        assert "template failed" not in message.body, said
        assert "(?i)" not in message.title + message.body.split("\n")[1], said
        assert "  " not in message.title, said
        assert len(message.title) < 200, said
        resolved = context.state == "resolved" and not context.reason
        assert ("resolved:" in message.title) == resolved, said
        assert ("ended (" in message.title) == (context.state == "resolved" and bool(context.reason)), said
        first = "🔴🟠🔵🟢⚪" if style.marks == "emoji" else ("CRITICAL", "WARNING", "INFO", "OK", "ENDED")
        assert message.title.startswith(tuple(first)), said


TOGETHER = """
rules: {rules}
channels: [phone]
tests:
  - name: one stop-out
    steps:
      - {{at: 0s, venue: fx, type: yourfintech, message: {added}}}
      - {{at: 1s, venue: fx, type: yourfintech, message: {created}}}
      - {{at: 1m, expect: []}}
      - {{at: 2m, venue: fx, type: yourfintech, message: {closed}}}
      - {{at: 2m, venue: fx, type: yourfintech, message: {updated}}}
      - {{at: 10m, expect: [{{title: "/^🔴 stopped out: BTCUSD long -20 USD/"}}]}}
  - name: one withdrawal
    steps:
      - {{at: 0s, venue: fx, type: yourfintech, message: {added}}}
      - {{at: 1m, venue: fx, type: yourfintech, message: {withdrawn}}}
      - {{at: 10m, expect: [{{title: "🔴 withdrawal: -50 USD, 950 left · fx a1"}}]}}
  - name: one reconnect, after which an open order isn't mentioned
    steps:
      - {{at: 0s, venue: px, order: {{id: o1, symbol: X, side: buy, status: open}}}}
      - {{at: 1m, disconnect: px}}
      - {{at: 1m30s, connect: px}}
      - {{at: 10m, expect: [{{id: px, severity: warning}}]}}
  - name: one forced close
    steps:
      - {{at: 0s, venue: v, account: a1, position: {{id: p1, symbol: X, side: long, profit: 0, stop_loss: 1}}}}
      - {{at: 1m, venue: v, account: a1, position: {{id: p1, status: closed, reason: Auto-Deleveraging, profit: -40}}}}
      - {{at: 10m, expect: [{{title: "/^🔴 liquidated: X long -40/"}}]}}
  - name: one order that ran out with something filled
    steps:
      - {{at: 0s, venue: v, order: {{id: o1, symbol: X, side: buy, status: partially_filled, amount: 1, filled: 0.3}}}}
      - {{at: 1m, venue: v, order: {{id: o1, status: expired}}}}
      - {{at: 10m, expect: [{{severity: critical, title: "🔴 expired: X buy 1, 0.3 filled · v"}}]}}
"""
_ACCOUNT = {
    "id": "a1", "trader_id": "t", "currency": "USD", "balance": 1000, "trading_disabled": False, "leverage": 10,
    "trading_group": "Main", "stop_out": 100, "create_date": 1767225600000000, "last_update_date": 1767225600000000,
}  # fmt: skip
_POSITION = {
    "id": "p1", "trader_id": "t", "account_id": "a1", "asset_pair": "BTCUSD", "lots_amount": 0.01, "side": "Buy", "leverage": 0,
    "profit": 0, "asset_open_price": 900, "open_date": 1767225601000000, "last_update_date": 1767225601000000,
    "collateral_currency": "USD", "margin_price": 900, "profit_price": 1, "lots_size": 1, "swaps": [], "commission": 0,
    "sl_in_instrument_price": 800,
}  # fmt: skip


def _server(message):
    return {"message_id": "m", "message_type": {"server_message": message}}


def _operation(sort, delta, balance, at):
    operation = {
        "id": f"op-{at}", "trader_id": "t", "account_id": "a1", "operation_type": sort, "process_id": "p", "delta": delta,
        "date_time_unix_ms": at, "comment": "", "reference_operation_id": None,
    }  # fmt: skip
    account = _ACCOUNT | {"balance": balance, "last_update_date": at * 1000}
    return _server({"account_event": {"account_update": {"account": account, "operation": operation}}})


def test_what_happens_once_is_told_once(tmp_path):
    closed = _POSITION | {"profit": -20, "close_reason": "StopLoss", "last_update_date": 1767225720000000}
    values = {
        "rules": [str(path) for path in sorted(shipped("rules").glob("*.yaml"))],
        "added": _server({"account_event": {"account_added": _ACCOUNT}}),
        "created": _server({"position": {"created": _POSITION}}),
        "closed": _server({"position": {"closed": closed}}),
        "updated": _operation("Trading", -20, 980, 1767225720001),
        "withdrawn": _operation("Withdrawal", -50, 950, 1767225660000),
    }
    path = tmp_path / "together.yaml"
    path.write_text(
        TOGETHER.format(**{name: msgspec.json.encode(value).decode() for name, value in values.items()})
    )
    results = run_tests(read_tests(path))
    assert [result.failure for result in results] == [None] * len(results)
