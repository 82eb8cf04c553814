"""Digests as deliveries: which alerts go as one, what the delivery keeps of them, and the message that it becomes. Pure."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import msgspec
from msgspec import Struct

from tocsin.alerts import digest
from tocsin.alerts.channel_gates import ChannelGates
from tocsin.alerts.digest import DigestContext, Held, Part, Room
from tocsin.alerts.message import LATE, edit_lines
from tocsin.alerts.wording import Style, counted, span_text
from tocsin.delivery.coalesce import Age, is_ack
from tocsin.delivery.edits import edit_of
from tocsin.delivery.model import Message
from tocsin.store.model import EDIT, Delivery, Gathered, NewDelivery

_Alerts: TypeAlias = dict[str, list[Delivery]]
"""What waits of each alert, in order."""


class Plan(Struct, frozen=True):
    """What to do with what was held: send as one (`gathered`), or by itself (`alone`, an alert); `dropped` isn't told, and why.

    `whole`: nothing is left that had no room.
    """

    gathered: Gathered | None = None
    alone: str | None = None
    dropped: tuple[tuple[Delivery, str], ...] = ()
    whole: bool = True


class Digests(Struct, frozen=True, kw_only=True):
    """Makes the digests of one URL of a channel, whose messages `fallback` gets too where it fails. `room`: what the lines of one may take."""

    channel: str
    target: int
    gates: ChannelGates
    style: Style
    expire: timedelta
    room: Room
    age: Age
    fallback: str | None = None

    def plan(self, rows: Sequence[Delivery], held: Held, now: datetime) -> Plan:
        """`rows`: of each alert what waits, in order."""
        told: list[Delivery] = []
        dropped: list[Delivery] = []
        for row in rows:
            reminds = row.state_told == "reminder" and not is_ack(row)
            out = reminds and self._drops_reminders(held, row.created_at)
            (dropped if out else told).append(row)
        of = _by_alert(told)
        whys = tuple((each, f"dropped: {_WHY[held]}") for each in dropped)
        if not of:
            return Plan(dropped=whys)
        if len(of) == 1 and held != "storm":
            return Plan(alone=next(iter(of)), dropped=whys)
        fitting, whole = self._fitting(of)
        gathered = self._gathered(fitting, self._composed(fitting, held, now), held, now)
        return Plan(gathered=gathered, dropped=whys, whole=whole)

    def storm_over(
        self, rows: Sequence[Delivery], alerts: int, rules: int, lasted: timedelta, now: datetime
    ) -> Gathered:
        """What is told at a storm's end, with what of it still waits."""
        of, _ = self._fitting(_by_alert(rows))
        words = f"storm over: {counted(alerts, 'alert')} of {counted(rules, 'rule')} in {span_text(lasted)}"
        context = DigestContext(at=now, severity="info", over=False, words=words)
        if of:
            found = self._composed(of, "storm", now)
            other = found.elsewhere and msgspec.structs.replace(found.elsewhere, words=words)
            context = msgspec.structs.replace(found, words=words, elsewhere=other)
        return self._gathered(of, context, "storm", now)

    def _drops_reminders(self, held: Held, at: datetime) -> bool:
        return held == "storm" or (held == "quiet" and self.gates.is_quiet(at))

    def _fitting(self, of: _Alerts) -> tuple[_Alerts, bool]:
        """Those that the digest can carry: all but critical ones for whose lines there is no room, since each is named."""
        rules = {str(rows[-1].context.get("rule")) for rows in of.values()}
        left, whole = digest.lines_room(len(rules), self.room), True
        kept: _Alerts = {}
        for alert, rows in of.items():
            if rows[-1].severity == "critical":
                left -= digest.line_length(self._part(alert, rows), self.style, self.room)
                if left < 0 and kept:
                    whole = False
                    continue
            kept[alert] = rows
        return kept, whole

    def _composed(self, of: _Alerts, held: Held, now: datetime) -> DigestContext:
        oldest = max(self.age(rows[0].created_at) for rows in of.values())
        span = self.gates.digest if held == "digest" else oldest
        parts = [self._part(alert, rows) for alert, rows in of.items()]
        make = partial(digest.compose, held=held, span=span, at=now, style=self.style, room=self.room)
        unknown = [self._part(part.alert, _unhanded(of[part.alert])) for part in parts if not part.known]
        if not unknown and self.fallback is not None:
            return msgspec.structs.replace(make(parts), channels=(self.fallback,))
        partly = len(unknown) < len(parts) or any(row.handed_to for rows in of.values() for row in rows)
        return msgspec.structs.replace(make(parts), elsewhere=make(unknown) if partly else None)

    def _part(self, alert: str, rows: Sequence[Delivery]) -> Part:
        """`known` goes by what is told of it last: whoever has that needs nothing of what was before."""
        last = rows[-1]
        known = last.handed_to is not None or self.fallback in last.context.get("channels", ())
        return Part(alert, tuple((row.severity, row.state_told, row.context) for row in rows), known)

    def _gathered(self, of: _Alerts, context: DigestContext, held: Held, now: datetime) -> Gathered:
        id_ = f"digest-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"
        delivery = NewDelivery(
            id=id_,
            alert=id_,
            state_told="digest",
            channel=self.channel,
            target=self.target,
            severity=context.severity,
            created_at=now,
            expires_at=now + self.expire,
            context=msgspec.to_builtins(context),
        )
        parts = tuple((row.id, alert) for alert, rows in of.items() for row in rows)
        return Gathered(digest=delivery, parts=parts, reason=held)


def message(delivery: Delivery, style: Style, age: Age, room: Room) -> Message:
    """A digest as it is sent now to where there is so much `room`. ValueError where its context can't be read."""
    context = digest.fitted(msgspec.convert(delivery.context, DigestContext), room)
    late = age(context.at)
    late = late if late > LATE and delivery.state_told != EDIT else timedelta(0)
    notes = [*(edit_lines(edit_of(delivery), style) if delivery.state_told == EDIT else ()), *delivery.notes]
    return Message(
        title=digest.title(context, style, late),
        body=digest.body(context, notes),
        severity=context.severity,
        delivery_id=delivery.id,
        alert=delivery.alert,
        resolved=context.over,
    )


_WHY: Mapping[Held, str] = {
    "quiet": "the channel was quiet",
    "storm": "a storm on the channel",
    "digest": "",
    "pace": "",
}


def _unhanded(rows: Sequence[Delivery]) -> list[Delivery]:
    return [row for row in rows if row.handed_to is None]


def _by_alert(rows: Sequence[Delivery]) -> _Alerts:
    of: _Alerts = {}
    for row in rows:
        of.setdefault(row.alert, []).append(row)
    return of
