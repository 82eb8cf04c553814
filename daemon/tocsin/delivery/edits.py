"""What becomes of a message after it was sent: the rows that edit it, and what they say. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from zlib import crc32

import msgspec
from msgspec import Struct, structs

from tocsin.alerts.message import Edit, Said
from tocsin.alerts.wording import Style, has_ended
from tocsin.delivery.model import Ability, ChannelSettings, Handle, Message
from tocsin.delivery.services import loudness_of
from tocsin.engine.api import AlertContext
from tocsin.store.model import ACTION, EDIT, EDITABLE, QUESTION, REPORT, Delivery, NewDelivery

TRIED_FOR = timedelta(minutes=10)  # then an edit is dropped; nothing else is ever
_KEY, _OF = "edit", "edit_of"  # in a row's context: what it says, and what its message told
_UNEDITED = "unedited"  # of an end that no edit could tell
BY_EDIT = "told by an edit of its message"  # the `error` of an end for which its edit goes


def handle_text(handle: Handle | None) -> str | None:
    """As `deliveries.handle` keeps it."""
    return msgspec.json.encode(handle).decode() if handle else None


def handle_of(delivery: Delivery) -> Handle | None:
    """By what its message can be edited and replied to; None where it can't, or that can't be read."""
    if delivery.handle is None:
        return None
    try:
        return msgspec.json.decode(delivery.handle, type=dict[str, tuple[str, str]])
    except ValueError:
        return None


def told_firing(history: Sequence[Delivery], target: int) -> Delivery | None:
    """Of all that a channel was to tell of an alert, what told one of its URLs of the firing last and can be edited; of a digest or a
    question that one.
    """
    told = (each for each in history if each.target == target and each.state_told in EDITABLE)
    return next((each for each in reversed([*told]) if each.status == "sent" and handle_of(each)), None)


def edit_of(delivery: NewDelivery) -> Edit:
    """What a row that edits says. ValueError where it can't be read."""
    return msgspec.convert(delivery.context.get(_KEY), Edit)


def is_end(delivery: NewDelivery) -> bool:
    """Whether it tells that the alert is over, as a message or as an edit."""
    if delivery.state_told != EDIT:
        return delivery.state_told == "resolved"
    try:
        return edit_of(delivery).became != "firing"
    except ValueError:
        return False


def is_unedited(delivery: NewDelivery) -> bool:
    """Whether it is an end that an edit was to tell, but couldn't."""
    return bool(delivery.context.get(_UNEDITED))


def unedited_end(edit: Delivery, history: Iterable[Delivery], now: datetime) -> tuple[NewDelivery, ...]:
    """The end that a failed edit was to tell alone, to be told as a message; nothing where that was told anyway."""
    if not is_end(edit):
        return ()
    return tuple(
        NewDelivery(
            id=f"{each.id}-{_UNEDITED}",
            alert=each.alert,
            state_told=each.state_told,
            channel=each.channel,
            target=each.target,
            severity=each.severity,
            created_at=now,
            expires_at=now + (each.expires_at - each.created_at),
            context={**each.context, _UNEDITED: True},
        )
        for each in history
        if (each.state_told, each.target, each.error) == ("resolved", edit.target, BY_EDIT)
    )


def newest(edits: Sequence[Delivery]) -> Delivery:
    """Of edits of one message that which counts (of one at least): the end's, else the last."""
    return ([each for each in edits if is_end(each)] or edits)[-1]


def edit_row(told: NewDelivery, edit: Edit, now: datetime) -> NewDelivery:
    """The row that edits what told of a firing. The same edit has the same id. Of a question that is over what it said of answers
    isn't so any more.
    """
    over: dict[str, Any] = {"notes": []} if told.state_told == QUESTION and edit.became != "firing" else {}
    return NewDelivery(
        id=f"{told.alert}-{EDIT}-{edit.at:%Y%m%dT%H%M%S%f}-{crc32(edit.words.encode()):08x}-{told.channel}-{told.target}",
        alert=told.alert,
        state_told=EDIT,
        channel=told.channel,
        target=told.target,
        severity="info",  # it is nothing that a fallback should hear of
        created_at=now,
        expires_at=now + TRIED_FOR,
        context={**told.context, **over, _KEY: msgspec.to_builtins(edit), _OF: told.state_told},
    )


def is_digest(delivery: NewDelivery) -> bool:
    """Whether its message is a digest, or it edits one."""
    return "digest" in (delivery.state_told, delivery.context.get(_OF))


def awaits_press(delivery: NewDelivery) -> bool:
    """Whether it edits a question that is still asked: somebody stands there, and waits for the next button."""
    return delivery.state_told == EDIT and delivery.context.get(_OF) == QUESTION and not is_end(delivery)


def remark_edits(told: Iterable[NewDelivery], edit: Edit) -> list[NewDelivery]:
    """The rows that say that of messages: of a firing's what somebody did about it, of a question's what became of it.

    `told` are the alert's deliveries that can be edited (`Database.editable`), oldest first. A URL that told of it more than
    once (of its own, and for a channel that it is the fallback of) has its last message edited, as `told_firing` finds it.
    """
    last = {(each.alert, each.channel, each.target): each for each in told}
    return [edit_row(each, edit, edit.at) for each in last.values()]


