"""Where WebSocket frames begin and end (RFC 6455, 5.2), so that what a server sends can be handled in slices.

Nothing is decoded here; that is wsproto's business, and so is what breaks the protocol.
"""

from tocsin.feed.share import Share, Unbearable

_OPCODE, _CONTROL = 0x0F, 0x08
_MASKED, _SIZE = 0x80, 0x7F
_LONGER = 126  # this or more: the size is in the next 2 bytes (8, if more)
_LONGEST_HEAD = 14  # bytes
MOST_FRAGMENTS = 10_000  # of one message: those of 4 MiB in pieces of 512 bytes are fewer


class Frames:
    """Of one connection, from the end of the handshake on. Each frame is taken of the socket's share."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._payload = 0  # bytes still to come of the frame that has begun
        self._head = bytearray()  # of a frame whose head is not whole yet
        self._fragments = 0  # of the message that has begun

    def slice_end(self, data: bytes, at: int, now: float) -> int:
        """How far, from `at`, `data` may be handled before the others have a turn. Unbearable."""
        share, head, end = self._share, self._head, len(data)
        while at < end:
            if self._payload:
                step = min(self._payload, end - at)
                self._payload -= step
                at += step
                continue
            if share.is_over:
                break
            if not head and end - at >= _LONGEST_HEAD:
                at += self._begin(data[at : at + _LONGEST_HEAD], now)
                continue
            missing = _head_size(head) - len(head)
            head += data[at : at + missing]
            at += missing
            if len(head) >= _head_size(head):
                self._begin(bytes(head), now)
                head.clear()
        return min(at, end)

    def _begin(self, head: bytes, now: float) -> int:
        """A frame whose head is at the beginning of `head`; how long that is."""
        first, size = head[0], head[1]
        length = 2
        if size >= _LONGER:  # or masked, which no server's is
            length = _head_size(head)
            size &= _SIZE
            if size >= _LONGER:
                size = int.from_bytes(head[2:4] if size == _LONGER else head[2:10])
        self._payload = size
        data = not first & _CONTROL
        if data:
            self._fragments = 1 if first & _OPCODE else self._fragments + 1
            if self._fragments > MOST_FRAGMENTS:
                raise Unbearable(f"it sent a message in more than {MOST_FRAGMENTS:,} fragments")
        self._share.took(now, data=data and size > 0)
        return length


def _head_size(head: bytes | bytearray) -> int:
    """Bytes of the whole head, as far as its first two tell."""
    if len(head) < 2:
        return 2
    size = head[1] & _SIZE
    longer = 0 if size < _LONGER else 2 if size == _LONGER else 8
    return 2 + longer + (4 if head[1] & _MASKED else 0)
