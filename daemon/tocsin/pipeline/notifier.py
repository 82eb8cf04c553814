"""From what the engine did to who is told of it: at once, when nothing stands in the way any more, or never.

Remembers which channels heard of each firing alert, and what is held back. Pure but for that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from tocsin.alerts import muted
from tocsin.alerts.decide import Decision, MuteReasons, decide
from tocsin.alerts.muted import MutedNotification, NotificationGroup
from tocsin.alerts.silences import Silences
from tocsin.engine.api import AlertContext, Transition
from tocsin.engine.engine import Engine
from tocsin.engine.instances import kind_of
from tocsin.events import Instant
from tocsin.meters import PipelineMeters
from tocsin.pipeline.deliveries import Deliveries, alert_row
from tocsin.pipeline.escalation import Due, Escalations
from tocsin.pipeline.followed_gates import FollowedGates
from tocsin.pipeline.muted_notifications import MutedNotifications
from tocsin.pipeline.muter import Muter
from tocsin.pipeline.options import Options
from tocsin.pipeline.run_notices import RunNotices
from tocsin.store.model import Batch, HeldRow, InstanceRow, UnreadableRow

_HELD_BY = {"inhibited_by": "inhibited", "notify_during": "hours"}  # what the metrics call gates


class Notifier:
    """Decides of each transition who is told. `options` gives those of the config as it is now, `new_id` the ids of deliveries."""

    def __init__(
        self,
        engine: Engine,
        options: Callable[[], Options],
        new_id: Callable[[], str],
        meters: PipelineMeters | None = None,
    ) -> None:
        self._options = options
        self._meters = meters or PipelineMeters()
        self.deliveries = Deliveries(lambda: options().targets, new_id)
        self.silences = Silences(names=lambda: options().style.names.accounts)
        """Who changes them calls `look_anew`, and `release` with the batch that keeps the change."""
        self._engine = engine
        self._muter = Muter(engine.rule, self.silences)
        self.escalations = Escalations(engine.rule)
        self.of_runs = RunNotices(engine.rule, self._muter, self.deliveries, options)
        self._gates = FollowedGates(self.escalations, self._muter, engine, self.silences, options)
        self._announced: dict[str, tuple[str, ...]] = {}
        self._held = MutedNotifications()
        # What makes the record of an instance that moved, by rule and instance.
        self._unwritten: dict[tuple[str, str], Callable[[], Mapping[str, Any]]] = {}
        self._seen: Instant | None = None

    def restore(
        self,
        instances: Iterable[InstanceRow],
        held: Iterable[HeldRow],
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> list[UnreadableRow]:
        """What the last run told and held back; what of that can't be read, and why."""
        self.deliveries.restore(notes)
        instances = list(instances)
        for row in instances:
            if row.record and row.record.get("told"):
                self._announced[row.record.get("alert_id", row.instance)] = tuple(row.record["told"])
        self.escalations.restore(notes)
        lasting = {row.record.get("alert_id", row.instance) for row in instances if row.record}
        for alert, followed in self.escalations:
            if not followed.ends_by_itself and alert not in lasting:
                self.escalations.ended(alert)  # its instance was lost, and nobody would say when it is over
            elif alert in self._announced:
                self._announced[alert] = tuple(dict.fromkeys((*self._announced[alert], *followed.escalated)))
        return self._held.restore(held, self._options().style)

    def tell(self, batch: Batch, transitions: Iterable[Transition], now: Instant) -> None:
        """Everything that these transitions tell, and the instances as they are kept; what only gets its record when the batch
        is whole, `write` adds.
        """
        found = list(transitions)
        for transition in found:
            self._muter.note(transition)
        for transition in found:
            record, of = transition.record, (transition.rule, transition.instance)
            if callable(record):
                self._unwritten[of] = record
                continue
            self._unwritten.pop(of, None)
            alert = transition.alert_id
            if transition.notification is not None and transition.context is not None:
                self._tell(batch, transition, transition.context, now)
            if transition.state == "inactive":
                self._held.ended_untold(batch, transition)
            if self._ends_escalation(transition):
                self.escalations.ended(alert)
            if record is None or transition.notification == "resolved":
                self._announced.pop(alert, None)
            if record is not None and (told := self._announced.get(alert)):
                record = {**record, "told": list(told)}
            row = InstanceRow(rule=transition.rule, instance=transition.instance, record=record)
            self._held.stored(alert, row)
            batch.instances.append(row)

    def write(self, batch: Batch) -> None:
        """The batch is whole: the instances that moved, however often, as they now are."""
        batch.instances += (
            InstanceRow(rule=rule, instance=instance, record=record())
            for (rule, instance), record in self._unwritten.items()
        )
        self._unwritten.clear()
        batch.notes |= self.escalations.notes()

    def release(self, batch: Batch, now: Instant) -> None:
        """Tell what nothing stands in the way of any more, and whom nobody's reaction is due to. Cheap where nothing can have
        changed.
        """
        before, self._seen = self._seen, now
        if self.escalations:
            self._escalate(batch, now)
        look_at = self._held.look_at
        passed = (look_at is not None and now.wall >= look_at) or (
            before is not None and now.wall < before.wall
        )
        if not self._held or not (passed or self._muter.turned):
            return
        self._muter.turned = False
        self._held.look_at = None
        free = []
        for waiting in self._held:
            reasons = self._muter.reasons(waiting.rule, waiting.context, now)
            if self._decide(waiting.context, waiting.notify, waiting.announced, reasons).outcome == "held":
                self._held.look_again(reasons)
            else:
                free.append(self._as_it_is(waiting, now))
        silenced = [each for each in free if each.by == "silence"]
        if len(silenced) > 1:
            self._tell_silence_over(batch, silenced, now)
            free = [each for each in free if each.by != "silence"]
        for group in muted.group_released(free, self._options().style):
            self._hand_out(batch, group, now)

    def mute_reasons(self, rule: str, context: AlertContext, now: Instant) -> MuteReasons:
        """What would mute a notification of that rule now."""
        return self._muter.reasons(rule, context, now)

    @property
    def held(self) -> int:
        """How many notifications wait until nothing mutes them."""
        return len(self._held)

    def muted(self, rule: str) -> list[MutedNotification]:
        """Those of that rule that wait until nothing mutes them."""
        return [each for each in self._held if each.rule == rule]

    def look_anew(self) -> None:
        """The rules, what they name, or the silences were changed: what is held may be free."""
        self._muter.turned = True
        self._muter.changes += 1
        self.escalations.look_anew()

    def deadline(self) -> float | None:
        """The steady time at which something that is held may become free by itself, as the clocks stand."""
        if self._seen is None:
            return None
        times = [self._held.look_at] if self._held else []
        if self.escalations:
            times += [self.escalations.deadline(self._seen.wall), self._gates.look_at]
        at = min((each for each in times if each is not None), default=None)
        return self._seen.steady + (at - self._seen.wall).total_seconds() if at is not None else None

    def acknowledged(self, batch: Batch, alert: str, by: str, until: datetime | None, now: Instant) -> None:
        """Somebody has an alert, up to `until` (UTC; None: for good): who was told of it by an escalation hears of that."""
        self._seen = self._seen or now
        self._held.acknowledged(batch, alert, by, until)
        followed = self.escalations.get(alert)
        channels = self.escalations.acknowledged(alert, by, now.wall, until)
        if channels and followed is not None and followed.context is not None:
            context = self._engine.reminder(alert, now) or followed.context
            told = msgspec.structs.replace(context, state="reminder", at=now.wall, acked_by=by)
            self._deliver(
                batch, alert, told, [each for each in channels if each in self._options().targets], now
            )

    def unacknowledged(self, batch: Batch, alert: str, now: Instant) -> None:
        """It was taken back: nobody has it any more."""
        self._held.unacknowledged(batch, alert)
        self.escalations.unacknowledged(alert, now.wall, over=False)

    # ------------------------------------------------------------------------------------------------------------ parts

    def _tell(self, batch: Batch, transition: Transition, context: AlertContext, now: Instant) -> None:
        alert = transition.alert_id
        if context.state == "firing":
            self._meters.fired[transition.rule, context.severity] += 1
        self._meters.held["cooldown"] += context.suppressed
        if context.state != "reminder":
            batch.alerts.append(alert_row(transition, context, self._options().style))
        if context.state == "resolved" and alert in self._held:
            # It began and ended while it waited: nobody heard of it, nobody is told.
            self._held.drop(batch, alert)
            return
        self._seen = self._seen or now
        announced = self._announced.get(alert)
        reasons = self._muter.reasons(transition.rule, context, now)
        decision = self._decide(context, transition.notify, announced, reasons)
        for by in filter(None, (decision.by, *decision.held_by)):
            self._meters.held[_HELD_BY.get(by, by)] += 1
        if decision.by == "silence":
            batch.silences.append(self.silences.count(reasons.silence_id))
        if decision.outcome == "held":
            waiting = MutedNotification(
                alert=alert,
                rule=transition.rule,
                context=context,
                lasting=transition.state != "inactive" or context.state == "resolved",
                goes_on=_goes_on(transition),
                by=decision.by,
                reason=decision.reason,
                notify=transition.notify,
                announced=announced,
            )
            self._held.hold(batch, waiting)
            self._held.look_again(reasons)
        elif decision.outcome == "told":
            if context.state == "firing" and _goes_on(transition):
                self._announced[alert] = decision.channels
            if context.state == "firing":
                self._follow(alert, context, decision.channels, now)
            self._deliver(batch, alert, context, decision.channels, now)

    def _decide(
        self,
        context: AlertContext,
        notify: tuple[str, ...] | None,
        announced: tuple[str, ...] | None,
        reasons: MuteReasons,
    ) -> Decision:
        return decide(
            "event" if context.event is not None and context.state == "firing" else context.state,
            severity=context.severity,
            notify=notify,
            announced=announced,
            routing=self._options().routing,
            avoid=_avoided(context),
            reasons=reasons,
        )

    def _ends_escalation(self, transition: Transition) -> bool:
        """Whether nobody is to react any more. After an event's last reminder its acknowledgement holds up to its end all the
        same, and so does its escalation.
        """
        followed = self.escalations.get(transition.alert_id)
        if followed is None or transition.notification == "resolved" or transition.record is not None:
            return transition.notification == "resolved"
        if transition.instance == transition.alert_id:  # the instance is the reminder
            return not followed.acked_by and (transition.notification is None or followed.context is None)
        return transition.notification is None

    def _as_it_is(self, waiting: MutedNotification, now: Instant) -> MutedNotification:
        """What still fires is told as it is by now, not as it was when it was held back."""
        if not waiting.lasting or waiting.context.state != "firing":
            return waiting
        current = self._engine.reminder(waiting.alert, now)
        if current is None:
            return waiting
        context = msgspec.structs.replace(current, state="firing", held_by=waiting.reason)
        return msgspec.structs.replace(waiting, context=context)

    def _hand_out(self, batch: Batch, group: NotificationGroup, now: Instant) -> None:
        carrier = group.carrier
        decision = self._decide(group.context, carrier.notify, carrier.announced, MuteReasons())
        for waiting in group.all:
            self._free(batch, waiting, decision.channels, now)
        self._deliver(batch, carrier.alert, group.context, decision.channels, now)

    def _tell_silence_over(self, batch: Batch, silenced: Sequence[MutedNotification], now: Instant) -> None:
        """One notification a channel for what a silence held and still is to be told."""
        told: dict[str, list[MutedNotification]] = {}
        for waiting in silenced:
            channels = self._decide(
                waiting.context, waiting.notify, waiting.announced, MuteReasons()
            ).channels
            self._free(batch, waiting, channels, now)
            for name in channels:
                told.setdefault(name, []).append(waiting)
        alike: dict[tuple[str, ...], list[str]] = {}
        for name, those in told.items():
            alike.setdefault(tuple(each.alert for each in those), []).append(name)
        for names in alike.values():
            those = told[names[0]]
            context = those[0].context
            if len(those) > 1:
                group = muted.after_silence(those, self._options().style)
                context, those = group.context, [group.carrier]
            self._deliver(batch, those[0].alert, context, names, now)

    def _free(
        self, batch: Batch, waiting: MutedNotification, channels: tuple[str, ...], now: Instant
    ) -> None:
        """It waits no more: these channels are told of it."""
        kept = self._held.drop(batch, waiting.alert)
        if waiting.context.state != "firing":
            return
        acked = kept is not None and kept.record is not None and kept.record.get("acked")
        if waiting.is_acked(now.wall):
            self._follow(waiting.alert, waiting.context, channels, now)
            self.escalations.acknowledged(waiting.alert, waiting.acked_by, now.wall, waiting.acked_until)
        elif not acked or waiting.alert in self.escalations:
            self._follow(waiting.alert, waiting.context, channels, now)
        if not waiting.goes_on:
            return
        self._announced[waiting.alert] = channels
        record = kept.record if kept is not None else None
        for transition in self._engine.told(waiting.alert, now):
            record = transition.record() if callable(transition.record) else transition.record
        if kept is not None and record is not None:
            row = InstanceRow(
                rule=kept.rule, instance=kept.instance, record={**record, "told": list(channels)}
            )
            batch.instances.append(row)

    def _follow(self, alert: str, context: AlertContext, channels: tuple[str, ...], now: Instant) -> None:
        """Its firing is told: if its rule escalates, its time counts, unless the way to people is shut to it."""
        self.escalations.told(alert, context, channels, now.wall)
        if alert in self.escalations:
            self._muter.changes += 1

    def _escalate(self, batch: Batch, now: Instant) -> None:
        """Tell the steps that are due."""
        self._gates.look(now)
        for due in self.escalations.due(now.wall):
            self._tell_step(batch, due, now)

    def _tell_step(self, batch: Batch, due: Due, now: Instant) -> None:
        """A firing for who hasn't heard of it, a reminder for who has, be it as another channel's fallback."""
        followed = self.escalations.get(due.alert)
        context = followed and (self._engine.reminder(due.alert, now) or followed.context)
        if not followed or not context:
            return
        context = msgspec.structs.replace(context, state="firing", at=due.at, unacknowledged=due.after)
        channels = self._decide(context, due.step.notify, None, MuteReasons()).channels
        new = tuple(name for name in channels if name not in followed.announced)
        known = [name for name in channels if name not in new or name in followed.handed]
        unknown = [name for name in channels if name not in known]
        self._deliver(batch, due.alert, context, unknown, now, told="escalation")
        again = msgspec.structs.replace(context, state="reminder")
        self._deliver(batch, due.alert, again, known, now, told="escalation")
        self.escalations.heard(due.alert, new)
        if due.alert in self._announced:
            self._announced[due.alert] = tuple(dict.fromkeys((*self._announced[due.alert], *new)))

    def _deliver(
        self,
        batch: Batch,
        alert: str,
        context: AlertContext,
        channels: Iterable[str],
        now: Instant,
        *,
        told: str = "",
    ) -> None:
        addressed = list(channels)
        for channel in addressed:
            self._meters.notifications[channel, told or context.state] += 1
        resumed = self.escalations.resumed(alert) if addressed else ""
        notes = [f"acknowledged by {resumed} for a time, which is over"] if resumed else []
        self.deliveries.add(batch, alert, context, addressed, now, notes=notes)


def _goes_on(transition: Transition) -> bool:
    """Whether more is to be told of this alert: a resolution, or reminders."""
    record = transition.record
    if record is None or callable(record):
        return False
    return transition.state != "inactive" or kind_of(record, transition.instance) == "reminder"


def _avoided(context: AlertContext) -> frozenset[str]:
    """A failing channel is not told of its own failure."""
    subject = context.fields.get("subject")
    failing = context.event == "daemon.delivery_failed" and isinstance(subject, str)
    return frozenset({subject}) if failing and isinstance(subject, str) else frozenset()
