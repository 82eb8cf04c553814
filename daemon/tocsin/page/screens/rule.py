"""`/r/ID`: one rule, as it is written and as it stands: what it is about, how often it fired, who would be told now.

JSON: `/api/rules/ID`, with a key for each part.
"""

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from functools import partial

import trio

from tocsin.alerts.decide import MuteReasons, decide
from tocsin.alerts.silences import matchable
from tocsin.config.settings import Settings, UnknownRule
from tocsin.control.snapshot import Watched
from tocsin.delivery.services import service_name
from tocsin.engine.rule import Rule
from tocsin.events import iso
from tocsin.page.alert_rows import alert_rows
from tocsin.page.rows import limit, watched_row
from tocsin.page.rule_lists import LATELY, basics, blind_rules, counts, shown_path, sort_of
from tocsin.page.screen import Asked, Json, NoSuch, Part, Screen
from tocsin.page.what_if_view import fields_of
from tocsin.pipeline.acts import FIRING
from tocsin.store.rule_history import fired_between, fired_of, last_fired

_MOST_HAPPENED = 50
_AT_ONCE = 20  # that are looked at before messages have their turn


async def heading(asked: Asked) -> Json:
    """What is so of the rule (`rule_lists.basics`): of how many things that it `watched` some are `firing` and `pending`; how often it
    `fired` (ever; `lately`: in 30 days), and when last.
    """
    rule, lives = _rule(asked), counts(asked.snapshot)
    watched = await asked.host.rules_seen.watched(rule.id, limit(asked))
    fired = await asked.in_thread(partial(fired_of, asked.reader, rule.id, asked.now - LATELY))
    return {
        **basics(
            asked.host.rules_seen.settings, rule, asked.now, blind=rule.id in blind_rules(asked.snapshot)
        ),
        "firing": lives[rule.id, True],
        "pending": lives[rule.id, False],
        "watched": watched.total,
        **{name: fired[name] for name in ("fired", "lately", "last_fired_at")},
    }


async def instances(asked: Asked) -> Json:
    """`instances` of a rule that lasts, of `count`: what fires first, then what is nearest (`watched_row`), each with since when (`since`),
    what is counted down (`timer`), when it fired the last time, and what would hold its messages (`held_by`). `happened`: of
    any other rule the alerts (`alert_rows`), the latest first.
    """
    rule = _rule(asked)
    found: Json = {
        "sort": sort_of(rule),
        "enabled": rule.enabled,
        "open": rule.active is None or rule.active.is_open(asked.now),
        "kinds": sorted(rule.kinds),
        "instances": [],
        "count": 0,
        "happened": [],
    }
    if not rule.lasts:
        read = partial(asked.reader.alerts_of, rule.id, limit=_MOST_HAPPENED)
        rows = await asked.in_thread(read)
        found["happened"] = await asked.in_thread(lambda: alert_rows(rows, asked.snapshot, asked.style))
        return found
    watched = await asked.host.rules_seen.watched(rule.id, limit(asked))
    last = await asked.in_thread(partial(last_fired, asked.reader, rule.id))
    found["count"] = watched.total
    rows = found["instances"]
    for each in watched.first:  # on the loop, whose what holds messages back is
        rows.append(_instance(asked, rule, each, last.get(each.instance)))
        if len(rows) % _AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return found


async def told(asked: Asked) -> Json:
    """Who would be told now: `channels`, each with its `services` and what holds it there (`held`; "": nothing), whatever is `held_by` before; who is told
    later (`escalate`), which actions run (`run`), how often it is repeated (`repeat`, seconds). `silenced`: the silences that hold it
    where it is about what they match; each `holds` so many of those `of` this rule that fire now.
    """
    rule, seen = _rule(asked), asked.host.rules_seen
    decision = decide(
        "firing" if rule.lasts else "event",
        severity=rule.severity,
        notify=rule.notify,
        announced=None,
        routing=seen.settings.routing,
    )
    held = {name: seen.holds(name, "firing", rule.severity) for name in decision.channels} | {**decision.held}
    return {
        "severity": rule.severity,
        "channels": [
            {"channel": name, "services": _services(seen.settings, name), "held": why}
            for name, why in held.items()
        ],
        "held_by": _held_by(seen.mute_reasons(rule, None)),
        "silenced": await _silenced(asked, rule),
        "inhibited_by": [each.rule for each in rule.inhibited_by],
        "escalate": [{"after": step.after, "notify": list(step.notify)} for step in rule.escalate],
        "run": list(rule.run.on_firing),
        "repeat": rule.repeat if rule.lasts else None,
    }


