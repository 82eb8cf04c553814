"""What may be ten thousand rows is looked through, and written, in threads: alerts go out on the loop meanwhile."""

import threading

import pytest
from msgspec import structs
from starlette.responses import JSONResponse

from support.measured import NOW
from support.page_world import ANNA, Page
from support.stored import alert, opened
from tocsin.store import alert_history, lists
from tocsin.store.model import Batch

ALERTS = "/api/alerts-screen?all=1&match=venue%3Dfx"


class Rows(list):
    """Notes what looked through it on the loop."""

    seen: bool = False

    def __iter__(self):
        assert threading.current_thread() is not threading.main_thread()
        Rows.seen = True
        return super().__iter__()

    def __getitem__(self, place):
        found = super().__getitem__(place)
        return Rows(found) if isinstance(place, slice) else found


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Two positions, orders, accounts and alerts."""
    page = Page(tmp_path)
    for kind in ("position", "order", "account"):
        for id_ in ("p1", "p2"):
            page.host._world.say(kind, id=id_, symbol="EURUSD")
    store = opened(tmp_path)
    store.commit(Batch(at=NOW, alerts=[alert(f"a{n}") for n in range(2)]))
    store.close()
    now = page.host.snapshot()
    entities = {kind: Rows(found) for kind, found in now.entities.items()}
    seen = structs.replace(now, entities=entities)
    monkeypatch.setattr(page.host._world.snapshots, "snapshot", lambda: seen)
    page.host.equity = lambda *_: ()
    for module, read in [(alert_history, "firing"), (lists, "silences_over")]:
        plain = getattr(module, read)
        monkeypatch.setattr(module, read, lambda *of, plain=plain, **by: Rows(plain(*of, **by)))
    monkeypatch.setattr(Rows, "seen", False)
    return page


@pytest.mark.parametrize(
    "path",
    [
        "/?all=1&part=positions", "/?all=1&part=orders", "/?part=tiles", "/?part=equity", "/api/overview?all=1",
        "/alerts?all=1&part=firing", ALERTS, "/silences?all=1", "/api/silences-screen?all=1",
    ],
)  # fmt: skip
async def test_what_may_be_many_is_looked_through_beside_the_loop(page, path):
    answer = await page.browser().get(path, headers={"Authorization": f"Bearer {ANNA}"})
    assert (answer.status_code, page.log.fields) == (200, [])
    assert Rows.seen


@pytest.mark.parametrize(
    "path",
    ["/api/overview", ALERTS, "/api/silences-screen", "/api/alerts", "/api/rules", "/api/silences?all=1"],
)
async def test_what_may_be_long_is_written_beside_the_loop(page, path, monkeypatch):
    wrote: list[threading.Thread] = []
    render = JSONResponse.render

    def noted(response: JSONResponse, content: object) -> bytes:
        wrote.append(threading.current_thread())
        return render(response, content)

    monkeypatch.setattr(JSONResponse, "render", noted)
    answer = await page.browser().get(path, headers={"Authorization": f"Bearer {ANNA}"})
    assert answer.status_code == 200
    assert wrote
    assert threading.main_thread() not in wrote
