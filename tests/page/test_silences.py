"""`/silences` and its form: what is silenced, how much that holds, and what is said where a silence can't be."""

import re
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import structs
from starlette.applications import Starlette

from support.looked import HOSTILE, ROOT, FakeHost, asked, page_of, refuse_unsound, snapshot, text_of
from support.measured import NOW
from support.outboxes import context
from support.stored import alert, opened
from tocsin.alerts.silences import Silences, quoted
from tocsin.control.snapshot import Watched
from tocsin.events import Key
from tocsin.page.forms import Forms
from tocsin.page.live import Versions
from tocsin.page.rendering import Renderer
from tocsin.page.routes import Screens
from tocsin.page.screens.silences import SILENCES, now, over
from tocsin.store.model import Act, Batch, Silence
from tocsin.store.store import DATABASE


def ago(**length: float) -> Any:
    return NOW - timedelta(**length)


def silence(id_: str, **changes: Any) -> Silence:
    begun = ago(hours=1)
    ends = {"created_at": begun, "starts_at": begun, "ends_at": NOW + timedelta(hours=2)}
    return Silence(**{"id": id_, "matchers": "venue=fx", "reason": "seen", "created_by": "Anna", **ends, **changes})  # fmt: skip


def firing(id_: str, **says: Any) -> Any:
    data = msgspec.to_builtins(context(**says))
    return alert(id_, fired_at=ago(minutes=5), title=f"{id_} is in the red", data=data)


A2 = Watched(
    rule="r", severity="warning", instance="i", key=Key("fx", "position", "", "p1"), symbol="ETHUSD", state="firing", alert="a2", value="-72"
)  # fmt: skip
LONG = "市" * 600 + '\n"x'


@pytest.fixture
def kept(tmp_path):
    """Two that hold, two that are over, one that is over for long; three alerts."""
    silences = [
        silence("s1", held=3),
        silence("s2", matchers="symbol=~ETH.*", ends_at=NOW + timedelta(minutes=30), created_by=HOSTILE),
        silence("s3", matchers=f'id="{HOSTILE}"', reason=HOSTILE, ended_at=ago(minutes=3), held=1),
        silence("s4", ends_at=ago(days=2), created_by=""),
        silence("s5", ends_at=ago(days=9)),
    ]
    acts = [
        Act(at=ago(hours=1), by="Anna", via="telegram", does="silence", target="s1"),
        Act(at=ago(minutes=3), by="Jan", via="page", does="unsilence", target="s3"),
    ]
    store = opened(tmp_path)
    alerts = [
        firing("a1"),
        firing("a2", symbol="ETHUSD"),
        firing("a3", venue="spot"),
        alert("long", state="resolved", data=msgspec.to_builtins(context(entity=LONG))),
    ]
    store.commit(Batch(at=NOW, silences=silences, acts=acts, alerts=alerts))
    store.close()
    return snapshot(silences=Silences(silences[:2]), alerts=[A2])


async def test_what_holds_says_how_much_and_by_whom_and_what_is_over_how_much_it_did(tmp_path, kept):
    of = asked(tmp_path, kept)
    holding = (await now(of))["silences"]
    assert [(each["id"], each["holds"], each["held"], each["via"]) for each in holding] == [
        ("s2", 1, 0, None),
        ("s1", 2, 3, "telegram"),
    ]
    assert [sorted(each["titles"]) for each in holding] == [
        ["-72 USD ETHUSD long: profit -60 < -50 · fx"],
        ["-60 USD BTCUSD long: profit -60 < -50 · fx", "-72 USD ETHUSD long: profit -60 < -50 · fx"],
    ], "with the number of now; a silence of an id says nothing to people"
    ended = (await over(of))["silences"]
    assert [(each["id"], each["ended_by"], each["held"]) for each in ended] == [
        ("s3", "Jan", 1),
        ("s4", None, 0),
    ]


async def test_they_are_shown_with_ways_to_end_and_repeat_them(tmp_path, kept):
    html = await page_of(SILENCES, asked(tmp_path, kept))
    text = text_of(html)
    assert "long: profit -60 &lt; -50 · fx held back 3 messages" in text
    assert "Anna, on Telegram" in text
    assert "taken back by Jan" in text
    assert f'action="{ROOT}/silences/s1/end"' in html
    assert f"{ROOT}/silences/new?silence=s4" in html
    assert "planned" not in text


async def test_nothing_is_silent(tmp_path):
    opened(tmp_path).close()
    text = text_of(await page_of(SILENCES, asked(tmp_path)))
    assert "Nothing is silenced now." in text
    assert "None ended in these days." in text


