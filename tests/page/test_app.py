"""What every answer says, who did what, and what becomes of a bug."""

import httpx
import pytest
import trio
import trio.testing

from support.page_world import ANNA, HOST, OURS, Page
from tocsin.config.listening import TAKEN
from tocsin.page import assets
from tocsin.page.admission import Admission
from tocsin.page.app import PEOPLE
from tocsin.pipeline.acts import By
from tocsin.store.store import DATABASE


@pytest.fixture
def page(tmp_path):
    return Page(tmp_path)


SAYS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
BEARER = {"Authorization": f"Bearer {ANNA}"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/login", {}, 200),
        ("/", {}, 303),
        ("/api/rules", {}, 401),
        ("/api/rules", BEARER, 200),
        ("/api/nothing", BEARER, 404),
        ("/healthz", {}, 200),
        ("/healthz", {"Host": "evil.example.org"}, 421),
        ("/metrics", BEARER, 200),
        ("/static/0/app.css", {}, 404),
    ],
)
async def test_what_each_answer_tells_browsers(page, path, headers, status):
    answer = await page.browser().get(path, headers=headers)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SAYS} == SAYS


async def test_files_are_kept_for_a_year_under_their_hash(page):
    answer = await page.browser().get(assets.path("app.css"))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_it_is_the_person_who_does_it_whatever_the_body_says(page, autojump_clock):
    browser = await page.signed_in()
    body = {"by": "ben", "via": "telegram", "why": "lunch"}
    answer = await browser.post("/api/actions/hedge/pause", json=body, headers=OURS)
    assert answer.status_code == 200
    answer = await browser.post("/api/actions/hedge/pause", json={}, headers=OURS)
    assert answer.status_code == 200
    done = await browser.post("/api/forget?venue=fx&kind=order&id=p&by=ben&why=gone", headers=OURS)
    assert done.status_code == 200
    assert page.host.acts.done == [("hedge", By("anna", "page", "lunch")), ("hedge", By("anna", "page"))]
    assert page.host.forgot == [By("anna", "page", "gone")]


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        ("text/html,*/*", "Tocsin has a bug here"),
        (
            "*/*",
            '{"error":"internal error: ZeroDivisionError; alerting goes on, and the daemon\'s log has it"}',
        ),
    ],
)
async def test_a_bug_is_told_in_words_and_logged_with_its_trace(page, accept, said):
    answer = await page.browser().post(
        "/api/actions/bug/pause", json={}, headers={**BEARER, "Accept": accept}
    )
    assert answer.status_code == 500
    assert said in answer.text
    assert "a bug of ours" not in answer.text
    assert answer.headers["content-security-policy"] == SAYS["content-security-policy"]
    assert page.log.lines == ["error: internal error"]
    (fields,) = page.log.fields
    assert isinstance(fields["exc_info"], ZeroDivisionError)
    assert fields["exc_info"].__traceback__ is not None


def move_away(database):
    database.rename(database.with_name("elsewhere"))


def replace_by_an_empty_one(database):
    move_away(database)
    database.touch()


@pytest.mark.parametrize("become", [move_away, replace_by_an_empty_one])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/a/aaaa1111", 503),
        ("/silences/new?matchers=venue%3Dfx", 503),
        ("/silences/try?matchers=venue%3Dfx", 503),
        ("/api/alerts", 503),
        ("/api/alerts/aaaa1111", 503),
        ("/api/silences?all=1", 503),
        ("/api/overview", 503),
        ("/", 200),
        ("/alerts", 200),
        ("/silences", 200),
        ("/health", 200),
    ],
)
async def test_a_database_that_cannot_be_read_is_no_bug(page, tmp_path, become, path, status):
    become(tmp_path / DATABASE)
    answer = await page.browser().get(
        path, headers={**BEARER, "Accept": "text/html" if "/api/" not in path else "*/*"}
    )
    assert answer.status_code == status
    assert not page.log.lines
    assert "bug" not in answer.text
    assert "there is no" in answer.text or "was written by an older Tocsin" in answer.text


@pytest.mark.parametrize("query", ["part=nope", "%70art=nope", "part", "p%61rt=over&part=nope"])
async def test_what_is_no_part_leads_to_the_whole_screen_and_no_further(page, query):
    answer = await page.browser(**BEARER).get(f"/alerts?{query}&match=venue%3Dfx")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?match=venue%3Dfx")


async def test_a_bug_in_what_stands_before_is_told_too(page, monkeypatch):
    def stumble(_scope):
        raise ZeroDivisionError

    monkeypatch.setattr(page.addresses, "asker", stumble)
    answer = await page.browser().get("/api/rules", headers=BEARER)
    assert answer.status_code == 500
    assert page.log.lines == ["error: internal error"]


@pytest.mark.parametrize(("path", "how"), [("/login", OURS), ("/a/1/ack", BEARER)])
async def test_a_form_of_a_thousand_fields_is_none_of_ours(page, path, how):
    answer = await page.browser().post(path, data={f"f{number}": "" for number in range(1000)}, headers=how)
    assert answer.status_code == 400
    assert not page.log.lines


