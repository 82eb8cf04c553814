"""`/a/ID`: what one alert shows, of each sort of rule, while it lives and after."""

import html
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from support.looked import HOSTILE, ROOT, asked, page_of, refuse_unsound, text_of
from support.plans import Plans
from support.played import START, Played, played
from support.stored import alert as stored_alert
from support.stored import commit, opened
from tocsin.control.snapshot import Point
from tocsin.engine.api import Distance, Part
from tocsin.events import iso
from tocsin.page.alert_chart import chart_of, worst_at
from tocsin.page.alert_rows import context_of
from tocsin.page.rendering import Renderer
from tocsin.page.screen import Elsewhere, NoSuch
from tocsin.page.screens.alert import ALERT, find
from tocsin.page.screens.overview import OVERVIEW, firing
from tocsin.pipeline.acts import Acts, By, Target
from tocsin.store import alert_history

RULES = [
    {
        "id": "deep", "watch": "position", "when": "profit < -500", "until": "profit > -400", "severity": "critical",
        "repeat": "1h", "escalate": [{"after": "10m", "notify": ["desk"]}], "notify": ["phone"], "inhibited_by": ["away"],
    },
    {"id": "red", "watch": "position", "when": "profit < -50", "until": "profit > -40", "for": "1m", "keep_firing_for": "5m"},
    {"id": "slow", "watch": "position", "when": "profit < -300", "for": "1h"},
    {"id": "sum", "watch": "position", "per": ["account"], "when": "sum(profit) < -100"},
    {"id": "filled", "watch": "order.filled", "where": "amount > 1", "severity": "info"},
    {"id": "quick", "watch": "order.open", "then": {"watch": "order.canceled", "within": "60s"}},
    {"id": "nofill", "watch": "order.filled", "absent": "5m", "per": []},
    {"id": "away", "watch": "venue", "when": {"status": "disconnected"}},
]  # fmt: skip
STEPS: list[dict[str, Any]] = [
    {
        "at": "0s",
        "position": {
            "id": "p1", "symbol": "XAUUSD", "side": "short", "profit": "-176.40", "currency": "USD", "amount": "0.40",
            "entry_price": "2318.40", "account": "a1",
        },
    },
    {"at": "10s", "position": {"id": "p1", "profit": "-512.4", "account": "a1"}},
    {"at": "20s", "position": {"id": "p2", "symbol": HOSTILE, "side": "long", "profit": "-60", "currency": "USD", "account": "a1"}},
    {"at": "25s", "order": {"id": "o1", "symbol": "ETHBTC", "status": "open", "amount": "2", "price": "0.08"}},
    {"at": "30s", "order": {"id": "o2", "symbol": "ETHBTC", "status": "open", "amount": "2", "price": "0.08"}},
    {"at": "40s", "order": {"id": "o1", "status": "filled", "filled": "2"}},
    {"at": "45s", "order": {"id": "o2", "status": "canceled"}},
    {"at": "60s", "position": {"id": "p1", "profit": "-640.1", "account": "a1"}},
    {"at": "120s", "position": {"id": "p2", "profit": "-10", "account": "a1"}},
]  # fmt: skip
P1 = '["fx", "position", "a1", "p1"]'
TRAIL = [
    Point(START + timedelta(seconds=seconds), Decimal(value))
    for seconds, value in ((-300, "-640.1"), (0, "-176.40"), (10, "-512.4"), (60, "-640.1"), (480, "-640.1"))
]


