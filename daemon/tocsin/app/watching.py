"""Makes `Watched` of how an instance stands and of what was seen of it when it was last looked at: what people read, in a few words."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tocsin.alerts.wording import number_shown, of_member
from tocsin.control.snapshot import Countdown, Watched
from tocsin.engine.api import FAR, Gap
from tocsin.engine.looks import Look, Standing, Watching
from tocsin.engine.pauses import hangs_on_link
from tocsin.engine.rule import Rule
from tocsin.engine.trace import Timer
from tocsin.entities import Entities
from tocsin.events import UP, Derived, Entity, Instant, Key, Venue, number_text
from tocsin.events.vocabulary import unit_of

SHOWN_KINDS = ("position", "order", "account", "balance", "contract")
"""The kinds of entities that are looked at one by one."""
Away = Mapping[str, datetime | None]
"""The venues that aren't connected, and when each was heard the last time."""
_JITTER = timedelta(
    seconds=0.5
)  # of when something is due: clocks drift against each other, and it is to stay the same


def watched_of(
    at: Watching,
    *,
    standing: Standing | None,
    look: Look | None,
    now: Instant,
    away: Away,
    before: Watched | None = None,
) -> Watched:
    """`standing`: None where the engine keeps nothing of it. `before` is given back where nothing is another."""
    rule, change = at.rule, look.change if look is not None else None
    value = standing.value if standing is not None else None
    if value is None and look is not None:
        value = look.value
    stale = is_stale(rule, at.entity, away)
    symbol, side, currency = (before.symbol, before.side, before.currency) if before else (None, None, None)
    if change is not None:
        symbol, currency = change.symbol, _currency(rule, change.state)
        side = known if isinstance(known := getattr(change.state, "side", None), str) else None
    found = Watched(
        rule=rule.id,
        severity=rule.severity,
        instance=at.instance,
        key=at.entity,
        symbol=symbol,
        side=side,
        state=standing.state if standing is not None else "inactive",
        since=standing.since if standing is not None else None,
        alert=standing.alert_id if standing is not None and standing.state != "inactive" else "",
        acked=standing is not None and standing.acked,
        value=_shown(rule, value),
        value_of=rule.value_called or rule.value_of,
        currency=currency,
        worst=_shown(rule, standing.worst) if standing is not None else None,
        distance=look.gap.distance if look is not None else None,
        far=_far(look.gap) if look is not None else None,
        timer=_countdown(standing, now, before),
        stale=stale,
        stale_since=_heard(at.entity, away) if stale else None,
        unconfirmed=change is not None and change.unconfirmed_since is not None,
    )
    return before if before == found else found


def _far(gap: Gap) -> float | None:
    """None where it can't be told how near it is; nothing beside nothing (`attempts > 0` of a venue that is well) is so all the time."""
    by = gap.by
    is_nothing = by is not None and not by.met and by.value == by.limit == "0"
    return None if is_nothing or gap.to_go >= FAR else gap.to_go


class Shown(NamedTuple):
    """What is shown of an instance, and what that was made of."""

    watched: Watched
    standing: Standing | None
    look: Look | None
    stale: bool
    heard: datetime | None


def shown_of(  # noqa: PLR0917 - what it is made of
    at: Watching, standing: Standing | None, look: Look | None, now: Instant, away: Away, before: Shown | None
) -> Shown:
    """The same as before, where it is made of the same; see `watched_of`."""
    stale = is_stale(at.rule, at.entity, away)
    heard = _heard(at.entity, away) if stale else None
    if before is not None and before[1:] == (standing, look, stale, heard) and before.look is look:
        return before
    known = before.watched if before is not None else None
    watched = watched_of(at, standing=standing, look=look, now=now, away=away, before=known)
    return Shown(watched, standing, look, stale, heard)


def away_of(entities: Entities, since: datetime) -> Away:
    """As their connections say; and those of which nothing was heard since then, when this run began."""
    found = ((change.key.id, change.state) for change in entities.live("venue"))
    heard = {
        name: (state.status, state.last_message or None) for name, state in found if isinstance(state, Venue)
    }
    return {name: at for name, (status, at) in heard.items() if status not in UP or at is None or at < since}


def is_stale(rule: Rule, entity: Key, away: Away) -> bool:
    """Whether a venue of it isn't connected, and it is as it was when that was heard the last time."""
    return bool(away) and (entity.venue in away or not entity.venue) and hangs_on_link(rule)


def _heard(entity: Key, away: Away) -> datetime | None:
    if entity.venue:
        return away[entity.venue]
    return min((at for at in away.values() if at is not None), default=None)


def _shown(rule: Rule, value: Decimal | None) -> str | None:
    if value is None:
        return None
    derived = rule.value_computed or isinstance(value, Derived)
    return number_shown(number_text(value), rule.value_of or "", derived=derived)


def _currency(rule: Rule, state: Entity) -> str | None:
    if rule.value_of is None or unit_of(of_member(rule.value_of)) != "money":
        return None
    currency = getattr(state, "currency", None)
    return currency if isinstance(currency, str) else None


def _left(timer: Timer) -> float:
    return max(timer.lasts - timer.passed, 0.0)


def _countdown(standing: Standing | None, now: Instant, before: Watched | None) -> Countdown | None:
    timer = standing.timer if standing is not None else None
    if timer is None:
        return None
    if not timer.runs:
        return Countdown(timer.key, timer.lasts, None, _left(timer))
    due = now.wall + timedelta(seconds=_left(timer))
    was = before.timer.due if before is not None and before.timer is not None else None
    return Countdown(timer.key, timer.lasts, was if was is not None and abs(was - due) < _JITTER else due)
