"""Where WebSocket frames begin and end (RFC 6455, 5.2), so that what a server sends can be handled in slices.

Nothing is decoded here; that is wsproto's business, and so is what breaks the protocol.
"""

from tocsin.feed.share import Share, Unbearable

_FIN, _OPCODE, _MASKED, _SIZE = 0x80, 0x0F, 0x80, 0x7F
_CONTROL, _CONTINUATION = 0x08, 0x00
_LONGER = {126: 2, 127: 8}  # further bytes that hold the size
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
        share, end = self._share, len(data)
        while at < end and (self._payload or not share.is_over):
            if self._payload:
                step = min(self._payload, end - at)
                self._payload -= step
                at += step
                continue
            head = self._head
            missing = _head_size(head) - len(head)
            head += data[at : at + missing]
            at += missing
            if len(head) >= _head_size(head):
                self._begin(head, now)
                head.clear()
        return min(at, end)

    def _begin(self, head: bytearray, now: float) -> None:
        size = head[1] & _SIZE
        more = _LONGER.get(size, 0)
        self._payload = int.from_bytes(head[2 : 2 + more]) if more else size
        opcode = head[0] & _OPCODE
        if not opcode & _CONTROL:
            self._fragments = self._fragments + 1 if opcode == _CONTINUATION else 1
            if self._fragments > MOST_FRAGMENTS:
                raise Unbearable(f"it sent a message in more than {MOST_FRAGMENTS:,} fragments")
        self._share.took(now, data=bool(self._payload) and not opcode & _CONTROL)


def _head_size(head: bytearray) -> int:
    """Bytes of the whole head, as far as its first two tell."""
    if len(head) < 2:
        return 2
    return 2 + _LONGER.get(head[1] & _SIZE, 0) + (4 if head[1] & _MASKED else 0)
