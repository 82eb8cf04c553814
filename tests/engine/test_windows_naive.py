"""Window functions and counts through the engine, with restarts, against what one reckons anew from all that was ever said."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from support.models import model
from support.story import Story, compiled

ENTITIES = ("BTC", "ETH")
LENGTH = 60

RULES = [
    {"id": "change", "watch": "ticker", "when": "change(last, 60s) > 3"},
    {"id": "percent", "watch": "ticker", "when": "percent_change(last, 60s) > 20"},
    {"id": "lowest", "watch": "ticker", "when": "last > lowest(last, 60s) + 2"},
    {"id": "highest", "watch": "ticker", "when": "highest(last, 60s) > 15"},
    {"id": "average", "watch": "ticker", "when": "average(last, 60s) > 12"},
    {"id": "total", "watch": "ticker", "where": "volume > 0", "when": "total(last, 60s) > 40"},
    {"id": "drawdown", "watch": "ticker", "when": "drawdown(last) > 30"},
    {"id": "runup", "watch": "ticker", "when": "runup(last, 60s) > 40"},
    {"id": "peak", "watch": "ticker", "when": "last < peak(last) / 2"},
    {"id": "times", "watch": "ticker", "when": "times(last > 10, 60s) >= 3"},
    {"id": "m-of-n", "watch": "ticker", "when": "times(last > 10, 4 samples) >= 3"},
    {"id": "in-a-row", "watch": "ticker", "where": "volume > 0", "when": "times(last > 10, 2 samples) >= 2"},
    {"id": "change-of-samples", "watch": "ticker", "when": "change(last, 2 samples) > 3"},
    {"id": "lowest-sample", "watch": "ticker", "when": "last > lowest(last, 3 samples) + 2"},
    {
        "id": "average-of-samples",
        "watch": "ticker",
        "where": "volume > 0",
        "when": "average(last, 3 samples) > 12",
    },
]
FILTERED = {rule["id"] for rule in RULES if "where" in rule}

ticks = st.lists(
    st.one_of(
        st.tuples(
            st.integers(0, 45),
            st.sampled_from(ENTITIES),
            st.one_of(st.none(), st.integers(1, 20), st.sampled_from([10, 16])),
            st.booleans(),
        ),
        st.tuples(st.integers(1, 100), st.just("restart"), st.none(), st.just(False)),
    ),
    min_size=1,
    max_size=40,
)


@model(suite=60, many=20_000)
@given(ticks)
def test_the_same_as_reckoned_anew(taken):
    story = Story(compiled(RULES))
    history = {entity: [] for entity in ENTITIES}
    holding = set()
    at = 0
    for number, (wait, what, last, takes_part) in enumerate(taken):
        at += wait
        story.run_to(at)
        if what == "restart":
            at += wait
            story.restart(wait)
            story.expect([])
            continue
        fields = {"id": what, "last": str(last) if last is not None else None, "volume": str(int(takes_part))}
        # Something always changes: a message that says nothing new is no event.
        story.step({"ticker": {**fields, "open": str(number)}})
        history[what].append((at, last, takes_part))
        came = {(one["rule"], one["id"], one["state"]) for one in story.told}
        story.told.clear()
        expected = set()
        for rule in RULES:
            truth = NAIVE[rule["id"]](history[what])
            if rule["id"] in FILTERED and not takes_part:
                truth = False
            key = (rule["id"], what)
            if truth is True and key not in holding:
                expected.add((*key, "firing"))
                holding.add(key)
            elif truth is False and key in holding:
                expected.add((*key, "resolved"))
                holding.discard(key)
        assert came == expected, (history[what], at)


def _inside(history, *, taking_part=False):
    now = history[-1][0]
    return [
        Fraction(last)
        for at, last, takes_part in history
        if at > now - LENGTH and last is not None and (takes_part or not taking_part)
    ]


def _ever(history):
    return [Fraction(last) for _, last, _ in history if last is not None]


def _samples(history, number, *, taking_part=False):
    """The latest so many that are known."""
    known = [Fraction(last) for _, last, part in history if last is not None and (part or not taking_part)]
    return known[-number:]


def _times(values):
    return sum(value > 10 for value in values)


def _change_of_samples(history, last):
    known = _samples(history, 3)
    return last - known[0] > 3 if len(known) == 3 else None


def _of_samples(number, judge, *, taking_part=False):
    def reckon(history):
        known = _samples(history, number, taking_part=taking_part)
        return judge(known) if known else None

    return reckon


def _then(history):
    now = history[-1][0]
    before = [Fraction(last) for at, last, _ in history if at <= now - LENGTH and last is not None]
    return before[-1] if before else None


def _known(function):
    """Unknown where the value is missing now; what it is compared with too."""

    def reckon(history):
        last = history[-1][1]
        return None if last is None else function(history, Fraction(last))

    return reckon


def _against_then(judge):
    def reckon(history, last):
        then = _then(history)
        return None if then is None else judge(last, then)

    return _known(reckon)


def _of_window(judge, *, taking_part=False):
    def reckon(history):
        inside = _inside(history, taking_part=taking_part)
        return judge(inside) if inside else None

    return reckon


NAIVE = {
    "change": _against_then(lambda last, then: last - then > 3),
    "percent": _against_then(lambda last, then: (last - then) / then * 100 > 20),
    "lowest": _known(lambda history, last: last > min(_inside(history)) + 2),
    "highest": _of_window(lambda inside: max(inside) > 15),
    "average": _of_window(lambda inside: sum(inside) / len(inside) > 12),
    "total": _of_window(lambda inside: sum(inside) > 40, taking_part=True),
    "drawdown": _known(lambda history, last: (max(_ever(history)) - last) / max(_ever(history)) * 100 > 30),
    "runup": _known(lambda history, last: (last - min(_inside(history))) / min(_inside(history)) * 100 > 40),
    "peak": _known(lambda history, last: last < max(_ever(history)) / 2),
    "times": _of_window(lambda inside: _times(inside) >= 3),
    "m-of-n": _of_samples(4, lambda values: _times(values) >= 3),
    "in-a-row": _of_samples(2, lambda values: _times(values) >= 2, taking_part=True),
    "change-of-samples": _known(_change_of_samples),
    "lowest-sample": _known(lambda history, last: last > min(_samples(history, 3)) + 2),
    "average-of-samples": _of_samples(3, lambda values: sum(values) / len(values) > 12, taking_part=True),
}


# --------------------------------------------------------------------------------------------------------------- counts

events = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["a1", "a2", "restart"]), st.booleans()),
    min_size=1,
    max_size=60,
)


def orders_of(rule, taken):
    """Each order of `taken` rejected by its venue, restarts in between: its account, whether it passes, when, and whether the rule
    told of it and of nothing else.
    """
    story = Story(compiled([rule]))
    at = 0
    for number, (wait, account, passes) in enumerate(taken):
        at += wait
        story.run_to(at)
        if account == "restart":
            story.restart(wait)
            at += wait
            continue
        order = {
            "id": f"o{number}",
            "account": account,
            "status": "rejected",
            "amount": "2" if passes else "1",
        }
        story.step({"order": order})
        told = [one["id"] for one in story.told]
        story.told.clear()
        assert told in ([], [order["id"]])
        yield account, passes, at, bool(told)


@model(suite=60, many=20_000)
@given(events, st.integers(1, 4))
def test_counts_are_the_same_as_counted_anew(taken, limit):
    rule = {"id": "often", "watch": "order.rejected", "where": "amount > 1", "when": f"count(60s) >= {limit}"}
    counted = {"a1": [], "a2": []}
    for account, passes, at, told in orders_of(rule, taken):
        if passes:
            counted[account].append(at)
        raised = passes and sum(1 for then in counted[account] if then > at - LENGTH) >= limit
        assert told == raised
        if raised:
            counted[account] = []


@model(suite=60, many=20_000)
@given(events, st.integers(1, 4), st.sampled_from(["3 samples", "60s"]))
def test_samples_of_event_rules_are_of_the_instance(taken, limit, window):
    """Of whichever order they are, in each account by itself; a count doesn't begin anew after an alert."""
    rule = {
        "id": "often",
        "watch": "order.rejected",
        "where": "amount > 0",
        "when": f"times(amount > 1, {window}) >= {min(limit, 3)}",
    }
    seen = {"a1": [], "a2": []}
    for account, passes, at, told in orders_of(rule, taken):
        seen[account].append((at, passes))
        inside = [passed for then, passed in seen[account] if window != "60s" or then > at - LENGTH]
        assert told == (sum(inside if window == "60s" else inside[-3:]) >= min(limit, 3))


