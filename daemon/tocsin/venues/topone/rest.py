"""TopOne's REST (github toponedev/docs): working orders and balances, and of an order that isn't among them what became of it."""

from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.events import Observation, Order, SnapshotBegins, SnapshotEnds
from tocsin.venues import web
from tocsin.venues.base import HttpRequest, HttpResponse, Malformed, SignInFailed, Snapshot
from tocsin.venues.decoding import mended
from tocsin.venues.lenient import Part
from tocsin.venues.topone.messages import (
    BalanceRow,
    OrderRow,
    balance_observed,
    order_observed,
    refusal,
    succeeded,
)
from tocsin.venues.wire import Reader

_PAGE_SIZE = 100
_MOST_PAGES = 100
_HISTORY_PAGE_SIZE = 500  # the most that it gives
_MOST_HISTORY_PAGES = 10
_SIDES = {"sell": "1", "buy": "2"}


class _Answer(Struct, frozen=True):
    code: Any = UNSET
    msg: Any = UNSET
    data: Raw | UnsetType = UNSET


class _Page(Struct, frozen=True):
    list: Raw | UnsetType = UNSET
    records: Raw | UnsetType = UNSET
    total: Any = UNSET
    pageMark: Any = UNSET  # noqa: N815 - as the wire spells it; for the next page of the history


_read_answer = Reader(_Answer)
_read_page = Reader(_Page)
_read_rows = Reader(list[Raw])
_read_order = Reader(OrderRow)
_read_balance = Reader(BalanceRow)


class Rest(Struct, frozen=True):
    """Where to ask, and as whom."""

    url: str
    token: str

    def query(self, what: str, query: Mapping[str, str]) -> HttpRequest:
        # The token alone, without the usual "Bearer".
        url = f"{self.url.rstrip('/')}/t/v1/{what}"
        return HttpRequest(method="GET", url=url, query=query, headers={"Authorization": self.token})


def fetch(rest: Rest, markets: tuple[str, ...], *, balances: bool) -> Snapshot:
    """The working orders of these markets, and all balances. Raises SignInRefused, SignInFailed and Malformed."""
    kinds: list[str] = []
    found: list[Observation] = []
    orders, assets = Part("order"), Part("balance")
    if markets:
        kinds.append("order")
        for market in markets:
            found += yield from _working_orders(rest, market, orders)
    if balances:
        kinds.append("balance")
        response = yield rest.query("balance/query", {"assets": ""})
        rows, _ = _listed(_data("balances", response, assets), assets)
        found += assets.each(rows, lambda row: _balance(row, assets), "list[]")
    return [
        SnapshotBegins(tuple(kinds)), *found, SnapshotEnds(), *orders.unreadable, *assets.unreadable,
    ]  # fmt: skip


def fetch_ended(rest: Rest, order: Order) -> Snapshot:
    """The order, of a known market, as its market's history has it; nothing where it isn't there. Raises as `fetch` does.

    There is no request for one order. Whether the history goes by when orders were placed or by when they ended isn't
    documented: from when this one was placed on, it is there either way.
    """
    part = Part("order")
    query = {
        "market": str(order.symbol),
        "pageSize": str(_HISTORY_PAGE_SIZE),
        "startTime": str(int(order.created.timestamp())) if isinstance(order.created, datetime) else "0",
        "endTime": "0",
        "pageMark": "0",
        "pageCursor": "0",
    }
    if order.side in _SIDES:
        query["side"] = _SIDES[order.side]
    for _ in range(_MOST_HISTORY_PAGES):
        response = yield rest.query("order/history", query)
        data = _data("order history", response, part)
        rows, _total = _listed(data, part)
        orders = part.each(rows, lambda row: _order(row, part), "list[]")
        found = [each for each in orders if each.state.id == order.id]
        if found or len(rows) < _HISTORY_PAGE_SIZE or not orders:
            return [*found, *part.unreadable]
        query = query | {"pageMark": _page_mark(data, part), "pageCursor": str(orders[-1].state.id)}
    return [*part.unreadable]


def _page_mark(data: Raw, part: Part) -> str:
    mark = _read_page(data, part.note).pageMark
    return str(mark) if isinstance(mark, int) else "0"


def _working_orders(
    rest: Rest, market: str, part: Part
) -> Generator[HttpRequest, HttpResponse, list[Observation]]:
    orders: list[Observation] = []
    listed = 0
    for page in range(1, _MOST_PAGES + 1):
        query = {"market": market, "page": str(page), "pageSize": str(_PAGE_SIZE)}
        response = yield rest.query("order/query", query)
        rows, total = _listed(_data("orders", response, part), part)
        orders += part.each(rows, lambda row: _order(row, part), "list[]")
        listed += len(rows)
        if len(rows) < _PAGE_SIZE or (total is not None and listed >= total):
            return orders
    raise Malformed(f"orders: more than {_MOST_PAGES} pages of {_PAGE_SIZE}")


def _data(what: str, response: HttpResponse, part: Part) -> Raw:
    if web.classify(response) != "good":
        raise web.fault(what, response)
    answer = _answer(response.body, part)
    if answer.code is not UNSET and not succeeded(answer.code):
        raise SignInFailed(f"{what}: {refusal(answer.code, answer.msg)}")
    if answer.data is UNSET:
        raise Malformed(f"{what}: an answer without data")
    return answer.data


def _answer(body: bytes, part: Part) -> _Answer:
    try:
        return _read_answer(body, part.note)
    except Malformed as malformed:
        nearly, why = mended(body.decode(errors="replace"))
        if not why:
            raise
        part.note(f"JSON with {why}", str(malformed))
        return _read_answer(nearly, part.note)


def _order(row: Raw, part: Part) -> Observation:
    return order_observed(_read_order(row, part.note), part, from_rest=True)


def _balance(row: Raw, part: Part) -> Observation:
    return balance_observed(_read_balance(row, part.note), part, from_rest=True)


def _listed(data: Raw, part: Part) -> tuple[list[Raw], int | None]:
    """A page's rows, and how many there are in all, where it says.

    The document has the list in `data.list`; `data` itself and `data.records` are understood too.
    """
    if bytes(data).lstrip().startswith(b"["):
        return _read_rows(data), None
    page = _read_page(data, part.note)
    rows = page.list if page.list is not UNSET else page.records
    if rows is UNSET:
        raise Malformed("an answer without its list")
    if bytes(rows) == b"null":  # no rows, as Go's JSON has it
        return [], None
    total = page.total if isinstance(page.total, int) and not isinstance(page.total, bool) else None
    return _read_rows(rows), total
