"""Groups of entities: who belongs to which, who takes part in it, and what their values come to, carried along as they change.

Sums are carried along exactly, extremes are kept in heaps: a change costs little, however many the members are. It touches its own
entity's group only (two, where the entity moves from one to another).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple, TypeAlias

from tocsin.engine.api import World
from tocsin.engine.instances import field_shown, field_text
from tocsin.engine.language.evaluator import why
from tocsin.engine.rule import Condition, Evaluate
from tocsin.events import EXACT, SUMS, Change, Entity, Key, WireDecimal, computed
from tocsin.events.vocabulary import derived_fields, to_plain

MOST_SHOWN = 50  # members in a message
_UNSAID = ("venue", "kind")  # in what a group is called
_SPARE_ROWS = 64  # that a heap may hold beyond twice its members before it is built anew

Fields: TypeAlias = tuple[str | None, ...]
"""The values of the `per` fields: what a group is known by."""


class Value(NamedTuple):
    """A value that is summed; see `tocsin.engine.rule.Summed`."""

    name: str
    evaluate: Evaluate
    money: bool
    extremes: bool
    absent: tuple[Callable[[Change], str | None], ...] = ()


class Member(NamedTuple):
    """An entity that takes part: its values, None where it has none, and the currency they are in. `nothing`: of each
    value why it can't have one, if it can't.
    """

    values: tuple[Decimal | None, ...]
    currency: str | None
    nothing: tuple[str | None, ...] = ()


def currency_of(state: Entity) -> str | None:
    """What its money is in; a balance is of its asset."""
    name = getattr(state, "asset" if state.kind == "balance" else "currency", None)
    return name if isinstance(name, str) else None


class _Extreme:
    """The lowest of a changing set: a heap from which what is no longer so is taken when it comes up."""

    __slots__ = ("_heap", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._heap: list[tuple[Decimal, int, Key, Decimal]] = []

    def add(self, key: Key, value: Decimal, number: int, members: Mapping[Key, Member], place: int) -> None:
        if len(self._heap) > 2 * len(members) + _SPARE_ROWS:
            self._heap = [row for row in self._heap if _is_so(row, members, place)]
            heapify(self._heap)
        heappush(self._heap, (value if self._sign > 0 else value.copy_negate(), number, key, value))

    def first(self, members: Mapping[Key, Member], place: int) -> Decimal | None:
        while self._heap and not _is_so(self._heap[0], members, place):
            heappop(self._heap)
        return self._heap[0][3] if self._heap else None


def _is_so(row: tuple[Decimal, int, Key, Decimal], members: Mapping[Key, Member], place: int) -> bool:
    member = members.get(row[2])
    return member is not None and member.values[place] is row[3]


class Layout:
    """What the groups of one table have in common: of what kind, by which fields, and which values are put together.

    `get` gives an entity as it stands.
    """

    def __init__(
        self, kind: str, per: tuple[str, ...], values: Iterable[Value], get: Callable[[Key], Change | None]
    ) -> None:
        self.kind = kind
        self.per = per
        self.values = tuple(values)
        self.places = {value.name: place for place, value in enumerate(self.values)}
        self.get = get
        self.numbers = count()


class Group:
    """One group as it stands. `live` are all its entities, `taking_part` those that pass the rule's `where`. `shown` are
    its `fields` as the first of its entities had them, whose case may tell nothing. `stays`: it is there without any.
    """

    def __init__(
        self, layout: Layout, fields: Fields, shown: Fields | None = None, *, stays: bool = False
    ) -> None:
        self._layout = layout
        self.stays = stays
        self.fields = fields
        self._shown = shown or fields
        self.live: set[Key] = set()
        self.taking_part: dict[Key, Member] = {}
        self._latest: Change | None = None
        size = len(layout.values)
        self._sums = [Decimal(0)] * size
        self._known = [0] * size
        self._currencies = tuple(Counter[str]() for _ in range(size))  # of the members that have the value
        self._of_all: Counter[str] = Counter()
        self._lowest = [_Extreme(1) for _ in range(size)]
        self._highest = [_Extreme(-1) for _ in range(size)]

    # ------------------------------------------------------------------------------------------ what conditions ask

    @property
    def members(self) -> int:
        return len(self.taking_part)

    @property
    def entities(self) -> int:
        return len(self.live)

    @property
    def heard(self) -> datetime | None:
        return self.latest.received if self.latest is not None else None

    def unconfirmed_since(self) -> datetime | None:
        """See `windows.Aggregates`."""
        members = (self._layout.get(key) for key in self.taking_part)
        since = (member.unconfirmed_since for member in members if member is not None)
        return min((at for at in since if at is not None), default=None)

    def sum(self, value: str) -> Decimal | None:
        """Of nobody the sum is 0; of members who all lack the value it is missing, and so in unlike currencies or where it
        is out of all range.
        """
        place = self._place(value)
        if place is None or (self.taking_part and not self._known[place]):
            return None
        return computed(self._sums[place])

    def mean(self, value: str) -> Decimal | None:
        place = self._place(value)
        if place is None or not self._known[place]:
            return None
        return computed(EXACT.divide(self._sums[place], Decimal(self._known[place])))

    def min(self, value: str) -> Decimal | None:
        place = self._place(value)
        return None if place is None else self._lowest[place].first(self.taking_part, place)

    def max(self, value: str) -> Decimal | None:
        place = self._place(value)
        return None if place is None else self._highest[place].first(self.taking_part, place)

    def nothing(self, value: str) -> str | None:
        """Why no member can have the value; None where one has or may have it, or there is no member."""
        place = self._layout.places.get(value)
        if place is None or self._known[place]:
            return None
        found = {member.nothing[place] if member.nothing else None for member in self.taking_part.values()}
        return found.pop() if len(found) == 1 else None

    def currencies(self, value: str) -> tuple[str, ...]:
        """Those of the members that have the value, where they are unlike and it is money."""
        place = self._layout.places.get(value)
        if place is None or not self._layout.values[place].money or len(self._currencies[place]) < 2:
            return ()
        return tuple(sorted(self._currencies[place]))

    def _place(self, value: str) -> int | None:
        """None where the members' values can't be put together."""
        place = self._layout.places.get(value)
        return None if place is None or self.currencies(value) else place

    # ---------------------------------------------------------------------------------------------- what is told

    def shown(self, values: Sequence[str]) -> list[dict[str, str | bool | tuple[str, ...]]]:
        """The fields of the members that take part, and which of them are `derived`; those with the lowest of these values
        first, at most MOST_SHOWN.
        """
        nothing, places = Decimal("Infinity"), self._places(values)

        def order(key: Key) -> tuple[list[Decimal], Key]:
            found = (self.taking_part[key].values[place] for place in places)
            return [nothing if value is None else value for value in found], key

        found = (self._layout.get(key) for key in sorted(self.taking_part, key=order)[:MOST_SHOWN])
        return [
            {
                "account": c.key.account,
                **to_plain(c.state),
                "id": c.key.id,
                "derived": derived_fields(c.state),
            }
            for c in found
            if c is not None
        ]

    def left_out(self, values: Sequence[str] | None = None) -> list[str]:
        """The members without one of these values (None: of any that are put together), by their ids."""
        places = range(len(self._layout.values)) if values is None else self._places(values)
        return sorted(
            key.id
            for key, member in self.taking_part.items()
            if any(
                member.values[place] is None and not (member.nothing and member.nothing[place])
                for place in places
            )
        )

    def _places(self, values: Iterable[str]) -> list[int]:
        return [self._layout.places[value] for value in values if value in self._layout.places]

    @property
    def kind(self) -> str:
        return self._layout.kind

    @property
    def per(self) -> dict[str, str | None]:
        """The `per` fields, as people are shown them."""
        return dict(zip(self._layout.per, self._shown, strict=True))

    @property
    def known_by(self) -> dict[str, str | None]:
        """The `per` fields, as they are compared."""
        return dict(zip(self._layout.per, self.fields, strict=True))

    def currency(self, values: Iterable[str]) -> str | None:
        """What all members that have one of these values have in common; without values, all members. Of the last that has
        left, where nobody takes part any more.
        """
        if not self.taking_part and self.latest is not None:
            return currency_of(self.latest.state)
        counted = [self._currencies[place] for place in self._places(values)] or [self._of_all]
        found = {currency for each in counted for currency in each}
        return found.pop() if len(found) == 1 else None

    # ---------------------------------------------------------------------------------------------------- changes

    @property
    def latest(self) -> Change | None:
        """What it heard last: of those that live or, until it is `judged`, of one that has just left."""
        if self._latest is None:
            known = (change for key in self.live if (change := self._layout.get(key)) is not None)
            self._latest = max(known, key=_heard, default=None)
        return self._latest

    def hear(self, change: Change, *, news: bool) -> None:
        """`news`: it has happened now; else it is what was so already."""
        latest = self._latest
        if (
            latest is None
            or (news and change.received != latest.received)
            or _heard(change) >= _heard(latest)
        ):
            self._latest = change

    def judged(self) -> None:
        """The change that moved it is no news any more: who has left isn't spoken of again."""
        if self._latest is not None and self._latest.key not in self.live:
            self._latest = None

    def put(self, key: Key, member: Member | None) -> None:
        """The entity is now so; None: it takes no part."""
        old = self.taking_part.pop(key, None)
        if old is not None:
            self._count(old, -1)
        if member is None:
            return
        self.taking_part[key] = member
        self._count(member, 1)
        for place, value in enumerate(member.values):
            if value is not None and self._layout.values[place].extremes:
                number = next(self._layout.numbers)
                self._lowest[place].add(key, value, number, self.taking_part, place)
                self._highest[place].add(key, value, number, self.taking_part, place)

    def _count(self, member: Member, sign: int) -> None:
        if member.currency is not None:
            _add(self._of_all, member.currency, sign)
        for place, value in enumerate(member.values):
            if value is not None:
                self._known[place] += sign
                self._sums[place] = (SUMS.add if sign > 0 else SUMS.subtract)(self._sums[place], value)
                if member.currency is not None:
                    _add(self._currencies[place], member.currency, sign)