# --------------------------------------------------------------------------------------------------------------- groups

GROUPED = [
    {
        "id": "sum",
        "watch": "position",
        "per": ["account"],
        "where": "amount > 0",
        "when": "sum(profit) < -10",
    },
    {
        "id": "min",
        "watch": "position",
        "per": ["account"],
        "where": "amount > 0",
        "when": "min(profit) < -10",
    },
    {"id": "max", "watch": "position", "per": ["symbol"], "when": "max(profit) > 10"},
    {"id": "mean", "watch": "position", "per": [], "when": "mean(profit) > 2"},
    {"id": "count", "watch": "position", "per": ["account"], "where": "amount > 0", "when": "count() >= 2"},
]
PER = {"sum": "account", "min": "account", "max": "symbol", "mean": None, "count": "account"}
changes = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "id": st.sampled_from(["p1", "p2", "p3", "p4", "p5", "p6"]),
                "symbol": st.sampled_from(["BTC", "ETH"]),
                "profit": st.one_of(st.none(), st.integers(-20, 20).map(str)),
                "amount": st.sampled_from(["0", "1"]),
                "status": st.sampled_from(["open"] * 7 + ["closed"]),
                "currency": st.sampled_from(["USD"] * 8 + ["EUR"]),
            }
        ),
        st.just("restart"),
    ),
    min_size=1,
    max_size=40,
)


