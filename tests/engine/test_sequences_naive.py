"""`then` and `unless` over two venues that come and go, against a plain reckoning over all that was said."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from support.story import Story, compiled
from tocsin.events import Occurrence, Order, number

VENUES = ("fx", "px")


class Said(NamedTuple):
    """One event, `number` telling it apart; `at` is in whole seconds."""

    number: int
    at: int
    venue: str
    event: str
    symbol: str
    price: int


class Asked(NamedTuple):
    awaited: bool
    first: str
    second: str
    within: int
    dearer: bool  # the second's price is above the first's
    per: tuple[str, ...]

    def written(self) -> dict[str, object]:
        sequel = {"watch": f"order.{self.second}", "within": f"{self.within}s"}
        if self.dearer:
            sequel["when"] = "price > first.price"
        return {
            "id": "r",
            "watch": f"order.{self.first}",
            "per": list(self.per),
            "then" if self.awaited else "unless": sequel,
        }

    def belong(self, first: Said, second: Said) -> bool:
        return (
            (first.event, second.event) == (self.first, self.second)
            and all(getattr(first, field) == getattr(second, field) for field in self.per)
            and (not self.dearer or second.price > first.price)
        )


class Log:
    """What was said, and for which seconds each venue was away."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.away: dict[str, set[int]] = {venue: set() for venue in VENUES}

    def apart(self, one: Said, other: Said) -> int:
        passed = range(one.at, other.at)
        return len([at for at in passed if one.venue != other.venue or at not in self.away[one.venue]])

    def over(self, first: Said, within: int) -> int:
        """When it has had its time, by its own venue's: what is due as the link goes down is told."""
        at = first.at
        while within:
            within -= at not in self.away[first.venue]
            at += 1
        return at


def reckoned(asked: Asked, log: Log) -> list[tuple[int, str]]:
    """When what is told, of which order."""
    return sorted((then if asked.awaited else unless)(asked, log))


def unless(asked: Asked, log: Log) -> list[tuple[int, str]]:
    def is_taken_back(first: Said) -> bool:
        return any(
            asked.belong(first, second)
            and log.apart(*sorted((first, second))) < asked.within
            and second != first
            for second in log.said
        )

    firsts = [said for said in log.said if said.event == asked.first and not is_taken_back(said)]
    return [(log.over(first, asked.within), f"o{first.number}") for first in firsts]


def then(asked: Asked, log: Log) -> list[tuple[int, str]]:
    told = []
    waiting: dict[tuple[str, ...], Said] = {}
    for said in log.said:
        sequence = tuple(getattr(said, field) for field in asked.per)
        first = waiting.get(sequence)
        if first and asked.belong(first, said) and log.apart(first, said) <= asked.within:
            told.append((said.at, f"o{first.number}"))
            del waiting[sequence]
        elif said.event == asked.first:
            waiting[sequence] = said
    return told


def played(asked: Asked, steps: list[tuple[int, str, tuple[str, str, str, int]]]) -> tuple[Story, Log]:
    story, log = Story(compiled([asked.written()])), Log()
    for venue in VENUES:
        story.connect(venue)
    ends = [
        (40, "up", ("fx", "", "", 0)),
        (0, "up", ("px", "", "", 0)),
        (2 * asked.within, "", ("", "", "", 0)),
    ]
    for later, what, (venue, event, symbol, price) in (*steps, *ends):
        began = round(story.at)
        for name in VENUES:
            if not story.up[name]:
                log.away[name].update(range(began, began + later))
        story.run_to(began + later)
        if what == "say":
            said = Said(len(log.said), began + later, venue, event, symbol, price)
            log.said.append(said)
            state = Order(id=f"o{said.number}", symbol=symbol, price=number(str(price)))
            story.say(venue, Occurrence(state=state, event=f"order.{event}", account="a"))
        elif what in ("up", "down") and story.up[venue] != (what == "up"):
            (story.connect if what == "up" else story.disconnect)(venue)
        elif what == "restart":
            story.restart(0)
        elif what == "reload":
            story.reload(compiled([asked.written() | {"title": f"words {began}"}]))
    return story, log


ASKED = st.builds(
    Asked,
    awaited=st.booleans(),
    first=st.just("canceled"),
    second=st.sampled_from(["open", "canceled"]),
    within=st.sampled_from([3, 10, 20]),
    dearer=st.booleans(),
    per=st.sampled_from([("symbol",), (), ("venue",)]),
)
WHAT = st.sampled_from([*["say"] * 12, *["down", "up"] * 3, "restart", "reload"])
OF_WHAT = st.tuples(
    st.sampled_from(VENUES),
    st.sampled_from(["canceled", "open"]),
    st.sampled_from(["A", "A", "B"]),
    st.integers(1, 3),
)


@model(suite=300, many=2_000)
@given(ASKED, st.lists(st.tuples(st.sampled_from([0, 1, 2, 4, 9, 30]), WHAT, OF_WHAT), max_size=25))
def test_each_event_has_the_time_of_its_own_venue(asked, steps):
    story, log = played(asked, steps)
    assert sorted((round(told["at_test"]), told["id"]) for told in story.told) == reckoned(asked, log)
    assert not story.stored, "what is over is forgotten"
