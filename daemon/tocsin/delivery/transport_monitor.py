"""What goes over the wire while Apprise sends: listened to, bounded, and cut off when its time is up.

Apprise tells only yes or no, and reads whatever it is answered. So the public methods of the two libraries that it sends
with (`requests`, `smtplib`), and the two functions that connect their sockets, are wrapped once in the life of the process;
what runs outside of a monitor passes through untouched.
"""

import functools
import http.client
import importlib
import io
import json
import re
import smtplib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from threading import Lock
from types import MappingProxyType
from typing import Any

from msgspec import structs

from tocsin.alerts.plain import flat
from tocsin.answers import parsed, retry_after
from tocsin.delivery.service_responses import LONGEST, Means, ServiceResponse, said
from tocsin.delivery.telegram import moved_to

LONGEST_ANSWER = 64 << 10  # bytes of a body, or of one reply of a mail server, that are read
_LONGEST_EXCHANGE = 3 * LONGEST_ANSWER  # with all that stands before the body
_STEP = 1024  # bytes read at a time: what comes packed is measured before it is large
_current: ContextVar["TransportMonitor | None"] = ContextVar("tocsin_transport_monitor", default=None)
_installed = Lock()


class TransportMonitor:
    """One send: what is answered to it, whom of the URL's recipients it reaches, and its connections.

    `reached` holds the keys of those who have the message already, and gets those who get it. `means` judges HTTP's 2xx
    answers by status and body. `moved` (Telegram's) has the present ids of chats by their former ones; several sends may
    have it in common. What this one learns is added, and stands in `learnt` too. `headers` are added to requests of HTTP.
    """

    def __init__(
        self,
        reached: set[str],
        means: Callable[[int, bytes], Means],
        moved: dict[str, str] | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._headers = headers
        self.answers: list[ServiceResponse] = []
        self.reached = reached
        self._means = means
        self._moved = moved
        self.learnt: dict[str, str] = {}
        self._about: str | None = None
        self._to: str | None = None
        self._connections: list[socket.socket] = []
        self._over = False
        self._lock = Lock()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hears what this thread sends and is answered meanwhile."""
        _install()
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            self.cut_off()

    @property
    def is_over(self) -> bool:
        return self._over

    def cut_off(self) -> None:
        """Shuts the connections, whatever goes on there, and lets no other be made. From any thread."""
        with self._lock:
            self._over = True
            connections, self._connections = self._connections, []
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def has_reached(self, key: object, per_message: bool = False) -> bool:  # noqa: ARG002 - Apprise's signature
        """Apprise asks before each recipient: what is answered from now on is about that one."""
        self._about = repr(key)
        return self._about in self.reached

    def reaches(self, key: object, per_message: bool = False) -> None:  # noqa: ARG002 - same
        self.reached.add(repr(key))

    # -------------------------------------------------------------------------------------------------------------- http

    def exchange(self, send: Callable[..., Any], adapter: Any, request: Any, **options: Any) -> Any:
        """`requests.adapters.HTTPAdapter.send`: the response, with its body read to the bound."""
        request.headers["Accept-Encoding"] = "identity"
        request.headers.update(self._headers)
        if self._moved is not None:
            self._readdress(request)
        response, body = self._short_response(send, adapter, request, options)
        if self._moved is not None and self._has_moved(request, response, body):
            self._readdress(request)
            response, body = self._short_response(send, adapter, request, options)
        status: int = response.status_code
        means = self._means(status, body)
        text = said(body) or flat(str(response.reason or ""), LONGEST)
        if (new_id := moved_to(body)) is not None:
            text = f"{text} (the chat's new id is {new_id})"
        wait = retry_after(response.headers, body, datetime.now(UTC))
        self._hear(ServiceResponse(how="http", status=status, text=text, retry_after=wait, means=means))
        if 200 <= status < 300 and means in ("passing", "foreign"):
            # Apprise would take it for sent.
            raise importlib.import_module("requests").ConnectionError("not the service's own answer")
        return response

    def response(self, init: Callable[..., None], response: Any, *given: Any, **more: Any) -> None:
        """`http.client.HTTPResponse`, which reads interim answers and headers for as long as they come."""
        init(response, *given, **more)
        response.fp = io.BufferedReader(_Bounded(response.fp.detach(), self, _LONGEST_EXCHANGE))

    def _short_response(
        self, send: Callable[..., Any], adapter: Any, request: Any, options: dict[str, Any]
    ) -> tuple[Any, bytes]:
        try:
            return _cut_short(send(adapter, request, **options))
        except Exception as error:
            # urllib3 puts the whole URL into its message, and Telegram's URL holds the token.
            text = re.sub(r"(?i)with url: \S+ ?", "", _innermost(error))
            self._hear(ServiceResponse(how="http", status=None, text=flat(text, LONGEST)))
            raise

    def _readdress(self, request: Any) -> None:
        if (body := readdressed(request.body, self._moved or {})) is not None:
            request.prepare_body(body, None)
        self._to = chat_of(request.body)

    def _has_moved(self, request: Any, response: Any, body: bytes) -> bool:
        new_id, chat = moved_to(body), chat_of(request.body)
        if self._moved is None or response.ok or new_id is None or chat is None or chat == new_id:
            return False
        self._moved[chat] = self.learnt[chat] = new_id
        return True

    # -------------------------------------------------------------------------------------------------------------- smtp

    def reply(self, getreply: Callable[..., Any], mail: Any) -> Any:
        """`smtplib.SMTP.getreply`: all lines of a reply together no longer than an answer may be."""
        if mail.file is None and mail.sock is not None:
            mail.file = io.BufferedReader(_Bounded(mail.sock.makefile("rb").detach(), self, LONGEST_ANSWER))
        if mail.file is not None:
            mail.file.raw.renew()
        code, text = self.watched(getreply, mail)
        self._hear(
            ServiceResponse(how="smtp", status=code, text=flat(text.decode(errors="replace"), LONGEST))
        )
        return code, text

    def recipient(self, rcpt: Callable[..., Any], mail: Any, address: str, *options: Any) -> Any:
        """`smtplib.SMTP.rcpt`: what is answered is about that address alone."""
        before = self._about
        self._about, self._to = self._addressed(address), address
        try:
            return rcpt(mail, address, *options)
        finally:
            self._about, self._to = before, None

    def mail(
        self,
        sendmail: Callable[..., Any],
        mail: Any,
        sender: str,
        to: str | Sequence[str],
        *rest: Any,
        **more: Any,
    ) -> Any:
        """`smtplib.SMTP.sendmail`, to those of a mail's recipients who don't have it yet."""
        addresses = [to] if isinstance(to, str) else to
        left = [each for each in addresses if self._addressed(each) not in self.reached]
        refused = self.watched(sendmail, mail, sender, left, *rest, **more) if left else {}
        self.reached.update(self._addressed(each) for each in left if each not in refused)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)
        return refused

    def watched(self, method: Callable[..., Any], mail: Any, *given: Any, **more: Any) -> Any:
        """A method of SMTP, heard where it fails by anything else than a reply."""
        try:
            return method(mail, *given, **more)
        except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused):
            raise  # heard as replies
        except Exception as error:
            if not self.answers or self.answers[-1].status is not None:  # not heard further inside
                self._hear(ServiceResponse(how="smtp", status=None, text=flat(_innermost(error), LONGEST)))
            raise

    def _addressed(self, address: str) -> str:
        return f"{self._about} {address}"

    # ----------------------------------------------------------------------------------------------------------- sockets

    def connected(self, connect: Callable[..., Any], *given: Any, **more: Any) -> Any:
        """`create_connection`, as long as it isn't over."""
        connection = None if self._over else connect(*given, **more)
        with self._lock:
            if connection is not None and not self._over:
                # A descriptor of our own: TLS takes the other one away from its socket.
                self._connections.append(connection.dup())
                return connection
        if connection is not None:
            connection.close()
        raise ConnectionAbortedError("given up")

    def _hear(self, answer: ServiceResponse) -> None:
        self.answers.append(structs.replace(answer, about=self._about, to=self._to))


class _Bounded(io.RawIOBase):
    """What is read of a connection: no more than a bound, and nothing once the monitor is over.

    To shut a socket isn't enough: what the other side goes on sending can still be read.
    """

    def __init__(self, raw: Any, monitor: TransportMonitor, bound: int) -> None:
        self._raw = raw
        self._monitor = monitor
        self._bound = self._left = bound

    def renew(self) -> None:
        """Another answer begins."""
        self._left = self._bound

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._monitor.is_over:
            raise ConnectionAbortedError("given up")
        if self._left <= 0:
            raise ConnectionAbortedError("an answer without end")
        count: int | None = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _cut_short(response: Any) -> tuple[Any, bytes]:
    """The response with no more of its body than is read of any; its connection is closed."""
    requests, urllib3 = importlib.import_module("requests"), importlib.import_module("urllib3")
    wire, parts, length = response.raw, [], 0
    try:
        while length < LONGEST_ANSWER and (part := wire.read(_STEP, decode_content=True)):
            parts.append(part)
            length += len(part)
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error, request=response.request) from error
    finally:
        wire.close()
    body = b"".join(parts)[:LONGEST_ANSWER]
    response.raw = urllib3.HTTPResponse(
        body=io.BytesIO(body),
        status=wire.status,
        reason=wire.reason,
        version=wire.version,
        preload_content=False,
        original_response=getattr(wire, "_original_response", None),  # whose cookies requests looks for
    )
    return response, body


