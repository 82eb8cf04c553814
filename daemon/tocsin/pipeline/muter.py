"""What stands between each alert and people at this moment: a silence, another alert that fires, a closed calendar."""

from collections.abc import Callable

from tocsin.alerts.decide import MuteReasons
from tocsin.alerts.silences import Silences
from tocsin.alerts.wording import time_text
from tocsin.calendars import Calendar
from tocsin.engine.api import AlertContext, Transition
from tocsin.engine.pauses import Opening
from tocsin.engine.rule import Rule
from tocsin.events import Instant

_FIRING = ("firing", "recovering")


class Muter:
    """Knows which rules fire where, and what is silent. `rule` finds the rule of an id, if it runs.

    `turned` says that a way may have opened since it was last set to False: who takes a silence back sets it.
    """

    def __init__(self, rule: Callable[[str], Rule | None], silences: Silences) -> None:
        self._rule = rule
        self._silences = silences
        self._firing: dict[tuple[str, str], set[str]] = {}
        self._openings: dict[Calendar, Opening] = {}
        self.turned = True

    def fires(self, rule: str, venue: str, instance: str) -> None:
        """An instance of a rule fires."""
        self._firing.setdefault((rule, venue), set()).add(instance)

    def note(self, transition: Transition) -> None:
        """Whether an instance of a rule fires."""
        at = (transition.rule, transition.entity.venue)
        if transition.state in _FIRING:
            self.fires(*at, transition.instance)
        elif (instances := self._firing.get(at)) is not None and transition.instance in instances:
            instances.discard(transition.instance)
            if not instances:
                del self._firing[at]
                self.turned = True

    def reasons(self, rule: str, context: AlertContext, now: Instant) -> MuteReasons:
        """What stands in the way of that alert now. Of a rule that is gone only a silence holds anything."""
        found = self._rule(rule)
        silenced = inhibited = closed = by_silence = ""
        until = []
        if self._silences and (silence := self._silences.over(context, now.wall)) is not None:
            by = f", by {silence.created_by}" if silence.created_by else ""
            silenced = f"{silence.matchers}, until {time_text(silence.ends_at)}{by}"
            by_silence = silence.id
            until.append(silence.ends_at)
        for name in found.inhibited_by if found is not None else ():
            if (name, context.venue) in self._firing:
                inhibited = f"{name} fires for {context.venue}"
                break
        if found is not None and found.notify_during is not None:
            opening = self._opening(found.notify_during, now)
            if not opening.open:
                closed = f"closed until {time_text(opening.until)}"
                until.append(opening.until)
        return MuteReasons(
            silence=silenced,
            inhibited_by=inhibited,
            notify_during=closed,
            until=min(until, default=None),
            silence_id=by_silence,
        )

    def _opening(self, calendar: Calendar, now: Instant) -> Opening:
        known = self._openings.get(calendar)
        if known is None or not known.is_known(now.wall):
            known = self._openings[calendar] = Opening.at(calendar, now.wall)
        return known
