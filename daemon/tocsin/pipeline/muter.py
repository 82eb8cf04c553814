"""What stands between each alert and people at this moment: a silence, another alert that fires, a closed calendar."""

from collections.abc import Callable
from datetime import datetime

from tocsin.alerts.decide import MuteReasons
from tocsin.alerts.silences import Silences, words_of
from tocsin.alerts.wording import time_text
from tocsin.calendars import Calendar
from tocsin.engine.api import AlertContext, Transition
from tocsin.engine.pauses import Opening
from tocsin.engine.rule import Inhibitor, Rule
from tocsin.events import Instant, Key

_FIRING = ("firing", "recovering")


class Muter:
    """Knows which rules fire where, and what is silenced. `rule` finds the rule of an id, if it runs.

    `turned` says that a way may have opened since it was last set to False: who takes a silence back sets it.
    """

    def __init__(self, rule: Callable[[str], Rule | None], silences: Silences) -> None:
        self._rule = rule
        self._silences = silences
        self._firing: dict[
            tuple[str, str], dict[str, Key]
        ] = {}  # by rule and venue: instances and their entities
        self._entities: set[tuple[str, Key]] = set()  # by rule
        self._openings: dict[Calendar, Opening] = {}
        self.turned = True
        self.changes = 0
        """How often a way was opened or shut by what was noted, or may have been by who sets `turned`."""

    def note(self, transition: Transition) -> None:
        """Whether an instance of a rule fires."""
        at = (transition.rule, transition.entity.venue)
        if transition.state in _FIRING:
            known = self._firing.setdefault(at, {})
            if transition.instance not in known:
                known[transition.instance] = transition.entity
                self._entities.add((transition.rule, transition.entity))
                self.changes += 1
        elif (instances := self._firing.get(at)) is not None and transition.instance in instances:
            del instances[transition.instance]
            self._entities.discard((transition.rule, transition.entity))
            if not instances:
                del self._firing[at]
            self.turned = True
            self.changes += 1

    def _fires(self, by: Inhibitor, context: AlertContext) -> bool:
        if not by.same:
            return (by.rule, context.venue) in self._firing
        key = Key(context.venue, context.kind, context.account or "", context.entity)
        return (by.rule, key) in self._entities

    def reasons(self, rule: str, context: AlertContext, now: Instant) -> MuteReasons:
        """What stands in the way of that alert now. Of a rule that is gone only a silence holds anything."""
        found = self._rule(rule)
        silenced = inhibited = closed = silence_id = ""
        until = []
        if self._silences and (silence := self._silences.over(context, now.wall)) is not None:
            silenced, silence_id = words_of(silence), silence.id
            until.append(silence.ends_at)
        for by in found.inhibited_by if found is not None else ():
            if self._fires(by, context):
                inhibited = f"{by.rule} fires for {context.entity if by.same else context.venue}"
                break
        if found is not None and found.notify_during is not None:
            opening = self.opening(found.notify_during, now)
            if not opening.open:
                closed = f"closed until {time_text(opening.until)}"
                until.append(opening.until)
        return MuteReasons(
            silence=silenced,
            inhibited_by=inhibited,
            notify_during=closed,
            until=min(until, default=None),
            silence_id=silence_id,
        )

    def turns_at(self, rule: str, now: Instant) -> datetime | None:
        """When the hours in which that rule's alerts are told next begin or end."""
        found = self._rule(rule)
        if found is None or found.notify_during is None:
            return None
        return self.opening(found.notify_during, now).until

    def opening(self, calendar: Calendar, now: Instant) -> Opening:
        known = self._openings.get(calendar)
        if known is None or not known.is_known(now.wall):
            known = self._openings[calendar] = Opening.at(calendar, now.wall)
        return known