def _heard(change: Change) -> tuple[datetime, datetime, Key]:
    """What came with one message has an order too, the same in every run."""
    return change.received, change.time, change.key


def _add(currencies: Counter[str], currency: str, sign: int) -> None:
    currencies[currency] += sign
    if not currencies[currency]:
        del currencies[currency]


# --------------------------------------------------------------------------------------------------- tables of groups


class Table:
    """The groups of one kind of entity by some fields, of those that pass one `where`."""

    def __init__(
        self, kind: str, per: tuple[str, ...], where: Condition | None, values: Iterable[Value], world: World
    ) -> None:
        self.layout = Layout(kind, per, values, world.get)
        self.where = where
        self.world = world
        self.groups: dict[Fields, Group] = {}
        if not per:
            self.groups[()] = Group(self.layout, (), stays=True)
        self._home: dict[Key, Group] = {}
        self._may_lack = any(value.absent for value in self.layout.values)
        self.built = False

    def build(self, now: datetime) -> None:
        """Everybody who lives, as they stand."""
        self.built = True
        for change in self.world.live(self.layout.kind):
            self.put(change, now, news=False)

    def put(self, change: Change, now: datetime, *, news: bool = True) -> list[Group]:
        """The entity is now so, from this change on or (no `news`) as it was. The groups that are other than before: the
        one it left first.
        """
        key, before = change.key, self._home.get(change.key)
        if change.ended:
            return self._leave(key, change)
        fields = tuple(field_text(change, field) for field in self.layout.per)
        left: list[Group] = []
        if before is not None and before.fields != fields:
            left = self._leave(key, change)
        group = self.groups.get(fields)
        if group is None:
            shown = tuple(field_shown(change, field) for field in self.layout.per)
            group = self.groups[fields] = Group(self.layout, fields, shown)
        self._home[key] = group
        group.live.add(key)
        group.hear(change, news=news)
        group.put(key, self._member(change, now))
        return [*left, group]

    def drop(self, key: Key) -> list[Group]:
        return self._leave(key, None)

    def _leave(self, key: Key, change: Change | None) -> list[Group]:
        group = self._home.pop(key, None)
        if group is None:
            return []
        group.put(key, None)
        group.live.discard(key)
        if change is not None:
            group.hear(change, news=True)
        else:
            group.judged()
        if not group.live and not group.stays:
            del self.groups[group.fields]
        return [group]

    def _member(self, change: Change, now: datetime) -> Member | None:
        if self.where is not None and self.where.holds(change, now) is not True:
            return None
        nothing: tuple[str | None, ...] = ()
        if self._may_lack:
            nothing = tuple(why(value.absent, change) for value in self.layout.values)
        values = (
            None if nothing and nothing[place] else value.evaluate(change, now)
            for place, value in enumerate(self.layout.values)
        )
        return Member(tuple(map(_in_range, values)), currency_of(change.state), nothing)


def _in_range(value: Decimal | None) -> Decimal | None:
    """A value beyond what a venue may say would leave its traces in sums when it is gone."""
    if value is None or abs(value.adjusted()) < EXACT.prec:
        return value
    return value if isinstance(value, WireDecimal) else computed(value)


# ------------------------------------------------------------------------------------------- what groups are called


def label(per: Mapping[str, str | None]) -> str:
    """What a group is called: its account, its symbol; its venue where it is of nothing else."""
    parts = [value for name, value in per.items() if name not in _UNSAID and value]
    return ", ".join(parts) or per.get("venue") or ""


def spelled_as(key: str, called: str) -> dict[str, str | None]:
    """The `per` fields of a group's key, in the case in which its label has them."""
    shown: dict[str, str | None] = json.loads(key)
    for name, value in shown.items():
        if value and name not in _UNSAID:
            spelled, called = called[: len(value)], called[len(value) + len(", ") :]
            if spelled.casefold() == value.casefold():
                shown[name] = spelled
    return shown
