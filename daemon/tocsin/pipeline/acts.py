"""What people do to alerts and silences: one function each, behind the commands, the chats and the page.

    batch, answer = acts.acknowledge(alert, By("anna", "cli"), now)        run by `Pipeline.ask`: in order, committed when it returns

Whether there is anything to do is judged by what is so when it is its turn: somebody else may have done it meanwhile. Each batch holds
what changes and the row that says who did it; nothing that has no effect makes one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from msgspec import Struct, structs

from tocsin.alerts.silences import Silences
from tocsin.events import Instant, Key, from_iso
from tocsin.pipeline.questions import Wish
from tocsin.pipeline.stops import EVERY
from tocsin.pipeline.turn_processor import TurnProcessor
from tocsin.store.model import Acked, Act, Batch, Silence

FIRING = ("firing", "recovering")
"""The states of an alert of which an end is still to be told."""
Became: TypeAlias = Literal["done", "already", "over"]
"""What became of an acknowledgement: there is one that says the same `already`, or the alert is `over`."""
_DECIDES: Mapping[Wish, str] = {"yes": "confirm", "no": "decline"}


class By(Struct, frozen=True):
    """Who does something: the `name` of a person, `via` what (`cli`, `page`, a chat's service), and `why`, in their words."""

    name: str
    via: str
    why: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """The alert that is meant, as the store has it: `lasts` while there is an end to be told of it, `acked` where it is acknowledged,
    up to `acked_until` (None: for good).
    """

    id: str
    lasts: bool
    acked: bool = False
    acked_until: datetime | None = None

    @classmethod
    def of(cls, alert: Mapping[str, Any]) -> "Target":
        """`alert` is a row of the store, as `Reader.alerts` gives it."""
        until = alert["acked_until"]
        return cls(
            id=alert["id"],
            lasts=alert["state"] in FIRING,
            acked=alert["acked_at"] is not None,
            acked_until=from_iso(until) if until is not None else None,
        )


class Acts:
    def __init__(self, turn: TurnProcessor) -> None:
        self._turn = turn

    def account_names(self) -> Mapping[str, str]:
        """By their ids, as the config has them now."""
        return self._turn.options.style.names.accounts

    def silences(self) -> Silences:
        """Those that aren't over, as they stand."""
        names = dict(self.account_names())
        return Silences(self._turn.notifier.silences, lambda: names)

    def silences_of(self, id_: str) -> Silences:
        """The silence of that id, by itself; none where there is none that isn't over."""
        known = self._turn.notifier.silences
        return Silences((each for each in known if each.id == id_), self.account_names)

    def acknowledge(
        self, alert: Target, by: By, now: Instant, until: datetime | None = None
    ) -> tuple[Batch, Became]:
        """No more reminders and no escalation of that alert while it lasts, or up to `until` (UTC). One that is acknowledged up to the
        same time is left as it is.
        """
        alert = self._as_it_is(alert)
        if alert.acked and alert.acked_until == until:
            return Batch(at=now.wall), "already"
        batch, goes_on = self._turn.acknowledge(alert.id, now, by=by.name, until=until)
        if alert.lasts and not goes_on:
            return batch, "over"
        self._turn.put_acked(batch, Acked(alert=alert.id, at=now.wall, by=by.name, until=until))
        _sign(batch, "ack", alert.id, by)
        return batch, "done"

    def unacknowledge(self, alert: Target, by: By, now: Instant) -> tuple[Batch, bool]:
        """Reminders and escalation go on. False: it isn't acknowledged."""
        if not self._as_it_is(alert).acked:
            return Batch(at=now.wall), False
        batch, _ = self._turn.unacknowledge(alert.id, now)
        self._turn.put_acked(batch, Acked(alert=alert.id, at=None))
        _sign(batch, "unack", alert.id, by)
        return batch, True

    def _as_it_is(self, alert: Target) -> Target:
        """The database was read before it was this one's turn, and may be behind."""
        last = self._turn.acknowledged.of(alert.id)
        if last is None:
            return alert
        return structs.replace(alert, acked=last.at is not None, acked_until=last.until)

    def acknowledged(self) -> Mapping[str, Acked]:
        """What became of late of acknowledgements, by alert: the database may be behind. Another thread may look at it."""
        return self._turn.acknowledged.all()

    def silence(self, matchers: str, ends_at: datetime, by: By, now: Instant) -> tuple[Batch, Silence]:
        """What matches is held from now on, up to then (UTC). ValueError, fit to be shown, on what are no matchers."""
        batch, begun = self._turn.silence(matchers, ends_at, now, reason=by.why, by=by.name)
        _sign(batch, "silence", begun.id, by)
        return batch, begun

    def unsilence(self, id_: str, by: By, now: Instant) -> tuple[Batch, bool]:
        """A silence is taken back, and what only it held is told. False: there is none of that id that isn't over."""
        batch = self._turn.unsilence(id_, now)
        if batch is None:
            return Batch(at=now.wall), False
        _sign(batch, "unsilence", id_, by)
        return batch, True

    def pause(self, action: str, by: By, now: Instant) -> tuple[Batch, bool]:
        """No more runs of that action, or of all, until it is resumed. False: it is paused already."""
        return self._signed("pause", self._turn.pause_runs(action, by.name, now), action, by, now)

    def resume(self, action: str, by: By, now: Instant) -> tuple[Batch, bool]:
        """Runs again, also where failures had stopped it. False: nothing stood in the way."""
        return self._signed("resume", self._turn.runs.resume(action, now), action, by, now)

    def answer(self, run: str, wish: Wish, by: By, now: Instant) -> tuple[Batch, str]:
        """What somebody says to the question whether an action is to be run. Why that is in vain, in words; "" where it counts."""
        batch, reason = self._turn.run_answered(run, wish, by.name, now)
        if not reason and wish in _DECIDES:
            _sign(batch, _DECIDES[wish], run, by)
        return batch, reason

    def asked_on(self, run: str) -> str | None:
        """The channel on which it is asked whether an action is to be run; None where nobody is asked (any more)."""
        return self._turn.runs.questions.asked_on(run)

    def stopped(self, actions: Iterable[str]) -> list[str]:
        """Those of them that failures in a row have stopped."""
        return [name for name in actions if self._turn.runs.stops.circuit(name).since is not None]

    def paused(self) -> str:
        """By whom and since when all are, in words; "" where they aren't."""
        return self._turn.runs.stops.paused(EVERY)

    @staticmethod
    def _signed(does: str, batch: Batch | None, action: str, by: By, now: Instant) -> tuple[Batch, bool]:
        if batch is None:
            return Batch(at=now.wall), False
        _sign(batch, does, action, by)
        return batch, True

    def forget(self, keys: Sequence[Key], by: By, now: Instant) -> Batch:
        """These entities are no longer known: their alerts end."""
        batch = self._turn.forget(keys, now)
        for key in keys:
            _sign(batch, "forget", " ".join(filter(None, key)), by)
        return batch


def _sign(batch: Batch, does: str, target: str, by: By) -> None:
    batch.acts.append(Act(at=batch.at, by=by.name, via=by.via, does=does, target=target, why=by.why))
