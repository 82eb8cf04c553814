"""Symbols and venues' words are shown as they came and compared without case; separators count, ids are compared exactly.

ccxt 4000 ('Canceled' for 'canceled'), gocryptotrader PR 352 and pybotters-wrapper PR 48 (a venue that spells a symbol in two cases).
"""

import pytest
from msgspec import structs

from support.story import Story, compiled, play
from tocsin.engine.instances import rekeyed, retallied
from tocsin.events import KINDS, Observation
from tocsin.events.vocabulary import caseless, fields

# The field, a value as the venue spells it, the rule's spelling of the same, and another one.
WORDS = [
    ("order", "symbol", "BTC_USDT", "btc_usdt", "btc-usdt"),
    ("order", "venue_status", "PENDING-NEW", "Pending-New", "pending_new"),
    ("order", "reason", "No Money", "no money", "no  money"),
    ("order", "time_in_force", "GTC", "gtc", "gtd"),
    ("position", "symbol", "btcusd", "BTCUSD", "BTC/USD"),
    ("position", "reason", "StopLoss", "stoploss", "stop_loss"),
    ("ticker", "symbol", "btc_usdt", "BTC_USDT", "BTCUSDT"),
    ("book", "symbol", "Btc_Usdt", "BTC_USDT", "BTCUSDT"),
    ("trade", "symbol", "btc_usdt", "BTC_USDT", "BTCUSDT"),
    ("balance", "cause", "Funding", "funding", "fund ing"),
    ("balance", "asset", "usdt", "USDT", "USD"),
    ("contract", "status", "Settlement_Declined", "settlement_declined", "settlement-declined"),
    ("contract", "settlement_status", "DISPUTED", "disputed", "dispute"),
    ("account", "group", "Main", "MAIN", "Main/1"),
    ("account", "cause", "Bonus", "bonus", "bonus 2"),
]  # fmt: skip
IDS = [
    ("order", "client_id"),
    ("contract", "order_id"),
    ("order", "id"),
    ("position", "account"),
    ("trade", "id"),
]


def told(kind, when, values, *, watch=None):
    story = Story(compiled([{"id": "r", "watch": watch or kind, "when": when}]))
    story.connect("fx")
    account = values.pop("account", None)
    story.say("fx", Observation(state=KINDS[kind](**{"id": "X1", **values}), account=account))
    return [each["rule"] for each in story.told]


@pytest.mark.parametrize("word", WORDS, ids=lambda word: ".".join(word[:2]))
@pytest.mark.parametrize("watch", ["{kind}", "{kind}.*"])
def test_a_word_is_compared_without_case(word, watch):
    kind, field, came, same, other = word
    watch = watch.format(kind=kind)
    values = {field: came}
    assert field in caseless(kind)
    for spelled, is_it in ((came, True), (same, True), (other, False)):
        assert told(kind, f'{field} == "{spelled}"', values, watch=watch) == ["r"] * is_it, spelled
        assert told(kind, f'{field} != "{spelled}"', values, watch=watch) == ["r"] * (not is_it), spelled
        assert told(kind, f'{field} in ["nothing", "{spelled}"]', values, watch=watch) == ["r"] * is_it
        assert told(kind, {field: [spelled]}, values, watch=watch) == ["r"] * is_it
        assert told(kind, f'default({field}, "") == "{spelled}"', values, watch=watch) == ["r"] * is_it


@pytest.mark.parametrize(("kind", "field"), IDS)
def test_an_id_is_not(kind, field):
    values = {field: "aB"}
    assert field not in caseless(kind)
    assert told(kind, f'{field} == "aB"', dict(values)) == ["r"]
    assert told(kind, f'{field} == "ab"', dict(values)) == []


def test_of_every_kind_the_symbol_is_a_word_and_no_id_is():
    for kind in KINDS:
        assert "symbol" in caseless(kind)
        assert not caseless(kind) & {"id", "account", "venue", "client_id", "order_id", "subject", "sequence"}
        assert all(fields(kind)[name].type == "text" for name in caseless(kind))


