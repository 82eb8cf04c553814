"""Which alerts were acknowledged last, or no longer are: who has read the database before that was done knows nothing of it yet."""

from collections.abc import Mapping

from tocsin.store.model import Acked

_MOST = 1_000  # alerts; of more, those that were done first are known by the database alone


class Acknowledged:
    """What became of them, by alert."""

    def __init__(self) -> None:
        self._last: dict[str, Acked] = {}

    def note(self, acked: Acked) -> None:
        self._last.pop(acked.alert, None)
        self._last[acked.alert] = acked
        if len(self._last) > _MOST:
            del self._last[next(iter(self._last))]

    def of(self, alert: str) -> Acked | None:
        """None: nothing was done about that one of late."""
        return self._last.get(alert)

    def all(self) -> Mapping[str, Acked]:
        """As they are now; another thread may look at them."""
        return dict(self._last)
