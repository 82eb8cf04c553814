"""What a described venue is asked and told, and what its answers come to: sign-in, sockets, snapshot, one order; and where it may connect."""

import hashlib
import hmac
import json
import re
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import yaml

from support.adapters import adapter_of
from support.decoding import fixture, meaning
from tocsin.config import yaml as documents
from tocsin.config.descriptions import read_description
from tocsin.events import Observation, Order, Position, SnapshotBegins, SnapshotEnds
from tocsin.venues.base import Decoded, HttpResponse, Malformed, SignInFailed, SignInRefused, Unreadable
from tocsin.venues.hosts import Hosts
from tocsin.venues.json.cursor import Cursor, Faults
from tocsin.venues.json.recipes import read_recipes
from tocsin.venues.json.templates import Names

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NOW_MS = "1767323045678"
GIVEN = {"key": "the-key", "secret": b64encode(b"the-secret").decode(), "passphrase": "the-pass"}
LEAST = {
    "summary": "an exchange",
    "tried": "documents",
    "hosts": ["example.com"],
    "times": "ms",
    "sockets": {"main": {"url": "wss://example.com/x"}},
    "things": {"order": {"fields": {"id": "i", "price": "p", "status": "s", "updated": "u"}}},
    "messages": [{"each": "o[]", "gives": "order"}],
}


def described(**more):
    """The adapter of a small description with these keys, which are right."""
    node, _ = documents.load(yaml.safe_dump({**LEAST, **more}, sort_keys=False))
    found, problems = read_description(node)
    assert problems == []
    return found


def settings(adapter, given=None, **more):
    wanted = adapter.description.given if given is None else given
    said = {name: GIVEN.get(name, "given") for name in wanted} if given is None else given
    return adapter.settings.model_validate({"type": "json", "describe": "x", "given": said, **more})


def drive(steps, *answers):
    """The requests that were made, and what the generator returned; each answer is JSON, or a status with it."""
    requests, left = [], list(answers)
    try:
        request = next(steps)
        while True:
            requests.append(request)
            status, body = left[0] if isinstance(left[0], tuple) else (200, left[0])
            left.pop(0)
            text = body if isinstance(body, str) else json.dumps(body)
            request = steps.send(HttpResponse(status=status, headers={}, body=text.encode()))
    except StopIteration as done:
        assert not left, "not asked for"
        return requests, done.value


def sign(key, text, how=hashlib.sha256):
    return hmac.new(key, text.encode(), how)


# ------------------------------------------------------------------------------------------------------- sign-in


def connected(name, *answers):
    adapter = adapter_of(name)
    made = settings(adapter)
    requests, session = drive(adapter.sign_in(made, {}, NOW), *answers)
    (endpoint,) = adapter.endpoints(made, session)
    return requests, session, endpoint


def test_bybit_signs_on_the_socket():
    requests, session, endpoint = connected("bybit")
    expires = str(int(NOW_MS) + 30_000)
    signature = sign(GIVEN["secret"].encode(), f"GET/realtime{expires}").hexdigest()
    assert requests == []
    assert endpoint.url == "wss://stream.bybit.com/v5/private"
    auth, topics = endpoint.opening
    assert (auth.name, auth.required) == ("auth", True)
    assert auth.text == f'{{"op":"auth","args":["the-key",{expires},"{signature}"]}}'
    assert topics.text == '{"op":"subscribe","args":["order","position","wallet"]}'
    assert (endpoint.ping.text, endpoint.ping.every) == ('{"op":"ping"}', 20.0)
    assert session.plain == {"expires"}


def test_okx_signs_on_the_socket():
    _, _, endpoint = connected("okx")
    signature = sign(GIVEN["secret"].encode(), "1767323045GET/users/self/verify").digest()
    login = json.loads(endpoint.opening[0].text)["args"][0]
    assert login == {
        "apiKey": "the-key",
        "passphrase": "the-pass",
        "timestamp": "1767323045",
        "sign": b64encode(signature).decode(),
    }
    assert endpoint.ping.text == "ping"
    assert [request.name for request in endpoint.opening] == ["login", "orders", "positions", "account"]


def test_binance_spot_signs_on_the_socket():
    _, _, endpoint = connected("binance-spot")
    told = json.loads(endpoint.opening[0].text)
    signature = sign(GIVEN["secret"].encode(), f"apiKey=the-key&timestamp={NOW_MS}").hexdigest()
    assert told["params"] == {"apiKey": "the-key", "timestamp": int(NOW_MS), "signature": signature}


