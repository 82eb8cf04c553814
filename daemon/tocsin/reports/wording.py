"""A report in our own words: what a person wants to read at the end of the day, the worst first, and short. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from tocsin.alerts.plain import plain
from tocsin.alerts.wording import counted
from tocsin.delivery.sandbox import shown
from tocsin.engine.api import SEVERITIES
from tocsin.reports.values import Values, total, totals

KINDS = frozenset({"position", "order", "account", "contract", "venue"})
"""The kinds of entities that are told of."""
NAMES = ("positions", "accounts", "contracts")
"""What of all kinds has to be known entity by entity; of others how many there are."""
_MOST_FIRING, _MOST = 8, 5  # lines of what fires, and of all else
_LONGEST, _LONGEST_NAME = 200, 60  # characters of a line's words, and of what something is called
_DAYS_CALLED = 6  # days back for which a weekday says enough


def headline(values: Values, counts: Mapping[str, int]) -> str:
    """Its first line, which says how much of what: `evening: 2 firing, 7 alerts since Mon 18:00, 3 positions -612.40 USD`."""
    since = f"since {_moment(values['since'], values['until'])}"
    alerts = len(values["alerts"])
    said = [f"{len(values['firing']):,} firing"] if values["firing"] else []
    if (
        not said
        and not alerts
        and not values["venues_away"]
        and not values["undelivered"]
        and not values["runs"]
    ):
        said = [f"nothing happened {since}"]
    else:
        said.append(f"{counted(alerts, 'alert') if alerts else 'no alert'} {since}")
    if away := len(values["venues_away"]):
        said.append(f"{counted(away, 'venue')} away")
    if undelivered := sum(each["waiting"] + each["given_up"] for each in values["undelivered"]):
        said.append(f"{undelivered:,} undelivered")
    said.append(_open(values, counts))
    return f"{values['report']}: {', '.join(said)}"


def text(values: Values, counts: Mapping[str, int]) -> str:
    """The rest, a fact a line; its last says of what time it is."""
    lines = [
        *_firing(values["firing"], counts, values["until"]),
        *_away(values["venues_away"], values["until"]),
        *(_not_delivered(each, values["until"]) for each in values["undelivered"][:_MOST]),
        *_runs(values["runs"]),
        *_positions(values["positions"], counts.get("position", 0)),
        *_accounts(values["accounts"]),
        *_others(counts),
        *_alerts(values["alerts"]),
        _span(values["since"], values["until"]),
    ]
    return "\n".join(lines)


def _open(values: Values, counts: Mapping[str, int]) -> str:
    """What is open, in few words."""
    if positions := counts.get("position", 0):
        return f"{counted(positions, 'position')} {totals(values['positions'], 'profit')}"
    orders = counts.get("order", 0)
    return f"{counted(orders, 'order')} open" if orders else "nothing open"


def _firing(firing: Sequence[Values], counts: Mapping[str, int], now: datetime) -> list[str]:
    lines = [
        f"{plain(each['title'], _LONGEST)}, since {_moment(each['fired_at'], now)}{_acked(each, now)}"
        for each in firing[:_MOST_FIRING]
    ]
    if rest := firing[_MOST_FIRING:]:
        acked = sum(each["acked_at"] is not None for each in rest)
        more = max(counts.get("firing alert", 0), len(firing)) - _MOST_FIRING
        said = f" ({acked:,} of them acknowledged)" if acked else ""
        lines.append(f"and {more:,} more firing{said}: {_counted(rest)}")
    return lines


def _acked(alert: Values, now: datetime) -> str:
    if alert["acked_at"] is None:
        return ""
    by = f" by {alert['acked_by']}" if alert["acked_by"] else ""
    until = f" until {_moment(alert['acked_until'], now)}" if alert["acked_until"] else ""
    return f", acknowledged{by}{until}"


def _away(venues: Sequence[Values], now: datetime) -> list[str]:
    lines = []
    for each in venues[:_MOST]:
        since = f" since {_moment(each['since'], now)}" if each["since"] else ""
        reason = f": {plain(each['reason'], _LONGEST)}" if each["reason"] else ""
        lines.append(f"{each['venue']} is {each['status'] or 'not connected'}{since}{reason}")
    return [*lines, *_more(len(venues))]


def _not_delivered(each: Values, now: datetime) -> str:
    waiting = (
        f"{counted(each['waiting'], 'message')} since {_moment(each['since'], now)}"
        if each["waiting"]
        else ""
    )
    given_up = f"{each['given_up']:,} given up" if each["given_up"] else ""
    return f"not delivered by {each['channel']}: {', '.join(filter(None, (waiting, given_up)))}"


def _runs(runs: Sequence[Values]) -> list[str]:
    """`hedge: 2 ok, 1 failed (503)`"""
    of: dict[str, list[Values]] = {}
    for each in runs:
        of.setdefault(str(each["action"]), []).append(each)
    lines = []
    for action, those in list(of.items())[:_MOST]:
        counts = Counter(str(each["status"]).replace("_", " ") for each in those)
        why = next(
            (each["reason"] for each in those if each["status"] in ("failed", "unknown") and each["reason"]),
            None,
        )
        said = ", ".join(f"{count} {status}" for status, count in counts.most_common())
        lines.append(f"action {action}: {said}" + (f" ({plain(why, _LONGEST)})" if why else ""))
    return [*lines, *_more(len(of))]


def _positions(positions: Sequence[Values], count: int) -> list[str]:
    """What they come to, and those that weigh most."""
    if not count:
        return []
    weighed = sorted(positions, key=lambda each: abs(each["profit"] or 0), reverse=True)
    lines = [f"{counted(count, 'position')}: {totals(positions, 'profit')}"]
    lines += [f"  {_position(each)}" for each in weighed[:_MOST]]
    return [*lines, *_more(count, "  ")]


def _position(each: Values) -> str:
    what = " ".join(str(shown(each[name])) for name in ("symbol", "side", "amount") if each[name] is not None)
    profit = f": {_money(each, 'profit')}" if each["profit"] is not None else ""
    doubt = ", not confirmed" if each["unconfirmed_since"] else ""
    return f"{plain(what or each['id'], _LONGEST_NAME)}{profit}{doubt} · {_where(each)}"


def _accounts(accounts: Sequence[Values]) -> list[str]:
    worth = [(name, each) for each in accounts if (name := _worth(each))]
    worth.sort(key=lambda pair: -abs(pair[1][pair[0]]))
    lines = []
    for name, each in worth[:_MOST]:
        level = each["margin_level"]
        margin = f", margin level {shown(level)} %" if level is not None and each["margin"] else ""
        lines.append(f"{_where(each)}: {name} {_money(each, name)}{margin}")
    return [*lines, *_more(len(worth))]


def _worth(account: Values) -> str:
    return next((name for name in ("equity", "balance") if account[name] is not None), "")


def _others(counts: Mapping[str, int]) -> list[str]:
    said = [
        f"{counted(count, kind)} open" for kind in ("order", "contract") if (count := counts.get(kind, 0))
    ]
    return [", ".join(said)] if said else []


def _alerts(alerts: Sequence[Values]) -> list[str]:
    if not alerts:
        return []
    critical = sum(each["severity"] == "critical" for each in alerts)
    bad = f" ({critical:,} critical)" if critical else ""
    return [f"{counted(len(alerts), 'alert')}{bad}: {_counted(alerts)}"]


def _counted(alerts: Sequence[Values]) -> str:
    """How many of which rule: of the most severe first, then those that have the most."""
    counts = Counter((SEVERITIES.index(each["severity"]), each["rule"]) for each in alerts)
    ordered = sorted(counts.items(), key=lambda each: (-each[0][0], -each[1]))
    said = [f"{count:,} × {rule}" for (_, rule), count in ordered[:_MOST]]
    if rest := ordered[_MOST:]:
        said.append(f"{sum(count for _, count in rest):,} of {counted(len(rest), 'other rule')}")
    return ", ".join(said)


def _where(each: Values) -> str:
    account = shown(each["account"]) if each["account"] else ""
    return " ".join(filter(None, (each["venue"], account)))


def _money(each: Values, field: str) -> str:
    currency = f" {each['currency']}" if each.get("currency") else ""
    return f"{shown(total([each], field))}{currency}"


def _more(count: int, indent: str = "") -> list[str]:
    return [f"{indent}and {count - _MOST:,} more"] if count > _MOST else []


def _moment(time: datetime | None, now: datetime) -> str:
    """`18:00`, `Fri 18:00`, `2026-11-20 18:00`: as much of it as says which is meant."""
    if time is None:
        return "?"
    days = abs((now.date() - time.date()).days)
    form = "%H:%M" if not days else "%a %H:%M" if days <= _DAYS_CALLED else "%Y-%m-%d %H:%M"
    return f"{time:{form}}"


def _span(since: datetime, until: datetime) -> str:
    """`from Mon 2026-11-23 18:00 to 18:00 CET`"""
    same_day, same_zone = since.date() == until.date(), since.tzname() == until.tzname()
    zone = "" if same_zone else f" {since:%Z}"
    end = f"{until:%H:%M %Z}" if same_day else f"{until:%a %Y-%m-%d %H:%M %Z}"
    return f"from {since:%a %Y-%m-%d %H:%M}{zone} to {end}"
