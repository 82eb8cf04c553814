"""What if: a form of a rule's numbers and durations, and what would be if they were others."""

from html import unescape
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from support.looked import HOSTILE, ROOT, page_of, refuse_unsound, text_of
from support.page_world import OURS
from support.page_world import Page as Whole
from support.ruled import RuledWorld
from tocsin.alerts.wording import Style
from tocsin.errors import TocsinError
from tocsin.page.live import Versions
from tocsin.page.rendering import Renderer
from tocsin.page.routes import Screens
from tocsin.page.screens.rule import RULE
from tocsin.page.what_if_form import WhatIfForm
from tocsin.page.what_if_view import fields_of, view
from tocsin.replay.comparison import Alert, Alerts, Changed, Coverage, Kept, Side, WhatIf
from tocsin.store.store import DATABASE

WORDS = "profit kept at 2,310 moments in 14 days; between them unknown"


def alert(id_: str, **more: Any) -> Alert:
    given = {
        "rule": "red", "kind": "position", "venue": "fx", "account": "a1", "id": id_, "symbol": "XAUUSD",
        "title": "XAUUSD is in the red", "at": "2026-01-12T10:00:00+00:00", "until": None, "of": "profit",
        "worst": "-510",
    }  # fmt: skip
    return Alert(**given | more)


def would_be(**more: Any) -> WhatIf:
    given: dict[str, Any] = {
        "coverage": (Coverage(rule="red", kept=(), whole=False, words=WORDS),),
        "at_least": True,
        "because": "of market data only what made rules fire is kept",
        "begun": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-14T00:00:00+00:00",
        "edits": (Changed(rule="red", path="when.profit.below", called="when profit below", before="-50", after="-60"),),
        "diff": "--- rules.yaml\n+++ rules.yaml\n@@ -3 +3 @@\n-  when: {profit: {below: -50}}\n+  when: {profit: {below: -60}}",
        "as_it_is": Side(17, (("2026-01-01T00:00:00+00:00", 0), ("2026-01-02T10:00:00+00:00", 17), ("2026-01-14T00:00:00+00:00", 17))),
        "edited": Side(8, (("2026-01-01T00:00:00+00:00", 0), ("2026-01-03T23:30:00+00:00", 8), ("2026-01-14T00:00:00+00:00", 8))),
        "lost": Alerts(2, (alert("p1", side="short"), alert("p2", worst="-60", covered=True))),
        "gained": Alerts(0),
        "later": Alerts(1, (alert("p3", by=40.0),)),
        "earlier": Alerts(0),
    }  # fmt: skip
    return WhatIf(**given | more)


class Page:
    """The form's routes, and what was asked of the replay."""

    def __init__(self, world: RuledWorld) -> None:
        self.asked_for: list[list[str]] = []
        self.answer: Any = would_be()
        self._settings = world.settings
        host: Any = SimpleNamespace(
            rules_seen=world.seen, style=Style(names=world.settings.names, tz=world.settings.tz)
        )
        versions = Versions(world.look)
        screens = Screens(host, world.folder / DATABASE, versions)
        form = WhatIfForm(screens, Renderer(ROOT), self)
        self._transport = httpx.ASGITransport(Starlette(routes=form.routes))

    def field(self, rule: str) -> str:
        """The name of the form's first."""
        return fields_of(self._settings, rule)[0]["name"]

    async def ask(self, said: Any, gone: Any = None) -> WhatIf:
        assert gone is not None
        self.asked_for.append([*said])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def post(self, rule: str, *, htmx: bool = True, **fields: str) -> httpx.Response:
        form = {"rule": rule, **{name.replace("__", "."): value for name, value in fields.items()}}
        headers = {"HX-Request": "true"} if htmx else {}
        async with httpx.AsyncClient(transport=self._transport, base_url="http://tocsin") as client:
            answer = await client.post("/what-if", data=form, headers=headers)
        refuse_unsound(answer.text)
        return answer


@pytest.fixture
def world(tmp_path):
    return RuledWorld(tmp_path)