def test_binance_usdm_gets_a_key_for_its_url():
    requests, session, endpoint = connected("binance-usdm", {"listenKey": "pqia91ma19a5s61c"})
    (request,) = requests
    assert (request.method, request.url) == ("POST", "https://fapi.binance.com/fapi/v1/listenKey")
    assert request.headers == {"X-MBX-APIKEY": "the-key"}
    assert endpoint.url == "wss://fstream.binance.com/private/ws/pqia91ma19a5s61c"
    assert session.renew_at == NOW + timedelta(minutes=30)
    assert session.plain == frozenset()


def test_kraken_gets_a_token():
    requests, _, endpoint = connected("kraken", {"error": [], "result": {"token": "tok", "expires": 900}})
    (request,) = requests
    nonce = request.form["nonce"]
    hashed = hashlib.sha256(f"{nonce}nonce={nonce}".encode()).digest()
    signed = b"/0/private/GetWebSocketsToken" + hashed
    expected = hmac.new(b64decode(GIVEN["secret"]), signed, hashlib.sha512).digest()
    assert request.headers == {"API-Key": "the-key", "API-Sign": b64encode(expected).decode()}
    assert json.loads(endpoint.opening[0].text)["params"]["token"] == "tok"


def recipes(written, scope):
    node, _ = documents.load(yaml.safe_dump(written, sort_keys=False))
    faults = Faults()
    made, _ = read_recipes(Cursor(node, faults), Names(frozenset(scope)))
    assert not faults.problems
    return made.fill(scope, NOW)


def test_signatures_are_those_that_the_documents_of_kraken_and_binance_show():
    kraken = recipes(
        {
            "sign": {
                "hmac": "sha512",
                "key": "{{secret}}",
                "key_as": "base64",
                "over": ["/0/private/AddOrder", {"hash": "sha256", "over": "{{nonce}}{{body}}"}],
                "as": "base64",
            }
        },
        {
            "secret": "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==",
            "nonce": "1616492376594",
            "body": "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
        },
    )
    assert kraken["sign"] == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )
    binance = recipes(
        {"sign": {"hmac": "sha256", "key": "{{secret}}", "over": "{{q}}"}},
        {
            "secret": "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            "q": "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
        },
    )
    assert binance["sign"] == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


@pytest.mark.parametrize(
    ("name", "answer", "error", "words"),
    [
        ("kraken", {"error": ["EAPI:Invalid key"]}, SignInRefused, "EAPI:Invalid key"),
        ("kraken", {"error": ["EService:Unavailable"]}, SignInFailed, "EService:Unavailable"),
        ("kraken", {"error": [], "result": {}}, SignInFailed, "an answer without token"),
        ("kraken", {"error": [], "result": {"token": {"a": 1}}}, SignInFailed, "an answer without token"),
        ("kraken", {"error": [], "result": {"token": "x" * 20_000}}, SignInFailed, "an answer without token"),
        ("kraken", "no JSON", SignInFailed, "an odd answer"),
        ("kraken", (502, "<html>"), SignInFailed, "HTTP 502"),
        ("binance-usdm", (401, {"code": -2014, "msg": "API-key format invalid."}), SignInRefused, "(-2014)"),
        ("binance-usdm", (400, {"code": -1021, "msg": "Timestamp"}), SignInFailed, "Timestamp (-1021)"),
    ],
)  # fmt: skip
def test_a_sign_in_that_doesn_t_work(name, answer, error, words):
    with pytest.raises(error) as caught:
        connected(name, answer)
    assert words in str(caught.value)


def test_a_key_that_is_not_written_as_it_is_said_to_be():
    adapter = adapter_of("kraken")
    with pytest.raises(SignInRefused) as caught:
        drive(adapter.sign_in(settings(adapter, {"key": "k", "secret": "not base64!"}), {}, NOW))
    assert "the key to sign with is no base64" in str(caught.value)
    assert "not base64!" not in str(caught.value)


def test_values_are_put_in_once_and_never_executed():
    adapter = described(
        given={"key": {}, "other": {}},
        sockets={"main": {"url": "wss://example.com/x", "open": [{"name": "a", "send": {"k": "{{key}}"}}]}},
    )
    made = settings(adapter, {"key": '{{other}}"}, {{7*7}}', "other": "o"})
    (endpoint,) = adapter.endpoints(made, drive(adapter.sign_in(made, {}, NOW))[1])
    assert json.loads(endpoint.opening[0].text) == {"k": '{{other}}"}, {{7*7}}'}


