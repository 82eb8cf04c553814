"""In by a token or by a link, out again, and what becomes of who is wrong."""

import re
from datetime import timedelta

import httpx
import pytest
import trio

from support.page_world import ANNA, BEN, HOST, METRICS, OURS, Page, sign_in
from tocsin.secrets import Secret
from tocsin.store.model import SESSION_LASTS

PUBLIC = {"public_url": "https://example.org/tocsin/", "proxy": ["10.0.0.1"]}

BY_NAME = {"hosts": ["example.org"], "proxy": ["10.0.0.1"]}


@pytest.fixture
def page(tmp_path):
    return Page(tmp_path)


async def who(browser: httpx.AsyncClient) -> str | None:
    """The name of who is signed in there."""
    answer = await browser.get("/api/who")
    return answer.json()["name"] if answer.status_code == 200 else None


def cookie(answer: httpx.Response) -> tuple[str, str, set[str]]:
    """Name, value and attributes of the one cookie that is set."""
    (line,) = answer.headers.get_list("set-cookie")
    first, *attributes = line.split("; ")
    name, _, value = first.partition("=")
    return name, value, {each.lower() for each in attributes}


class TestByToken:
    async def test_in_and_out(self, page, autojump_clock):
        browser = page.browser()
        assert (await browser.get("/")).headers["location"] == "/login?next=/"
        answer = await sign_in(browser, next="/a/1?part=x")
        assert (answer.status_code, answer.headers["location"]) == (303, "/a/1?part=x")
        assert await who(browser) == "anna"
        assert "As <strong>anna</strong>" in (await browser.get("/login")).text
        out = await browser.post("/logout", headers=OURS)
        assert "signed out" in out.text
        assert not browser.cookies
        assert await who(browser) is None
        assert [line for line in page.log.lines if "page" in line] == [
            "info: signed in to the page", "info: signed out of the page",
        ]  # fmt: skip

    async def test_the_cookie_is_for_us_alone_and_another_each_time(self, page, autojump_clock):
        browser = page.browser()
        first, second = cookie(await sign_in(browser)), cookie(await sign_in(browser))
        name, value, attributes = first
        assert name == "tocsin-8080"
        assert attributes == {"httponly", "max-age=34560000", "path=/", "samesite=lax"}
        assert len(value) == 43  # 256 bits
        assert value != second[1]
        assert page.access.sessions.of(value) is None, "the one before is over"
        assert value not in repr(page.access.sessions.__dict__)

    async def test_a_cookie_of_ones_own_making_signs_nobody_in(self, page):
        browser = page.browser()
        for value in (b"", b"x", b"a" * 43, b"\xe2\x98\x83", b"\xff"):
            answer = await browser.get("/api/who", headers=[(b"Cookie", b"tocsin-8080=" + value)])
            assert answer.status_code == 401

    async def test_what_is_wrong_is_said_and_logged_without_the_token(self, page, autojump_clock):
        answer = await sign_in(page.browser(), token="annas-token-of-twenty-characterz", next="/a/1")
        assert answer.status_code == 403
        assert "Nobody has that token" in answer.text
        assert 'name="next" value="/a/1"' in answer.text
        assert not answer.cookies
        assert page.log.lines == ["warning: wrong sign-in to the page"]
        assert page.log.fields == [{"what": "form", "address": "127.0.0.1", "in_a_row": 1}]

    @pytest.mark.parametrize(
        "form", [{}, {"token": ""}, {"token": "anna"}, {"link": ""}, {"link": "x", "token": ANNA}]
    )
    async def test_nothing_else_signs_in(self, page, form, autojump_clock):
        answer = await page.browser().post("/login", data=form, headers=OURS)
        assert (answer.status_code, answer.cookies) == (403, httpx.Cookies())

    @pytest.mark.parametrize(
        ("asked", "further"),
        [
            ("/a/1", "/a/1"),
            ("/alerts?rule=x&venue=fx", "/alerts?rule=x&venue=fx"),
            ("//evil.example.org", "/"),
            ("/\\evil.example.org", "/"),
            ("\\/evil.example.org", "/"),
            ("https://evil.example.org/", "/"),
            ("javascript:alert(1)", "/"),
            ("/\t/evil.example.org", "/"),
            ("/x\r\nSet-Cookie: a=b", "/"),
            ("a/1", "/"),
            ("", "/"),
        ],
    )
    async def test_one_goes_on_to_a_page_of_ours(self, page, asked, further, autojump_clock):
        answer = await sign_in(page.browser(), next=asked)
        assert answer.headers["location"] == further
        assert len(answer.headers.get_list("set-cookie")) == 1

    async def test_the_way_back_is_kept_from_the_first_question_on(self, page, autojump_clock):
        browser = page.browser()
        location = (await browser.get("/a/1%20%C3%A4?x=%22%3E&y=2")).headers["location"]
        form = (await browser.get(location)).text
        (further,) = re.findall(r'name="next" value="([^"]*)"', form)
        assert further == "/a/1%20%C3%A4?x=%22%3E&amp;y=2"

    async def test_a_fragment_of_who_is_no_longer_signed_in_leads_to_the_sign_in(self, page):
        answer = await page.browser().get("/?part=alerts", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login?next=/")


class TestWrongTries:
    async def test_one_a_second(self, page, autojump_clock):
        began = trio.current_time()
        for _ in range(4):
            await sign_in(page.browser(), token="wrong")
        assert trio.current_time() - began == pytest.approx(3)

    async def test_who_tries_at_once_waits_and_of_too_many_is_refused(self, page, autojump_clock):
        statuses = []

        async def one() -> None:
            statuses.append((await sign_in(page.browser(), token="wrong")).status_code)

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(one)
        assert sorted(statuses) == [403] * 4 + [429] * 4

    async def test_after_ten_a_minutes_pause_for_that_address(self, page, autojump_clock):
        for _ in range(10):
            assert (await sign_in(page.browser(), token="wrong")).status_code == 403
        answer = await sign_in(page.browser())
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        assert "wait a minute" in answer.text
        assert (await sign_in(page.browser(peer="127.0.0.2"))).status_code == 303
        await trio.sleep(61)
        assert (await sign_in(page.browser())).status_code == 303

    async def test_of_tokens_likewise_and_apart_from_the_form(self, page, autojump_clock):
        browser = page.browser()

        async def ask(token: str) -> int:
            return (await browser.get("/api/who", headers={"Authorization": f"Bearer {token}"})).status_code

        assert [await ask("wrong") for _ in range(10)] == [401] * 9 + [429]
        assert await ask(ANNA) == 429
        assert (await sign_in(browser)).status_code == 303
        await trio.sleep(61)
        assert await ask(ANNA) == 200

    @pytest.mark.parametrize(
        ("case", "then"),
        [
            ((None, "/metrics", "wrong", 401), 429),
            ((None, "/nothing", "wrong", 401), 429),
            ((METRICS, "/metrics", "wrong", 401), 429),
            (("open", "/metrics", "wrong", 200), 200),
            ((None, "/login", "wrong", 200), 200),
            ((None, "/manifest.webmanifest", "wrong", 200), 200),
            ((None, "/healthz", "wrong", 200), 200),
            ((METRICS, "/healthz", METRICS, 200), 200),
            ((METRICS, "/metrics", METRICS, 200), 200),
            ((METRICS, "/api/who", METRICS, 401), 200),
        ],
    )
    async def test_where_a_token_is_asked_for_and_it_is_right_for_nothing(
        self, tmp_path, case, then, autojump_clock
    ):
        metrics, path, shown, said = case
        browser = Page(tmp_path, metrics=metrics).browser()
        wrong = {"Authorization": f"Bearer {shown}"}
        assert [(await browser.get(path, headers=wrong)).status_code for _ in range(9)] == [said] * 9
        await browser.get(path, headers=wrong)
        answer = await browser.get("/api/who", headers={"Authorization": f"Bearer {ANNA}"})
        assert answer.status_code == then

    async def test_at_health_they_keep_nobody_out_but_can_not_be_guessed(self, page, autojump_clock):
        page.host.wrong = ("a reason",)
        browser = page.browser()

        async def ask(token: str) -> bool:
            answer = await browser.get("/healthz", headers={"Authorization": f"Bearer {token}"})
            return "a reason" in answer.text

        assert await ask(ANNA)
        assert not any([await ask("guessed") for _ in range(10)])
        assert not await ask(ANNA)
        await trio.sleep(61)
        assert await ask(ANNA)

    @pytest.mark.parametrize(("metrics", "shown"), [("open", "wrong"), (METRICS, METRICS)])
    async def test_no_other_token_ends_the_row(self, tmp_path, metrics, shown):
        page = Page(tmp_path, metrics=metrics)
        browser = page.browser()

        async def ask(path: str, token: str) -> int:
            return (await browser.get(path, headers={"Authorization": f"Bearer {token}"})).status_code

        for _ in range(10):
            await ask("/metrics", shown)
            await ask("/api/who", "guessed")
        assert await ask("/api/who", ANNA) == 429

    async def test_who_was_right_in_between_begins_anew(self, page, autojump_clock):
        for _ in range(3):
            for _ in range(9):
                await sign_in(page.browser(), token="wrong")
            assert (await sign_in(page.browser())).status_code == 303

    async def test_what_was_wrong_long_ago_counts_no_more(self, page, autojump_clock):
        for _ in range(9):
            await sign_in(page.browser(), token="wrong")
        await trio.sleep(3601)
        assert [(await sign_in(page.browser(), token="wrong")).status_code for _ in range(2)] == [403] * 2

    async def test_many_addresses_are_forgotten_in_time(self, page, autojump_clock):
        for number in range(1200):
            page.access.bearers.was_wrong(f"10.0.{number // 256}.{number % 256}")
        assert len(page.access.bearers._of) == 1000


class TestByLink:
    async def test_once_and_not_by_looking(self, page, autojump_clock):
        link = page.access.links.make("ben")
        preview, browser = page.browser(), page.browser()
        for _ in range(2):
            looked = await preview.get(f"/login?link={link}")
            assert looked.status_code == 200
            assert "Sign in as ben" in looked.text
        answer = await browser.post("/login", data={"link": link}, headers=OURS)
        assert answer.status_code == 303
        assert await who(browser) == "ben"
        again = await preview.post("/login", data={"link": link}, headers=OURS)
        assert again.status_code == 403
        assert "tocsin page" in again.text
        assert (await preview.get(f"/login?link={link}")).status_code == 410

    async def test_within_five_minutes(self, page, autojump_clock):
        link = page.access.links.make("ben")
        await trio.sleep(301)
        assert (await page.browser().get(f"/login?link={link}")).status_code == 410
        answer = await page.browser().post("/login", data={"link": link}, headers=OURS)
        assert answer.status_code == 403

    async def test_a_name_is_a_text(self, page, autojump_clock):
        link = page.access.links.make("<img src=x>")
        assert "Sign in as &lt;img src=x&gt;" in (await page.browser().get(f"/login?link={link}")).text

    async def test_it_needs_no_person_of_the_config(self, page, autojump_clock):
        browser = page.browser()
        await browser.post("/login", data={"link": page.access.links.make("root")}, headers=OURS)
        page.tokens = {}
        assert await who(browser) == "root"


class TestSessions:
    async def test_a_restart_ends_none(self, tmp_path, autojump_clock):
        first = Page(tmp_path / "1")
        kept = first.kept
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.access.sessions.keep)
            browser = await first.signed_in()
            other = await first.signed_in()
            await other.post("/logout", headers=OURS)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        second = Page(tmp_path / "2", *[row for row in kept.values() if row is not None])
        after = second.browser()
        after.cookies = browser.cookies
        assert await who(after) == "anna"
        assert len([row for row in kept.values() if row is not None]) == 1
        values = [value for _, value in browser.cookies.items()]
        assert not any(value in str(row) or ANNA in str(row) for value in values for row in kept.values())

    async def test_it_ends_thirty_days_after_its_last_use(self, page, autojump_clock):
        browser = await page.signed_in()
        page.now += SESSION_LASTS
        assert await who(browser) == "anna"
        page.now += SESSION_LASTS
        assert await who(browser) == "anna"
        page.now += SESSION_LASTS + timedelta(seconds=1)
        assert await who(browser) is None

    async def test_its_use_is_written_at_most_once_an_hour(self, page, autojump_clock):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(page.access.sessions.keep)
            browser = await page.signed_in()
            for _ in range(30):
                page.now += timedelta(minutes=5)
                await who(browser)
                await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert len(page.written) == 1 + 2

    async def test_a_full_disk_keeps_nobody_out(self, page, autojump_clock):
        page.full = "the disk is full"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(page.access.sessions.keep)
            browser = await page.signed_in()
            assert await who(browser) == "anna"
            await trio.sleep(25)
            page.full = ""
            await trio.sleep(25)
            nursery.cancel_scope.cancel()
        assert len(page.kept) == 1
        assert "warning: can't keep who is signed in to the page" in page.log.lines

    async def test_who_signs_out_is_told_whether_a_restart_undoes_it(self, page, autojump_clock):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(page.access.sessions.keep)
            anna, other = await page.signed_in(), await page.signed_in()
            await trio.sleep(1)
            first, second = page.kept
            assert "<h1>You are signed out</h1>" in (await anna.post("/logout", headers=OURS)).text
            assert page.kept[first] is None, "written before it is said"
            page.full = "the disk is full"
            said = (await other.post("/logout", headers=OURS)).text
            assert "You are signed out until Tocsin starts again" in said
            assert "tocsin page --sign-out anna" in said
            assert await who(other) is None
            assert page.kept[second] is not None
            page.full = ""
            await trio.sleep(11)
            assert page.kept[second] is None, "tried until it is kept"
            nursery.cancel_scope.cancel()

    async def test_who_signs_out_waits_for_a_disk_that_hangs_for_seconds_only(
        self, page, autojump_clock, monkeypatch
    ):
        browser = await page.signed_in()

        async def hangs(_sessions):
            await trio.sleep_forever()

        monkeypatch.setattr(page, "keep_sessions", hangs)
        began = trio.current_time()
        assert "until Tocsin starts again" in (await browser.post("/logout", headers=OURS)).text
        assert trio.current_time() - began == pytest.approx(5)

    async def test_another_token_ends_what_the_old_one_began(self, page, autojump_clock):
        browser = await page.signed_in()
        page.tokens = {"anna": Secret("annas-other-token-of-twenty-characters")}
        assert await who(browser) is None
        page.tokens = {"anna": Secret(ANNA)}
        assert await who(browser) is None, "it is over for good"

    async def test_who_is_no_longer_in_the_config_is_out(self, page, autojump_clock):
        browser = await page.signed_in()
        page.tokens = {"ben": Secret(BEN)}
        assert await who(browser) is None

    async def test_they_can_be_ended_from_elsewhere(self, page, autojump_clock):
        anna, ben = await page.signed_in(), page.browser()
        await sign_in(ben, token=BEN)
        assert page.access.sessions.people() == ["anna", "ben"]
        assert page.access.sessions.end_all("anna") == 1
        assert (await who(anna), await who(ben)) == (None, "ben")
        assert page.access.sessions.end_all() == 1
        assert await who(ben) is None

    async def test_there_are_not_too_many(self, page):
        values = [page.access.sessions.begin("anna", by_token=True) for _ in range(1001)]
        assert page.access.sessions.of(values[0]) is None
        assert page.access.sessions.of(values[-1]) is not None


