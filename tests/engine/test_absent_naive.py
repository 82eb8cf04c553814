"""`absent` over two venues that come and go, hours, restarts and reloads, against a plain reckoning second by second."""

from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from support.story import Story, compiled
from tocsin.events import Occurrence, Order

VENUES = ("fx", "px")
OPEN = range(120, 300)  # seconds of the day, which is the story's


class Asked(NamedTuple):
    """`symbols`, `venues`: what `where` says of them; all, where it says nothing."""

    absent: int
    per: tuple[str, ...]
    symbols: tuple[str, ...]
    venues: tuple[str, ...]
    hours: bool

    def written(self, title: str = "") -> dict[str, object]:
        named = {"symbol": list(self.symbols), "venue": list(self.venues)}
        where = {name: values for name, values in named.items() if values}
        return {
            "id": "r",
            "watch": "order.filled",
            "absent": f"{self.absent}s",
            "per": list(self.per),
            **({"where": where} if where else {}),
            **({"active": {"tz": "UTC", "open": ["00:02-00:05"]}} if self.hours else {}),
            **({"title": title} if title else {}),
        }

    def passes(self, venue: str, symbol: str) -> bool:
        return symbol in (self.symbols or (symbol,)) and venue in (self.venues or (venue,))


@dataclass
class Group:
    """What has not come of one group, for how many seconds of those that count."""

    venues: tuple[str, ...]
    called: str
    passed: int = 0
    fires: bool = False


@dataclass
class Plain:
    """All that is looked for; each second and all that is said is told to it."""

    asked: Asked
    away: set[str] = field(default_factory=set)
    groups: dict[tuple[str, ...], Group] = field(default_factory=dict)
    told: list[tuple[int, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        named = {"symbol": self.asked.symbols, "venue": self.asked.venues}
        for values in product(*(named[name] for name in self.asked.per)):
            self.group(values)

    def group(self, values: tuple[str, ...]) -> Group:
        if values not in self.groups:
            of = dict(zip(self.asked.per, values, strict=True))
            for name, only in (("symbol", self.asked.symbols), ("venue", self.asked.venues)):
                if len(only) == 1:
                    of.setdefault(name, only[0])
            venues = (of["venue"],) if "venue" in of else self.asked.venues or VENUES
            self.groups[values] = Group(venues, of.get("symbol") or of.get("venue", ""))
        return self.groups[values]

    def counts(self, at: int) -> bool:
        return at in OPEN or not self.asked.hours

    def second(self, at: int) -> None:
        """The second that ends then has passed."""
        for group in self.groups.values():
            if self.counts(at - 1) and self.away.isdisjoint(group.venues):
                group.passed += 1
                if group.passed == self.asked.absent:
                    group.fires = True
                    self.told.append((at, "firing", group.called))
        if self.counts(at - 1) and not self.counts(at):
            self.closed(at)

    def closed(self, at: int) -> None:
        for group in self.groups.values():
            if group.fires:
                self.told.append((at, "resolved", group.called))
                group.passed, group.fires = 0, False

    def say(self, at: int, venue: str, symbol: str) -> None:
        if not self.counts(at) or not self.asked.passes(venue, symbol):
            return
        of = {"symbol": symbol, "venue": venue}
        group = self.group(tuple(of[name] for name in self.asked.per))
        if group.fires:
            self.told.append((at, "resolved", group.called))
        group.passed, group.fires = 0, False


def played(asked: Asked, steps: list[tuple[int, str, str, str]]) -> tuple[Story, Plain]:
    story, plain = Story(compiled([asked.written()])), Plain(asked)
    for venue in VENUES:
        story.connect(venue)
    for later, what, venue, symbol in (*steps, (4 * asked.absent, "", "", "")):
        began = round(story.at)
        for at in range(began + 1, began + later + 1):
            plain.second(at)
        story.run_to(began + later)
        at = began + later
        if what == "say":
            plain.say(at, venue, symbol)
            story.say(
                venue, Occurrence(state=Order(id=f"o{at}", symbol=symbol), event="order.filled", account="a")
            )
        elif what in ("up", "down") and story.up[venue] != (what == "up"):
            (story.connect if what == "up" else story.disconnect)(venue)
            (plain.away.discard if what == "up" else plain.away.add)(venue)
        elif what in ("restart", "long restart"):
            down = 40 if what == "long restart" else 0
            story.restart(down)
            if not plain.counts(at + down):
                plain.closed(at + down)
        elif what == "reload":
            story.reload(compiled([asked.written(f"words {at}")]))
    return story, plain


ASKED = st.builds(
    Asked,
    absent=st.sampled_from([5, 20, 60]),
    per=st.sampled_from([(), ("symbol",), ("venue",), ("venue", "symbol")]),
    symbols=st.sampled_from([(), ("A",), ("A", "C")]),
    venues=st.sampled_from([(), ("fx",), VENUES]),
    hours=st.booleans(),
)
WHAT = st.sampled_from([*["say"] * 8, *["down", "up"] * 3, "restart", "long restart", "reload"])
STEPS = st.tuples(
    st.sampled_from([0, 1, 4, 5, 15, 20, 60]), WHAT, st.sampled_from(VENUES), st.sampled_from(["A", "B"])
)


@model(suite=300, many=2_000)
@given(ASKED, st.lists(STEPS, max_size=25))
def test_what_does_not_come_is_missed_when_it_could_have_been_heard_for_so_long(asked, steps):
    story, plain = played(asked, steps)
    assert sorted((round(told["at_test"]), told["told"], told["id"]) for told in story.told) == sorted(
        plain.told
    )