def test_values_that_are_made_of_themselves_over_and_over_are_refused():
    lets = {"a0": "{{key}}" * 10} | {f"a{n}": f"{{{{a{n - 1}}}}}" * 10 for n in range(1, 12)}
    adapter = described(given={"key": {}}, sign_in={"let": lets})
    with pytest.raises(SignInRefused) as caught:
        drive(adapter.sign_in(settings(adapter), {}, NOW))
    assert "more than 65536 characters" in str(caught.value)


STEP = {"post": "https://example.com/t"}
WIDE = ["{{long}}"] * 5


@pytest.mark.parametrize(
    "wide",
    [
        {"sign_in": {"steps": [STEP | {"json": {"a": WIDE}}]}},
        {"sign_in": {"steps": [STEP | {"form": {f"a{n}": "{{long}}" for n in range(5)}}]}},
        {"sign_in": {"steps": [STEP | {"headers": {f"a{n}": "{{long}}" for n in range(5)}}]}},
        {"sign_in": {"let": {"a": {"hash": "sha256", "over": [*WIDE]}}}},
        {"sign_in": {"let": {f"a{n}": "{{long}}" for n in range(5)}}},
        {"sockets": {"main": {"url": "wss://example.com", "open": [{"name": "x", "send": {"a": [*WIDE]}}]}}},
        {
            "sockets": {
                "main": {"url": "wss://example.com", "headers": {f"a{n}": "{{long}}" for n in range(5)}}
            }
        },
    ],
)
def test_what_is_put_into_one_request_or_message_is_bounded_in_all(wide):
    adapter = described(given={"long": None}, **wide)
    made = settings(adapter, given={"long": "x" * 60_000})
    with pytest.raises(SignInRefused, match="more than 262144 characters in all"):
        drive(adapter.sign_in(made, {}, NOW), *[{}] * len(wide.get("sign_in", {}).get("steps", ())))


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ({"sign_in": {"let": {f"a{n}": "x" for n in range(51)}}}, 50),
        ({"sign_in": {"let": {"a": {"hash": "sha256", "over": ["x"] * 21}}}}, 20),
        ({"sign_in": {"steps": [STEP | {"form": {f"a{n}": "x" for n in range(65)}}]}}, 64),
        ({"sign_in": {"steps": [STEP | {"query": {f"a{n}": "x" for n in range(65)}}]}}, 64),
        ({"sign_in": {"steps": [STEP | {"headers": {f"a{n}": "x" for n in range(65)}}]}}, 64),
    ],
)
def test_more_values_than_a_request_needs_are_refused(more, most):
    node, _ = documents.load(yaml.safe_dump({**LEAST, **more}))
    assert f"more than {most}" in [problem.message for problem in read_description(node)[1]]


def test_a_request_names_what_was_made_and_taken_for_it():
    steps = [
        {"get": "https://example.com/a", "let": {"half": "{{key}}/half", "open": "{{now_ms}}"}, "take": {"t": "t", "n": "n"}},
        {"get": "https://example.com/{{t}}", "let": {"both": "{{t}}{{key}}"}},
    ]  # fmt: skip
    adapter = described(given={"key": None}, sign_in={"steps": steps})
    requests, _ = drive(adapter.sign_in(settings(adapter), {}, NOW), {"t": "taken", "n": 7}, {})
    assert [set(request.secrets) for request in requests] == [
        {"the-key", "the-key/half"},
        {"the-key", "taken", "takenthe-key"},
    ]
    assert [request.shown for request in requests] == ["GET https://example.com"] * 2


def test_a_header_holds_no_line_break():
    adapter = described(
        sign_in={"steps": [{"get": "https://example.com/t", "take": {"t": "t"}}]},
        sockets={"main": {"url": "wss://example.com", "headers": {"X-Token": "{{t}}"}}},
    )
    with pytest.raises(SignInRefused) as caught:
        drive(adapter.sign_in(settings(adapter), {}, NOW), {"t": "a\r\nHost: b"})
    assert "X-Token" in str(caught.value)


# ---------------------------------------------------------------------------------------------- where it may connect