def _innermost(error: BaseException) -> str:
    """The cause in words: requests wraps urllib3 wraps the socket's own error."""
    seen = {id(error)}
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if not isinstance(inner, BaseException) or id(inner) in seen:
            break
        seen.add(id(inner))
        error = inner
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _install() -> None:
    """Wrap the libraries' functions, once in the life of the process."""
    adapters = importlib.import_module("requests.adapters")
    connections = importlib.import_module("urllib3.util.connection")
    with _installed:
        if hasattr(smtplib.SMTP.getreply, "tocsin_listens"):
            return
        for owner, name, through in (
            (adapters.HTTPAdapter, "send", TransportMonitor.exchange),
            (http.client.HTTPResponse, "__init__", TransportMonitor.response),
            (connections, "create_connection", TransportMonitor.connected),
            (socket, "create_connection", TransportMonitor.connected),
            (smtplib.SMTP, "getreply", TransportMonitor.reply),
            (smtplib.SMTP, "rcpt", TransportMonitor.recipient),
            (smtplib.SMTP, "sendmail", TransportMonitor.mail),
            (smtplib.SMTP, "connect", TransportMonitor.watched),
            (smtplib.SMTP, "starttls", TransportMonitor.watched),
            (smtplib.SMTP, "login", TransportMonitor.watched),
        ):
            setattr(owner, name, _wrapped(getattr(owner, name), through))


def _wrapped(function: Callable[..., Any], through: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*given: Any, **more: Any) -> Any:
        monitor = _current.get()
        return function(*given, **more) if monitor is None else through(monitor, function, *given, **more)

    wrapped.tocsin_listens = True  # type: ignore[attr-defined] # a mark of ours on the wrapper
    return wrapped


# ---------------------------------------------------------------------------------------------------- Telegram's groups


def chat_of(body: object) -> str | None:
    """The chat that a request is about."""
    request = _request(body)
    chat = request.get("chat_id") if request is not None else None
    return str(chat) if isinstance(chat, int | str) else None


def readdressed(body: object, moved: Mapping[str, str]) -> bytes | None:
    """The request for the chat's present id, where that is another one."""
    request, to = _request(body), moved.get(chat_of(body) or "")
    if request is None or to is None:
        return None
    return json.dumps({**request, "chat_id": int(to)}).encode()


def _request(body: object) -> dict[str, Any] | None:
    request = parsed(body) if isinstance(body, bytes | str) else None
    return request if isinstance(request, dict) else None
