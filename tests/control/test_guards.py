"""What is refused over TCP before anything is looked at, each by itself: also what the server in front of it would refuse."""

import pytest

from tocsin.config.listening import Address
from tocsin.control.guards import (
    MOST_BODY,
    MOST_HEADERS,
    MOST_QUERY,
    Guarded,
    is_bearer,
    names_of,
)
from tocsin.secrets import Secret

NAMES = names_of(Address("127.0.0.1", 8080), ["Tocsin.Example.org", "other.example.org:9"])
US = b"127.0.0.1:8080"
TOKEN = Secret("a-token-of-twenty-characters")


async def asked(
    *headers: tuple[bytes, bytes], kind: str = "http", query: bytes = b"", path: bytes = b"/"
) -> list:
    """What is answered: its status, text and headers; or `passed`."""
    said: list = []

    async def app(_scope, _receive, _send) -> None:
        said.append("passed")

    async def send(message) -> None:
        said.extend(message[name] for name in ("status", "body", "code", "headers") if name in message)

    scope = {
        "type": kind, "method": "GET", "path": "/", "raw_path": path, "query_string": query, "headers": list(headers),
    }  # fmt: skip
    await Guarded(app, NAMES)(scope, None, send)
    return said


@pytest.mark.parametrize(
    ("hosts", "is_us"),
    [
        ([US], True),
        ([b"LOCALHOST:8080"], True),
        ([b"tocsin.example.org"], True),
        ([b"TOCSIN.example.org:443"], True),
        ([b"other.example.org:9"], True),
        ([b"other.example.org"], False),
        ([b"other.example.org:10"], False),
        ([], False),
        ([US, US], False),
        ([US, b"evil.example.org"], False),
        ([b"127.0.0.1"], False),
        ([b"localhost:80"], False),
        ([b"evil.example.org"], False),
        ([b"127.0.0.1:8080@evil.example.org"], False),
        ([b"evil@tocsin.example.org"], False),
        ([b"tocsin.example.org.evil.org"], False),
        ([b""], False),
        ([b"\xff"], False),
        ([b"[::1"], False),
    ],
)
async def test_by_which_host_we_are_asked(hosts, is_us):
    said = await asked(*[(b"host", host) for host in hosts])
    assert said[0] == ("passed" if is_us else 421)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        (("127.0.0.1", 8080), {("127.0.0.1", 8080), ("localhost", 8080)}),
        (
            ("127.0.0.1", 80),
            {("127.0.0.1", 80), ("localhost", 80), ("127.0.0.1", None), ("localhost", None)},
        ),
        (("::1", 8080), {("::1", 8080), ("localhost", 8080)}),
    ],
)
def test_our_own_names(address, names):
    assert names_of(Address(*address), ()) == names


def padded(size: int) -> tuple[bytes, bytes]:
    """A header with which all of them take so many bytes."""
    return b"x", b"a" * (size - len(b"host") - len(US) - 1)


ASKED = {
    "the longest query": ({"query": b"a" * MOST_QUERY}, "passed"),
    "a longer query": ({"query": b"a" * (MOST_QUERY + 1)}, 414),
    "the longest path": ({"path": b"/" * MOST_QUERY}, "passed"),
    "a longer path": ({"path": b"/" * (MOST_QUERY + 1)}, 414),
    "the longest headers": ({"header": padded(MOST_HEADERS)}, "passed"),
    "longer headers": ({"header": padded(MOST_HEADERS + 1)}, 431),
    "the longest body": ({"header": (b"content-length", b"%d" % MOST_BODY)}, "passed"),
    "a longer body": ({"header": (b"content-length", b"%d" % (MOST_BODY + 1))}, 413),
    "a body of less than nothing": ({"header": (b"content-length", b"-1")}, 413),
    "a body of a length that nobody counts": ({"header": (b"content-length", b"9" * 5000)}, 413),
    "a body of many": ({"header": (b"content-length", b"many")}, 413),
    "a socket of the web": ({"kind": "websocket"}, 1008),
    "the server itself": ({"kind": "lifespan"}, "passed"),
}


@pytest.mark.parametrize(("more", "answered"), ASKED.values(), ids=ASKED)
async def test_how_much_may_be_asked(more, answered):
    header = [more["header"]] if "header" in more else []
    said = await asked((b"host", US), *header, **{name: more[name] for name in more if name != "header"})
    assert said[0] == answered


async def test_a_refusal_is_kept_by_nobody_and_ends_the_connection():
    status, headers, body = await asked((b"host", b"evil.example.org"))
    assert (status, body) == (421, b"not a name of this server; see listen.hosts\n")
    assert {(b"cache-control", b"no-store"), (b"connection", b"close")} <= set(headers)


@pytest.mark.parametrize(
    ("authorization", "is_it"),
    [
        (f"Bearer {TOKEN.reveal()}", True),
        (f"bearer  {TOKEN.reveal()} ", True),
        (TOKEN.reveal(), False),
        (f"Basic {TOKEN.reveal()}", False),
        (f"Bearer {TOKEN.reveal()[:-1]}", False),
        (f"Bearer {TOKEN.reveal()}s", False),
        ("Bearer", False),
        ("Bearer \xe4", False),
        ("", False),
    ],
)
def test_who_has_the_token(authorization, is_it):
    assert is_bearer(authorization, TOKEN) is is_it
