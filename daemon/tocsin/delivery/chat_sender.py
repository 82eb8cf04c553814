"""Messages to chats by a service's own API: each recipient of a URL once, what was sent edited and replied to."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Protocol

import trio
from msgspec import Struct, structs

from tocsin.delivery.model import Ability, Handle, Message, Outcome, Sender
from tocsin.delivery.service_responses import ServiceResponse, classify
from tocsin.delivery.web_api import Answer

DEADLINE = 30.0  # seconds a send may take in all
_KEPT = 1000  # deliveries of which it is remembered who has them


class Posted(Struct, frozen=True):
    """What came of one call about one recipient. `at`: where the message is, if the service says so.

    `gone`: there is no message to edit any more. `moved`: the chat's present id, if that was learnt.
    """

    answer: Answer
    at: tuple[str, str] | None = None
    gone: bool = False
    moved: tuple[str, str] | None = None


class ChatApi(Protocol):
    """A service's way of posting to a chat and of editing what was posted. Raises nothing for what the outside does."""

    service: str
    can: frozenset[Ability]

    async def prepare(self) -> None: ...

    async def post(self, recipient: str, message: Message, reply_to: tuple[str, str] | None) -> Posted: ...

    async def update(self, at: tuple[str, str], message: Message) -> Posted: ...


class ChatSender(Sender):
    """One URL: its recipients one after the other, in at most `deadline` seconds.

    When one refused and the message is tried again, those that have it aren't told twice.
    """

    def __init__(
        self,
        api: ChatApi,
        recipients: tuple[str, ...],
        *,
        name: str,
        mask: Callable[[str], str],
        deadline: float = DEADLINE,
    ) -> None:
        self.name, self.can = name, api.can
        self._api, self._recipients = api, recipients
        self._mask, self._deadline = mask, deadline
        # By delivery: who has it, and where if that is known.
        self._partly: dict[str, dict[str, tuple[str, str] | None]] = {}

    async def prepare(self) -> None:
        await self._api.prepare()

    async def send(self, message: Message, handle: Handle | None = None) -> Outcome:
        have = self._partly.setdefault(message.delivery_id, {})
        heard: list[ServiceResponse] = []
        moved: dict[str, str] = {}
        with trio.move_on_after(self._deadline) as scope:
            for recipient in self._recipients:
                if recipient in have:
                    continue
                posted = await self._api.post(recipient, message, _replied(handle, recipient, moved))
                heard.append(posted.answer.response)
                if posted.answer.accepted:
                    have[recipient] = posted.at
                if posted.moved is not None:
                    moved[posted.moved[0]] = posted.moved[1]
        sent = len(have) == len(self._recipients)
        outcome = self._outcome(heard, sent=sent, reached=frozenset(have), too_slow=scope.cancelled_caught)
        self._forget(message.delivery_id, sent=sent)
        told = (
            "".join(f" (the chat has a new id, put it into the URL: {new})" for new in moved.values())
            if sent
            else ""
        )
        return structs.replace(
            outcome, answer=outcome.answer + told, moved=moved, handle=_handle(have) if sent else None
        )

    async def edit(self, handle: Handle, message: Message) -> Outcome:
        handle = {recipient: at for recipient, at in handle.items() if recipient in self._recipients}
        if not handle:
            answer = f"{self.name}: the message went to another URL"
            return Outcome(sent=False, answer=answer, permanent=True, gone=True)
        heard: list[ServiceResponse] = []
        gone: list[str] = []
        reached: set[str] = set()
        with trio.move_on_after(self._deadline) as scope:
            for recipient, at in handle.items():
                posted = await self._api.update(at, message)
                heard.append(structs.replace(posted.answer.response, about=recipient, to=recipient))
                if posted.answer.accepted:
                    reached.add(recipient)
                elif posted.gone:
                    gone.append(recipient)
        outcome = self._outcome(
            heard,
            sent=len(reached) == len(handle),
            reached=frozenset(reached),
            too_slow=scope.cancelled_caught,
        )
        return structs.replace(outcome, gone=outcome.permanent and bool(gone), handle=handle)

    def _outcome(
        self, heard: list[ServiceResponse], *, sent: bool, reached: frozenset[str], too_slow: bool
    ) -> Outcome:
        if too_slow and not sent:
            return Outcome(sent=False, answer=f"{self.name}: no answer within {self._deadline:g} s")
        outcome = classify(self._api.service, sent=sent, heard=heard, reached=reached)
        return structs.replace(
            outcome,
            answer=self._mask(outcome.answer),
            refused=tuple(map(self._mask, outcome.refused)),
        )

    def _forget(self, delivery_id: str, *, sent: bool) -> None:
        if sent or not self._partly.get(delivery_id):
            self._partly.pop(delivery_id, None)
        while len(self._partly) > _KEPT:
            self._partly.pop(next(iter(self._partly)))


def _handle(have: Mapping[str, tuple[str, str] | None]) -> Handle | None:
    return {recipient: at for recipient, at in have.items() if at is not None} or None


def _replied(
    handle: Handle | None, recipient: str, moved: MutableMapping[str, str]
) -> tuple[str, str] | None:
    """The message of this recipient that is replied to; none in a chat that has moved since, for it isn't there."""
    at = handle.get(recipient) if handle else None
    return None if at is None or at[0] in moved else at
