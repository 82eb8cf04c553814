"""What would be if numbers of a rule were others, as the page shows it: made of what `tocsin replay --set …` tells."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec
from markupsafe import Markup

from tocsin.alerts.wording import Style
from tocsin.config.rule_text import settable_of
from tocsin.config.settings import Settings
from tocsin.control.snapshot import Point
from tocsin.page.charts import Series, chart
from tocsin.page.screen import Json
from tocsin.replay.comparison import Alerts, WhatIf

_CHART_HEIGHT = 170  # px
_LISTS = ("lost", "unknown", "gained", "later", "earlier")
_MOST_LISTED = 20
_Steps: TypeAlias = tuple[tuple[str, int], ...]
SET = "set."
"""What a field of the form is called, before the path of what it sets."""


def fields_of(settings: Settings, rule: str, given: Mapping[str, str] | None = None) -> list[Json]:
    """What of the rule can be set: each number's `name` in the form, what it is `called`, its `value` (or what is `given` for it), and
    what counts `as_it_is` (empty: nothing does); `kind`: number or duration.
    """
    source = settings.rule_sources.get(rule)
    found = settable_of(source, rule) if source is not None else []
    return [
        {
            "name": f"{SET}{each.path}",
            "called": each.called,
            "kind": each.kind,
            "as_it_is": each.value,
            "value": (given or {}).get(f"{SET}{each.path}", each.value),
        }
        for each in found
    ]


def view(found: WhatIf, style: Style) -> Json:
    """Coverage first: `coverage` (words), `begun` and `ended` (ISO 8601; None: nothing is recorded), `says_nothing` where there is no more to
    say; then `before` and `after` (how many alerts), `change` in words, the `lists`, what stands before counts (`bounds`: at least,
    at most) `because` of what; `warnings`: what is doubtful in the rule only as it is edited; `days`: how many there had been by the end of each day, as rows of a table; whether the rule is switched
    `off`; and the `diff` of its file.
    """
    before, after = found.as_it_is, found.edited
    return {
        "coverage": [each.words for each in found.coverage],
        "begun": found.begun,
        "ended": found.ended,
        "says_nothing": found.says_nothing,
        "bounds": {of: found.bound(of) for of in ("alerts", "lost", "gained")},
        "because": found.because,
        "warnings": [*found.warnings],
        "off": bool(found.off),
        "diff": found.diff,
        "before": before.alerts,
        "after": after.alerts,
        "change": _change(before.alerts, after.alerts),
        "lists": {name: _listed(getattr(found, name)) for name in _LISTS},
        "days": _days(before.steps, after.steps, style),
    }


def what_if_chart(found: WhatIf) -> Markup:
    """How many alerts there had been by when, as it is and as edited, as steps."""
    before, after = found.as_it_is, found.edited
    said = f"Alerts so far: {before.alerts} as it is, {after.alerts} edited"
    return chart(
        said,
        [
            Series("as it is", _points(before.steps), tone="muted", steps=True),
            Series("edited", _points(after.steps), steps=True),
        ],
        height=_CHART_HEIGHT,
    )


def _points(steps: _Steps) -> list[Point]:
    return [Point(datetime.fromisoformat(at).astimezone(UTC), Decimal(count)) for at, count in steps]


def _change(before: int, after: int) -> str:
    if before == after:
        return "as many"
    return f"{abs(after - before):,} {'fewer' if after < before else 'more'}"


def _listed(alerts: Alerts) -> Json:
    return {"count": alerts.count, "alerts": msgspec.to_builtins(alerts.alerts[:_MOST_LISTED])}


def _days(before: _Steps, after: _Steps, style: Style) -> list[Json]:
    """Where people are."""
    last: dict[date, list[int]] = {}
    at = [0, 0]
    steps = [(time, place, count) for place, side in enumerate((before, after)) for time, count in side]
    for time, place, count in sorted(steps):
        at[place] = count
        last[datetime.fromisoformat(time).astimezone(style.tz).date()] = [*at]
    return [
        {"day": f"{day.day} {day:%b}", "before": counts[0], "after": counts[1]}
        for day, counts in last.items()
    ]