class TestBehindAProxy:
    @pytest.mark.parametrize("stripped", [False, True])
    async def test_a_sub_path_is_taken_away_or_not(self, tmp_path, stripped, autojump_clock):
        page = Page(tmp_path, **PUBLIC)
        below = "" if stripped else "/tocsin"
        browser = page.browser("https://example.org", peer="10.0.0.1")
        assert (await browser.get(f"{below}/")).headers["location"] == "/tocsin/login?next=/"
        answer = await sign_in(browser, path=f"{below}/login", next="/a/1")
        assert answer.headers["location"] == "/tocsin/a/1"
        name, _, attributes = cookie(answer)
        assert name == "__Host-tocsin-tocsin"
        assert attributes == {"httponly", "max-age=34560000", "path=/", "samesite=lax", "secure"}
        assert (await browser.get(f"{below}/api/who")).json() == {"name": "anna", "how": "session"}
        form = (await browser.get(f"{below}/login")).text
        assert 'action="/tocsin/logout"' in form
        assert 'href="/tocsin/static/' in form
        (style,) = re.findall(r'href="/tocsin(/static/[^"]*/app\.css)"', form)
        assert (await browser.get(f"{below}{style}")).status_code == 200

    async def test_without_the_slash_at_its_end(self, tmp_path):
        page = Page(tmp_path, **PUBLIC)
        assert (await page.browser("https://example.org").get("/tocsin")).status_code == 303
        assert (
            (await page.browser("https://example.org").get("/tocsinx"))
            .headers["location"]
            .endswith("next=/tocsinx")
        )

    async def test_directly_too(self, tmp_path, autojump_clock):
        """By http, of which browsers keep no secure cookie."""
        browser = Page(tmp_path, **PUBLIC).browser()
        name, _, attributes = cookie(await sign_in(browser))
        assert name == "tocsin-8080-tocsin"
        assert "secure" not in attributes
        assert await who(browser) == "anna"

    @pytest.mark.parametrize(
        ("peer", "headers", "secure"),
        [
            ("10.0.0.1", {}, False),
            ("10.0.0.1", {"X-Forwarded-For": "198.51.100.7"}, True),
            ("10.0.0.1", {"X-Forwarded-Proto": "https"}, True),
            ("10.0.0.1", {"X-Forwarded-Proto": "http", "X-Forwarded-For": "198.51.100.7"}, False),
            ("10.0.0.2", {"X-Forwarded-Proto": "https"}, False),
        ],
    )
    async def test_one_that_passes_its_own_name_on(self, tmp_path, peer, headers, secure, autojump_clock):
        browser = Page(tmp_path, **PUBLIC).browser(peer=peer, **headers)
        _, _, attributes = cookie(await sign_in(browser))
        assert ("secure" in attributes) is secure

    @pytest.mark.parametrize(
        ("peer", "said", "asker"),
        [
            ("127.0.0.1", None, "127.0.0.1"),
            ("10.0.0.1", None, "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7, 10.0.0.1", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7:1234", "198.51.100.7"),
            ("10.0.0.1", "evil, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7, evil", "10.0.0.1"),
            ("10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]:99", "2001:db8:1:2::/64"),
            ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.2", "198.51.100.7", "10.0.0.2"),
        ],
    )
    async def test_whose_tries_are_counted(self, tmp_path, peer, said, asker, autojump_clock):
        page = Page(tmp_path, **PUBLIC)
        headers = {"X-Forwarded-For": said} if said else {}
        await sign_in(
            page.browser("https://example.org", peer=peer, **headers), token="wrong", path="/tocsin/login"
        )
        assert [fields["address"] for fields in page.log.fields] == [asker]

    async def test_what_its_pages_change(self, tmp_path, autojump_clock):
        page = Page(tmp_path, **PUBLIC)
        browser = await page.signed_in("https://example.org")
        for origin, status in (
            ("https://example.org", 200),
            ("https://evil.example.org", 403),
            ("null", 403),
        ):
            answer = await browser.post(
                "/tocsin/api/forget?venue=fx&kind=order&id=p", headers={"Origin": origin}
            )
            assert answer.status_code == status

    @pytest.mark.parametrize(
        ("public", "host", "origin", "so"),
        [
            ("https://example.org/", "example.org", "https://example.org", (True, True)),
            ("https://example.org/", "Example.org:443", "https://example.org", (True, True)),
            ("https://example.org/", "example.org", "https://example.org:443", (True, True)),
            ("https://example.org:443/", "example.org", "https://example.org", (True, True)),
            ("https://example.org:8443/", "example.org:8443", "https://example.org:8443", (True, True)),
            ("https://example.org/", "example.org:8080", "http://example.org:8080", (False, True)),
            ("https://example.org/", "example.org", "https://example.org:8443", (True, False)),
            ("https://example.org/", "example.org", "https://evil@example.org", (True, False)),
            ("http://example.org/", "example.org:80", "http://example.org", (False, True)),
        ],
    )
    def test_a_port_that_goes_without_saying_makes_no_other_name(self, tmp_path, public, host, origin, so):
        """`so`: whether it is asked by https, and whether the origin is ours."""
        addresses = Page(tmp_path, public_url=public, proxy=["10.0.0.1"]).addresses
        scope = {"type": "http", "headers": [(b"host", host.encode())], "client": ("127.0.0.1", 1)}
        assert (addresses.is_secure(scope), addresses.is_own(origin, scope)) == so

    @pytest.mark.parametrize(
        ("listen", "peer", "host", "headers", "own"),
        [
            ({}, "127.0.0.1", HOST, {}, {"http"}),
            (PUBLIC, "10.0.0.1", "example.org", {}, {"https"}),
            (PUBLIC, "127.0.0.1", "example.org", {}, {"https"}),
            (PUBLIC | {"public_url": "http://example.org/"}, "10.0.0.1", "example.org", {}, {"http"}),
            (BY_NAME, "10.0.0.1", "example.org", {"x-forwarded-proto": "https"}, {"https"}),
            (BY_NAME, "10.0.0.1", "example.org", {"x-forwarded-proto": "http"}, {"http"}),
            (BY_NAME, "10.0.0.1", "example.org", {}, {"http", "https"}),  # it doesn't say
            (BY_NAME, "127.0.0.1", "example.org", {}, {"http", "https"}),  # one that the config doesn't name
            (BY_NAME, "127.0.0.1", HOST, {"x-forwarded-proto": "https"}, {"http"}),
        ],
    )
    def test_a_page_of_the_other_scheme_is_not_ours(self, tmp_path, listen, peer, host, headers, own):  # noqa: PLR0917
        addresses = Page(tmp_path, **listen).addresses
        said = [(name.encode(), value.encode()) for name, value in {"host": host, **headers}.items()]
        scope = {"type": "http", "headers": said, "client": (peer, 1)}
        assert {by for by in ("http", "https") if addresses.is_own(f"{by}://{host}", scope)} == own

    def test_links_are_where_people_reach_it(self, tmp_path):
        assert Page(tmp_path / "1", **PUBLIC).addresses.link("/a/1") == "https://example.org/tocsin/a/1"
        assert Page(tmp_path / "2").addresses.link("/a/1") == f"http://{HOST}/a/1"
        anywhere = Page(tmp_path / "3", address="0.0.0.0:80", proxy=["10.0.0.1"], hosts=["x.example.org"])
        assert anywhere.addresses.link("/") == "http://127.0.0.1:80/"
