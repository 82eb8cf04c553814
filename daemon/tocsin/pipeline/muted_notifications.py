"""Notifications that wait until nothing mutes them, here and in the store."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import structs

from tocsin.alerts import muted
from tocsin.alerts.decide import MuteReasons
from tocsin.alerts.message import body, title
from tocsin.alerts.muted import MutedNotification
from tocsin.alerts.wording import Style
from tocsin.engine.api import Transition
from tocsin.store.model import Batch, HeldRow, InstanceRow, UnreadableRow


class MutedNotifications:
    """All that waits, one for an alert, in the order in which it was held back. What changes is in the batch, too."""

    def __init__(self) -> None:
        self._alerts: dict[str, MutedNotification] = {}
        self._instances: dict[str, InstanceRow] = {}  # of their alerts, as they were last stored
        self.look_at: datetime | None = None
        """When (wall-clock) a way may open by itself."""

    def restore(self, rows: Iterable[HeldRow], style: Style) -> list[UnreadableRow]:
        """What the last run held back; what can't be read, or told one day, is left out and named."""
        unreadable: list[UnreadableRow] = []
        for row in rows:
            try:
                found = muted.from_record(row.data)
                title(found.context, style, found.context.at)
                body(found.context, style, found.context.at)
                self._alerts[found.alert] = found
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                why = f"of rule {row.rule}: {error!r}"
                unreadable.append(UnreadableRow(table="held", key=(row.alert,), why=why))
        return unreadable

    def __iter__(self) -> Iterator[MutedNotification]:
        """A snapshot."""
        return iter(list(self._alerts.values()))

    def __len__(self) -> int:
        return len(self._alerts)

    def __contains__(self, alert: str) -> bool:
        return alert in self._alerts

    def hold(self, batch: Batch, waiting: MutedNotification) -> None:
        self._alerts[waiting.alert] = waiting
        batch.held.append(
            HeldRow(
                alert=waiting.alert,
                rule=waiting.rule,
                reason=waiting.reason,
                data=muted.to_record(waiting),
            )
        )

    def drop(self, batch: Batch, alert: str) -> InstanceRow | None:
        """It waits no more. Its alert's instance as it was last stored, where that was while it waited."""
        self._alerts.pop(alert, None)
        batch.held.append(HeldRow(alert=alert))
        return self._instances.pop(alert, None)

    def stored(self, alert: str, instance: InstanceRow) -> None:
        """The alert's instance is stored as this."""
        if alert in self._alerts:
            self._instances[alert] = instance

    def look_again(self, reasons: MuteReasons) -> None:
        if reasons.until is not None:
            self.look_at = min(self.look_at or reasons.until, reasons.until)

    def acknowledged(self, batch: Batch, alert: str, by: str, until: datetime | None) -> None:
        if (waiting := self._alerts.get(alert)) is not None:
            self.hold(batch, structs.replace(waiting, acked_by=by, acked_until=until))

    def unacknowledged(self, batch: Batch, alert: str) -> None:
        if (waiting := self._alerts.get(alert)) is not None and waiting.acked_by:
            self.hold(batch, structs.replace(waiting, acked_by="", acked_until=None))

    def ended_untold(self, batch: Batch, transition: Transition) -> None:
        """It is over, and there is nothing to say of that: a firing that waits isn't so any more, an event still happened."""
        waiting = self._alerts.get(transition.alert_id)
        if waiting is None or waiting.context.state == "resolved":
            return
        if waiting.lasting:
            self.drop(batch, waiting.alert)
        elif waiting.goes_on and transition.record is None:
            self.hold(batch, structs.replace(waiting, goes_on=False))
