"""Whether the way to people is open to the alerts that escalate: while it is shut to one, its time stands still."""

from collections.abc import Callable
from datetime import datetime, timedelta

from tocsin.alerts.silences import Silences
from tocsin.engine.engine import Engine
from tocsin.engine.pauses import Opening
from tocsin.events import Instant
from tocsin.pipeline.escalation import Escalations, Followed
from tocsin.pipeline.muter import Muter
from tocsin.pipeline.options import Options

_LOOK_EVERY = 1.0  # seconds between two looks at what is shut to many alerts
_FEW = 100  # of them, that are looked at whenever something is shut or opened


class FollowedGates:
    """Holds and frees the times of `escalations` by what the muter knows, and by the quiet hours of who was told."""

    def __init__(
        self,
        escalations: Escalations,
        muter: Muter,
        engine: Engine,
        silences: Silences,
        options: Callable[[], Options],
    ) -> None:
        self._escalations, self._muter, self._engine = escalations, muter, engine
        self._silences, self._options = silences, options
        self._changes, self._looked_at = -1, 0.0  # what the muter knew then, and when (steady) that was
        self.look_at: datetime | None = None
        """When (wall-clock) to look again, if nothing changes before."""

    def look(self, now: Instant) -> None:
        """Where something may be shut or open by now. Of many that are followed at most once a second."""
        passed = self.look_at is not None and now.wall >= self.look_at
        if not passed and self._changes == self._muter.changes:
            return
        waited = now.steady - self._looked_at >= _LOOK_EVERY
        if self._changes < 0 or waited or len(self._escalations) < _FEW:
            self._changes, self._looked_at = self._muter.changes, now.steady
            self.look_at = self._look_at_all(now)
        else:
            self.look_at = now.wall + timedelta(seconds=_LOOK_EVERY)

    def _look_at_all(self, now: Instant) -> datetime | None:
        times: list[datetime | None] = []
        for alert, followed in self._escalations:
            rule = self._engine.rule(followed.rule)
            quiet = self._quiet(followed, now)
            gated = rule is not None and (rule.inhibited_by or rule.notify_during or self._silences)
            if followed.context is not None and (gated or quiet or followed.held):
                reasons = self._muter.reasons(followed.rule, followed.context, now)
                is_quiet = bool(quiet) and all(opening.open for opening in quiet)
                held = is_quiet or reasons.first("firing")[0] != "told"
                self._escalations.hold(alert, now.wall, held=held)
                times += [
                    reasons.until,
                    self._muter.turns_at(followed.rule, now),
                    *(each.until for each in quiet),
                ]
        return min((at for at in times if at is not None), default=None)

    def _quiet(self, followed: Followed, now: Instant) -> list[Opening]:
        """The quiet hours of the channels that were told of it; none where one has none, or it is heard in them."""
        if followed.context is None or followed.context.severity == "critical":
            return []
        channels = self._options().routing.channels
        calendars = [route.quiet for name in followed.announced if (route := channels.get(name)) is not None]
        found = [self._muter.opening(each, now) for each in calendars if each is not None]
        return found if len(found) == len(calendars) else []
