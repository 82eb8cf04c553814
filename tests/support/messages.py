"""Messages as the cases of services and chats name them, and what a person reads of what arrived."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import structs

from support.chats import Shown, discord_reads, to_the_eye
from support.outboxes import START, context, delivery
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.wording import Style
from tocsin.delivery import digests
from tocsin.delivery.digests import Digests
from tocsin.delivery.model import Message
from tocsin.delivery.render import render
from tocsin.delivery.services import room_for_lines
from tocsin.secrets import Secret
from tocsin.store.model import Delivery

ALERT = "0195a1"
SYMBOL = "<!channel> [click](http://x) \n\x1b[31m {{7*7}} $(id) ||x|| **b** :smile: @a #t $C /c"
READS = "<!channel> [click](http://x) ␤␛[31m {{7*7}} $(id) ||x|| **b** :smile: @a #t $C /c"
_WITHIN = timedelta(seconds=30)


def message_of(said: Mapping[str, Any], url: str) -> Message:
    """A message as it stands in a case; of `told`, changes of an alert, as that is rendered; of `digest`, rows of an alert
    each, as these go in one on that URL.
    """
    match said:
        case {"told": changes}:
            return told(**changes)
        case {"digest": rows}:
            return digest_of(rows, url)
    return msgspec.convert({"delivery_id": "d1", **said}, Message)


def told(*, delivery_id: str = "d1", **changes: Any) -> Message:
    """What is rendered of one alert."""
    return structs.replace(render(context(**changes), Style(), delivery_id=delivery_id), alert=ALERT)


def digest_of(rows: Sequence[Mapping[str, Any]], url: str) -> Message:
    """Rows, each `alert`, `state` (default firing), `at` (seconds), and changes of its context."""
    waiting = [_row(number, **row) for number, row in enumerate(rows)]
    room = room_for_lines(Secret(url))
    made = Digests(
        channel="desk",
        target=0,
        gates=ChannelGates(digest=_WITHIN),
        style=Style(),
        expire=timedelta(days=1),
        room=room,
        age=lambda _of: timedelta(0),
    ).plan(waiting, "digest", START + _WITHIN)
    assert made.gathered is not None
    carrier = Delivery(**structs.asdict(made.gathered.digest), next_at=START)
    message = digests.message(carrier, Style(), lambda _of: timedelta(0), room)
    return structs.replace(message, delivery_id="d1", alert=ALERT)


def _row(number: int, *, alert: str, state: str = "firing", at: float = 0.0, **says: Any) -> Delivery:
    severity = says.pop("severity", "warning")
    new = delivery(f"r{number}", state, at=at, alert=alert, severity=severity, says=says)
    return Delivery(**structs.asdict(new), next_at=new.created_at)


def words(service: str, got: Any) -> str:
    """All that a person reads of what arrived: a request, a mail, or a message as it stands in a chat."""
    match service:
        case "discord":
            return discord_reads(got.json["content"])
        case "mail":
            return to_the_eye(f"{got['Subject']}\n{got.get_content()}")
    if isinstance(got, Shown):
        return to_the_eye(got.text)
    return to_the_eye(f"{got.json['title']}\n{got.json['message']}")


def whole_lines_and_all_counted(read: str, alerts: int, severity: str) -> None:
    """Of a digest that had no room for all of so many: no line is cut, and what has none is counted. Critical alerts are all
    named; those that don't fit go in another.
    """
    title, *lines = read.splitlines()
    *lines, more = lines if severity == "warning" else [*lines, "and 0 more"]
    lines = [line for line in lines if not line.startswith("also ")]
    assert lines
    assert all(line.endswith(" · fx") for line in lines)
    total = len(lines) + int(more.split()[1].replace(",", ""))
    assert title[2:].startswith(f"{total:,} alerts in 30 s: ")
    assert total == alerts or severity == "critical"