@model(suite=100, many=20_000)
@given(changes)
def test_groups_are_the_same_as_reckoned_anew(taken):
    story = Story(compiled(GROUPED))
    positions: dict[str, dict[str, str]] = {}
    ended = set()
    holding = set()
    for number, one in enumerate(taken):
        story.run_to(number)
        if one == "restart":
            story.restart(0)
            story.expect([])
            continue
        if one["id"] in ended:  # what has ended doesn't come back
            continue
        account = "a1" if one["id"] in ("p1", "p2", "p3", "p5") else "a2"
        story.step({"position": {**one, "account": account}})
        positions[one["id"]] = {**one, "account": account}
        if one["status"] == "closed":
            del positions[one["id"]]
            ended.add(one["id"])
        came = {(told["rule"], told["id"], told["state"]) for told in story.told}
        story.told.clear()
        expected = set()
        for rule in GROUPED:
            per = PER[rule["id"]]
            names = {position[per] if per else "" for position in positions.values()}
            names |= {name for known, name in holding if known == rule["id"]}
            for name in names:
                live = [p for p in positions.values() if per is None or p[per] == name]
                truth = _of_group(rule, live)
                key = (rule["id"], name)
                if truth is True and key not in holding:
                    expected.add((*key, "firing"))
                    holding.add(key)
                elif truth is False and key in holding:
                    expected.add((*key, "resolved"))
                    holding.discard(key)
        assert came == expected, positions


def _of_group(rule, live):
    """What it comes to; False too where the group has ended, or nobody is left who could be known."""
    if not live:
        return False
    part = [p for p in live if "where" not in rule or p["amount"] == "1"]
    if rule["id"] == "count":
        return len(part) >= 2
    values = [Decimal(p["profit"]) for p in part if p["profit"]]
    if rule["id"] == "sum" and not part:
        return False  # of nobody it is 0
    if not part:
        return False
    if not values or len({p["currency"] for p in part if p["profit"]}) > 1:
        return None
    return {
        "sum": lambda: sum(values) < -10,
        "min": lambda: min(values) < -10,
        "max": lambda: max(values) > 10,
        "mean": lambda: sum(values) / len(values) > 2,
    }[rule["id"]]()
