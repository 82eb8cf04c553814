"""Decoder cases as data: a venue's message beside what it means, written out, and compared exactly.

`tests/venues/cases/<venue>.yaml` is a list of cases; every scalar in it is read as the text that stands there.

    - name: an order that is filled
      file: order.json                # tests/fixtures/<venue>/order.json; or `text:` with the message itself
      swap: {'"status":2': '"status":4'}   # optional: a variant, each text on the left replaced once
      stream: pinfo                   # optional: Decoded.stream
      items:                          # in order; leftover or missing keys fail
        - observation: order          # the kind
          account: a1                 # left out where there is none
          event: trade.executed       # left out where the message doesn't say
          origin: live
          time: 2019-06-05T11:39:36.000000Z   # left out where there is none
          fields: {id: "1", price: "7831.1600000000"}   # as vocabulary.to_plain gives them
          cleared: [stop_price]       # left out where no field is None
        - occurrence: book            # the same keys, without `cleared` and `id`'s duty
        - reply: '{"pong":1}'
        - accepted: sub_orders
        - {refused: sub_orders, reason: no (code 1), verdict: refused}
        - control
        - unrecognized: 'topic: kline'
        - unreadable: "order.stop: not a number: 'x'"     # or `unreadable row`
        - snapshot begins: [order]    # with `of account:` and `live: "true"` where set
        - snapshot ends

    - name: a message that is no JSON
      text: oops
      malformed: JSON is malformed    # instead of items: how the error's text begins
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import UNSET

from tocsin.events import Observation, Occurrence, SnapshotBegins, SnapshotEnds, iso
from tocsin.events.vocabulary import to_plain
from tocsin.venues.base import (
    Accepted,
    Adapter,
    Control,
    Decoded,
    Malformed,
    Refused,
    Reply,
    Unreadable,
    Unrecognized,
)

TESTS = Path(__file__).resolve().parent.parent
RECEIVED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_CASE_KEYS = {"name", "file", "text", "swap", "stream", "items", "malformed"}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    message: str
    stream: str | None
    items: list[Any]
    malformed: str | None


def fixture(venue: str, name: str) -> str:
    """A message as the venue's document has it."""
    return (TESTS / "fixtures" / venue / name).read_text(encoding="utf-8")


def cases(venue: str) -> list[Any]:
    """The cases of one venue, for `pytest.mark.parametrize("case", cases("piexgo"))`."""
    text = (TESTS / "venues" / "cases" / f"{venue}.yaml").read_text(encoding="utf-8")
    written = yaml.load(text, yaml.BaseLoader)
    found = [_case(venue, case) for case in written]
    assert len({case.name for case in found}) == len(found), "two cases have the same name"
    return [pytest.param(case, id=case.name) for case in found]


def _case(venue: str, written: dict[str, Any]) -> Case:
    assert written.keys() <= _CASE_KEYS, f"{written['name']}: unknown keys {written.keys() - _CASE_KEYS}"
    assert ("file" in written) != ("text" in written), f"{written['name']}: file or text"
    assert ("items" in written) != ("malformed" in written), f"{written['name']}: items or malformed"
    message = fixture(venue, written["file"]) if "file" in written else written["text"]
    for old, new in written.get("swap", {}).items():
        assert message.count(old) == 1, f"{written['name']}: {old!r} stands there {message.count(old)} times"
        message = message.replace(old, new)
    return Case(
        written["name"], message, written.get("stream"), written.get("items", []), written.get("malformed")
    )


def check(adapter: Adapter, case: Case) -> None:
    """Decode the case's message; fail on any difference from what is written."""
    if case.malformed is not None:
        with pytest.raises(Malformed) as caught:
            adapter.decode(case.message, RECEIVED)
        assert str(caught.value).startswith(case.malformed)
        return
    decoded = adapter.decode(case.message, RECEIVED)
    expected, got = {"stream": case.stream, "items": case.items}, meaning(decoded)
    assert got == expected, "\n".join(
        unified_diff(_lines(expected), _lines(got), "expected", "decoded", lineterm="")
    )
    assert_supplied(adapter, decoded)


def _lines(told: dict[str, Any]) -> list[str]:
    return json.dumps(told, indent=1, sort_keys=True).splitlines()


def meaning(decoded: Decoded) -> dict[str, Any]:
    """What was decoded, in the words of the cases."""
    return {"stream": decoded.stream, "items": [_plain(item) for item in decoded.items]}


def assert_supplied(adapter: Adapter, decoded: Decoded) -> None:
    """Whatever a message gave, the adapter had promised."""
    for item in decoded.items:
        if isinstance(item, (Observation, Occurrence)):
            extra = to_plain(item.state).keys() - adapter.supplies.get(item.state.kind, frozenset())
            assert not extra, f"{item.state.kind}: {sorted(extra)} decoded, but not in `supplies`"


def _plain(item: Any) -> Any:
    match item:
        case Observation() | Occurrence():
            return _happened(item)
        case SnapshotBegins(kinds, account, live):
            begins: dict[str, Any] = {"snapshot begins": list(kinds)}
            return begins | ({"of account": account} if account else {}) | ({"live": "true"} if live else {})
        case SnapshotEnds():
            return "snapshot ends"
        case Reply(text):
            return {"reply": text}
        case Accepted(request):
            return {"accepted": request}
        case Refused(request, reason, verdict):
            return {"refused": request, "reason": reason, "verdict": verdict}
        case Control():
            return "control"
        case Unrecognized(reason):
            return {"unrecognized": reason}
        case Unreadable(part, reason, row):
            return {"unreadable row" if row else "unreadable": f"{part}: {reason}"}
    raise AssertionError(f"nothing that decode gives: {item!r}")


def _happened(item: Observation | Occurrence) -> dict[str, Any]:
    what = "observation" if isinstance(item, Observation) else "occurrence"
    if what == "observation":
        assert item.state.id not in (UNSET, None, ""), "an observation has an id"
    plain: dict[str, Any] = {what: item.state.kind, "origin": item.origin}
    if item.account is not None:
        plain["account"] = item.account
    if item.event is not None:
        plain["event"] = item.event
    if item.time is not None:
        plain["time"] = iso(item.time)
    # Flags as YAML's plain text has them, since the cases are read as text throughout.
    fields = to_plain(item.state)
    plain["fields"] = {n: str(v).lower() if isinstance(v, bool) else v for n, v in fields.items()}
    cleared = [name for name in item.state.__struct_fields__ if getattr(item.state, name) is None]
    return plain | ({"cleared": sorted(cleared)} if cleared else {})