@pytest.fixture
def page(world):
    return Page(world)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("red", [("when profit below", "-50"), ("until profit above", "-40"), ("for", "10s"), ("keep firing for", "0s")]),
        ("deep", [("when profit below", "-500"), ("for", "0s"), ("keep firing for", "0s")]),
        ("filled", [("cooldown", "15m")]),
        ("none-filled", []),
        ("crossed", [("when crosses_above(price, …)", "100")]),
    ],
)  # fmt: skip
async def test_the_form_has_a_field_for_each_number_and_duration(world, rule, fields):
    found = fields_of(world.settings, rule)
    assert [(each["called"], each["value"]) for each in found] == fields
    html = await page_of(RULE, world.asked(rule), f"/r/{rule}")
    assert html.count('name="set.') == len(fields)
    assert ("no number and no duration" in html) is not fields or not fields
    form = html[html.index('id="what-if-h"') :]
    assert 'class="part"' not in form[: form.index("</section>")], (
        "a form in a live part is emptied while one types"
    )


async def test_only_what_was_changed_is_tried_and_coverage_is_said_first(page):
    answer = await page.post(
        "red", set__when__profit__below="-60", set__until__profit__above="-40", set__for=" 2m ", set__keep_firing_for=""
    )  # fmt: skip
    assert answer.status_code == 200
    assert page.asked_for == [["red.when.profit.below=-60", "red.for=2m"]]
    text = text_of(answer.text)
    assert text.startswith(WORDS)
    assert (
        "There may be more alerts than are counted: of market data only what made rules fire is kept." in text
    )
    assert "As it is 17 alerts at least Edited 8 alerts at least 9 fewer" in text
    assert "Would be lost 2 alerts at most the worst reached -510 · at least 0 gained · 1 later" in text
    assert "Lost, worst first Alert How When XAUUSD short · fx, Main profit reached -510" in text
    assert "an alert of before goes on then" in text
    assert "Later Alert How When XAUUSD fx, Main 40 s later" in text
    assert "1 Jan 0 0 2 Jan 17 0 4 Jan 17 8 14 Jan 17 8" in text, (
        "by the days of people, for who sees no chart"
    )
    assert "data-chart=" in answer.text
    assert 'aria-label="Alerts so far: 17 as it is, 8 edited"' in answer.text


async def test_a_duration_that_is_emptied_is_none_and_a_number_is_asked_for(page):
    await page.post("filled", set__cooldown="")
    assert page.asked_for == [["filled.cooldown=0s"]]
    answer = await page.post("crossed", **{page.field("crossed"): " "})
    assert text_of(answer.text).startswith("when crosses_above(price, …): no number stands there")
    assert len(page.asked_for) == 1


async def test_without_javascript_it_is_a_page_with_the_form_as_it_was_filled_in(page):
    answer = await page.post("red", htmx=False, set__when__profit__below="-60")
    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert 'name="set.when.profit.below" value="-60"' in answer.text
    assert 'name="set.for" value="10s"' in answer.text
    assert "8 alerts at least" in text_of(answer.text)


async def test_the_diff_is_shown_without_a_run(page):
    answer = await page.post("red", set__when__profit__below="-60", show="diff")
    assert page.asked_for == []
    text = text_of(answer.text)
    assert "- when: {profit: {below: -50}}" in text
    assert "+ when: {profit: {below: -60}}" in text


WRONG = [
    ("red", {"set__for": "10s"}, 400, "All is as it is"),
    (
        "red",
        {"set__when__profit__below": "much<b>"},
        400,
        "when profit below: `much<b>` is no number; write it like -60 or 0.5",
    ),
    ("red", {"set__for": "30"}, 400, "for: `30`: a duration needs a unit"),
    ("red", {"set__for": "2 parsecs"}, 400, "for: `2 parsecs`: not a duration; write it like 500ms, 30s, 5m"),
    ("filled", {"set__cooldown": "-1m"}, 400, "cooldown: `-1m`: a duration can't be negative"),
    ("rad", {"set__for": "3s"}, 404, "no rule is called rad; did you mean red?"),
    (HOSTILE, {}, 404, "no rule is called"),
]


