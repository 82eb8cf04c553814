"""What waits is shown with the title that it would be sent with now."""

from datetime import timedelta

import msgspec
import pytest

from support.outboxes import START, context
from tocsin.alerts.digest import DigestContext
from tocsin.alerts.wording import Style
from tocsin.delivery.templates import in_place, preview


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"title": "{{ symbol }} at {{ value }}"}, "🟠 late 5 min: BTCUSD at -60"),
        ({"state": "resolved", "title": "{{ symbol }}"}, "🟢 resolved: late 5 min: BTCUSD"),
        (None, "the alert's"),
    ],
)
async def test_it_is_rendered_as_the_outbox_would(changes, title):
    kept = msgspec.json.encode(context(**changes)).decode() if changes is not None else "{}"
    row = {
        "id": "d1",
        "channel": "desk",
        "target": 0,
        "state_told": "firing",
        "title": "the alert's",
        "rule": "of the alert",
        "context": kept,
    }
    sent = {"id": "d2", "channel": "desk", "target": 0, "title": "as it was sent", "context": None}
    asked = []

    def style(channel, target):
        asked.append((channel, target))
        return Style()

    rows = [row, sent]
    await preview(rows, style, START + timedelta(minutes=5), in_place)
    assert [each["title"] for each in rows] == [title, "as it was sent"]
    assert row["rule"] == ("of the alert" if changes is None else "position-in-the-red")
    assert asked == ([("desk", 0)] if changes is not None else [])
    assert all("context" not in each for each in rows)


async def test_a_digest_has_its_own():
    kept = DigestContext(at=START, severity="warning", over=False, words="7 alerts in 30 s")
    row = {
        "id": "d1", "channel": "desk", "target": 0, "state_told": "digest", "title": None, "rule": None,
        "context": msgspec.json.encode(kept).decode(),
    }  # fmt: skip
    await preview([row], lambda _channel, _target: Style(), START + timedelta(minutes=5), in_place)
    assert (row["title"], row["rule"]) == ("🟠 7 alerts in 30 s", None)