@pytest.mark.parametrize(
    ("taken", "refusal"),
    [
        ("eu.example.com", ""),
        ("example.com:443", ""),
        ("EU.Example.COM", ""),
        ("example.com.", ""),
        ("evil.net", "the host that was put together is none of the hosts"),
        ("example.com.evil.net", "the host that was put together is none of the hosts"),
        ("a@evil.net", "a name or password stands before the host"),
        ("evil.net/.example.com", "the host that was put together is none of the hosts"),
        ("evil.net#.example.com", "the host that was put together is none of the hosts"),
        ("evil.net?.example.com", "the host that was put together is none of the hosts"),
        ("evil.net\\.example.com", "a character that no URL has"),
        ("evil.net .example.com", "a character that no URL has"),
        ("evil.net\n.example.com", "a character that no URL has"),
        ("127.0.0.1", "the host that was put together is an address"),
        ("[::1]", "the host that was put together is an address"),
        ("0x7f.1", "the host that was put together is an address"),
        ("2130706433", "the host that was put together is an address"),
        ("localhost", "the host that was put together is an address"),
        ("tocsin.localhost", "the host that was put together is an address"),
        ("example.com:x", "its host or port is none"),
        ("[evil.net]", "its host or port is none"),
        ("éxample.com", "a character that no URL has"),
    ],
)
def test_a_host_that_an_answer_names_is_one_that_is_declared(taken, refusal):
    adapter = described(
        given={"key": {}},
        sign_in={"steps": [{"get": "https://example.com/host", "take": {"host": "host"}}]},
        sockets={"main": {"url": "wss://{{host}}/{{key}}"}},
    )
    made = settings(adapter)
    steps = adapter.sign_in(made, {}, NOW)
    if not refusal:
        _, session = drive(steps, {"host": taken})
        assert adapter.hosts.refusal(adapter.endpoints(made, session)[0].url) == ""
        return
    with pytest.raises(SignInRefused) as caught:
        drive(steps, {"host": taken})
    assert refusal in str(caught.value)
    assert "given" not in str(caught.value)
    assert not re.search(r"evil|127|7f|2130706433|localhost|::1|:x", str(caught.value))


def test_a_request_s_host_is_looked_at_before_it_is_made():
    adapter = described(
        given={"key": {}, "region": {"secret": False, "default": "eu"}},
        sign_in={
            "steps": [{"get": "https://{{region}}/t", "headers": {"X-Key": "{{key}}"}, "take": {"t": "t"}}]
        },
    )
    with pytest.raises(SignInRefused) as caught:
        next(adapter.sign_in(settings(adapter, {"key": "k", "region": "evil.net"}), {}, NOW))
    assert "the host that was put together is none of the hosts" in str(caught.value)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.5.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("2002:5db8:d822::1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("fec0::1", False),
        ("5f00::1", False),
        ("4000::1", False),
        ("ff0e::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("2001:4860:4860::8888", True),
        ("2a00:1450:4001:80b::200e", True),
        ("nonsense", False),
    ],
)
def test_a_name_leads_to_a_public_address(address, may):
    hosts = Hosts(("example.com",))
    assert (hosts.refusal_of_address("example.com", 443, address) == "") is may
    assert hosts.naming(["wss://example.com/x"]).refusal_of_address("example.com", 443, address) == ""


@pytest.mark.parametrize(
    ("named", "url", "may"),
    [
        ("http://10.0.0.7:8080/a", "http://10.0.0.7:8080/b", True),
        ("http://10.0.0.7:8080/a", "http://10.0.0.7:22/", False),
        ("http://10.0.0.7:8080/a", "http://10.0.0.7/", False),
        ("http://10.0.0.7:8080/a", "https://10.0.0.7:8080/", False),
        ("http://10.0.0.7:8080/a", "ws://10.0.0.7:8080/", False),
        ("http://10.0.0.7", "http://10.0.0.7:80/", True),
        ("wss://10.0.0.7", "wss://10.0.0.7:443/", True),
        ("wss://[fd00::1]:9", "wss://[fd00::1]:9/x", True),
        ("wss://[fd00::1]:9", "wss://[fd00::1]:10/x", False),
        ("wss://Own.net./x", "wss://own.net/y", True),
        ("wss://own.net/x", "ws://own.net/y", False),
        ("wss://own.net/x", "WSS://own.net/y", False),
        ("wss://own.net/x", "wss://example.com/y", True),
        ("wss://own.net/x", "Https://example.com/y", False),
        ("wss://own.net/x", "wss://own.net:8443/y", False),
        ("ws://example.com/x", "ws://example.com/y", True),
        ("ws://example.com/x", "http://example.com/y", False),
        ("ws://example.com/x", "wss://example.com/y", True),
    ],
)
def test_the_config_vouches_for_the_scheme_host_and_port_that_it_names(named, url, may):
    assert (Hosts(("example.com",)).naming([named]).refusal(url) == "") is may


def test_a_name_in_our_network_is_connected_to_at_the_port_that_the_config_names():
    hosts = Hosts(("example.com",)).naming(["wss://example.com:8443/x"])
    assert hosts.refusal_of_address("example.com", 8443, "10.0.0.7") == ""
    assert "no public address" in hosts.refusal_of_address("example.com", 443, "10.0.0.7")