async def _silenced(asked: Asked, rule: Rule) -> list[Json]:
    silences, now = asked.snapshot.silences, asked.now
    in_part = {each.id: each for each, whole in silences.of_rule(rule, now) if not whole}
    if not in_part:
        return []
    fires = [each for each in asked.snapshot.alerts if each.rule == rule.id and each.state in FIRING]
    holds = Counter[str]()
    for number, each in enumerate(fires):
        about = {"account": each.key.account or None, "symbol": each.symbol}
        context = matchable(rule.id, rule.severity, each.key, now, **about)
        holds.update(silence.id for silence in silences.holding(context, now))
        if number % _AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return [
        {"matchers": each.matchers, "ends_at": iso(each.ends_at), "holds": holds[id_], "of": len(fires)}
        for id_, each in in_part.items()
    ]


async def fired(asked: Asked) -> Json:
    """`days`: how often it fired a day in the last 30 where people are, the first first; `count` of these, and how long an alert of them
    `lasted` (the median, in seconds; None: none is over).
    """
    rule = _rule(asked)
    bounds = _days(asked)
    counted = await asked.in_thread(partial(fired_between, asked.reader, rule.id, bounds))
    known = await asked.in_thread(partial(fired_of, asked.reader, rule.id, bounds[0]))
    tz = asked.style.tz
    names = [f"{day.astimezone(tz).day} {day.astimezone(tz):%b}" for day in bounds]
    return {
        "days": [[name, count] for name, count in zip(names, counted, strict=False)],
        "count": sum(counted),
        "lasted": known["lasted"],
    }


async def text(asked: Asked) -> Json:
    """The rule's `lines` as they were read, from the line `line` of the `file` on; `differs`: the file has others by now."""
    rule, settings = _rule(asked), asked.host.rules_seen.settings
    source = settings.rule_sources.get(rule.id)
    if source is None:
        return {"file": "", "line": 0, "lines": [], "differs": False}
    return {
        "file": shown_path(settings, source.path),
        "line": source.line,
        "lines": [settings.masker.mask(line) for line in source.shown],
        "differs": not await asked.in_thread(source.is_as_written),
    }


def _services(settings: Settings, channel: str) -> list[str]:
    """What people call the services behind a channel."""
    known = settings.channels.get(channel)
    urls = known.urls if known is not None else ()
    return list(dict.fromkeys(settings.masker.mask(service_name(url)) for url in urls))


def _rule(asked: Asked) -> Rule:
    try:
        return asked.host.rules_seen.settings.rule(asked.path["id"])
    except UnknownRule as error:
        raise NoSuch(str(error)) from None


def _instance(asked: Asked, rule: Rule, each: Watched, last_fired_at: str | None) -> Json:
    timer = each.timer
    return {
        **watched_row(each),
        "since": iso(each.since) if each.since is not None else None,
        "acked": each.acked,
        "unconfirmed": each.unconfirmed,
        "away": each.key.venue in asked.snapshot.away,
        "timer": {
            "key": timer.key,
            "due": iso(timer.due) if timer.due is not None else None,
            "left": timer.left,
        }
        if timer is not None
        else None,
        "last_fired_at": last_fired_at,
        "held_by": _held_by(asked.host.rules_seen.mute_reasons(rule, each)),
    }


def _held_by(reasons: MuteReasons) -> list[Json]:
    return [{"what": gate.key, "why": why} for gate, why in reasons.shut()]


def _days(asked: Asked) -> list[datetime]:
    """When each of the last 30 days began where people are, and when this one ends."""
    tz = asked.style.tz
    today = asked.now.astimezone(tz).date()
    days = (today - timedelta(days=back) for back in range(LATELY.days - 1, -2, -1))
    return [datetime.combine(day, time(), tz).astimezone(UTC) for day in days]


async def _still(asked: Asked) -> Json:
    """The form of what if."""
    rule = _rule(asked)
    read = partial(fields_of, asked.host.rules_seen.settings, rule.id)
    return {"id": rule.id, "fields": await asked.in_thread(read)}


RULE = Screen(
    name="rule",
    path="/r/{id}",
    nav="rules",
    api="/api/rules/{id}",
    parts={
        "heading": Part(("rules", "history", "hours"), heading),
        "instances": Part(("rules", "history", "silences", "hours", "positions"), instances),
        "told": Part(("channels", "silences", "hours", "alerts"), told),
        "fired": Part(("history",), fired),
        "text": Part(("status",), text),
    },
    still=_still,
)