async def test_what_is_not_there_is_said(page, autojump_clock):
    browser = await page.signed_in()
    answer = await browser.get("/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert '<nav class="nav"' in answer.text, "who is signed in goes on from there"
    foreign = await page.browser().get("/static/0/nothing.css", headers={"Accept": "text/html"})
    assert (foreign.status_code, "<nav" in foreign.text) == (404, False)


def test_paths_of_ours_cannot_be_the_path_below_which_it_lies(page):
    """A proxy that takes /alerts away, and one that leaves it, could not be told apart."""
    app = page.app
    while not hasattr(app, "routes"):
        app = app._app
    paths = ["/healthz", "/readyz", *(route.path for route in app.routes)]
    assert {path.split("/")[1] for path in paths} - {""} <= TAKEN


async def test_who_goes_in_the_middle_of_a_form_is_no_bug(page):
    async def receive():
        return {"type": "http.disconnect"}

    async def send(_message):
        pass

    scope = {
        "type": "http", "method": "POST", "path": "/login", "raw_path": b"/login", "query_string": b"",
        "headers": [(b"host", HOST.encode()), (b"sec-fetch-site", b"same-origin")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await page.app(scope, receive, send)
    assert page.log.lines == []


async def test_compression_changes_nothing(page):
    plain = await page.browser(**{"Accept-Encoding": "identity"}).get("/login")
    zipped = await page.browser(**{"Accept-Encoding": "gzip"}).get("/login")
    assert isinstance(plain, httpx.Response)
    assert zipped.headers["content-encoding"] == "gzip"
    assert plain.text == zipped.text


async def test_the_stream_lasts_and_is_none_of_the_64(page, autojump_clock):
    said: list[bytes] = []

    async def gone() -> dict[str, str]:
        await trio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        said.append(message.get("body", b""))

    scope = {
        "type": "http", "method": "GET", "path": "/live", "raw_path": b"/live", "query_string": b"",
        "headers": [(b"host", HOST.encode()), (b"authorization", f"Bearer {ANNA}".encode())], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await page.app(scope, gone, send)
    assert trio.current_time() >= 60
    assert b"event: hello" in b"".join(said)


async def signed_out(page, browser):
    await browser.post("/logout", headers=OURS)


async def signed_out_by_command(page, browser):
    page.access.sessions.end_all("anna")


async def gone_from_the_config(page, browser):
    del page.tokens["anna"]


@pytest.mark.parametrize(
    ("by", "how"),
    [
        ("session", signed_out),
        ("session", signed_out_by_command),
        ("session", gone_from_the_config),
        ("token", gone_from_the_config),
    ],
)
async def test_the_stream_ends_with_what_let_in(page, by, how, autojump_clock):
    browser = await page.signed_in()
    held = f"Bearer {ANNA}" if by == "token" else "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
    proof = (b"authorization" if by == "token" else b"cookie", held.encode())
    said: list[dict[str, object]] = []

    async def send(message) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/live", "raw_path": b"/live", "query_string": b"", "scheme": "http",
        "headers": [(b"host", HOST.encode()), proof], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(page.app, scope, trio.sleep_forever, send)
            await trio.sleep(30)
            assert said[-1]["more_body"]
            await how(page, browser)
    assert said[0]["status"] == 200
    assert not said[-1].get("more_body")


async def test_where_there_is_no_time_who_looks_waits_and_nobody_else(page, monkeypatch, mock_clock):
    """However many look: who does something, signs in, or asks for health is answered at once, and streams begin."""

    async def never(_self: Admission) -> None:
        await trio.sleep_forever()

    async def look() -> None:
        looked.append((await page.browser().get("/api/rules", headers=BEARER)).status_code)

    mock_clock.rate = 1.0
    monkeypatch.setattr(Admission, "_begin", never)
    looked: list[int] = []
    async with trio.open_nursery() as looking:
        for _ in range(PEOPLE.most // 4):  # those of one session
            looking.start_soon(look)
        await trio.testing.wait_all_tasks_blocked()
        await look()
        browser = page.browser()
        answered = [
            (await browser.post("/api/alerts/none/ack", headers=BEARER, json={})).status_code,
            (await browser.post("/login", headers=OURS, data={"token": ANNA})).status_code,
            (await browser.get("/healthz")).status_code,
        ]
        assert looked == [503]  # the one that was too many
        mock_clock.jump(10)
    assert answered == [404, 303, 200]
    assert looked == [503] * (1 + PEOPLE.most // 4)


async def test_a_phone_puts_it_on_its_home_screen(tmp_path):
    page = Page(tmp_path, public_url="https://example.org/tocsin/")
    browser = page.browser("https://example.org")
    answer = await browser.get("/tocsin/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    said = answer.json()
    assert (said["start_url"], said["scope"], said["display"]) == ("/tocsin/", "/tocsin/", "standalone")
    assert [(await browser.get(icon["src"])).status_code for icon in said["icons"]] == [200] * 3


@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("/login", 10),
        ("/api/rules", 10),
        ("/channels/phone/test", 40),
        ("/api/channels/phone/test", 40),
        ("/what-if", 40),
    ],
)
async def test_how_long_an_answer_may_take(page, path, seconds, autojump_clock, monkeypatch):
    async def never(*_of):
        await trio.sleep_forever()

    monkeypatch.setattr("starlette.applications.Starlette.__call__", never)
    began = trio.current_time()
    assert (await page.browser().get(path, headers=BEARER)).status_code == 503
    assert trio.current_time() - began == pytest.approx(seconds)
