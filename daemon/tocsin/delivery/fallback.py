"""Who is told instead, and of which alerts they have heard."""

from datetime import datetime

from tocsin.delivery.backlog import Parcel, hand_over, is_handed
from tocsin.store.model import Delivery, NewDelivery

_REMEMBERED = 10_000  # alerts


class Fallback:
    """A channel's fallback, where it has one: (name, how many URLs it has)."""

    def __init__(self, fallback: tuple[str, int] | None) -> None:
        self._fallback = fallback
        self._heard: dict[str, None] = {}  # alerts that it was told of, oldest first

    @property
    def name(self) -> str | None:
        return self._fallback[0] if self._fallback else None

    def serves(self, delivery: Delivery) -> bool:
        """Whether there is one for it, which isn't told of its alert anyway."""
        return self._fallback is not None and self._fallback[0] not in delivery.context.get("channels", ())

    def take(self, parcel: Parcel, now: datetime, because: str = "") -> tuple[NewDelivery, ...]:
        """The deliveries for it; none where there is no fallback, or it has the message already or gets its own.

        `because` is what the failing service answered.
        """
        if self._fallback is None or not self.serves(parcel.carrier):
            return ()
        self._heard[parcel.carrier.alert] = None
        while len(self._heard) > _REMEMBERED:
            self._heard.pop(next(iter(self._heard)))
        if is_handed(parcel.carrier):
            return ()
        return hand_over(parcel, *self._fallback, now=now, because=because)

    def take_end(self, parcel: Parcel, now: datetime) -> tuple[NewDelivery, ...]:
        """What was announced as firing there is announced as resolved there, also when it is told here by now."""
        carrier = parcel.carrier
        if carrier.state_told != "resolved" or not (
            carrier.alert in self._heard or any(map(is_handed, parcel.all))
        ):
            return ()
        taken = self.take(parcel, now)
        self._heard.pop(carrier.alert, None)
        return taken