class Shown:
    """What was shown of the alerts of each rule: by the rule's id and the entity's."""

    def __init__(self) -> None:
        self.data: dict[str, dict[str, Any]] = {}
        self.html: dict[str, str] = {}

    async def look(self, play: Played) -> None:
        play.trails[("deep", P1)] = TRAIL
        for row in alert_history.step(play.asked().reader, alert_history.LATEST, limit=100):
            of = play.asked_of(row["id"])
            name = f"{row['rule']} {row['entity']}".strip()
            self.data[name] = {part: await each.data(of) for part, each in ALERT.parts.items()}
            self.html[name] = await page_of(ALERT, of, f"/a/{row['id']}")

    def life(self, name: str) -> list[str]:
        """Each as it is read, with the seconds since the start."""
        return [
            " ".join(
                filter(
                    None,
                    (
                        str(each["at"] and each["at"][14:19]),
                        "next:" if each["next"] else "",
                        f"{each['says']}{each['name']}{each['more']}",
                        f"({each['sub']})" if each["sub"] else "",
                    ),
                )
            )
            for each in self.data[name]["life"]["life"]
        ]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Eight minutes of them."""
    found = Shown()
    played(tmp_path_factory.mktemp("alerts"), RULES, STEPS, found.look, until="8m")
    return found


LIVES = {
    "deep p1": [
        "00:10 firing, profit -512.4 USD (profit -512.4 < -500)",
        "00:10 told phone (taken after 0.0 s)",
        "01:00 worst, -640.1 USD",
        "10:10 next: escalates to desk (unless acknowledged)",
        "00:10 next: reminds (unless acknowledged)",
    ],
    "red p2": [
        "00:20 pending, profit -60 USD (for 60 s, until it fired)",
        "01:20 firing (profit -60 < -50)",
        "01:20 told phone (taken after 0.0 s)",
        "01:20 told desk (taken after 0.0 s)",
        "07:00 resolved, profit -10 USD (6 min after it began, 5 min after it fired)",
        "07:00 told phone that it is over (taken after 0.0 s)",
        "07:00 told desk that it is over (taken after 0.0 s)",
    ],
    "filled o1": ["00:40 happened", "00:40 told phone (taken after 0.0 s)", "00:40 told desk (taken after 0.0 s)"],
    "quick o2": ["00:45 happened", "00:45 told phone (taken after 0.0 s)", "00:45 told desk (taken after 0.0 s)"],
    "nofill": [
        "00:40 pending (for 5 min, until it fired)",
        "05:40 firing (no order.filled for 5m; the last was order.filled of o1 (ETHBTC))",
        "05:40 told phone (taken after 0.0 s)",
        "05:40 told desk (taken after 0.0 s)",
    ],
    "sum a1": [
        "00:00 firing, sum of profit -176.40 USD (sum of profit -176.4 < -100)",
        "00:00 told phone (taken after 0.0 s)",
        "00:00 told desk (taken after 0.0 s)",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", LIVES)
def test_its_life_is_told_in_order_and_then_what_comes(shown, name):
    assert shown.life(name) == LIVES[name]


def test_the_chart_has_both_limits_and_what_it_says_in_words(shown):
    chart = shown.data["deep p1"]["chart"]
    assert [(each["at"], each["label"], each["tone"]) for each in chart["lines"]] == [
        ("-500", "fires below -500", "bad"),
        ("-400", "ends above -400", "good"),
    ]
    assert [(each["begun"][11:19], each["ended"][11:19], each["tone"]) for each in chart["shades"]] == [
        ("09:00:10", "09:08:00", "bad")
    ]
    assert (chart["value_of"], chart["unit"], chart["points"][-1][1]) == ("profit", "USD", "-640.1")
    assert chart["sentence"].startswith(
        "profit over 13 min: from -640.1 to -640.1 USD, between -640.1 and -176.40"
    )
    page = shown.html["deep p1"]
    assert f'aria-label="{html.escape(chart["sentence"])}"' in page
    assert "As a table" in page


@pytest.mark.parametrize("name", ["filled o1", "quick o2", "nofill"])
def test_what_is_about_no_number_has_no_chart(shown, name):
    assert shown.data[name]["chart"] == {"value_of": None}
    assert 'id="chart-h"' not in shown.html[name]


def test_why_is_told_as_it_is_now_with_each_gate(shown):
    why = shown.data["deep p1"]["why"]
    assert [(each["of"], each["asks"], each["holds"], each["to_go"]) for each in why["parts"]] == [
        ("when", "profit < -500", True, None),
        ("until", "profit > -400", False, "240.1"),
    ]
    assert [(each["what"], each["asks"], each["shut"]) for each in why["gates"]] == [
        ("enabled", "", ""),
        ("silence", "", ""),
        ("inhibited_by", "away", ""),
        ("acknowledged", "", ""),
        ("channel", "phone", ""),
    ]
    text = text_of(shown.html["deep p1"])
    assert "Why it fires" in text
    assert "until profit &gt; -400 no profit -640.1 &lt;= -400, 240.1 to go" in text
    assert "inhibited by away no" in text


def test_of_what_is_over_why_is_as_it_was(shown):
    why = shown.data["red p2"]["why"]
    assert [(each["asks"], each["holds"]) for each in why["parts"]] == [
        ("profit < -50", True),
        ("profit > -40", False),
    ]
    assert (why["then"][11:19], why["gates"]) == ("09:01:20", [])
    assert "As it was at" in shown.html["red p2"]
    assert "order.filled" in text_of(shown.html["filled o1"])


def test_the_entity_is_shown_as_it_is_and_not_where_it_is_gone(shown):
    entity = shown.data["deep p1"]["entity"]["entity"]
    fields = {each["name"]: each["value"] for each in entity["fields"]}
    assert fields["profit"] == "-640.1"
    assert fields["entry price"] == "2318.40"
    assert (entity["as_of"][11:19], entity["gone"], entity["away"]) == ("09:01:00", False, False)
    gone = shown.data["filled o1"]["entity"]["entity"]
    assert (gone["gone"], gone["fields"]) == (True, [])
    assert "It isn&#39;t there any more." in shown.html["filled o1"]
    group = shown.data["sum a1"]["entity"]["entity"]
    assert (group["group"], group["count"]) == ({"venue": "fx", "account": "a1"}, 1)
    assert group["members"] == [{"id": "p1", "symbol": "XAUUSD", "value_of": "profit", "value": "-176.40"}]


def test_what_else_is_told_of_it_and_what_is_to_come(shown):
    others = shown.data["deep p1"]["others"]
    assert [(each["rule"], each["due"][11:19]) for each in others["pending"]] == [("slow", "10:00:10")]
    assert [(each["rule"], each["state"]) for each in others["alerts"]] == [("red", "firing")]
    text = text_of(shown.html["deep p1"])
    assert "Also of this position" in text
    assert "pending profit -640.1 · fires in 52 min" in text


def test_what_was_told_is_there_word_for_word(shown):
    messages = shown.data["red p2"]["messages"]
    assert (messages["sent"], messages["cut"]) == (4, False)
    assert [(each["told"], each["channel"]) for each in messages["messages"]] == [
        ("firing", "phone"), ("firing", "desk"), ("resolved", "phone"), ("resolved", "desk"),
    ]  # fmt: skip


async def test_a_long_condition_is_folded(tmp_path):
    """A pattern of three hundred characters stood before what it found."""
    opened(tmp_path).close()
    asks = " or ".join(f"matches(status, '{HOSTILE}{number}')" for number in range(9))
    long = {
        "of": "when",
        "asks": asks,
        "holds": True,
        "saw": "status is failed",
        "to_go": None,
        "as_of": None,
    }
    why = {"parts": [long, long | {"asks": "profit < -500"}], "gates": [], "held_back_by": []}
    made = await Renderer(ROOT).page(
        "alert/why.html", asked(tmp_path), "/a/a1", rule="red", lives=True, then=None, **why
    )
    page = made.html.decode()
    refuse_unsound(page)
    assert page.count("<details ") == 1
    assert "profit &lt; -500</dd>" in page


def test_what_can_be_done_stands_at_the_top_and_below_on_a_phone(shown):
    page = shown.html["deep p1"]
    one = re.search(r'<div data-one-alert data-alert="(\w+)">', page)
    assert one is not None
    assert page.count(f'action="/below/a/{one[1]}/ack"') == 2
    assert '<div class="stickybar">' in page
    assert f"/below/silences/new?alert={one[1]}&amp;next=/a/" in page
    assert "/ack" not in shown.html["red p2"].partition("others-h")[0]  # it is over


@pytest.mark.parametrize("name", LIVES)
def test_each_says_what_state_it_is_in(shown, name):
    words = {
        "deep p1": "▲ firing, critical",
        "red p2": "✓ resolved, warning",
        "filled o1": "● happened, info",
    }
    text = text_of(shown.html[name])
    assert words.get(name, "warning") in text
    assert "Signed in" not in text


def test_who_did_what_by_what_and_until_when(tmp_path):
    found = Shown()

    async def look(play: Played) -> None:
        simulation, now = play.simulation, play.simulation.clock.now()
        acts, reader = Acts(simulation._turn), play.asked().reader
        (row,) = [each for each in reader.alerts() if each["rule"] == "deep"]
        by = By("anna", "telegram", f"seen {HOSTILE}")
        batch, _ = acts.acknowledge(Target.of(row), by, now, now.later(1800).wall)
        await simulation._commit(batch)
        batch, _ = acts.silence("rule=deep", now.later(600).wall, By("jan", "page", "lunch"), now)
        await simulation._commit(batch)
        batch, _ = acts.silence("rule=red", now.later(600).wall, By("jan", "page", "no other"), now)
        await simulation._commit(batch)
        await found.look(play)

    played(tmp_path, RULES, STEPS, look, until="3m")
    life = found.life("deep p1")
    assert life[3] == f"03:00 acknowledged by anna (on Telegram: seen {HOSTILE})"
    assert life[4:] == [
        "03:00 silenced by jan (on the page: lunch)",
        "13:00 next: silence ends (then it is told again, if it still fires)",
        "33:00 next: acknowledgement ends (then it is told again)",
    ]
    head = found.data["deep p1"]["head"]["alert"]
    assert (head["acked_by"], head["silenced_until"][11:19]) == ("anna", "09:13:00")
    page = found.html["deep p1"]
    assert page.count("/unack") == 4  # two forms, each with and without JavaScript
    gates = {each["what"]: each["shut"] for each in found.data["deep p1"]["why"]["gates"]}
    assert gates["acknowledged"].startswith("by anna at 2026-01-01 09:03:00 UTC")
    assert gates["silence"].startswith("rule=deep, until 2026-01-01 09:13:00 UTC")


def test_what_is_of_a_venue_that_is_away_says_so(tmp_path):
    found = Shown()
    played(tmp_path, RULES, [*STEPS, {"at": "130s", "disconnect": "fx"}], found.look, until="3m")
    assert found.data["deep p1"]["head"]["away"]
    assert found.data["deep p1"]["entity"]["entity"]["away"]
    assert 'data-one-alert data-alert="' in found.html["deep p1"]
    assert "fx is away" in text_of(found.html["deep p1"])
    gates = {each["what"]: each["shut"] for each in found.data["deep p1"]["why"]["gates"]}
    assert gates["inhibited_by"] == "away fires for fx"
    assert "00:10 next: reminds (held back while it is inhibited)" in found.life("deep p1")
    assert "gap holds fx is disconnected" in text_of(found.html["deep p1"])


def test_each_query_goes_by_an_index(tmp_path, monkeypatch):
    plans = Plans(monkeypatch)
    found: dict[str, list[str]] = {}

    async def look(play: Played) -> None:
        (row,) = [each for each in play.asked().reader.alerts(active_only=True) if each["rule"] == "deep"]
        plans.forget()
        of = play.asked_of(row["id"])
        for name, part in ALERT.parts.items():
            if name not in ("why", "life"):  # which ask what `tocsin explain` asks
                await part.data(of)
        await find(of)
        found.update(plans.of(play.simulation.state_dir))

    played(tmp_path, RULES, STEPS, look, until="3m")
    assert len(found) >= 3
    for text, steps in found.items():
        assert not [step for step in steps if step.startswith("SCAN")], text


@pytest.fixture
def several(tmp_path):
    store = opened(tmp_path)
    commit(
        store,
        alerts=[stored_alert("abcd1111"), stored_alert("abcd2222", title=HOSTILE), stored_alert("ffff3333")],
    )
    store.close()
    return tmp_path


@pytest.mark.parametrize("called", ["ffff", "ffff33", "ffff…"])
async def test_a_shortened_id_leads_to_the_whole(several, called):
    with pytest.raises(Elsewhere) as found:
        await find(asked(several, path={"id": called}))
    assert found.value.path == {"id": "ffff3333"}
    await find(asked(several, path={"id": "ffff3333"}))


@pytest.mark.parametrize(
    ("called", "said", "near"),
    [
        ("abcd", "Several alerts begin with abcd.", ["/a/abcd1111", "/a/abcd2222"]),
        ("p1", "There is no alert p1.", ["/a/abcd1111", "/a/abcd2222", "/a/ffff3333"]),
        ("0000", "There is no alert 0000.", []),
        ("x" * 4000, f"There is no alert {'x' * 80}.", []),
        (HOSTILE, "There is no alert", []),
    ],
)
async def test_an_id_that_is_no_ones_says_which_may_be_meant(several, called, said, near):
    with pytest.raises(NoSuch) as found:
        await find(asked(several, path={"id": called}))
    assert str(found.value).startswith(said)
    assert sorted(path for _, path in found.value.near) == near


WORST = {
    "an earlier alert's": ([(-80, "-72.94")], None),
    "its own, after an earlier one's": ([(-80, "-72.94"), (30, "-72.94"), (40, "-60")], 30),
    "while it was pending": ([(-80, "-72.94"), (2, "-72.94"), (30, "-72.94")], 2),
    "as it began": ([(0, "-72.94")], 0),
    "after its end": ([(90, "-72.94")], None),
    "at no time that is kept": ([(20, "-72.93")], None),
}


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("resolved", [True, False])
def test_it_was_at_its_worst_at_a_time_of_its_own(name, resolved):
    """The same number was in the half hour before it, too, which is kept with it."""
    points, at = WORST[name]
    row = {"started_at": iso(START), "fired_at": iso(later(10)), "resolved_at": iso(later(60)) if resolved else None}  # fmt: skip
    trail = [Point(later(seconds), Decimal(value)) for seconds, value in points]
    assert worst_at(row, "-72.94", trail, later(60)) == (later(at) if at is not None else None)


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def distance(value: str, limit: str, *, met: bool) -> Distance:
    return Distance(value=value, limit=limit, gap="1", relative=0.1, met=met)


@pytest.mark.parametrize(
    ("part", "label"),
    [
        (Part(of="when", asks="profit < -5", holds=True, saw="", distance=distance("-6", "-5", met=True)), "fires below -5"),
        (Part(of="when", asks="profit < -5", holds=False, saw="", distance=distance("-4", "-5", met=False)), "fires below -5"),
        (Part(of="when", asks="profit > 5", holds=True, saw="", distance=distance("6", "5", met=True)), "fires above 5"),
        (Part(of="when", asks="profit >= 5", holds=True, saw="", distance=distance("5", "5", met=True)), "fires above 5"),
        (Part(of="when", asks="profit <= 5", holds=True, saw="", distance=distance("5", "5", met=True)), "fires below 5"),
        (Part(of="until", asks="profit > 5", holds=False, saw="", distance=distance("4", "5", met=False)), "ends above 5"),
        (Part(of="when", asks="age > 2h", holds=True, saw="", distance=distance("3h", "2h", met=True)), None),
        (Part(of="when", asks="amount > 9", holds=True, saw="", distance=distance("10", "9", met=True)), None),  # of another number
        (Part(of="when", asks="status is open", holds=True, saw=""), None),
    ],
)  # fmt: skip
def test_on_which_side_of_a_limit_it_fires(shown, part, label):
    row = {"started_at": "2026-01-01T09:00:00Z", "fired_at": "2026-01-01T09:00:00Z", "resolved_at": None}
    data = {
        "rule": "r", "severity": "warning", "state": "firing", "kind": "position", "venue": "fx", "entity": "p1",
        "value_of": "profit", "value": "1", "bounds": ["5", "-5"], "started_at": START, "at": START, "time": START,
        "parts": [part],
    }  # fmt: skip
    context = context_of({"data": msgspec.to_builtins(data)})
    labels = [each["label"] for each in chart_of(row, context, (), START)["lines"]]
    assert labels == ([label] if label else [])


def test_a_title_in_a_rules_own_words_says_when_it_was_told_and_the_worst_of_what(tmp_path):
    rule = {"id": "own", "watch": "position", "when": "profit < -500", "title": "{{ profit }} lost"}
    found: list[Any] = []

    async def look(play: Played) -> None:
        of = play.asked()
        found.append((await firing(of))["alerts"][0])
        found.append(text_of(await page_of(OVERVIEW, of, "/")))

    played(tmp_path, [rule], STEPS, look, until="2m")
    row, page = found
    assert (row["title"], row["worst"]) == ("-512.4 lost", "profit -640.1 USD")
    assert row["as_told"] == iso(START + timedelta(seconds=10))
    assert "worst profit -640.1 USD" in page
    assert "as told 10:00:10" in page
