"""Sending one URL's messages by Apprise, in a thread of the sender's own, and saying what the service answered."""

import importlib
from typing import Any

import trio
from msgspec import structs

from tocsin.delivery.conversation import Conversation
from tocsin.delivery.model import Message, Outcome
from tocsin.delivery.services import carry_delivery_id, fit, load, masker_for, quiet_apprise, service_of
from tocsin.delivery.verdict import verdict
from tocsin.secrets import Masker, Secret

DEADLINE = 30.0  # seconds a send may take in all; each single read has a shorter time-out of its own
_KEPT = 1000  # deliveries of which it is remembered who has them
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseSender:
    """One URL of a channel. One thread at most: a send that hangs keeps it, and the next ones fail until it ends.

    `moved` (Telegram's) has the present ids of chats by their former ones; what is learnt is added.
    """

    def __init__(
        self,
        url: Secret,
        *,
        name: str,
        masker: Masker,
        deadline: float = DEADLINE,
        moved: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._url = url
        self._masker = masker
        self._deadline = deadline
        self._moved = moved if moved is not None else {}
        self._limiter = trio.CapacityLimiter(1)
        self._plugin: Any = None
        self._own_masker = Masker()
        self._partly: dict[str, set[str]] = {}  # delivery id -> who has it already

    async def prepare(self) -> None:
        """Load what sending takes (Apprise: a second, and more beside busy venues), so that the first message needn't wait."""
        await trio.to_thread.run_sync(self._load, abandon_on_cancel=True, limiter=self._limiter)

    async def send(self, message: Message) -> Outcome:
        """Send, within the deadline. What the outside does is in the outcome; only bugs of ours are raised."""
        schema = self._url.reveal().partition("://")[0].lower()
        conversation = Conversation(
            self._partly.setdefault(message.delivery_id, set()),
            service_of(schema).means,
            self._moved if schema == "tgram" else None,
        )
        try:
            with trio.fail_after(self._deadline):
                return await trio.to_thread.run_sync(
                    self._send, message, conversation, abandon_on_cancel=True, limiter=self._limiter
                )
        except trio.TooSlowError:
            return Outcome(sent=False, answer=f"{self.name}: no answer within {self._deadline:g} s")
        finally:
            conversation.cut_off()

    def _load(self) -> str:
        """Why there is nothing to send with, if that is so."""
        if self._plugin is None:
            try:
                self._plugin = self._prepare(load(self._url))
            except ValueError as error:
                return str(error)
        return ""

    def _send(self, message: Message, conversation: Conversation) -> Outcome:
        if problem := self._load():
            return Outcome(sent=False, answer=f"{self.name}: {problem}", permanent=True)
        plugin = self._plugin
        quiet_apprise()  # also where somebody turned the logs up since
        apprise = importlib.import_module("apprise")
        carry_delivery_id(plugin, message.delivery_id)
        title, body = self._fitted(plugin, message)
        bell = apprise.Apprise(asset=plugin.asset)
        bell.add(plugin)
        if plugin.overflow_mode != "split":
            # A URL can name several people. Apprise's plugins ask these two before and after each: when one refused and
            # the message is tried again, those that have it aren't told twice.
            plugin.is_delivered = conversation.has_reached
            plugin.mark_delivered = conversation.reaches
        with conversation.listening():
            result = bell.notify(
                body=body,
                title=title,
                notify_type="success" if message.resolved else _TYPES[message.severity],
                body_format=apprise.NotifyFormat.TEXT,
            )
        logged = [entry.message for entry in result.logs()]
        self._forget(message.delivery_id, accepted=bool(result))
        outcome = verdict(
            str(plugin.service_name),
            sent=bool(result),
            heard=conversation.answers,
            logged=logged,
            reached=conversation.reached,
        )
        moved = conversation.learnt
        told = "".join(f" (the chat has a new id, put it into the URL: {new})" for new in moved.values())
        return structs.replace(
            outcome,
            answer=self._masked(outcome.answer) + (told if outcome.sent else ""),
            refused=tuple(map(self._masked, outcome.refused)),
            moved=moved,
        )

    def _prepare(self, plugin: Any) -> Any:
        self._own_masker = masker_for(plugin, self._url)
        return plugin

    def _masked(self, text: str) -> str:
        return self._masker.mask(self._own_masker.mask(text))

    def _fitted(self, plugin: Any, message: Message) -> tuple[str, str]:
        if plugin.overflow_mode == "split":
            return message.title, message.body or message.title
        return fit(
            message,
            title_limit=plugin.title_maxlen,
            body_limit=plugin.body_maxlen,
            title_in_body=bool(plugin.overflow_amalgamate_title),
            longest=service_of(plugin.schema).longest,
        )

    def _forget(self, delivery_id: str, *, accepted: bool) -> None:
        if accepted or not self._partly.get(delivery_id):
            self._partly.pop(delivery_id, None)
        while len(self._partly) > _KEPT:
            self._partly.pop(next(iter(self._partly)))


def make_sender(
    url: Secret,
    *,
    name: str,
    masker: Masker | None = None,
    deadline: float = DEADLINE,
    moved: dict[str, str] | None = None,
) -> AppriseSender:
    """A sender for one URL. `name` is shown to people; `masker` knows the configuration's secrets.

    Nothing is loaded or checked before the first send (see `validate_url` for checking).
    """
    return AppriseSender(url, name=name, masker=masker or Masker(), deadline=deadline, moved=moved)
