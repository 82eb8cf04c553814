"""Messages that try a channel out: a text, or an alert as one of a rule would look. Each says that it is a test."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Protocol

import msgspec
from msgspec import Struct, structs

from tocsin.alerts.wording import Style, Times, mark, mark_of
from tocsin.delivery.buttons import TEST, MakeButtons
from tocsin.delivery.model import Handle, Message, Outcome
from tocsin.delivery.render import render
from tocsin.delivery.templates import Render
from tocsin.engine.api import AlertContext, Severity
from tocsin.engine.rule import Rule
from tocsin.events.vocabulary import all_fields

TEXT = "A test message. If you can read this, alerts will reach you here."
_MADE_UP = "EXAMPLE"
_NUMBER = "1"
_EDITED = "(edited: what becomes of an alert can be said here)"


class Tried(Protocol):
    """What is sent by hand, beside all that waits. `tries_more`: that it can be edited, and have a button, is tried too."""

    tries_more: ClassVar[bool]

    async def message(self, style: Style, delivery_id: str, now: datetime, make: Render, /) -> Message:
        """As it is written to one URL; `make` renders."""
        ...


class Sample(Struct, frozen=True, kw_only=True):
    """What is sent: `text`, or where `like` is given an alert of that rule.

    `last`: the context of that rule's last firing as a delivery keeps it, None where it never fired: then one at `venue` is
    made up. `severity` replaces the rule's; a text's is info where none is given.
    """

    tries_more: ClassVar[bool] = True
    text: str = TEXT
    severity: Severity | None = None
    like: Rule | None = None
    last: Mapping[str, Any] | None = None
    venue: str = ""

    async def message(self, style: Style, delivery_id: str, now: datetime, make: Render) -> Message:
        """As it is written to one URL; `make` renders."""
        if self.like is None:
            severity = self.severity or "info"
            title = f"{mark_of(severity, style)} Tocsin: test"
            return Message(title=title, body=self.text, severity=severity, delivery_id=delivery_id)
        context, said = self._alert(self.like, Times(style.tz, now), now)
        if self.severity is not None:
            context = structs.replace(context, severity=self.severity)
        notes = (f"a test by tocsin notify: {said}",)
        made = await make(partial(render, context, style, delivery_id=delivery_id, notes=notes))
        lead = mark(context, style)
        return structs.replace(made, title=f"{lead} test: {made.title.removeprefix(lead).lstrip()}")

    def _alert(self, rule: Rule, times: Times, now: datetime) -> tuple[AlertContext, str]:
        """The alert, and what it is in truth."""
        if self.last is None:
            return made_up(rule, self.venue, now), f"made up, for {rule.id} has told of nothing yet"
        try:
            found = msgspec.convert(self.last, AlertContext)
        except ValueError:
            return made_up(rule, self.venue, now), "made up, for the rule's last alert can't be read"
        return found, f"this alert is of {times.text(found.at)}"


async def try_out(
    made: Message,
    send: Callable[[Message, Handle | None], Awaitable[Outcome]],
    buttons: MakeButtons | None = None,
    *,
    more: bool = True,
) -> dict[str, Any]:
    """Send it, edit it where the service can do that, and put a button below it where somebody may press it: `sent` and `answer`
    of each, the others' under `edit` and `buttons`; those only where `more`.

    `send` takes a message, and the handle of the one that it is to take the place of.
    """
    outcome = await send(made, None)
    report: dict[str, Any] = {"sent": outcome.sent, "answer": outcome.answer}
    if not outcome.sent or not outcome.handle or not more:
        return report
    made = structs.replace(made, body=f"{made.body}\n{_EDITED}")
    edited = await send(made, outcome.handle)
    report["edit"] = {"sent": edited.sent, "answer": edited.answer}
    if buttons is not None:
        below = await buttons(made.delivery_id, made.delivery_id, TEST)
        pressable = await send(structs.replace(made, buttons=below), outcome.handle)
        report["buttons"] = {"sent": pressable.sent, "answer": pressable.answer}
    return report


def made_up(rule: Rule, venue: str, now: datetime) -> AlertContext:
    """An alert of a rule, of something called EXAMPLE whose numbers are all 1."""
    kind = min(rule.kinds)
    happened = next((each for each in rule.events if not each.endswith("*")), f"{kind}.updated")
    condition = rule.when or rule.where
    return AlertContext(
        rule=rule.id,
        severity=rule.severity,
        state="firing",
        kind=kind,
        venue=venue,
        entity=_MADE_UP,
        symbol=_MADE_UP,
        event=happened if rule.is_event_rule else None,
        condition=condition.source if condition is not None else "",
        fields={name: _NUMBER for name, each in all_fields(kind).items() if each.type == "number"},
        started_at=now,
        fired_at=now,
        at=now,
        time=now,
        group=dict.fromkeys(rule.per or (), _MADE_UP) if rule.is_group else None,
        title=rule.title,
        message=rule.message,
    )
