"""What a replay says of rules as they are and as they are edited: plain data, for the command that makes it and the page that shows it.

Who reads it loads nothing of what replays.

As JSON (`tocsin replay --set … --format json`) a `WhatIf` is

    {"coverage": [{"rule": "red", "kept": [{"what": "profit", "moments": 2310}], "whole": false,
                   "words": "profit kept at 2,310 moments in 14 days; between them unknown"}],
     "at_least": true, "because": "of market data a database keeps only …",
     "from": "2026-11-15T10:00:00+00:00", "to": "2026-11-29T10:00:00+00:00", "events": 100000,
     "set": [{"rule": "red", "path": "when.profit.below", "called": "when profit below", "before": "-50", "after": "-60"}],
     "warnings": ["until: `profit < -60` and `profit > -70` both hold in between: …"],
     "diff": "--- rules/positions.yaml …", "off": [],
     "as_it_is": {"alerts": 17, "steps": [["2026-11-15T10:00:00+00:00", 0], …, ["2026-11-29T10:00:00+00:00", 17]]},
     "edited": {"alerts": 8, "steps": […]},
     "lost": {"count": 9, "alerts": [ALERT, …]}, "unknown": …, "gained": …, "later": …, "earlier": …}

and an ALERT {"rule": "red", "kind": "position", "venue": "fx", "account": "a1", "id": "p1", "symbol": "BTCUSD",
"side": "short" or null, "title": "…", "at": TIME, "until": TIME or null (up to the record's end), "of": "profit",
"worst": "-510" or null, "by": 40.0 (seconds, of `later` and `earlier`), "covered": true (of `lost` and `gained`: an alert of before goes on then under the other rules)}.
"""

from typing import Literal

from msgspec import Struct, field

from tocsin.alerts.wording import counted


class Kept(Struct, frozen=True):
    """At how many moments the record has it: a field (`profit`, `account.equity`), an event, or a kind."""

    what: str
    moments: int


class Coverage(Struct, frozen=True, kw_only=True):
    """What the record has of that which one rule reads. `whole`: nothing of it was left out. `words`: the same for people."""

    rule: str
    kept: tuple[Kept, ...]
    whole: bool
    words: str

    @property
    def says_nothing(self) -> bool:
        """Whether nothing of what may be left out was kept, so that a count of 0 isn't known to be one."""
        return not self.whole and bool(self.kept) and not any(each.moments for each in self.kept)


class Changed(Struct, frozen=True, kw_only=True):
    """One thing that is set otherwise: see `config.edits.Edit`."""

    rule: str
    path: str
    called: str
    before: str
    after: str


class Alert(Struct, frozen=True, kw_only=True):
    """One alert, as it is in `lost` and `unknown`, else as it would be; times are ISO 8601, UTC."""

    rule: str
    kind: str
    venue: str
    account: str | None
    id: str
    symbol: str | None
    side: str | None = None
    title: str
    at: str
    until: str | None
    of: str | None = None
    worst: str | None = None
    by: float = 0.0
    covered: bool = False


class Alerts(Struct, frozen=True):
    """How many, and the first of them: of `lost`, `unknown` and `gained` the worst of each rule, of the others those that differ most."""

    count: int
    alerts: tuple[Alert, ...] = ()


class Side(Struct, frozen=True):
    """How many alerts there are, and how many there were by when (UTC), from the record's first moment to its last."""

    alerts: int
    steps: tuple[tuple[str, int], ...] = ()


class WhatIf(Struct, frozen=True, kw_only=True):
    """The whole comparison. `at_least`: of what the rules read the record has a part only (`because`), so that there may be more alerts
    on either side than it tells; what is lost is then at most so much, and of what is `unknown` it has the worst beyond the edited limit,
    but not for how long: these would be later, or not at all. `begun` and `ended` are None where nothing is recorded. `off`:
    rules that are switched off, and were run all the same. `warnings`: what is doubtful in the rules only as they are edited.
    """

    coverage: tuple[Coverage, ...]
    at_least: bool
    because: str = ""
    begun: str | None = field(name="from", default=None)
    ended: str | None = field(name="to", default=None)
    count: int = field(name="events", default=0)
    edits: tuple[Changed, ...] = field(name="set", default=())
    warnings: tuple[str, ...] = ()
    diff: str = ""
    off: tuple[str, ...] = ()
    as_it_is: Side = Side(0)
    edited: Side = Side(0)
    lost: Alerts = Alerts(0)
    unknown: Alerts = Alerts(0)
    gained: Alerts = Alerts(0)
    later: Alerts = Alerts(0)
    earlier: Alerts = Alerts(0)

    @property
    def says_nothing(self) -> bool:
        """Whether of no rule anything can be said: each one's `words` say why."""
        return bool(self.coverage) and all(each.says_nothing for each in self.coverage)

    def bound(self, of: Literal["alerts", "lost", "gained"]) -> str:
        """What stands before such a count: `at least`, `at most`, or nothing where the count is all."""
        return "" if not self.at_least else "at most" if of == "lost" else "at least"

    def counted(self, count: int, of: Literal["alerts", "lost", "gained"]) -> str:
        """`at most 9 alerts`."""
        return f"{self.bound(of)} {counted(count, 'alert')}".strip()
