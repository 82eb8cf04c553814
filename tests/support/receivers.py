"""Stand-ins for the services that people are told by, on loopback: real sockets, scripted answers.

`Services` is a CONNECT proxy with TLS behind it, for every host name: with its `environment` set, Apprise's own Slack and
Telegram plugins deliver to it unpatched. `HttpReceiver` is for `json://`, `MailReceiver` a real SMTP server.
"""

import json
import re
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

_PATIENCE = 60.0  # seconds; a test that needs longer has failed, also on a busy machine
SLACK, TELEGRAM = "hooks.slack.com", "api.telegram.org"
WORD_JOINER = "\u2060"  # is not seen


@dataclass(frozen=True)
class Request:
    """What a service was sent, and when (seconds since 1970)."""

    host: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    arrived: float = field(default_factory=time.time, compare=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What a service answers."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hang:
    """Takes the request and says nothing until the stand-in is closed."""


@dataclass(frozen=True)
class Drop:
    """Takes the request and closes the connection."""


@dataclass(frozen=True)
class Later:
    """What `get` returns is answered once it does; it is asked for in the connection's own thread."""

    get: Callable[[], Reply]


Answer = Reply | Hang | Drop | Later
_WELCOME = {SLACK: Reply(200, "ok"), TELEGRAM: Reply(200, '{"ok":true,"result":{}}')}
HOSTS = (SLACK, "slack.com", TELEGRAM, "discord.com", "ntfy.sh", "api.pushover.net", "gotify.example.org")


class _Server(AbstractContextManager["_Server"]):
    """Accepts on a port of its own; each connection has a thread, which ends with the stand-in."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._script: dict[str, deque[Answer]] = {}
        self._default: dict[str, Answer] = dict(_WELCOME)
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def script(self, host: str, *answers: Answer) -> None:
        """The next answers of `host`, in order; then it takes everything again."""
        self._script.setdefault(host, deque()).extend(answers)

    def always(self, host: str, answer: Answer) -> None:
        self._default[host] = answer

    def answer(self, request: Request) -> Answer:
        script = self._script.get(request.host)
        return script.popleft() if script else self._default.get(request.host, Reply(200, "{}"))

    def wait_for(self, count: int) -> list[Request]:
        """The requests, as soon as there are that many. AssertionError when they don't come."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.requests) >= count, _PATIENCE)
            assert arrived, f"{len(self.requests)} of {count} requests came"
            return list(self.requests)

    def close(self) -> None:
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(_PATIENCE)
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(_PATIENCE)
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve_one, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve_one(self, connection: socket.socket) -> None:
        # A client that goes away, or the stand-in's own closing, ends a connection; neither is a fault of the test.
        with connection, suppress(OSError):
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        self._http(connection, "localhost")

    def _http(self, connection: socket.socket, host: str) -> None:
        with connection.makefile("rb") as reader:
            while request := _read_request(reader, host):
                with self._changed:
                    answer = self.answer(request)
                    self.requests.append(request)
                    self._changed.notify_all()
                if isinstance(answer, Later):
                    answer = answer.get()
                if isinstance(answer, Hang):
                    self._closing.wait(_PATIENCE)
                if not isinstance(answer, Reply):
                    return
                connection.sendall(_reply_bytes(answer))


class HttpReceiver(_Server):
    """A web server that takes whatever is posted to it."""

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/alerts"

    @property
    def channel(self) -> dict[str, Any]:
        """A channel of the config on which each alert goes by itself, however many there are."""
        return {"urls": [self.url], "storm": "off"}


class _Secured(ssl.SSLSocket):
    """One whose client has gone before the handshake, too: CPython raises then and leaves the new socket open."""

    def __del__(self) -> None:
        self.close()


class Services(_Server):
    """Every https host there is, behind a proxy that `environment` points at."""

    def __init__(self, directory: Path, hosts: tuple[str, ...] = HOSTS) -> None:
        authority = trustme.CA()
        self._bundle = directory / "services-ca.pem"
        authority.cert_pem.write_to_path(str(self._bundle))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.sslsocket_class = _Secured
        authority.issue_cert(*hosts).configure_cert(self._tls)
        super().__init__()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "https_proxy": f"http://127.0.0.1:{self.port}",
            "REQUESTS_CA_BUNDLE": str(self._bundle),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def _serve(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = connection.recv(4096)
            if not chunk:
                return
            head += chunk
        host = head.split()[1].decode().rpartition(":")[0]
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with self._tls.wrap_socket(connection, server_side=True) as secured:
            self._connections.append(secured)
            self._http(secured, host)


def _read_request(reader: Any, host: str) -> Request | None:
    """None where the client has gone, also in the middle of one: a `kill -9` cuts off what is being sent."""
    line = reader.readline()
    if not line.endswith(b"\n"):
        return None
    method, path, _ = line.decode().split()
    headers = {}
    while (header := reader.readline()).strip() != b"":
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = reader.read(length)
    return Request(host, method, path, headers, body) if header and len(body) == length else None


def _reply_bytes(reply: Reply) -> bytes:
    body = reply.body.encode()
    headers = {"Content-Length": str(len(body)), "Content-Type": "application/json", **reply.headers}
    lines = [
        f"HTTP/1.1 {reply.status} Status {reply.status}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class MailReceiver(AbstractContextManager["MailReceiver"]):
    """A real SMTP server. `replies` are its next answers to DATA (`"550 no such user"`); "" takes the mail.

    `refuses` has its next answers to a recipient, by address. `recipients` has whom each mail that it took was for.
    """

    def __init__(self, *, password: str | None = None) -> None:
        self.mails: list[EmailMessage] = []
        self.replies: deque[str] = deque()
        self.refuses: dict[str, deque[str]] = {}
        self.recipients: list[list[str]] = []
        self._changed = threading.Condition()
        self._controller = _AnyPort(
            self,
            hostname="127.0.0.1",
            port=0,
            ready_timeout=_PATIENCE,
            auth_require_tls=False,
            authenticator=_only(password) if password is not None else None,
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        return self._controller.port

    def url(self, password: str = "hunter2secret") -> str:
        return (
            f"mailto://bell:{password}@127.0.0.1:{self.port}"
            "?smtp=127.0.0.1&mode=insecure&from=bell@example.org&to=me@example.org"
        )

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name and arguments
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if script := self.refuses.get(address):
            return script.popleft()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        reply = self.replies.popleft() if self.replies else ""
        if reply:
            return reply
        content = envelope.content
        assert isinstance(content, bytes)
        with self._changed:
            mail = message_from_bytes(content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
            self._changed.notify_all()
        return "250 2.0.0 Ok: queued as 4XYZ"

    def wait_for(self, count: int) -> list[EmailMessage]:
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.mails) >= count, _PATIENCE)
            assert arrived, f"{len(self.mails)} of {count} mails came"
            return list(self.mails)


class _AnyPort(Controller):
    """A controller that takes whatever port is free, and knows then which."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def _only(password: str) -> Callable[..., AuthResult]:
    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.password == password.encode()
        return AuthResult(success=right, handled=False)

    return authenticate


def telegram_text(request: Request) -> str:
    """The text that a person reads in Telegram, which resolves HTML's tags and escapes where it is told to."""
    text: str = request.json["text"]
    if "parse_mode" not in request.json:
        return text.replace(WORD_JOINER, "")
    html = re.sub(r"<[^>]*>", "", text)
    for escaped, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(escaped, char)
    return html


def slack_text(request: Request) -> str:
    """Title and text as a person reads them in Slack, which resolves three escapes."""
    (attachment,) = request.json["attachments"]
    text = f"{attachment['title']}\n{attachment['text']}"
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