class AlertLife(Struct, frozen=True):
    """What a URL of a channel told of an alert before, as far as that matters for what it tells now.

    `handle`: of the message that told of its firing, to reply to and to edit. `edit`: this is put into that message, and
    nothing else is told. `edit_after`: this edit follows when its end was told. `is_over_unsaid`: its end isn't told here.
    """

    handle: Handle | None = None
    edit: Delivery | None = None
    edit_after: NewDelivery | None = None
    is_over_unsaid: bool = False

    @property
    def acked(self) -> bool:
        """Whether the alert is acknowledged, as `edit` says."""
        edit = edit_of(self.edit) if self.edit is not None else None
        said = (*edit.before, edit) if edit is not None else ()
        return next((each.acked for each in reversed(said) if each.acked is not None), False)

    def tells(self, edit: NewDelivery) -> str:
        """What the message that is edited tells by now, as its buttons go by."""
        if edit.context.get(_OF) == QUESTION:
            return QUESTION
        return "acked" if self.acked else "firing"


NOTHING_BEFORE = AlertLife()


def alert_life(
    carrier: Delivery,
    history: Sequence[Delivery],
    can: AbstractSet[Ability],
    settings: ChannelSettings,
    now: datetime,
) -> AlertLife:
    """What came before `carrier` (not a firing). `history`: all that its channel was to tell of the alert."""
    ends = carrier.state_told == "resolved"
    if "edit" not in can:
        # To a URL beside others that can edit: the older spelling says that nothing is to be told here.
        return AlertLife(is_over_unsaid=ends and settings.end_told == "edit")
    told = told_firing(history, carrier.target)
    over = (each.status == "sent" and is_end(each) and each.target == carrier.target for each in history)
    if told is None or (not is_end(carrier) and any(over)):
        return (
            NOTHING_BEFORE  # also what somebody did at the very end: its message says already that it is over
        )
    handle = handle_of(told)
    try:
        if carrier.state_told == EDIT:
            return AlertLife(handle, edit=_after_others(carrier, history))
        if not ends:
            return AlertLife(handle)
        edit = end_edit(told, carrier, history, now)
    except ValueError:  # a row that can't be read; it is told without
        return AlertLife(handle)
    if settings.end_told == "edit":
        return AlertLife(handle, edit=Delivery(**structs.asdict(edit), next_at=now))
    return AlertLife(handle, edit_after=edit)


def for_channel(message: Message, carrier: Delivery, settings: ChannelSettings, style: Style) -> Message:
    """The message as a channel's settings want it, with where the page shows the alert that it is about."""
    page = f"{style.page}a/{quote(carrier.alert, safe='')}" if style.page and of_an_alert(carrier) else None
    silent = loudness_of(message) in settings.silent
    return structs.replace(message, alert=carrier.alert, page=page, silent=silent)


def of_an_alert(carrier: Delivery) -> bool:
    """Whether its `alert` is the id of one, and not of a digest, a report or a run."""
    return not is_digest(carrier) and carrier.state_told not in (REPORT, ACTION, QUESTION)


def end_edit(told: Delivery, end: NewDelivery, history: Iterable[Delivery], now: datetime) -> NewDelivery:
    """The row that says of a firing's message that it is over, as `end` tells it; what it was edited to before stays in it."""
    return edit_row(told, end_of(told.context, end.context, history), now)


def end_of(began: Mapping[str, object], end: Mapping[str, object], history: Iterable[Delivery] = ()) -> Edit:
    """What became of an alert, of the contexts of its firing and of its end. ValueError where they can't be read."""
    was, context = (msgspec.convert(each, AlertContext) for each in (began, end))
    ended = has_ended(context)
    reason = context.reason.partition(": ")[0]
    return Edit(
        at=context.at,
        words=f"ended ({reason})" if ended else "resolved",
        became="ended" if ended else "resolved",
        before=_said_before(history, context.at),
        lasted=max((context.at - was.started_at).total_seconds(), 0.0),
    )


def _after_others(carrier: Delivery, history: Iterable[Delivery]) -> Delivery:
    """An edit with what was said of the alert before it, which it takes the place of."""
    edit = edit_of(carrier)
    if edit.became == "firing":
        edit = structs.replace(edit, before=_said_before(history, edit.at))
    return structs.replace(carrier, context={**carrier.context, _KEY: msgspec.to_builtins(edit)})


def _said_before(history: Iterable[Delivery], at: datetime) -> tuple[Said, ...]:
    """What people did about an alert up to then, made into edits or not."""
    edits = [edit_of(each) for each in history if each.state_told == EDIT]
    return tuple(
        Said(at=each.at, words=each.words, until=each.until, acked=each.acked)
        for each in edits
        if each.became == "firing" and each.at < at
    )
