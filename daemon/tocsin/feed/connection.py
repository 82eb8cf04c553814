"""What every connection can do, whatever its framing; and taking apart what arrived glued together."""

import re
from collections.abc import Iterator
from typing import Protocol

# A JSON text can't hold a closing bracket, a line end and an opening bracket in a row: between two values of one
# document stands a comma. So what this matches separates two documents, also where they are printed over many lines.
_BETWEEN = re.compile(r"(?<=[}\]])[ \t]*\r\n\s*(?=[{\[])")


class Connection(Protocol):
    """A way to one venue, open. `receive` may be cancelled without loss; a cancelled `send` ends the connection."""

    async def receive(self) -> str:
        """The next message. Lost when there will be none; Unreadable where one had to be left out."""
        ...

    async def send(self, text: str) -> None:
        """Lost when it can't be sent."""
        ...

    async def aclose(self) -> None:
        """Say goodbye, for a bounded time; a waiting `receive` ends with Lost."""
        ...


def split_messages(text: str) -> Iterator[str]:
    """The messages in one text frame, one by one: some gateways pass on several CRLF-ended ones at once."""
    text = text.rstrip("\r\n")
    begin = 0
    for between in _BETWEEN.finditer(text):
        yield text[begin : between.start()]
        begin = between.end()
    yield text[begin:]
