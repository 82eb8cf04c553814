"""What can go wrong outside: with a venue, or on the way to it. Each is told and tried again; none is a bug of ours."""

import codecs
from collections.abc import Mapping
from typing import cast

from tocsin.errors import ConnectFailed, OutsideError, leaves
from tocsin.venues.base import HttpResponse

_BODY_SHOWN = 200  # characters
_HALF_OF_A_CHARACTER = "tocsin-half-of-a-character"  # as codecs know it
codecs.register_error(_HALF_OF_A_CHARACTER, lambda error: (r"\udfff", cast("UnicodeDecodeError", error).end))


class HandshakeRejected(ConnectFailed):
    """The venue answered the WebSocket handshake with another HTTP status. Header names are lower case."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.response = HttpResponse(status=status, headers=headers, body=body)
        shown = " ".join(body.decode("utf-8", "replace").split())[:_BODY_SHOWN]
        super().__init__(f"the handshake was answered with HTTP {status}{': ' + shown if shown else ''}")


class Lost(OutsideError):
    """A connection ended. `clean`: by a close of the venue's, and not within a message."""

    def __init__(self, reason: str, *, clean: bool = False) -> None:
        super().__init__(reason)
        self.clean = clean


class UnreadableMessage(OutsideError):
    """One message can't be read (not UTF-8, a line too long); the connection goes on. `raw` is what there is of it."""

    def __init__(self, reason: str, raw: str = "") -> None:
        super().__init__(reason)
        self.raw = raw


def text_of(message: bytes, what: str) -> str:
    """A message's text. Raises UnreadableMessage for what isn't UTF-8.

    In what looks like JSON a piece of a character becomes what JSON writes for half of one: that the decoder mends, and tells.
    """
    try:
        return message.decode()
    except UnicodeDecodeError:
        if message.lstrip()[:1] in (b"{", b"["):
            return message.decode(errors=_HALF_OF_A_CHARACTER)
        raise UnreadableMessage(f"{what} that is not UTF-8", repr(message[:_BODY_SHOWN])) from None


class CredentialsRefused(OutsideError):
    """The venue refused our credentials."""


class AllRefused(OutsideError):
    """Every stream of a socket was refused, so there is nothing to listen to."""


def foremost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error of a nursery that its caller should see: a bug of ours before what the outside did.

    A group that holds a cancellation, or anything else that is no `Exception`, comes back whole: it isn't ours to judge.
    """
    errors = leaves(group)
    if not all(isinstance(error, Exception) for error in errors):
        return group
    return next((error for error in errors if not isinstance(error, OutsideError)), errors[0])
