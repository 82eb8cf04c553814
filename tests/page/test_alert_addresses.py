"""Where an alert is found: under its ID, or the beginning of it, as a page and as JSON, and below the path of a proxy."""

import pytest

from support.page_world import ANNA, Page
from support.stored import alert, commit, opened

BEARER = {"Authorization": f"Bearer {ANNA}"}


@pytest.fixture
def page(tmp_path):
    store = opened(tmp_path)
    rows = {"abcd1111": "resolved", "abcd2222": "resolved", "ffff3333": "resolved"}
    commit(store, alerts=[alert(id_, state=state) for id_, state in rows.items()])
    store.close()
    return Page(tmp_path)


@pytest.mark.parametrize(
    ("path", "status", "to"),
    [
        ("/alerts", 200, None),
        ("/alerts?match=nothing", 200, None),
        ("/api/alerts-screen?match=rule=loss", 200, None),
        ("/a/ffff3333", 200, None),
        ("/a/ffff", 303, "/a/ffff3333"),
        ("/api/alerts/ffff", 307, "/api/alerts/ffff3333"),
        ("/api/alerts/ffff3333", 200, None),
        ("/a/abcd", 409, None),
        ("/api/alerts/abcd", 409, None),
        ("/a/0000", 404, None),
        ("/a/0000?part=head", 404, None),
        ("/a/ffff3333?part=head&part=status", 200, None),
        ("/a/ffff3333?part=nothing", 303, "/a/ffff3333"),
        ("/a/ffff3333?part=head&part=nothing", 303, "/a/ffff3333"),
    ],
)
async def test_where_it_is_found(page, path, status, to):
    answer = await page.browser().get(path, headers=BEARER)
    assert (answer.status_code, answer.headers.get("location")) == (status, to)


async def test_which_may_be_meant_is_said_in_both(page):
    html = (await page.browser().get("/a/abcd", headers=BEARER)).text
    assert "<h1>Which one?</h1>" in html
    assert 'href="/a/abcd1111"' in html
    assert 'href="/a/abcd2222"' in html
    said = (await page.browser().get("/api/alerts/abcd", headers=BEARER)).json()
    assert said["error"] == "Several alerts begin with abcd."
    assert sorted(path for _, path in said["near"]) == ["/a/abcd1111", "/a/abcd2222"]


async def test_html_and_json_tell_the_same(page):
    told = (await page.browser().get("/api/alerts/ffff3333", headers=BEARER)).json()
    assert list(told) == ["head", "chart", "why", "messages", "life", "entity", "others"]
    html = (await page.browser().get("/a/ffff3333", headers=BEARER)).text
    assert told["head"]["alert"]["title"] in html
    assert f'id="part-{list(told)[-1]}"' in html


async def test_below_a_proxys_path_all_leads_there(tmp_path, page):
    below = Page(tmp_path, public_url="https://example.org/tocsin/", proxy=["127.0.0.1"])
    browser = below.browser("https://example.org", **{"X-Forwarded-For": "192.0.2.1"})
    for path in ("/a/ffff", "/api/alerts/ffff"):
        for asked in (path, f"/tocsin{path}"):  # taken away by the proxy, or left
            answer = await browser.get(asked, headers=BEARER)
            assert answer.headers["location"] == f"/tocsin{path}3333"