async def test_of_many_the_first_are_shown(tmp_path):
    store = opened(tmp_path)
    silences = [silence(f"s{number}") for number in range(150)]
    store.commit(Batch(at=NOW, silences=silences))
    store.close()
    now_ = snapshot(silences=Silences(silences))
    html = await page_of(SILENCES, asked(tmp_path, now_))
    assert "The first 100 to end." in text_of(html)
    assert len((await now(asked(tmp_path, now_, query={"all": "1"})))["silences"]) == 150


# ---------------------------------------------------------------------------------------------------------------- the form


class FakeActs:
    """Keeps what is begun; its matchers are read as the daemon's."""

    def __init__(self) -> None:
        self.begun: list[tuple[Any, ...]] = []
        self.keeps = True

    def kept(self) -> bool:
        return self.keeps

    def silences(self) -> Silences:
        return Silences()

    def now(self) -> Any:
        return NOW

    def foreseen(self, matchers: str, lasts: str | None, until: str | None) -> Silences:
        found = Silences()
        found.begin("", matchers, NOW + timedelta(hours=1), NOW)
        return found

    async def silence(self, matchers: str, lasts: str | None, until: str | None, by: Any) -> None:
        self.begun.append((matchers, lasts, until, by.via, by.why))


@pytest.fixture
def form(tmp_path, kept):
    host = FakeHost(acts=FakeActs(), snapshot=lambda: kept)
    versions = Versions(host.snapshot)
    screens = Screens(host, tmp_path / DATABASE, versions)
    forms = Forms(host, screens, Renderer(ROOT))
    transport = httpx.ASGITransport(Starlette(routes=forms.routes))
    return SimpleNamespace(
        client=httpx.AsyncClient(transport=transport, base_url="http://tocsin"),
        begun=host.acts.begun,
        acts=host.acts,
    )


async def test_the_form_says_what_it_would_hold(form):
    page = await form.client.get("/silences/new", params={"matchers": "venue=fx", "why": HOSTILE})
    refuse_unsound(page.text)
    assert "Holds 2 alerts that fire now" in text_of(page.text)
    alone = await form.client.get("/silences/new", params={"matchers": "venue=fx", "part": "form"})
    assert alone.text.lstrip().startswith("<form")


@pytest.mark.parametrize(
    ("query", "status", "written", "why"),
    [
        ({"alert": "long"}, 200, f"rule=position-in-the-red venue=fx id={quoted(LONG)}", ""),
        ({"silence": "s4"}, 200, "venue=fx", "seen"),
        ({"alert": "none"}, 404, None, None),
        ({"silence": "none"}, 404, None, None),
        ({"alert": "none", "part": "form"}, 404, None, None),
    ],
)  # fmt: skip
async def test_of_an_alert_or_a_silence_the_form_is_asked_for_by_its_id(form, query, status, written, why):
    page = await form.client.get("/silences/new", params={"next": "/a/a1", **query})
    refuse_unsound(page.text)
    assert page.status_code == status
    if written is None:
        assert f"There is no such {next(iter(query))}" in text_of(page.text)
        return
    fields = {
        name: unescape(value) for name, value in re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', page.text)
    }
    assert (fields["matchers"], fields["why"], "\n" in written) == (written, why, False)
    assert 'name="next" value="/a/a1"' in page.text
    if "alert" in query:  # and what a browser sends back silences it
        answer = await form.client.post("/silences", data={"matchers": fields["matchers"], "for": "1h"})
        assert (answer.status_code, form.begun[0][0]) == (303, written)


async def test_words_of_a_rule_s_own_stand_as_they_were_told(tmp_path):
    store = opened(tmp_path)
    told = structs.replace(firing("a1", title="BTC is at -60"), title="BTC is at -60")
    store.commit(Batch(at=NOW, alerts=[told]))
    store.close()
    now_ = snapshot(silences=Silences([silence("s1")]), alerts=[structs.replace(A2, alert="a1")])
    (each,) = (await now(asked(tmp_path, now_)))["silences"]
    assert each["titles"] == ["BTC is at -60 (as told)"]


@pytest.mark.parametrize(
    ("matchers", "says"),
    [
        (
            "venue=fx symbol=ETHUSD",
            "Holds 1 alert that fires now, and what matches later. -72 USD ETHUSD long: profit -60 &lt; -50 · fx",
        ),
        ("venue=nowhere", "Holds 0 alerts that fire now"),
        ("", "what all of these match"),
        ("price=3", "there is no price to match"),
        (HOSTILE, "not a matcher"),
    ],
)
async def test_while_one_types_it_says_what_that_would_hold(form, matchers, says):
    found = await form.client.get("/silences/try", params={"matchers": matchers})
    assert says in text_of(found.text)
    refuse_unsound(found.text)