# ------------------------------------------------------------------------------------------------- what is fetched


def snapshot(adapter, *answers, since=None):
    made = settings(adapter)
    _, session = drive(adapter.sign_in(made, {}, NOW))
    return drive(adapter.snapshot(made, session, NOW, since), *answers)


def test_binance_s_positions_and_balances_are_a_full_picture():
    adapter = adapter_of("binance-usdm")
    made = settings(adapter)
    _, session = drive(adapter.sign_in(made, {}, NOW), {"listenKey": "abc"})
    positions, balances = (
        fixture("binance-usdm", "rest-positions.json"),
        fixture("binance-usdm", "rest-balances.json"),
    )
    requests, found = drive(adapter.snapshot(made, session, NOW, None), "[]", "[]", positions, balances)
    query = f"recvWindow=20000&timestamp={NOW_MS}"
    signature = sign(GIVEN["secret"].encode(), query).hexdigest()
    assert requests[0].url == f"https://fapi.binance.com/fapi/v1/openOrders?{query}&signature={signature}"
    assert requests[0].query == {}
    assert found[0] == SnapshotBegins(("order", "position", "balance"))
    assert found[-1] == SnapshotEnds()
    told = meaning(Decoded(tuple(found)))["items"]
    assert told[1]["fields"] == {
        "id": "BTCUSDT:BOTH",
        "symbol": "BTCUSDT",
        "side": "long",
        "status": "open",
        "amount": "0.001",
        "entry_price": "50000.0",
        "mark_price": "51000.0",
        "profit": "1.00000000",
        "leverage": "20",
        "updated": "2021-07-05T08:38:24.765000Z",
    }
    assert all(item.origin == "snapshot" for item in found if isinstance(item, Observation))


SIGNS = {"binance-usdm": [{"listenKey": "abc"}], "kraken": [{"error": [], "result": {"token": "tok"}}]}
EMPTY = {
    "binance-spot": ["[]", {"balances": []}],
    "binance-usdm": ["[]"] * 4,
    "bybit": [{"retCode": 0, "result": {"list": []}}] * 10,
    "okx": [{"code": "0", "data": []}] * 3,
}


@pytest.mark.parametrize("name", EMPTY)
def test_every_request_of_a_snapshot_is_signed_over_what_is_sent(name):
    adapter = adapter_of(name)
    made = settings(adapter)
    _, session = drive(adapter.sign_in(made, {}, NOW), *SIGNS.get(name, []))
    requests, found = drive(adapter.snapshot(made, session, NOW, None), *EMPTY[name])
    for request in requests:
        assert adapter.hosts.refusal(request.url) == ""
        url = urlsplit(request.url)
        key, path = GIVEN["secret"].encode(), f"{url.path}?{url.query}" if url.query else url.path
        if name == "bybit":
            said = f"{NOW_MS}the-key20000{url.query}"
            assert request.headers["X-BAPI-SIGN"] == sign(key, said).hexdigest()
        elif name == "okx":
            said = f"2026-01-02T03:04:05.678ZGET{path}"
            assert request.headers["OK-ACCESS-SIGN"] == b64encode(sign(key, said).digest()).decode()
            assert request.headers["OK-ACCESS-TIMESTAMP"] == "2026-01-02T03:04:05.678Z"
        else:
            said, _, signature = url.query.rpartition("&signature=")
            assert signature == sign(key, said).hexdigest()
    assert isinstance(found[0], SnapshotBegins)
    assert set(found[0].kinds) == set(adapter.supplies)


NOTHING = {"retCode": 0, "result": {"list": []}}
ROW = {"orderId": "1", "orderStatus": "New", "symbol": "A"}


def bybit_orders(rows):
    return {"retCode": 0, "result": {"list": [{**ROW, "orderId": str(n)} for n in range(rows)]}}


def test_a_list_that_may_have_been_cut_off_is_no_full_picture():
    requests, found = snapshot(adapter_of("bybit"), bybit_orders(50), *[NOTHING] * 9)
    assert len(requests) == 10
    assert SnapshotBegins(("position", "account", "balance")) in found
    begins = found.index(SnapshotBegins(("position", "account", "balance")))
    assert len([item for item in found[:begins] if isinstance(item, Observation)]) == 50
    (told,) = [item for item in found if isinstance(item, Unreadable)]
    assert told.part == "order.rows"
    _, found = snapshot(adapter_of("bybit"), bybit_orders(49), *[NOTHING] * 9)
    assert found[0] == SnapshotBegins(("order", "position", "account", "balance"))


