"""Sending one URL's messages by Apprise, in a thread of the sender's own, and saying what the service answered."""

import importlib
from typing import Any

import trio
from msgspec import structs

from tocsin.delivery.answers import listening
from tocsin.delivery.model import Message, Outcome
from tocsin.delivery.services import carry_delivery_id, fit, load, masker_for, quiet_apprise
from tocsin.delivery.verdict import verdict
from tocsin.secrets import Masker, Secret

DEADLINE = 30.0  # seconds a send may take in all; each single read has a shorter time-out of its own
_KEPT = 1000  # deliveries of which it is remembered who has them
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseSender:
    """One URL of a channel. One thread at most: a send that hangs keeps it, and the next ones fail until it ends.

    A message that the service took after its send was given up counts as sent when it is tried again.
    """

    def __init__(self, url: Secret, *, name: str, masker: Masker, deadline: float = DEADLINE) -> None:
        self.name = name
        self._url = url
        self._masker = masker
        self._deadline = deadline
        self._limiter = trio.CapacityLimiter(1)
        self._plugin: Any = None
        self._own_masker = Masker()
        self._delivered: set[str] = set()  # of the delivery in hand
        self._partly: dict[str, set[str]] = {}  # delivery id -> who has it already
        self._taken: dict[str, Outcome] = {}  # delivery id -> its acceptance, of which nobody heard yet

    async def send(self, message: Message) -> Outcome:
        """Send, within the deadline. What the outside does is in the outcome; only bugs of ours are raised."""
        try:
            with trio.fail_after(self._deadline):
                outcome = await trio.to_thread.run_sync(
                    self._send, message, abandon_on_cancel=True, limiter=self._limiter
                )
        except trio.TooSlowError:
            return Outcome(sent=False, answer=f"{self.name}: no answer within {self._deadline:g} s")
        self._taken.pop(message.delivery_id, None)
        return outcome

    def _send(self, message: Message) -> Outcome:
        """In the thread, so after any send before it has ended, given up or not."""
        if (late := self._taken.get(message.delivery_id)) is not None:
            return structs.replace(late, answer=f"{late.answer}, after it was given up")
        outcome = self._notify(message)
        if outcome.sent:
            self._taken[message.delivery_id] = outcome
            _cut(self._taken)
        return outcome

    def _notify(self, message: Message) -> Outcome:
        if self._plugin is None:
            try:
                self._plugin = self._prepare(load(self._url))
            except ValueError as error:
                return Outcome(sent=False, answer=f"{self.name}: {error}", permanent=True)
        plugin = self._plugin
        quiet_apprise()  # also where somebody turned the logs up since
        apprise = importlib.import_module("apprise")
        self._delivered = self._partly.setdefault(message.delivery_id, set())
        carry_delivery_id(plugin, message.delivery_id)
        title, body = self._fitted(plugin, message)
        bell = apprise.Apprise(asset=plugin.asset)
        bell.add(plugin)
        with listening() as heard:
            result = bell.notify(
                body=body,
                title=title,
                notify_type="success" if message.resolved else _TYPES[message.severity],
                body_format=apprise.NotifyFormat.TEXT,
            )
        logged = [entry.message for entry in result.logs()]
        self._forget(message.delivery_id, accepted=bool(result))
        outcome = verdict(str(plugin.service_name), sent=bool(result), heard=heard, logged=logged)
        return Outcome(
            sent=outcome.sent,
            answer=self._masker.mask(self._own_masker.mask(outcome.answer)),
            permanent=outcome.permanent,
            retry_after=outcome.retry_after,
        )

    def _prepare(self, plugin: Any) -> Any:
        self._own_masker = masker_for(plugin, self._url)
        if plugin.overflow_mode != "split":
            # A URL can name several people. Apprise's plugins ask these two before each: when one refused and the
            # message is tried again, those that have it aren't told twice.
            plugin.is_delivered = self._is_delivered
            plugin.mark_delivered = self._mark_delivered
        return plugin

    def _fitted(self, plugin: Any, message: Message) -> tuple[str, str]:
        if plugin.overflow_mode == "split":
            return message.title, message.body or message.title
        return fit(
            message,
            title_limit=plugin.title_maxlen,
            body_limit=plugin.body_maxlen,
            title_in_body=bool(plugin.overflow_amalgamate_title),
        )

    def _forget(self, delivery_id: str, *, accepted: bool) -> None:
        if accepted or not self._delivered:
            self._partly.pop(delivery_id, None)
        _cut(self._partly)

    def _is_delivered(self, key: object, per_message: bool = False) -> bool:  # noqa: ARG002 # Apprise's signature
        return repr(key) in self._delivered

    def _mark_delivered(self, key: object, per_message: bool = False) -> None:  # noqa: ARG002 # Apprise's signature
        self._delivered.add(repr(key))


def _cut(known: dict[str, Any]) -> None:
    while len(known) > _KEPT:
        known.pop(next(iter(known)))


def make_sender(
    url: Secret, *, name: str, masker: Masker | None = None, deadline: float = DEADLINE
) -> AppriseSender:
    """A sender for one URL. `name` is shown to people; `masker` knows the configuration's secrets.

    Nothing is loaded or checked before the first send (see `validate_url` for checking).
    """
    return AppriseSender(url, name=name, masker=masker or Masker(), deadline=deadline)
