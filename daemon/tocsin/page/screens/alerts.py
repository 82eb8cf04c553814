"""`/alerts`: what fires, then what is over, both of what matchers choose. 50 a page, by key.

?match=rule=in-the-red venue=fx    or each by itself: ?rule=in-the-red&venue=fx
"""

from functools import partial
from urllib.parse import urlencode

from tocsin.alerts.silences import FIELDS, quoted
from tocsin.control.acts import matched_names
from tocsin.page.alert_filter import Filter, history, place_of, refuse_unmet_of
from tocsin.page.alert_rows import alert_rows
from tocsin.page.rows import MOST, limit
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.store import alert_history
from tocsin.store.alert_history import LATEST

PATH = "/alerts"


async def still(asked: Asked) -> Json:
    """What stands beside the parts: the field with the matchers."""
    return {"match": _filter(asked).text}


async def firing(asked: Asked) -> Json:
    """`alerts` that fire (rows of `alert_rows`), those that nobody has first and of these the worst; `count` of how many. `trouble` with the
    matchers, where there is one: then there is no count.
    """
    wanted = await _known(asked, _filter(asked))
    if wanted.trouble:
        return {"alerts": [], "count": None, "match": wanted.text, "trouble": wanted.trouble}
    shown = limit(asked)
    read = partial(alert_history.firing, asked.reader, limit=MOST if wanted.matchers else shown)
    rows = await asked.in_thread(lambda: wanted.chosen(read()))
    count = len(rows) if wanted.matchers else max(asked.snapshot.measures.firing, len(rows))
    made = await asked.in_thread(lambda: alert_rows(rows[:shown], asked.snapshot, asked.style))
    return {"alerts": made, "count": count, "match": wanted.text, "trouble": ""}


async def over(asked: Asked) -> Json:
    """`alerts` that are over or happened once, the latest first, from `before=FIRED_AT,ID` on; `older`: the query of the next page, None where
    there is none. `looked_to`: so far back it was looked, of `looked` alerts, without filling the page.
    """
    wanted = await _known(asked, _filter(asked))
    if wanted.trouble:
        nothing = {"older": None, "newest": None, "looked": 0, "looked_to": None}
        return {"alerts": [], "match": wanted.text, "trouble": wanted.trouble, **nothing}
    before = place_of(asked.query.get("before", ""))
    found = await asked.in_thread(partial(history, asked.reader, wanted, before))
    made = await asked.in_thread(lambda: alert_rows(found.rows, asked.snapshot, asked.style))
    place = found.following
    return {
        "alerts": made,
        "match": wanted.text,
        "trouble": "",
        "older": _query(wanted, f"{place.fired_at},{place.id}") if place is not None else None,
        "newest": _query(wanted, "") if before != LATEST else None,
        "looked": found.looked,
        "looked_to": place.fired_at if place is not None and found.gave_up else None,
    }


def _filter(asked: Asked) -> Filter:
    single = (f"{field}={quoted(asked.query[field])}" for field in FIELDS if asked.query.get(field))
    return Filter.of(asked.query.get("match") or " ".join(single), asked.style.names.accounts)


async def _known(asked: Asked, wanted: Filter) -> Filter:
    """The filter, with its `trouble` where it names what there is none of, in the words of silences."""
    if wanted.trouble or not wanted.matchers:
        return wanted
    known = matched_names(asked.host.rules_seen.settings)
    try:
        await asked.in_thread(partial(refuse_unmet_of, asked.reader, wanted, known))
    except ValueError as error:
        return wanted._replace(trouble=str(error))
    return wanted


def _query(wanted: Filter, before: str) -> str:
    """What stands behind the path."""
    found = {name: text for name, text in (("match", wanted.text), ("before", before)) if text}
    return f"?{urlencode(found)}" if found else ""


ALERTS = Screen(
    name="alerts",
    path=PATH,
    nav="alerts",
    api="/api/alerts-screen",
    parts={
        "firing": Part(("alerts", "history", "told", "silences"), firing),
        "over": Part(("history", "told"), over),
    },
    still=still,
)