def test_bybit_s_working_orders_are_as_its_document_has_them():
    _, found = snapshot(adapter_of("bybit"), fixture("bybit", "rest-orders.json"), *[NOTHING] * 9)
    (order,) = [item for item in meaning(Decoded(tuple(found)))["items"] if "observation" in item]
    assert order == {
        "observation": "order",
        "origin": "snapshot",
        "time": "2023-05-22T06:55:40.561000Z",
        "fields": {
            "id": "fd4300ae-7847-404e-b947-b46980a4d140",
            "client_id": "test-000005",
            "symbol": "ETHUSDT",
            "side": "buy",
            "order_type": "limit",
            "time_in_force": "GTC",
            "status": "open",
            "venue_status": "New",
            "price": "1600.00",
            "amount": "0.10",
            "filled": "0.00",
            "remaining": "0.10",
            "cost": "0",
            "stop_loss": "1500.00",
            "take_profit": "2500.00",
            "created": "2023-05-22T06:55:40.559000Z",
            "updated": "2023-05-22T06:55:40.561000Z",
        },
        "cleared": ["average", "reason", "stop_price"],
    }


def test_what_a_key_may_not_see_is_nothing():
    refused = {"retCode": 10005, "retMsg": "Permission denied"}
    _, found = snapshot(adapter_of("bybit"), bybit_orders(1), *[refused] * 4, *[NOTHING] * 5)
    assert found[0] == SnapshotBegins(("order", "position", "account", "balance"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"retCode": 10002, "retMsg": "time"}, SignInFailed),
        ({"retCode": 0, "result": {}}, Malformed),
        ({"retCode": 0, "result": {"list": 5}}, Malformed),
        ((500, ""), SignInFailed),
        ("{}", SignInFailed),
    ],
)
def test_a_snapshot_that_isn_t_what_is_documented_is_none(answer, error):
    with pytest.raises(error):
        snapshot(adapter_of("bybit"), answer)


def test_a_history_is_told_and_is_no_full_picture_and_begins_when_the_venue_was_last_heard():
    adapter = described(
        snapshot=[
            {
                "get": "https://example.com/h?from={{since_ms}}&to={{now_s}}",
                "messages": [{"each": "o[]", "gives": "order", "complete": False}],
            }
        ]
    )
    since = NOW - timedelta(hours=1)
    (request,), found = snapshot(adapter, {"o": [{"i": "1"}]}, since=since)
    assert request.url == "https://example.com/h?from=1767319445678&to=1767323045"
    assert [type(item) for item in found] == [Observation]
    (request,), _ = snapshot(adapter, {"o": []})
    assert "from=1767323045678&" in request.url


def ask(adapter, order, *answers):
    made = settings(adapter)
    name = next((name for name in SIGNS if adapter is adapter_of(name)), "")
    _, session = drive(adapter.sign_in(made, {}, NOW), *SIGNS.get(name, []))
    return drive(adapter.ask(made, session, order, None, NOW), *answers)


def test_one_order_is_asked_for_until_a_request_knows_it():
    known = {"retCode": 0, "result": {"list": [{**ROW, "orderId": "7", "orderStatus": "Cancelled"}]}}
    requests, found = ask(adapter_of("bybit"), Order(id="7", symbol="A"), NOTHING, known)
    assert [request.url.partition("?")[2] for request in requests] == [
        "category=linear&orderId=7",
        "category=spot&orderId=7",
    ]
    assert [(item.state.id, item.state.status) for item in found] == [("7", "canceled")]
    assert ask(adapter_of("bybit"), Order(id="7"), *[NOTHING] * 4)[1] == []


@pytest.mark.parametrize(
    ("id_", "sent"),
    [
        ("a-1_2.~", "a-1_2.~"),
        ("../../withdraw", "..%2F..%2Fwithdraw"),
        ("1?cancel=all", "1%3Fcancel%3Dall"),
        ("1#x", "1%23x"),
        ("1&x=y", "1%26x%3Dy"),
        ("a%2Fb c+é", "a%252Fb%20c%2B%C3%A9"),
    ],
)
def test_what_a_venue_called_an_order_is_one_part_of_the_url_that_asks_for_it(id_, sent):
    url = "https://example.com/o/{{id}}?{{q}}"
    made = {"q": "id={{id}}", "sign": "{{q}}"}
    adapter = described(
        ask={
            "order": {
                "get": url,
                "let": made,
                "headers": {"S": "{{sign}}"},
                "query": {"i": "{{id}}"},
                "gives": "order",
            }
        }
    )
    (request,), _ = ask(adapter, Order(id=id_), {})
    assert request.url == f"https://example.com/o/{sent}?id={sent}"
    assert (request.headers, request.query) == ({"S": f"id={sent}"}, {"i": id_})


