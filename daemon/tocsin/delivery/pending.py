"""Pending deliveries in memory, in the order of the store: answers each send without SQL, and while the disk is away."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import count

import msgspec
import trio

from tocsin.store.model import EDIT, GATHERED, Arrival, Attempt, Delivery, Gathered, NewDelivery

MOST_KNOWN = 5_000  # deliveries of one URL of a channel; what else is committed is known to the store only
_MOST_CLOSED = 2_000

Target = tuple[str, int]  # channel, number of its URL
_Place = tuple[bool, int]  # whether it is an edit, and its place in the order of the store


class Pending:
    """Pending deliveries, and the last 2,000 that ended. An alert of which only a part is in memory counts as unknown.

    A delivery may have a gate, an event that is set when it is on disk. `committed`: leave out those whose gate isn't set.
    """

    def __init__(self) -> None:
        self._targets: dict[Target, dict[str, dict[str, Delivery]]] = {}  # -> alert -> id -> delivery
        self._places: dict[str, tuple[Target, str, int]] = {}  # of each id: target, alert, place in the line
        # Place and alert of the first of each, sorted, edits last; those that are prompt, and the others.
        self._line: dict[tuple[Target, bool], list[tuple[_Place, str]]] = {}
        self._listed: dict[tuple[Target, str], tuple[bool, _Place]] = {}  # where in which line an alert is
        self._critical: dict[Target, dict[str, None]] = {}  # the ids
        # Ids of those that may be due later: a new one is due at once.
        self._tried: dict[Target, set[str]] = {}
        self._carried: dict[Target, dict[str, str]] = {}  # alert -> the digest that carries what came first
        self._parts: dict[str, list[tuple[Target, str]]] = {}  # of each digest
        self._arrived: dict[Target, deque[Arrival]] = {}
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

    def heads(self, target: Target, *, committed: bool, prompt: bool | None = None) -> Iterator[Delivery]:
        """Of each alert the first that waits, oldest first: what comes after it may not overtake it, nor what a digest carries.
        Edits come last.


        `prompt`: only those that are, or aren't. To be taken at once: nothing may come or go meanwhile.
        """
        kinds = (True, False) if prompt is None else (prompt,)
        line = merge(*(self._line.get((target, kind), ()) for kind in kinds))
        alerts = self._targets.get(target, {})
        for _, alert in line:
            if not self._is_elsewhere(alert, target):
                head = _head(alerts[alert])
                if not committed or self._is_open(head.id):
                    yield head

    def next_due(self, target: Target, after: datetime, *, committed: bool) -> datetime | None:
        """When the next of the heads is due that isn't by then."""
        alerts, found = self._targets.get(target, {}), []
        for id_ in self._tried.get(target, ()):
            _, alert, _ = self._places[id_]
            each = _head(alerts[alert])
            is_head = each.id == id_ and not self._is_elsewhere(alert, target)
            if is_head and each.next_at > after and (not committed or self._is_open(id_)):
                found.append(each.next_at)
        return min(found, default=None)

    def gatherable(
        self, target: Target, now: datetime, *, critical: bool, committed: bool
    ) -> Iterator[Delivery]:
        """What a digest would carry: of each alert that which waits, from the first on, as far as that goes. As `heads`."""
        alerts = self._targets.get(target, {})
        for _, alert in self._line.get((target, critical), ()):
            if self._is_elsewhere(alert, target):
                continue
            for each in alerts[alert].values():
                if each.state_told == EDIT:
                    continue
                fits = each.state_told in GATHERED and (each.severity == "critical") is critical
                if not fits or each.next_at > now or (committed and not self._is_open(each.id)):
                    break
                yield each

    def is_waited_on(self, target: Target) -> bool:
        """Whether anything waits there that is known, by itself or in a digest."""
        return bool(self._counts.get(target) or self._carried.get(target))

    def arrived(self, target: Target) -> list[Arrival]:
        """The firings that were added since it was asked last; of those that nobody asked for the last 2,000."""
        return list(self._arrived.pop(target, ()))

    def _is_elsewhere(self, alert: str, target: Target) -> bool:
        """Whether the store has more of it, or a digest carries it."""
        return alert in self._partly.get(target, ()) or self.is_carried(alert, target)

    def is_carried(self, alert: str, target: Target) -> bool:
        """Whether a digest carries what came first of it: the rest waits for the digest's end."""
        return alert in self._carried.get(target, ())

    def of_alert(self, alert: str, target: Target, *, committed: bool) -> list[Delivery]:
        """All that waits for an alert there, in order; nothing while a digest carries what came first."""
        if self._is_elsewhere(alert, target):
            return []
        found = self._targets.get(target, {}).get(alert, {}).values()
        return [each for each in found if not committed or self._is_open(each.id)]

    def ends_behind(self, digest: str, target: Target, *, committed: bool) -> list[Delivery]:
        """Ends that wait for what the digest carries, and are handed to no other channel."""
        alerts = self._targets.get(target, {})
        return [
            each
            for of, alert in dict.fromkeys(self._parts.get(digest, ()))
            if of == target
            for each in alerts.get(alert, {}).values()
            if each.state_told == "resolved" and each.handed_to is None
            if not committed or self._is_open(each.id)
        ]

    def not_escalated(self, target: Target, after: str | None, *, committed: bool) -> Iterator[Delivery]:
        """What is critical and was handed to no other channel, from behind the delivery `after` on.

        All of it where `after` waits no more. To be taken at once, as `heads`.
        """
        alerts, found = self._targets.get(target, {}), self._critical.get(target, {})
        behind = after not in found
        for id_ in found:
            if not behind:
                behind = id_ == after
                continue
            _, alert, _ = self._places[id_]
            each = alerts[alert][id_]
            known = each.handed_to is None and not self._is_elsewhere(alert, target)
            if known and (not committed or self._is_open(id_)):
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

    def alerts_of(self, delivery: str) -> tuple[str, ...]:
        """Those that a delivery tells of, as far as they are known here: its own, and those that a digest carries."""
        place = self._places.get(delivery)
        own = (place[1],) if place is not None else ()
        return (*own, *(alert for _, alert in self._parts.get(delivery, ())))

    # ------------------------------------------------------------------------------------------------------- what comes and goes

    def add(self, deliveries: Iterable[Delivery], *, bounded: bool, gate: trio.Event | None = None) -> None:
        """Those that wait, in order. `bounded`: what comes beyond MOST_KNOWN is left to the store."""
        for each in deliveries:
            target = (each.channel, each.target)
            if each.id in self._places or each.id in self._closed:
                continue
            if each.digest is not None:
                self._carry(each.digest, target, each.alert)
                continue
            alerts = self._targets.setdefault(target, {})
            if bounded and self._counts.get(target, 0) >= MOST_KNOWN and alerts:
                self.forget(next(reversed(alerts)), target)
            self._put(each, next(self._later))
            if each.state_told == "firing":
                arrival = Arrival(each.id, each.created_at, str(each.context.get("rule")))
                self._arrived.setdefault(target, deque(maxlen=_MOST_CLOSED)).append(arrival)
            if gate is not None:
                self._gates[each.id] = gate

    def learn(self, alert: str, target: Target, waiting: Sequence[Delivery], *, whole: bool) -> None:
        """What the store has for an alert, in order; what comes after it may be known already. `whole`: that is all.

        While a digest carries what came first, the store tells nothing of the rest.
        """
        if self.is_carried(alert, target):
            return
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

    def link(self, gathered: Gathered, gate: trio.Event) -> None:
        """A digest waits from now on, and its parts wait for it: they needn't be known any more."""
        target = (gathered.digest.channel, gathered.digest.target)
        for id_, alert in gathered.parts:
            self.drop(id_)
            self._carry(gathered.digest.id, target, alert)
        self.add(map(as_delivery, (gathered.digest, *gathered.also)), bounded=False, gate=gate)

    def _carry(self, digest: str, target: Target, alert: str) -> None:
        self._carried.setdefault(target, {})[alert] = digest
        self._parts.setdefault(digest, []).append((target, alert))

    def _carried_no_more(self, digest: str) -> None:
        for target, alert in self._parts.pop(digest, ()):
            if self._carried[target].get(alert) == digest:
                del self._carried[target][alert]

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
        self._carried.clear()
        self._parts.clear()
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
        if attempt.status != "pending":
            self._carried_no_more(attempt.delivery)
        place = self._places.get(attempt.delivery)
        if place is not None:
            target, alert, _ = place
            waiting = self._targets[target][alert]
            now = after(waiting[attempt.delivery], attempt)
            if now.status == "pending":
                waiting[attempt.delivery] = now
                self._tried.setdefault(target, set()).add(now.id)
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
        waiting[each.id] = each
        if each.severity == "critical":
            self._critical.setdefault(target, {})[each.id] = None
        if each.attempts:
            self._tried.setdefault(target, set()).add(each.id)
        self._places[each.id] = (target, each.alert, place)
        self._list(target, each.alert)
        self._counts[target] = self._counts.get(target, 0) + 1

    def _list(self, target: Target, alert: str) -> None:
        """Give an alert its place in the line, which is its head's."""
        of, was = (target, alert), self._listed.get((target, alert))
        waiting = self._targets[target][alert]
        head = _head(waiting) if waiting else None
        now = (head.is_prompt, (head.state_told == EDIT, self._places[head.id][2])) if head else None
        if was == now:
            return
        if was is not None:
            line = self._line[target, was[0]]
            del line[bisect_left(line, (was[1], alert))]
            del self._listed[of]
        if now is not None:
            insort(self._line.setdefault((target, now[0]), []), (now[1], alert))
            self._listed[of] = now

    def _close(self, now: Delivery) -> None:
        self._drop(now.id)
        self._closed[now.id] = now
        if len(self._closed) > _MOST_CLOSED:
            del self._closed[next(iter(self._closed))]

    def _drop(self, id_: str) -> None:
        target, alert, _ = self._places.pop(id_)
        self._gates.pop(id_, None)
        alerts = self._targets[target]
        waiting = alerts[alert]
        del waiting[id_]
        self._tried.get(target, set()).discard(id_)
        self._critical.get(target, {}).pop(id_, None)
        self._list(target, alert)
        if not waiting:
            del alerts[alert]
        self._counts[target] -= 1


def _head(waiting: Mapping[str, Delivery]) -> Delivery:
    """The first of what waits for an alert that isn't an edit, else the first edit."""
    return next((each for each in waiting.values() if each.state_told != EDIT), next(iter(waiting.values())))


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
