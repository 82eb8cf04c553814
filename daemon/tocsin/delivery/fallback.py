"""Who is told instead, and of the end of what they heard of. Pure."""

from collections.abc import Iterable
from datetime import datetime

from tocsin.delivery.backlog import Parcel, hand_over
from tocsin.store.model import Delivery, NewDelivery


class Fallback:
    """A channel's fallback, where it has one: (name, how many URLs it has)."""

    def __init__(self, fallback: tuple[str, int] | None) -> None:
        self._fallback = fallback

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
        if self._fallback is None or parcel.carrier.handed_to or not self.serves(parcel.carrier):
            return ()
        return hand_over(parcel, *self._fallback, now=now, because=because)

    def has_heard(self, told: Iterable[Delivery]) -> bool:
        """Whether it heard of an alert instead of somebody: `told` is all that it was to tell of that alert."""
        return any(each.channel not in each.context.get("channels", ()) for each in told)

    def take_end(self, parcel: Parcel, now: datetime, *, heard: bool) -> tuple[NewDelivery, ...]:
        """What was announced as firing there is announced as resolved there, also when it is told here by now.

        `heard` is what `has_heard` said a moment ago; what was handed over since, the parcel knows.
        """
        if parcel.carrier.state_told != "resolved" or not (
            heard or any(each.handed_to for each in parcel.all)
        ):
            return ()
        return self.take(parcel, now)