@pytest.mark.parametrize("id_", [".", ".."])
def test_an_order_that_is_called_like_another_path_is_not_asked_for(id_):
    adapter = described(ask={"order": {"get": "https://example.com/o/{{id}}/x", "gives": "order"}})
    with pytest.raises(SignInFailed, match="dots alone"):
        ask(adapter, Order(id=id_))


def test_kraken_s_answer_has_the_id_for_a_key():
    answer = {
        "error": [],
        "result": {"OABC-1": {"status": "closed", "vol": "1", "vol_exec": "1", "price": "5"}},
    }
    (request,), found = ask(adapter_of("kraken"), Order(id="OABC-1"), answer)
    assert request.form["txid"] == "OABC-1"
    assert [(item.state.id, item.state.status) for item in found] == [("OABC-1", "filled")]
    unknown = {"error": ["EOrder:Unknown order"]}
    assert ask(adapter_of("kraken"), Order(id="OABC-1"), unknown)[1] == []


def test_an_order_whose_symbol_isn_t_known_can_t_be_asked_for_by_it():
    with pytest.raises(SignInFailed) as caught:
        ask(adapter_of("binance-usdm"), Order(id="7"))
    assert "no symbol is known" in str(caught.value)


def test_a_position_is_asked_for_by_its_symbol():
    known = [{"symbol": "BTCUSDT", "positionSide": side, "positionAmt": "0.000"} for side in ("LONG", "BOTH")]
    adapter = adapter_of("binance-usdm")
    (request,), found = ask(adapter, Position(id="BTCUSDT:BOTH", symbol="BTCUSDT"), known)
    assert "/fapi/v2/positionRisk?symbol=BTCUSDT&" in request.url
    assert [(item.state.id, item.state.status) for item in found] == [
        ("BTCUSDT:LONG", "closed"),
        ("BTCUSDT:BOTH", "closed"),
    ]
    none = {"retCode": 10001, "retMsg": "symbol invalid"}
    closed = {"retCode": 0, "result": {"list": [{"symbol": "X", "positionIdx": 0, "size": "0", "side": ""}]}}
    requests, found = ask(adapter_of("bybit"), Position(id="X:0", symbol="X"), none, closed)
    assert len(requests) == 2
    assert [(item.state.id, item.state.status) for item in found] == [("X:0", "closed")]
    assert adapter_of("kraken").ask(None, None, Position(id="X"), None, NOW) is None


def test_a_description_without_a_question_asks_none():
    adapter = described()
    assert adapter.ask(settings(adapter), None, Order(id="7"), None, NOW) is None
    assert adapter.snapshot(settings(adapter), None, NOW, None) is None


# ------------------------------------------------------------------------------------------------ what messages mean


def told(adapter, text):
    return meaning(adapter.decode(text, NOW))["items"]


@pytest.mark.parametrize(
    ("message", "means"),
    [
        ({"o": []}, ["control"]),
        ({"x": 1}, [{"unrecognized": "a message that the description knows nothing of without `o[]`"}]),
        (
            {"o": [{"i": 1, "p": "x"}, 5, {"p": 1}, {"i": "b", "u": 1}]},
            [
                {"observation": "order", "origin": "live", "fields": {"id": "1"}, "cleared": ["price"]},
                {"observation": "order", "origin": "live", "fields": {"id": "b"}, "cleared": ["updated"]},
                {"unreadable": "order.price: not a number: 'x'"},
                {"unreadable row": "order.o[]: neither an object nor a list: 5"},
            ],
        ),
        ({"o": [{"i": 1, "s": "odd"}]}, [
            {"observation": "order", "origin": "live", "fields": {"id": "1", "status": "unknown"}},
            {"unreadable": "order.status: not documented: odd"},
        ]),
    ],
)  # fmt: skip
def test_what_is_odd_is_told_and_its_neighbours_are_taken(message, means):
    assert told(described(), json.dumps(message)) == means


@pytest.mark.parametrize(
    ("message", "begins"),
    [
        ({"o": [5]}, "order.o[]: neither an object nor a list: 5"),
        ({"o": [{"p": 1}]}, "order.o[]: order without an id"),
        ({"o": [{"i": [1]}]}, "order.o[]: id: not an id"),
        (5, "neither an object nor a list"),
    ],
)
def test_a_message_of_which_nothing_can_be_read_is_malformed(message, begins):
    with pytest.raises(Malformed, match=r"^" + begins.replace("[", r"\[").replace("]", r"\]")):
        described().decode(json.dumps(message), NOW)


