"""Pending deliveries in memory, in the order of the store: answers each send without SQL, and while the disk is away."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice

import msgspec
import trio

from tocsin.store.model import EDIT, Attempt, Delivery, NewDelivery

MOST_KNOWN = 5_000  # deliveries of one URL of a channel; what else is committed is known to the store only
_MOST_CLOSED = 2_000

Target = tuple[str, int]  # channel, number of its URL


class Pending:
    """Pending deliveries, and the last 2,000 that ended. An alert of which only a part is in memory counts as unknown.

    A delivery may have a gate, an event that is set when it is on disk. `committed`: leave out those whose gate isn't set.
    """

    def __init__(self) -> None:
        self._targets: dict[Target, dict[str, dict[str, Delivery]]] = {}  # -> alert -> id -> delivery
        self._places: dict[str, tuple[Target, str, int]] = {}  # of each id: target, alert, place in the line
        self._line: dict[Target, list[tuple[int, str]]] = {}  # place and alert of the first of each, sorted
        self._later, self._sooner = count(), count(-1, -1)
        self._gates: dict[str, trio.Event] = {}
        self._counts: dict[Target, int] = {}
        self._partly: dict[Target, set[str]] = {}
        self._unread = False  # whether the store has more, for whatever target but
        self._read: set[Target] = set()
        self._closed: dict[str, Delivery] = {}

    # --------------------------------------------------------------------------------------------------------- what is known

    def is_whole(self, target: Target) -> bool:
        """Whether all that waits there is known here."""
        unread = self._unread and target not in self._read
        return not unread and not self._partly.get(target)

    def heads(self, target: Target, *, committed: bool) -> Iterator[Delivery]:
        """Of each alert the first that waits, oldest first: what comes after it may not overtake it. Edits come last.

        To be taken at once: nothing may come or go meanwhile.
        """
        partly, alerts = self._partly.get(target, ()), self._targets.get(target, {})
        for _, alert in self._line.get(target, ()):
            if alert not in partly:
                waiting = alerts[alert].values()
                head = next((each for each in waiting if each.state_told != EDIT), next(iter(waiting)))
                if not committed or self._is_open(head.id):
                    yield head

    def of_alert(self, alert: str, target: Target, *, committed: bool) -> list[Delivery]:
        """All that waits for an alert there, in order."""
        if alert in self._partly.get(target, ()):
            return []
        found = self._targets.get(target, {}).get(alert, {}).values()
        return [each for each in found if not committed or self._is_open(each.id)]

    def not_escalated(self, target: Target, after: str | None, *, committed: bool) -> Iterator[Delivery]:
        """What is critical and was handed to no other channel, alert by alert, from behind the delivery `after` on.

        All of it where `after` waits no more. To be taken at once, as `heads`.
        """
        partly, alerts = self._partly.get(target, ()), self._targets.get(target, {})
        line, begin = self._line.get(target, []), 0
        behind = after is None or after not in self._places
        if after is not None and not behind:
            _, alert, _ = self._places[after]
            first = next(iter(alerts[alert]))
            begin = bisect_left(line, (self._places[first][2], alert))
        for _, alert in islice(line, begin, None):
            for each in alerts[alert].values():
                if not behind:
                    behind = each.id == after
                    continue
                urgent = alert not in partly and each.severity == "critical" and each.handed_to is None
                if urgent and (not committed or self._is_open(each.id)):
                    yield each

    def history(self, alert: str, channel: str) -> list[Delivery]:
        """All that a channel is or was to tell of an alert, as far as it is known."""
        closed = [each for each in self._closed.values() if (each.alert, each.channel) == (alert, channel)]
        return closed + [
            each
            for (name, _), alerts in self._targets.items()
            if name == channel
            for each in alerts.get(alert, {}).values()
        ]

    def waiting(self) -> list[NewDelivery]:
        """All that waits, alert by alert."""
        return [
            as_new(delivery)
            for alerts in self._targets.values()
            for waiting in alerts.values()
            for delivery in waiting.values()
        ]

    def alert_of(self, delivery: str) -> str | None:
        """Whose a delivery is; None where that isn't known here."""
        place = self._places.get(delivery)
        return place[1] if place is not None else None

    # ------------------------------------------------------------------------------------------------------- what comes and goes

    def add(self, deliveries: Iterable[Delivery], *, bounded: bool, gate: trio.Event | None = None) -> None:
        """Those that wait, in order. `bounded`: what comes beyond MOST_KNOWN is left to the store."""
        for each in deliveries:
            target = (each.channel, each.target)
            if each.id in self._places or each.id in self._closed:
                continue
            alerts = self._targets.setdefault(target, {})
            if bounded and self._counts.get(target, 0) >= MOST_KNOWN and alerts:
                self.forget(next(reversed(alerts)), target)
            self._put(each, next(self._later))
            if gate is not None:
                self._gates[each.id] = gate

    def learn(self, alert: str, target: Target, waiting: Sequence[Delivery], *, whole: bool) -> None:
        """What the store has for an alert, in order; what comes after it may be known already. `whole`: that is all."""
        if whole:
            self._partly.get(target, set()).discard(alert)
        if all(each.id in self._places or each.id in self._closed for each in waiting):
            return
        later = dict(self._targets.get(target, {}).get(alert, {}))
        gates = {id_: gate for id_ in later if (gate := self._gates.get(id_)) is not None}
        for id_ in later:
            self._drop(id_)
        place = next(self._sooner)  # it is about to be sent
        for each in ({each.id: each for each in waiting} | later).values():
            if each.id not in self._closed:
                self._put(each, place)
        self._gates |= gates
        # First: what comes beyond MOST_KNOWN takes the last one's place.
        alerts = self._targets[target]
        if alert in alerts:
            self._targets[target] = {alert: alerts.pop(alert), **alerts}

    def forget(self, alert: str, target: Target) -> None:
        """What waits for an alert there is known to the store only."""
        self._partly.setdefault(target, set()).add(alert)
        for id_ in tuple(self._targets.get(target, {}).get(alert, ())):
            self._drop(id_)

    def distrust(self) -> None:
        """Forget everything: the store was changed by another process, and is asked again until it has nothing more."""
        for target, alerts in self._targets.items():
            for alert in tuple(alerts):
                self.forget(alert, target)
        self._read.clear()
        self._unread = True

    def unread(self) -> None:
        """The store has more than could be read, for whatever target."""
        self._unread = True

    def partly(self, target: Target) -> frozenset[str]:
        """Alerts of which the store has more than is known here."""
        return frozenset(self._partly.get(target, ()))

    def emptied(self, target: Target, alerts: frozenset[str]) -> None:
        """The store has nothing for it, neither for these alerts that were known in part."""
        self._partly.get(target, set()).difference_update(alerts)
        self._read.add(target)

    def note(self, attempt: Attempt, gate: trio.Event | None = None) -> None:
        """What became of one, whether it was known or not. `gate`: of what it causes elsewhere."""
        place = self._places.get(attempt.delivery)
        if place is not None:
            target, alert, _ = place
            waiting = self._targets[target][alert]
            now = after(waiting[attempt.delivery], attempt)
            if now.status == "pending":
                waiting[attempt.delivery] = now
            else:
                self._close(now)
        self.add(map(as_delivery, attempt.also), bounded=False, gate=gate)

    def drop(self, id_: str) -> None:
        """It doesn't wait."""
        if id_ in self._places:
            self._drop(id_)

    def regate(self, ids: Iterable[str], gate: trio.Event) -> None:
        """These are on disk when `gate` is set."""
        for id_ in ids:
            if id_ in self._places:
                self._gates[id_] = gate

    # ---------------------------------------------------------------------------------------------------------------- inside

    def _is_open(self, id_: str) -> bool:
        gate = self._gates.get(id_)
        if gate is None:
            return True
        if gate.is_set():
            del self._gates[id_]
            return True
        return False

    def _put(self, each: Delivery, place: int) -> None:
        target = (each.channel, each.target)
        waiting = self._targets.setdefault(target, {}).setdefault(each.alert, {})
        if not waiting:
            insort(self._line.setdefault(target, []), (place, each.alert))
        waiting[each.id] = each
        self._places[each.id] = (target, each.alert, place)
        self._counts[target] = self._counts.get(target, 0) + 1

    def _close(self, now: Delivery) -> None:
        self._drop(now.id)
        self._closed[now.id] = now
        if len(self._closed) > _MOST_CLOSED:
            del self._closed[next(iter(self._closed))]

    def _drop(self, id_: str) -> None:
        target, alert, place = self._places.pop(id_)
        self._gates.pop(id_, None)
        alerts = self._targets[target]
        waiting = alerts[alert]
        was_first = next(iter(waiting)) == id_
        del waiting[id_]
        if was_first:
            line = self._line[target]
            del line[bisect_left(line, (place, alert))]
            if waiting:
                insort(line, (self._places[next(iter(waiting))][2], alert))
        if not waiting:
            del alerts[alert]
        self._counts[target] -= 1


def after(delivery: Delivery, attempt: Attempt) -> Delivery:
    """The delivery as it stands after an attempt, as the store would keep it."""
    return msgspec.structs.replace(
        delivery,
        status=attempt.status,
        attempts=delivery.attempts + (attempt.status != "superseded"),
        next_at=attempt.next_at or delivery.next_at,
        sent_at=attempt.at if attempt.status == "sent" else None,
        error=attempt.error,
        handed_to=attempt.handed_to or delivery.handed_to,
        handle=attempt.handle,
    )


def as_delivery(new: NewDelivery) -> Delivery:
    """As the store will have it."""
    return Delivery(**msgspec.structs.asdict(new), next_at=new.created_at)


def as_new(delivery: Delivery) -> NewDelivery:
    """As it was committed."""
    return NewDelivery(**{name: getattr(delivery, name) for name in NewDelivery.__struct_fields__})