@pytest.mark.parametrize(("rule", "fields", "status", "says"), WRONG, ids=[says for *_, says in WRONG])
async def test_what_can_not_be_tried_is_told(page, rule, fields, status, says):
    whole = await page.post(rule, htmx=False, **fields)
    assert whole.status_code == status
    part = await page.post(rule, **fields)
    assert part.status_code == 200, "else htmx leaves it away"
    for answer in (whole, part):
        assert says in unescape(answer.text)
        assert answer.text.count("write it like") <= 1
        assert "<b>`" not in answer.text
        assert 'role="alert"' in answer.text
    assert page.asked_for == []


async def test_a_run_that_comes_to_nothing_is_told(page):
    page.answer = TocsinError("another one runs: try again in a moment")
    answer = await page.post("red", htmx=False, set__for="1m")
    assert answer.status_code == 409
    assert "another one runs" in answer.text


async def test_what_got_beyond_the_edited_limit_is_not_told_to_be_lost(page):
    page.answer = would_be(
        lost=Alerts(0), unknown=Alerts(3, (alert("p1", symbol="XAUUSD", worst="-73"),) * 3), later=Alerts(0)
    )
    text = text_of((await page.post("red", set__when__profit__below="-60")).text)
    assert "Would be lost 0 alerts at most 3 later, or not at all · at least 0 gained" in text
    heading = "Later, or not at all: how long they were beyond the edited limit isn&#39;t known, worst first"
    assert heading in text
    assert "Lost" not in text


async def test_what_came_out_of_it_may_be_named_anything(page):
    bad = alert("p1", symbol=HOSTILE, title=HOSTILE, worst=None, of=HOSTILE, account=HOSTILE)
    page.answer = would_be(lost=Alerts(30, (bad,) * 25), gained=Alerts(1, (bad,)), because=HOSTILE)
    answer = await page.post("red", set__for="1m")
    assert answer.text.count('<tr><td class="head">') == 21 + 1
    assert "and 10 more" in text_of(answer.text)


async def test_where_nothing_was_kept_nothing_is_counted(page):
    kept = (Kept("profit", 0),)
    words = "no profit was kept in 14 days, so nothing can be said of what would be"
    coverage = Coverage(rule="red", kept=kept, whole=False, words=words)
    page.answer = would_be(
        coverage=(coverage,), as_it_is=Side(0), edited=Side(0), lost=Alerts(0), later=Alerts(0)
    )
    answer = await page.post("red", set__for="1m")
    text = text_of(answer.text)
    assert text.startswith(words)
    assert "0 alerts" not in text
    assert "gained" not in text
    assert "data-chart=" not in answer.text
    assert "+ when: {profit: {below: -60}}" in text


async def test_each_field_that_is_wrong_is_named(page):
    answer = await page.post("red", set__when__profit__below="much", set__for="30")
    assert unescape(text_of(answer.text)).startswith(
        "when profit below: `much` is no number; write it like -60 or 0.5 for: `30`: a duration needs a unit"
    )


async def test_what_is_doubtful_as_edited_stands_first(page):
    page.answer = would_be(warnings=(f"until: {HOSTILE}",))
    answer = await page.post("red", set__for="1m")
    assert text_of(answer.text).startswith("doubtful until: ")


async def test_nothing_is_recorded_yet(page):
    page.answer = would_be(
        begun=None, ended=None, as_it_is=Side(0), edited=Side(0), lost=Alerts(0), later=Alerts(0)
    )
    assert "Nothing is recorded yet" in (await page.post("red", set__for="1m")).text


@pytest.mark.parametrize(
    ("before", "after", "words"), [(3, 3, "as many"), (3, 1, "2 fewer"), (3, 1203, "1,200 more")]
)
def test_how_many_more(before, after, words):
    assert view(would_be(as_it_is=Side(before), edited=Side(after)), Style())["change"] == words


async def test_it_is_there_for_who_is_signed_in_and_only_from_our_own_pages(tmp_path):
    (tmp_path / "rules").mkdir()
    whole = Whole(tmp_path)
    whole.host.rules_seen = RuledWorld(tmp_path / "rules").seen
    form = {"rule": "red", "set.for": "10s"}
    asked = await whole.browser().post("/what-if", data=form, headers=OURS)
    assert asked.headers["location"].startswith("/login")
    browser = await whole.signed_in()
    foreign = await browser.post("/what-if", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    answer = await browser.post("/what-if", data=form, headers=OURS)
    assert answer.status_code == 400
    assert "All is as it is" in answer.text