def test_a_number_out_of_all_range_loses_its_field_and_no_other():
    items = told(described(), '{"o": [{"i": "1", "p": 1e999}, {"i": "2", "p": 1.50}]}')
    assert [item.get("fields") for item in items[:2]] == [{"id": "1"}, {"id": "2", "price": "1.50"}]
    assert items[2]["unreadable"].startswith("order.price: ")


def test_numbers_are_exact():
    adapter = described(
        things={
            "order": {
                "fields": {
                    "id": "i",
                    "price": {"path": "p", "times": "0.01"},
                    "amount": {"path": "a", "abs": True},
                    "filled": {"path": "f", "negate": True},
                    "cost": {"sum": ["a", "f"]},
                    "stop_loss": {"path": "m", "missing": ["0"]},
                }
            }
        }
    )
    digits = "-123456789012345678901234567890.123456789012345678901234567890"
    (item,) = told(
        adapter, json.dumps({"o": [{"i": 1, "p": "333", "a": digits, "f": "-0.10", "m": "0.000"}]})
    )
    assert item["fields"] == {
        "id": "1",
        "price": "3.33",
        "amount": digits[1:],
        "filled": "0.10",
        "cost": "-123456789012345678901234567890.223456789012345678901234567890",
        "average": "-1234567890123456789000000000000",
        "remaining": "123456789012345678901234567890.023456789012345678901234567890",
    }
    assert item["cleared"] == ["stop_loss"]


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ({"a": "5.0", "r": "3.0", "s": "open"}, {"filled": "2.0", "status": "partially_filled"}),
        ({"a": "5.0", "r": "5.0", "s": "open"}, {"filled": "0.0", "status": "open"}),
        ({"a": "5.0", "r": "0.0", "s": "filled", "c": "50"}, {"filled": "5.0", "average": "10"}),
        ({"a": "5.0"}, {}),
        ({"r": "5.0"}, {}),
    ],
)
def test_what_has_traded_is_worked_out_of_what_is_left(message, fields):
    adapter = described(
        things={"order": {"fields": {"id": "i", "amount": "a", "remaining": "r", "status": "s", "cost": "c"}}}
    )
    (item,) = told(adapter, json.dumps({"o": [{"i": 1, **message}]}))
    said = {key: item["fields"][key] for key in ("filled", "status", "average") if key in item["fields"]}
    assert said == ({"status": message["s"]} if "s" in message else {}) | fields
    assert adapter.supplies["order"] >= {"filled", "average"}


@pytest.mark.parametrize(
    "path", ["$.data[].s", "$.data[*].s", "$.data.*", "$.a || data[]", "$.data.[a[], b]", "$.a[] | [0]"]
)
def test_a_path_of_the_whole_message_picks_one_value(path):
    """It is walked for each part: of a list as long as theirs that would take the square of the time."""
    things = {"order": {"fields": {"id": "i", "symbol": path}}}
    node, _ = documents.load(yaml.safe_dump({**LEAST, "things": things}))
    _, problems = read_description(node)
    assert [problem.message.partition(":")[0] for problem in problems] == [
        "a path of the whole message picks one value"
    ]


def test_many_parts_of_which_each_asks_for_the_whole_message_take_no_longer_for_it():
    things = {"order": {"fields": {"id": "i", "symbol": "$.o"}}}
    rows = [{"i": str(count)} for count in range(20_000)]
    began = time.perf_counter()
    said = told(described(things=things), json.dumps({"o": rows}))
    assert time.perf_counter() - began < 10
    assert said[-1] == {"unreadable": "order.symbol: not a text: a list of 20000"}


@pytest.mark.parametrize(("rules", "rows"), [(1, 50_001), (3, 20_000)])
def test_a_message_of_very_many_parts_is_malformed(rules, rows):
    adapter = described(messages=[{"each": "o[]", "gives": "order"} for _ in range(rules)])
    with pytest.raises(Malformed, match="more than 50,000 parts"):
        adapter.decode(json.dumps({"o": [{"i": "a"}] * rows}), NOW)


def test_a_reply_has_the_digits_of_the_ping_and_a_bound():
    adapter = described(answers=[{"when": {"ping": {"there": True}}, "reply": '{"pong":{{ping}}}'}])
    assert told(adapter, '{"ping": 1.50}') == [{"reply": '{"pong":1.50}'}]
    with pytest.raises(Malformed):
        adapter.decode(json.dumps({"ping": "x" * 5000}), NOW)
