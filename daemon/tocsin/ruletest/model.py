"""What a test file says, after it was checked: nothing left to parse or to refuse."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from tocsin.alerts.wording import Style
from tocsin.calendars import NO_CALENDARS, Calendars
from tocsin.delivery.stand_ins import StandIn
from tocsin.document import Node
from tocsin.engine.rule import Rule
from tocsin.errors import Place
from tocsin.events import Observed
from tocsin.venues.base import Adapter


@dataclass(frozen=True, slots=True)
class Says:
    """A venue, its link or the daemon says something."""

    venue: str
    observed: Observed


@dataclass(frozen=True, slots=True)
class Message:
    """One raw message for a venue's decoder."""

    venue: str
    adapter: Adapter = field(compare=False)
    text: str


@dataclass(frozen=True, slots=True)
class Restart:
    down: float  # seconds


@dataclass(frozen=True, slots=True)
class Reload:
    """Other rules: a list of them or the name of a file, read when the step runs."""

    rules: Node


@dataclass(frozen=True, slots=True)
class Answers:
    """What a fake channel answers from now on."""

    channel: str
    works: bool


@dataclass(frozen=True, slots=True)
class Ack:
    """`lasts`: only so long, in seconds; None: until the alert ends."""

    rule: str
    id: str
    lasts: float | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    match: str
    lasts: float  # seconds


@dataclass(frozen=True, slots=True)
class Wanted:
    """One notification (or, of `expect_alerts`, one alert, of `expect_actions` one run) as it is expected; what isn't given may be anything.

    `given` holds texts, of which `/…/` is a regex; for `channels` a set of names, for `suppressed` a number, for `late`
    a truth or a number of seconds; for `alerts` (a digest) a tuple of Wanted; for `dropped` None where it was run.
    """

    given: Mapping[str, object]
    place: Place


@dataclass(frozen=True, slots=True)
class Expect:
    items: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class ExpectAlerts:
    items: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class ExpectActions:
    items: tuple[Wanted, ...]


Action: TypeAlias = (
    Says | Message | Restart | Reload | Answers | Ack | Silence | Expect | ExpectAlerts | ExpectActions
)


@dataclass(frozen=True, slots=True)
class Step:
    """`at` is in seconds from the test's start, `written` as the user wrote it."""

    at: float
    written: str
    action: Action
    place: Place


@dataclass(frozen=True, slots=True)
class Test:
    """`enabled`: the rules that run in it though they are written `enabled: false`."""

    name: str
    steps: tuple[Step, ...]
    start: datetime
    place: Place
    enabled: frozenset[str] = frozenset()

    @property
    def venues(self) -> tuple[str, ...]:
        """Every venue that the test speaks of, in the order of mention."""
        actions = (step.action for step in self.steps)
        named = (action.venue for action in actions if isinstance(action, Says | Message))
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class RuleTests:
    """One file of tests. `channels` are the stand-ins by name, `calendars` those that rules and they name, `style` how they are written to."""

    path: Path
    rules: tuple[Rule, ...]
    channels: Mapping[str, StandIn]
    tests: tuple[Test, ...] = field(default=())
    calendars: Calendars = NO_CALENDARS
    style: Style = field(default_factory=Style)
