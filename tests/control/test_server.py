"""The control API, asked as the commands ask it."""

from typing import Any

import httpx
import pytest
import trio

from tocsin.config.settings import UnknownRule
from tocsin.control.server import make_app

pytestmark = pytest.mark.real


class FakeDaemon:
    """Knows one rule, `red`; of `broken` it stumbles."""

    def status(self) -> dict[str, Any]:
        return {"healthy": True, "wrong": []}

    async def reload(self) -> dict[str, Any]:
        return {"reloaded": True}

    def rules(self) -> list[dict[str, Any]]:
        return [{"rule": "red"}]

    def explain(self, rule: str, id_: str | None, limit: int) -> dict[str, Any]:
        if rule == "broken":
            raise ValueError("a bug of ours")
        if rule != "red":
            raise UnknownRule(f"no rule is called {rule}")
        return {"rule": rule, "id": id_, "limit": limit}


async def get(tmp_path, path: str) -> tuple[int, Any]:
    transport = httpx.ASGITransport(make_app(FakeDaemon(), tmp_path / "tocsin.db"))
    with trio.fail_after(10):
        async with httpx.AsyncClient(transport=transport, base_url="http://tocsin") as client:
            answer = await client.get(path)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/rules", 200, [{"rule": "red"}]),
        ("/explain?rule=red&limit=20", 200, {"rule": "red", "id": None, "limit": 20}),
        ("/explain?rule=red&id=p%201&limit=1", 200, {"rule": "red", "id": "p 1", "limit": 1}),
        ("/explain?rule=read&limit=1", 404, {"error": "no rule is called read"}),
        ("/explain?limit=1", 400, {"error": "asked without a rule, or a limit"}),
        ("/explain?rule=red", 400, {"error": "asked without a rule, or a limit"}),
        ("/explain?rule=red&limit=few", 400, {"error": "asked without a rule, or a limit"}),
    ],
)
async def test_what_is_asked_of_rules(tmp_path, path, status, body):
    assert await get(tmp_path, path) == (status, body)


async def test_a_bug_of_ours_is_no_wrong_question(tmp_path):
    with pytest.raises(ValueError, match="a bug of ours"):
        await get(tmp_path, "/explain?rule=broken&limit=1")
