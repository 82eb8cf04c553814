"""One turn: observations through entities, engine and the decision who is told, into one batch. Pure but for its state."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Literal

import msgspec

from tocsin.alerts.decide import Routing, decide
from tocsin.alerts.message import Names, default_body, default_title
from tocsin.engine.engine import Engine
from tocsin.engine.model import Context, Saved, Transition
from tocsin.entities import Entities
from tocsin.events import KINDS, Change, Instant, Key
from tocsin.feed.model import Received
from tocsin.store.model import AlertRow, Batch, InstanceRow, NewDelivery


class Targets(msgspec.Struct, frozen=True):
    """A channel as the pipeline needs it: how many URLs it has, and when its messages expire."""

    count: int
    expire: timedelta


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What of the config the pipeline needs; replaced whole by a reload."""

    routing: Routing
    targets: dict[str, Targets]
    names: Names
    market_data: Literal["none", "changes", "all"] = "none"


class Turn:
    """Turns what came in into what is to be committed. Remembers which channels heard of each firing alert."""

    def __init__(
        self, entities: Entities, engine: Engine, options: Options, new_id: Callable[[], str]
    ) -> None:
        self._entities = entities
        self._engine = engine
        self._new_id = new_id
        self._announced: dict[str, tuple[str, ...]] = {}
        self.options = options

    def restore(
        self, instances: Iterable[InstanceRow], alive: Instant | None, now: Instant
    ) -> tuple[Batch, list[str]]:
        """Go on where the last run stopped; what is told of it at once (rules edited meanwhile) is in the batch.

        Beside it: the instances that couldn't be read, and why.
        """
        saved = []
        for row in instances:
            if row.record is None:
                continue
            saved.append(Saved(rule=row.rule, instance=row.instance, record=row.record))
            if row.record.get("told"):
                self._announced[row.record.get("alert_id", row.instance)] = tuple(row.record["told"])
        batch = Batch(at=now.wall)
        transitions, unreadable = self._engine.restore(saved, alive, now)
        self._add(batch, transitions, now)
        return batch, unreadable

    def messages(self, received: Iterable[Received], now: Instant, earliest: float | None = None) -> Batch:
        """All that these messages, and the timers due before each, bring about.

        `earliest` (steady) is when the oldest message came that still waits: no timer runs past it, since that message
        may be what stops it.
        """
        batch = Batch(at=now.wall)
        touched: dict[Key, None] = {}
        # Fairness has mixed the venues; time goes on in order.
        for message in sorted(received, key=lambda message: message.at.steady):
            self._advance(batch, message.at, earliest)
            for observed in message.observed:
                for change in self._entities.apply(message.venue, observed, message.at, message.raw):
                    touched[change.key] = None
                    transitions = self._engine.process(change, message.at)
                    self._add(batch, transitions, message.at)
                    if self._is_kept(change, transitions):
                        batch.events.append(change)
        self._advance(batch, now, earliest)
        # What is only told (a public expiry, an event of ourselves, a trade that came late) is no entity's state.
        batch.entities = [now_so for key in touched if (now_so := self._entities.get(key)) is not None]
        return batch

    def _advance(self, batch: Batch, now: Instant, earliest: float | None) -> None:
        if earliest is not None and earliest < now.steady:
            now = now.later(earliest - now.steady)
        self._add(batch, self._engine.advance(now), now)

    def deadline(self) -> float | None:
        """The steady time at which a timer is due, if one runs."""
        return self._engine.deadline()

    def transitions(self, found: list[Transition], now: Instant) -> Batch:
        """What the engine brought about by itself (a reload, an acknowledgement)."""
        batch = Batch(at=now.wall)
        self._add(batch, found, now)
        return batch

    def _is_kept(self, change: Change, transitions: list[Transition]) -> bool:
        """Market data is kept as the config says; in any case what made a rule fire."""
        if not change.events:
            return False
        if not KINDS[change.kind].market_data or self.options.market_data == "all":
            return True
        if any(transition.tell and transition.entity == change.key for transition in transitions):
            return True
        return self.options.market_data == "changes" and change.state != change.previous

    def _add(self, batch: Batch, transitions: list[Transition], now: Instant) -> None:
        for transition in transitions:
            if transition.tell is not None and transition.context is not None:
                self._tell(batch, transition, transition.context, now)
            record = transition.record
            if record is None or transition.tell == "resolved":
                self._announced.pop(transition.alert_id, None)
            if record is not None and (told := self._announced.get(transition.alert_id)):
                record = {**record, "told": list(told)}
            batch.instances.append(
                InstanceRow(rule=transition.rule, instance=transition.instance, record=record)
            )

    def _tell(self, batch: Batch, transition: Transition, context: Context, now: Instant) -> None:
        alert = transition.alert_id
        decision = decide(
            context.state,
            severity=context.severity,
            notify=transition.notify,
            announced=self._announced.get(alert),
            routing=self.options.routing,
            avoid=_avoided(context),
        )
        if context.state == "firing" and _goes_on(transition):
            self._announced[alert] = decision.channels
        if context.state != "reminder":
            batch.alerts.append(self._alert_row(transition, context))
        frozen = msgspec.to_builtins(context)
        for channel in decision.channels:
            targets = self.options.targets[channel]
            for target in range(targets.count):
                batch.deliveries.append(
                    NewDelivery(
                        id=self._new_id(),
                        alert=alert,
                        state_told=context.state,
                        channel=channel,
                        target=target,
                        severity=context.severity,
                        created_at=now.wall,
                        expires_at=now.wall + targets.expire,
                        context=frozen,
                    )
                )

    def _alert_row(self, transition: Transition, context: Context) -> AlertRow:
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
            title=default_title(context, self.options.names),
            body=default_body(context, self.options.names),
            data=msgspec.to_builtins(context),
        )


def _goes_on(transition: Transition) -> bool:
    """Whether more is to be told of this alert: a resolution, or reminders."""
    record = transition.record
    return record is not None and (transition.state != "inactive" or bool(record.get("reminding")))


def _avoided(context: Context) -> frozenset[str]:
    """A failing channel is not told of its own failure."""
    subject = context.fields.get("subject")
    failing = context.event == "daemon.delivery_failed" and isinstance(subject, str)
    return frozenset({subject}) if failing and isinstance(subject, str) else frozenset()