@pytest.mark.parametrize(
    ("given", "begun"),
    [
        ({"for": "1h"}, ("1h", None)),
        ({"until": "08:00"}, (None, "08:00")),
        ({"ends": "2h"}, ("2h", None)),
        ({"ends": "20:00"}, (None, "20:00")),
    ],
)
async def test_one_press_is_enough_and_another_time_can_be_written(form, given, begun):
    answer = await form.client.post(
        "/silences", data={"matchers": "venue=fx", "why": "seen", "next": "/a/a1", **given}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"{ROOT}/a/a1")
    assert form.begun == [("venue=fx", *begun, "page", "seen")]


@pytest.mark.parametrize("query", ["", "?part=now&part=status"])
async def test_who_has_begun_one_sees_it_next_though_there_is_no_time(tmp_path, query, autojump_clock):
    store, so = opened(tmp_path), [snapshot()]
    host = FakeHost(acts=FakeActs(), snapshot=lambda: so[0])

    async def begin(*_asked: Any) -> None:
        begun = silence("s1", reason="I know")
        store.commit(Batch(at=NOW, silences=[begun]))
        so[0] = snapshot(changes={"silences": 1}, silences=Silences([begun]))

    host.acts.silence = begin
    screens, renderer = (
        Screens(host, tmp_path / DATABASE, Versions(host.snapshot, lambda: False)),
        Renderer(""),
    )
    routes = [*screens.html_routes(renderer, [SILENCES]), *Forms(host, screens, renderer).routes]
    browser = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes)), base_url="http://t")
    assert "I know" not in (await browser.get(f"/silences{query}")).text
    answer = await browser.post("/silences", data={"matchers": "venue=fx", "for": "1h"})
    assert answer.status_code == 303
    assert "I know" in (await browser.get(f"/silences{query}")).text
    store.close()


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [({}, 202, "That was done It holds, but is not on the disk yet"), ({"HX-Request": "true"}, 202, "Done, but not on the disk yet")],
)  # fmt: skip
async def test_what_is_done_while_the_database_takes_nothing_says_so(form, headers, status, says):
    form.acts.keeps = False
    data = {"matchers": "venue=fx", "for": "1h", "next": "/a/a1"}
    answer = await form.client.post("/silences", data=data, headers=headers)
    assert (answer.status_code, len(form.begun)) == (status, 1)
    assert says in text_of(answer.text)
    assert headers or f'href="{ROOT}/a/a1"' in answer.text


async def test_they_are_those_that_hold_also_where_the_database_knows_nothing_yet(tmp_path, kept):
    """`s1` was taken back and `s6` begun while it took nothing."""
    hold = snapshot(silences=Silences([silence("s2", matchers="symbol=~ETH.*"), silence("s6", held=2)]))
    holding = (await now(asked(tmp_path, hold)))["silences"]
    assert [(each["id"], each["holds"], each["held"], each["via"]) for each in holding] == [
        ("s2", 1, 0, None),
        ("s6", 2, 2, None),
    ]


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"matchers": "price=3", "for": "1h"}, "matchers", "there is no price to match"),
        ({"matchers": "", "for": "1h"}, "matchers", "a silence needs a matcher"),
        ({"matchers": "venue=fx"}, "ends", "say for how long"),
        (
            {"matchers": "venue=fx", "ends": "soon"},
            "ends",
            "neither a length nor a time: soon; write it like 2h, 20:00",
        ),
        ({"matchers": "venue=fx", "for": "90d"}, "ends", "at most 30 days"),
        ({"matchers": "venue=fx", "until": HOSTILE}, "ends", "neither a length nor a time"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_what_was_written_stays(form, given, field, says):
    answer = await form.client.post("/silences", data={"why": "seen", "next": "//elsewhere", **given})
    assert answer.status_code == 400
    refuse_unsound(answer.text)
    assert says in text_of(answer.text.partition(f'id="{field}-wrong"')[2])
    assert answer.text.count("aria-invalid") == 1
    assert 'value="seen"' in answer.text
    assert 'name="next" value="/silences"' in answer.text
    assert form.begun == []


async def test_to_end_what_is_over_is_no_error(form):
    for name in ("s3", "gone"):
        answer = await form.client.post(f"/silences/{name}/end", headers={"HX-Request": "true"})
        assert answer.status_code == 204
