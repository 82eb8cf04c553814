"""What the store is handed of an alert: its row, and a delivery for each target of the channels that are told of it.

Remembers which channel heard of what began, so that its end goes after it there. Pure but for that.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from tocsin.alerts.message import body, title
from tocsin.alerts.wording import Style
from tocsin.engine.api import AlertContext, Transition
from tocsin.events import Instant
from tocsin.events.vocabulary import BEGINNINGS, ended_by
from tocsin.pipeline.options import Targets
from tocsin.store.model import AFTER_A_LOSS, BEAT, QUESTION, AlertRow, Batch, NewDelivery

_FIRST_PICTURE = timedelta(minutes=1)  # what holds so soon after the start held before

_BEGUN = "begun "  # the beginning of a note's key; a _Beginning as JSON follows
_Beginning: TypeAlias = tuple[str, str, str, str]
"""The event that says that something bad began, its venue and entity, and the channel that was told."""


class Deliveries:
    """What is handed to the outbox. `targets` gives those of each channel as the config is now, `new_id` a delivery's id."""

    def __init__(self, targets: Callable[[], Mapping[str, Targets]], new_id: Callable[[], str]) -> None:
        self._targets = targets
        self._new_id = new_id
        # To the alert by which a channel heard of it; kept in the store's notes.
        self._begun: dict[_Beginning, str] = {}
        self.lost_at: datetime | None = None
        """When (UTC) we began with only a part of what had been told."""

    def restore(self, notes: Mapping[str, str]) -> None:
        """Go on where the last run stopped. A note of another version's is left out: the end is then told by itself."""
        for key, alert in notes.items():
            if key.startswith(_BEGUN):
                with suppress(ValueError):
                    self._begun[msgspec.json.decode(key.removeprefix(_BEGUN), type=_Beginning)] = alert

    def add(
        self,
        batch: Batch,
        alert: str,
        context: AlertContext,
        channels: Sequence[str],
        now: Instant,
        *,
        notes: Sequence[str] = (),
        told: str = "",
    ) -> None:
        """These channels are told of the alert as it is in this context, which is frozen, with these remarks. `told`: that something
        else than its state is told.
        """
        # A channel's fallback that is told anyway needs no second copy.
        frozen = {**msgspec.to_builtins(context), "alert": alert, "channels": [*channels]}
        if self._is_told_anew(context):
            notes = [AFTER_A_LOSS, *notes]
        if notes:
            frozen["notes"] = [*notes]
        for channel in channels:
            begun = self._begun_by(batch, channel, alert, context) if not told else None
            targets = self._targets()[channel]
            for target in range(targets.count):
                state = told or ("resolved" if begun else context.state)
                self._add(batch, begun or alert, state, (channel, target), now, frozen, targets.expire)

    def ask(
        self,
        batch: Batch,
        run: str,
        context: AlertContext,
        channel: str,
        now: Instant,
        *,
        note: str,
        within: timedelta,
    ) -> None:
        """Whoever can press something on that channel is asked about a run, if it is taken `within` that time."""
        frozen = {**msgspec.to_builtins(context), "alert": run, "channels": [channel], "notes": [note]}
        targets = self._targets().get(channel)
        for target in targets.pressable if targets is not None else ():
            self._add(batch, run, QUESTION, (channel, target), now, frozen, within)

    def _add(  # noqa: PLR0917 - the row's
        self,
        batch: Batch,
        alert: str,
        told: str,
        to: tuple[str, int],
        now: Instant,
        frozen: Mapping[str, Any],
        lasts: timedelta,
    ) -> None:
        channel, target = to
        batch.deliveries.append(
            NewDelivery(
                id=self._new_id(),
                alert=alert,
                state_told=told,
                channel=channel,
                target=target,
                severity=str(frozen["severity"]),
                created_at=now.wall,
                expires_at=now.wall + lasts,
                context=frozen,
            )
        )

    def _begun_by(self, batch: Batch, channel: str, alert: str, context: AlertContext) -> str | None:
        """The alert that this event is the end of on that channel: there it is delivered as such, after it or with it."""
        if context.event is None:
            return None
        if (ended := ended_by(context.event)) is not None:
            beginning = (ended, context.venue, context.entity, channel)
            if (begun := self._begun.pop(beginning, None)) is not None:
                batch.notes[_note_key(beginning)] = None
            return begun
        if context.event in BEGINNINGS:
            beginning = (context.event, context.venue, context.entity, channel)
            self._begun[beginning] = alert
            batch.notes[_note_key(beginning)] = alert
        return None

    def _is_told_anew(self, context: AlertContext) -> bool:
        at = self.lost_at
        return at is not None and context.state == "firing" and context.started_at <= at + _FIRST_PICTURE


def beat_delivery(id_: str, now: datetime) -> NewDelivery:
    """What passes the outbox with a `Beat`, to be sent to nobody."""
    return NewDelivery(
        id=id_,
        alert=id_,
        state_told="beat",
        channel=BEAT,
        target=0,
        severity="info",
        created_at=now,
        expires_at=now,
        context={},
    )


def alert_row(transition: Transition, context: AlertContext, style: Style) -> AlertRow:
    """The alert as the history has it, worded as it is when it happens."""
    lasting = transition.state != "inactive"
    return AlertRow(
        id=transition.alert_id,
        rule=transition.rule,
        instance=transition.instance,
        venue=context.venue,
        account=context.account,
        entity=context.entity,
        symbol=context.symbol,
        state="resolved" if context.state == "resolved" else "firing" if lasting else "event",
        severity=context.severity,
        started_at=context.started_at,
        fired_at=context.fired_at or context.at,
        resolved_at=context.at if context.state == "resolved" else None,
        title=title(context, style, context.at),
        body=body(context, style, context.at),
        data=msgspec.to_builtins(context),
    )


def _note_key(beginning: _Beginning) -> str:
    return _BEGUN + msgspec.json.encode(beginning).decode()