UPPER_LOWER = [
    ("cooldown", {"id": "r", "watch": "order.rejected", "cooldown": "10m", "per": ["symbol"]}, 1),
    ("count", {"id": "r", "watch": "order.rejected", "when": "count(10m) >= 2", "per": ["symbol"]}, 1),
    ("group", {"id": "r", "watch": "order", "when": "count() >= 2", "per": ["symbol"]}, 1),
    ("then", {"id": "r", "watch": "order.rejected", "per": ["symbol"], "then": {"watch": "order.rejected", "within": "10m"}}, 1),
    ("match", {"id": "r", "watch": "order.rejected", "then": {"watch": "position.opened", "match": {"symbol": "symbol"}, "within": "10m"}}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rule", "times"), UPPER_LOWER, ids=[row[0] for row in UPPER_LOWER])
@pytest.mark.parametrize("older", [False, True], ids=["", "taken over from an older version"])
def test_two_spellings_are_one_in_keys(name, rule, times, older):
    story = Story(compiled([rule]))
    story.connect("fx")
    status = "open" if name == "group" else "rejected"
    story.say("fx", Observation(state=KINDS["order"](id="1", symbol="BTC_USDT", status=status)))
    if older:  # which kept the key as the symbol came
        story.stored = {
            (of, key.replace("btc_usdt", "BTC_USDT")): row for (of, key), row in story.stored.items()
        }
        story.samples_stored = [
            structs.replace(row, instance=row.instance.replace("btc_usdt", "BTC_USDT"))
            for row in story.samples_stored
        ]
        story.restart(1.0)
        assert not [key for _, key in story.stored if "BTC_USDT" in key], "it is kept under its new key alone"
    second = {"id": "2", "symbol": "btc_usdt"}
    if name == "match":
        story.say("fx", Observation(state=KINDS["position"](**second, status="open")))
    else:
        story.say("fx", Observation(state=KINDS["order"](**second, status=status)))
    assert len(story.told) == times
    if name == "group":
        assert story.told[0]["id"] == "BTC_USDT", "shown as it first came"


def test_a_group_that_fired_before_an_upgrade_goes_on():
    rule = {"id": "r", "watch": "order", "when": "count() >= 2", "per": ["symbol"]}
    story = Story(compiled([rule]))
    story.connect("fx")
    for number in ("1", "2"):
        story.say("fx", Observation(state=KINDS["order"](id=number, symbol="BTC", status="open")))
    story.stored = {(of, key.replace("btc", "BTC")): row for (of, key), row in story.stored.items()}
    story.restart(1.0)
    assert [each["state"] for each in story.told] == ["firing"]
    story.say("fx", Observation(state=KINDS["order"](id="1", status="filled")))
    assert [each["state"] for each in story.told] == ["firing", "resolved"]


def test_old_keys_are_spelled_anew():
    by_symbol, by_account, sequence = compiled(
        [
            {"id": "a", "watch": "order.open", "cooldown": "1m", "per": ["account", "symbol"]},
            {"id": "b", "watch": "order.open", "cooldown": "1m"},
            {
                "id": "c", "watch": "order.open", "per": ["venue"],
                "then": {"watch": "order.filled", "match": {"symbol": "symbol", "client_id": "id"}, "within": "1m"},
            },
        ]
    )  # fmt: skip
    assert rekeyed(by_symbol, '["cooldown", "fx", "A", "BTC"]') == '["cooldown", "fx", "A", "btc"]'
    assert rekeyed(by_account, '["cooldown", "FX", "A"]') == '["cooldown", "FX", "A"]'
    assert rekeyed(sequence, '["sequence", "FX", "BTC", "ID"]2') == '["sequence", "FX", "btc", "ID"]2'
    assert rekeyed(by_symbol, '["FX", "order", "A", "ID"]') == '["FX", "order", "A", "ID"]'
    assert rekeyed(by_symbol, '{"venue": "FX", "symbol": "BTC"}') == '{"venue": "FX", "symbol": "btc"}'
    assert rekeyed(by_symbol, "a0001") == "a0001", "a reminder's"
    assert retallied(by_symbol, '["FX", "A", "BTC"]') == '["FX", "A", "btc"]'


def test_what_a_venue_coins_is_watched_by_its_name_in_any_case():
    for watched in ("balance.funding", "balance.Funding", "balance.FUNDING"):
        assert told(
            "balance", 'asset == "usd"', {"id": "USD", "asset": "USD", "cause": "Funding"}, watch=watched
        )
    assert told(
        "contract", 'side == "buy"', {"side": "buy", "status": "Swap-Fee due"}, watch="contract.swap-fee due"
    )


def test_a_symbol_spelled_otherwise_is_no_change():
    story = play(
        {
            "rules": [{"id": "r", "watch": "position", "when": "changed(symbol)"}],
            "steps": [
                {"at": "0s", "position": {"id": "p", "symbol": "BTC"}},
                {"at": "1s", "position": {"id": "p", "symbol": "btc", "profit": "1"}},
                {"at": "2s", "expect": []},
                {"at": "3s", "position": {"id": "p", "symbol": "ETH"}},
                {"at": "3s", "expect": [{"condition": "symbol changed from btc to ETH"}]},
            ],
        }
    )
    assert len(story.told_ever) == 1
