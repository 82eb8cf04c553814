"""What screens ask of the running daemon beside the snapshot: its channels and itself, as plain data without secrets."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tocsin.alerts.wording import Style
from tocsin.app.components import Components, label_of, make_style
from tocsin.app.heartbeat import HeartbeatTask
from tocsin.config.listening import OPEN, Listen
from tocsin.config.settings import Settings
from tocsin.delivery.backoff import next_try
from tocsin.delivery.channel import ChannelTask
from tocsin.delivery.services import service_name
from tocsin.delivery.templates import preview as as_they_would_be_sent
from tocsin.errors import gathered
from tocsin.events import iso
from tocsin.quantities import duration_text

Json = dict[str, Any]


def channels(settings: Settings, tasks: Mapping[tuple[str, int], ChannelTask], now: datetime) -> list[Json]:
    """In the order of the config, each with its `fallback` and its `urls`: what `service` is behind it (`Telegram`), how much of its
    `rates` is used, what was `answered` last (`at`, `text`, `taken`; None: nothing yet), and until when the service is left alone
    after a failure (`rests_until`).
    """
    mask = settings.masker.mask
    return [
        {
            "channel": name,
            "fallback": channel.fallback,
            "urls": [
                {
                    "url": label_of(channel, name, target),
                    "service": mask(service_name(channel.urls[target])),
                    **_of_task(tasks.get((name, target)), now),
                }
                for target in range(len(channel.urls))
            ],
        }
        for name, channel in settings.channels.items()
    ]


def _of_task(task: ChannelTask | None, now: datetime) -> Json:
    if task is None:
        return {"rates": [], "answered": None, "rests_until": None}
    last, rest = task.answered, task.rest
    return {
        "rates": [used._asdict() for used in task.used],
        "answered": {"at": iso(last.at), "text": last.text, "taken": last.taken} if last else None,
        "rests_until": iso(now + timedelta(seconds=rest)) if rest > 0 else None,
    }


def about(settings: Settings, heartbeats: Iterable[HeartbeatTask], components: Components) -> Json:
    """The daemon itself. `config`: the files it was read from, and what is doubtful in them; `retention`; `listen` (None: nobody asks
    over TCP), with who reads metrics; `heartbeats`; `unrecorded_since`: since when the database takes nothing.
    """
    mask, keeps = settings.masker.mask, settings.retention
    now, refused_since = components.clock.now(), components.journal.refused_since
    return {
        "config": {
            "sources": [str(source) for source in settings.sources],
            "warnings": [mask(problem.render()) for problem in gathered(settings.warnings)],
        },
        "retention": {
            "events": duration_text(keeps.events),
            "alerts": duration_text(keeps.alerts),
            "max_bytes": keeps.max_size,
        },
        "listen": _listening(settings.listen) if settings.listen is not None else None,
        "heartbeats": [heartbeat.shown for heartbeat in heartbeats],
        "unrecorded_since": iso(now.wall - timedelta(seconds=now.steady - refused_since))
        if refused_since is not None
        else None,
    }


def _listening(listen: Listen) -> Json:
    token = listen.metrics
    readers = (
        "who is signed in" if token is None else "all" if token.reveal() == OPEN else "who has its token"
    )
    return {"address": listen.address, "public_url": listen.public_url, "metrics_for": readers}


async def preview(deliveries: list[Json], settings: Settings, components: Components) -> None:
    """Rows of `Reader.deliveries` that wait get what holds them, the title that they would be sent with now (where they have their contexts),
    when they are tried next (`next_try`, see there), and whether their channel `refuses`.
    """
    now = components.clock.now().wall

    def style(channel: str, target: int) -> Style:
        known = settings.channels.get(channel)
        if known is None or target >= len(known.urls):
            return Style(names=settings.names, tz=settings.tz)
        return make_style(settings, known, target)

    for row in deliveries:
        if row["status"] == "pending" and row["digest"] is None and row["next_at"] <= iso(now):
            told = (row["channel"], row["state_told"], row["severity"], row["target"])
            row["reason"] = components.holds(*told) or None
        if row["status"] == "pending":
            row["next_try"] = next_try(row, now, components.rest(row["channel"], row["target"]))
            row["refuses"] = components.refuses(row["channel"])
    await as_they_would_be_sent(deliveries, style, now, components.templates.render)
