"""`/alerts`: what fires and what is over, of what matchers choose, page by page."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest

from support.looked import HOSTILE, asked, page_of, running, snapshot, text_of
from support.measured import NOW
from support.outboxes import context
from support.plans import Plans
from support.stored import alert, commit, opened
from tocsin.page.alert_filter import Filter, history
from tocsin.page.screens.alerts import ALERTS, firing, over
from tocsin.store.alert_history import LATEST
from tocsin.store.reader import Reader
from tocsin.store.store import DATABASE


def row(id_: str, state: str = "resolved", ago: float = 60.0, **says: Any) -> Any:
    """An alert that fired so many seconds ago; `says` as contexts do."""
    said = context(**says)
    fired = NOW - timedelta(seconds=ago)
    ends = {"resolved_at": fired + timedelta(seconds=30)} if state == "resolved" else {}
    columns = ("rule", "venue", "account", "entity", "symbol", "severity")
    return alert(
        id_,
        state=state,
        started_at=fired,
        fired_at=fired,
        title=f"🟠 {id_} is in the red",
        data=msgspec.to_builtins(said),
        **{name: getattr(said, name) for name in columns},
        **ends,
    )


def kept(folder: Any, *alerts: Any) -> None:
    store = opened(folder)
    commit(store, alerts=list(alerts))
    store.close()


@pytest.fixture
def six(tmp_path):
    """Two fire, four are over."""
    kept(
        tmp_path,
        row("f1", "firing", 10, rule="loss", venue="fx", account="a1", entity="p1", symbol="BTCUSD"),
        row("f2", "recovering", 20, rule="deep", venue="spot", entity="p2", symbol="ETHUSD", severity="critical"),
        row("o1", ago=100, rule="loss", venue="fx", account="a1", entity="p1", symbol="BTCUSD"),
        row("o2", ago=200, rule="loss", venue="spot", entity="p3", symbol="ethusd", severity="critical"),
        row("o3", "event", 300, rule="filled", venue="fx", entity="o9", event="order.filled", kind="order"),
        row("o4", ago=400, rule="deep", venue="fx", entity="p1", symbol='odd " one'),
    )  # fmt: skip
    return tmp_path


def looked(folder: Any, match: str = "", now: Any = None, **query: str) -> Any:
    """Asked with these matchers (or, by themselves, `query`), where the config has the rules loss and quiet, and the venues fx and quiet."""
    given = query or ({"match": match} if match else {})
    return asked(folder, now, query=given, rules_seen=running(("loss", "filled", "quiet"), ("fx", "quiet")))


def ids(found: Any) -> list[str]:
    return [each["id"] for each in found["alerts"]]


@pytest.mark.parametrize(
    ("match", "fires", "is_over"),
    [
        ("", ["f2", "f1"], ["o1", "o2", "o3", "o4"]),
        ("  ", ["f2", "f1"], ["o1", "o2", "o3", "o4"]),
        ("rule=loss", ["f1"], ["o1", "o2"]),
        ("rule!=loss", ["f2"], ["o3", "o4"]),
        ("rule=~lo.*", ["f1"], ["o1", "o2"]),
        ("venue=fx", ["f1"], ["o1", "o3", "o4"]),
        ("rule=loss venue=fx", ["f1"], ["o1"]),
        ("id=p1", ["f1"], ["o1", "o4"]),
        ("id=p1 rule=deep", [], ["o4"]),
        ("id!=p1", ["f2"], ["o2", "o3"]),
        ("account=a1", ["f1"], ["o1"]),
        ("account=Main", ["f1"], ["o1"]),
        ("severity=critical", ["f2"], ["o2"]),
        ("symbol=ETHUSD", ["f2"], ["o2"]),  # of symbols case tells nothing
        ("symbol=~eth.*", ["f2"], ["o2"]),
        ('symbol="odd \\" one"', [], ["o4"]),
        ("event=order.filled", [], ["o3"]),
        ("event!~order[.].*", ["f2", "f1"], ["o1", "o2", "o4"]),
        ("kind=order", [], ["o3"]),
        ("venue=spot symbol=BTCUSD", [], []),
    ],
)
async def test_matchers_choose_of_both_lists(six, match, fires, is_over):
    of = looked(six, match)
    of.host.style.names.accounts["a1"] = "Main"
    assert ids(await firing(of)) == fires
    assert ids(await over(of)) == is_over


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("loss", "not a matcher: loss; write it like venue=fx symbol=~BTC.*"),
        ("colour=red", "there is no colour to match; there are rule, severity"),
        ("symbol=~(", "not a regex"),
        (f'rule="{HOSTILE}', "not a matcher"),
    ],
)
async def test_what_is_no_matcher_is_said(six, match, said):
    of = asked(six, query={"match": match})
    assert said in (await firing(of))["trouble"]
    page = await page_of(ALERTS, of, "/alerts?match=x")
    assert said.split(";")[0] in text_of(page)
    assert 'role="alert"' in page
    assert "in the red" not in page


NAMES = [
    ("rule=lost", "no rule is called lost; did you mean loss?"),
    ("rule!=lost", "no rule is called lost; did you mean loss?"),
    ("rule=quiet", ""),
    ("rule=deep", ""),  # the config has none any more, of which there are alerts
    ("venue=nowhere", "no venue is called nowhere; there are fx, quiet, tocsin"),
    ("venue=quiet", ""),
    ("venue=spot", ""),  # as of deep
    ("venue!=spot", ""),
    ("severity=high", "no severity is called high; there are info, warning, critical"),
    ("kind=positoin", "no kind is called positoin; did you mean position?"),
]


@pytest.mark.parametrize(("match", "said"), NAMES)
@pytest.mark.parametrize("by_itself", [False, True])
async def test_what_there_is_none_of_is_told_as_silences_do(six, match, said, by_itself):
    field, _, value = match.partition("=")
    of = looked(six, match, **({field: value} if by_itself and not field.endswith("!") else {}))
    assert [(await part(of))["trouble"] for part in (firing, over)] == [said, said]


@pytest.mark.parametrize("match", ["rule=lost", "venue=nowhere", "loss"])
async def test_where_the_filter_is_wrong_nothing_is_counted(six, match):
    of = looked(six, match)
    assert (await firing(of))["count"] is None
    assert re.search(r"Firing\W+\d", text_of(await page_of(ALERTS, of))) is None


async def test_matchers_may_stand_in_the_address_each_by_itself(six):
    of = looked(six, venue="fx", symbol='odd " one')
    assert (await over(of))["match"] == 'venue=fx symbol="odd \\" one"'
    assert ids(await over(of)) == ["o4"]


async def test_the_filters_field_is_no_live_part(six):
    page = await page_of(ALERTS, looked(six, "rule=loss"))
    before_parts, _, _ = page.partition('id="part-firing"')
    field = re.search(r"<input[^>]*>", before_parts)
    assert field is not None
    assert 'id="filter"' in field[0]
    assert "data-filter" in field[0]
    assert 'value="rule=loss"' in field[0]
    assert "<input" not in re.sub(r'<input type="hidden"[^>]*>', "", page.partition('id="part-firing"')[2])


async def walked(folder: Any, **query: str) -> list[list[str]]:
    """All pages, each by the link of the one before."""
    pages = []
    while True:
        found = await over(asked(folder, query=query))
        pages.append(ids(found))
        if found["older"] is None:
            return pages
        query = dict(parse_qsl(found["older"].removeprefix("?")))


async def test_pages_hold_fifty_each_once_though_many_fired_at_once(tmp_path):
    kept(tmp_path, *(row(f"a{number:03}", ago=1000 - number // 60) for number in range(130)))
    pages = await walked(tmp_path)
    assert [len(page) for page in pages] == [50, 50, 30]
    assert [each for page in pages for each in page] == [f"a{number:03}" for number in reversed(range(130))]


async def test_what_fires_meanwhile_shifts_no_page(tmp_path):
    kept(tmp_path, *(row(f"a{number:03}", ago=1000 - number) for number in range(60)))
    first = await over(asked(tmp_path))
    kept(tmp_path, row("new", ago=1))
    second = await over(asked(tmp_path, query=dict(parse_qsl(first["older"].removeprefix("?")))))
    assert ids(second) == [f"a{number:03}" for number in reversed(range(10))]
    assert second["older"] is None
    assert second["newest"] == ""


async def test_a_page_that_is_just_full_leads_nowhere(tmp_path):
    kept(tmp_path, *(row(f"a{number:03}", ago=1000 - number) for number in range(50)))
    assert (await over(asked(tmp_path)))["older"] is None


async def test_the_filter_goes_along_to_the_next_page(tmp_path):
    rows = [row(f"a{number:03}", ago=1000 - number, rule=f"r{number % 2}") for number in range(120)]
    kept(tmp_path, *rows)
    pages = await walked(tmp_path, match="rule=~.*0")
    assert [len(page) for page in pages] == [50, 10]


@pytest.mark.parametrize("match", ["rule!=r1", "rule=r0", "event!=x rule=~r0"])
def test_how_far_it_was_looked_is_said_and_from_there_it_goes_on(tmp_path, match):
    """A thousand others lie between."""
    kept(
        tmp_path,
        *(row(f"b{number:04}", ago=500 - number / 10, rule="r1") for number in range(90)),
        *(row(f"a{number:04}", ago=900 - number, rule="r0") for number in range(7)),
    )
    reader, wanted = Reader(tmp_path / DATABASE), Filter.of(match, {})
    found, place, rounds, looked = [], LATEST, 0, 0
    while place is not None:
        page = history(reader, wanted, place, page=5, most=20)
        found += [each["id"] for each in page.rows]
        rounds, looked, place = rounds + 1, looked + page.looked, page.following
        assert page.looked <= 20
    assert found == [f"a{number:04}" for number in reversed(range(7))]
    assert rounds == (2 if match == "rule=r0" else 6)  # by that rule's index nothing else is looked at


async def test_the_page_says_how_far_it_looked(tmp_path, monkeypatch):
    kept(tmp_path, *(row(f"b{number:04}", ago=500 - number) for number in range(30)))
    monkeypatch.setattr(history, "__kwdefaults__", {"page": 50, "most": 20})
    page = await page_of(ALERTS, looked(tmp_path, "rule!=loss"))
    assert "20 alerts were looked at, back to" in text_of(page)
    assert "?match=rule%21%3Dloss&amp;before=" in page


async def test_of_many_that_fire_the_worst_hundred_are_shown_unless_all_are_asked_for(tmp_path):
    rows = [row(f"f{number:03}", "firing", 1000 - number, severity="info") for number in range(110)]
    rows += [row("last", "firing", 5000, severity="critical")]
    kept(tmp_path, *rows)
    now = snapshot(measures={"alerts": {("info", "firing"): 110, ("critical", "firing"): 1}})
    found = await firing(asked(tmp_path, now))
    assert (len(found["alerts"]), found["count"], ids(found)[0]) == (100, 111, "last")
    assert "100 of 111 shown" in text_of(await page_of(ALERTS, asked(tmp_path, now)))
    assert len((await firing(asked(tmp_path, now, query={"all": "1"})))["alerts"]) == 111


async def test_how_long_one_lasted_counts_from_when_it_fired(tmp_path):
    began, fired, ended = (NOW - timedelta(seconds=seconds) for seconds in (100, 80, 50))
    says = context(state="resolved", started_at=began, at=ended, value="-30", worst="-60")
    one = alert(
        "o1",
        state="resolved",
        started_at=began,
        fired_at=fired,
        resolved_at=ended,
        data=msgspec.to_builtins(says),
    )
    kept(tmp_path, one)
    text = text_of(await page_of(ALERTS, asked(tmp_path)))
    assert "BTCUSD long -30 USD after 30 s, worst -60" in text
    assert "✓ over after 30 s" in text


async def test_nothing_is_there(tmp_path):
    kept(tmp_path)
    text = text_of(await page_of(ALERTS, asked(tmp_path)))
    assert "Nothing fires." in text
    assert "No alert is kept yet." in text


async def test_hostile_texts_stay_texts(tmp_path):
    hostile = {
        "symbol": HOSTILE,
        "entity": HOSTILE,
        "account": HOSTILE,
        "words": HOSTILE,
        "limit": HOSTILE,
        "title": HOSTILE,
    }
    kept(tmp_path, row("f1", "firing", **hostile), row("o1", "event", **hostile), row("o2", **hostile))
    await page_of(ALERTS, looked(tmp_path, f'symbol!="{HOSTILE} "'))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"before": "2026-01-01T00:00:00.000000Z,x"},
        *({"match": match} for match in ("rule=loss", "id=p1", "venue=fx", "event=~x", "rule=loss id!=x")),
    ],
)
async def test_each_query_goes_by_an_index(six, query, monkeypatch):
    plans = Plans(monkeypatch)
    of = asked(six, query=query)
    await firing(of)
    await over(of)
    found = plans.of(six)
    assert len(found) >= 2
    for text, steps in found.items():
        scans = [step for step in steps if step.startswith("SCAN") and "json_each" not in step]
        allowed = [step for step in scans if step.endswith("USING INDEX alerts_active")]
        if "before" not in query and " alerts_fired_at " in text:
            allowed += [step for step in scans if step.endswith("USING INDEX alerts_fired_at")]
        assert scans == allowed, text
    steps = [step for steps in found.values() for step in steps]
    by = {"rule=loss": "alerts_rule (rule=?", "id=p1": "alerts_entity (entity=?"}
    wanted = by.get(query.get("match", "").removesuffix(" id!=x"), "alerts_fired_at")
    assert any(wanted in step for step in steps), steps
