"""Sending one URL's messages by Apprise, in a thread of the sender's own, and saying what the service answered."""

import importlib
import logging
import re
from typing import Any
from urllib.parse import quote, unquote

import trio
from msgspec import structs

from tocsin.alerts.plain import flat
from tocsin.delivery.fitting import fit
from tocsin.delivery.model import Handle, Message, Outcome, Sender
from tocsin.delivery.service_responses import classify
from tocsin.delivery.services import WITH_HEADERS, loudness_of, schema_of, service_of
from tocsin.delivery.transport_monitor import TransportMonitor
from tocsin.events.vocabulary import nearest
from tocsin.secrets import Masker, Secret

# Per read, where the URL doesn't say. Mail servers keep strangers waiting on purpose before they greet.
_CONNECT_TIMEOUT, _MAIL_TIMEOUT, _READ_TIMEOUT = 4.0, 12.0, 15.0
# Options of Apprise's URLs that would work against us, and what to do instead.
_REFUSED = {
    "format": "messages are plain text, so that nothing in them is taken for markup; remove format=",
    "optional": "a failure would be reported as success; remove optional=",
    "retry": "retrying is done here, without end and across restarts; remove retry=",
    "wait": "retrying is done here, without end and across restarts; remove wait=",
    "redirect": "a redirected message is lost and reported as sent; remove redirect= and give the final address",
    "emojis": "words between colons in a venue's text would become pictures; remove emojis=",
}
_HARMLESS = {"format": ("text",), "optional": ("no",), "redirect": ("no",), "emojis": ("no",)}
DELIVERY_HEADER = "X-Tocsin-Delivery"
_IN_HEADERS = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")  # as it is; the rest percent-encoded


def quiet_apprise() -> None:
    """Apprise's and urllib3's debug logs print whole URLs with their tokens: they are not let to, whatever is configured."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What Apprise warns of is in the outcome, masked; its own lines name people's addresses.
    logging.getLogger("apprise").propagate = False


def load(url: Secret) -> Any:
    """The Apprise plugin for `url`. ValueError, fit to be shown, where there is none. Blocks; imports Apprise."""
    problem = surface_problem(url.reveal())
    if problem is not None:
        raise ValueError(problem)
    quiet_apprise()
    apprise = importlib.import_module("apprise")
    schema = schema_of(url)
    schemas = sorted(apprise.NotificationManager().schemas())
    if schema not in schemas:
        close = nearest(schema, schemas)
        raise ValueError(
            f"{schema}:// is no service that Apprise knows" + (f"; did you mean {close}://?" if close else "")
        )
    asset = apprise.AppriseAsset(
        app_id="Tocsin", app_desc="Tocsin", app_url="", image_url_mask="", image_url_logo="", async_mode=False,
        service_timeout=0, http_redirects=False, interpret_emojis=False,
    )  # fmt: skip
    try:
        plugin = apprise.Apprise.instantiate(url.reveal(), asset=asset, suppress_exceptions=False)
    except (apprise.exception.AppriseException, TypeError) as error:
        raise ValueError(f"{schema}:// doesn't take this: {_unvalued(str(error), url)}") from None
    if plugin is None:
        raise ValueError(_incomplete(apprise, schema))
    _settle(plugin, schema)
    return plugin


def masker_for(plugin: Any, url: Secret) -> Masker:
    """Masks what of the URL the plugin itself holds for secret: whatever its display form leaves out."""
    masker = Masker()
    shown = set(_words(plugin.url(privacy=True)))
    for word in _words(plugin.url()):
        if word not in shown:
            masker.add(word)
    for text in (url.reveal(), plugin.password, *(getattr(plugin, "headers", None) or {}).values()):
        if isinstance(text, str):
            masker.add(text)
    return masker


def surface_problem(url: str) -> str | None:
    """What is wrong with a URL as far as that can be said without Apprise, and without any secret of it."""
    schema, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9.+-]*", schema):
        return "not an Apprise URL; write it like slack://…, tgram://… or mailto://…"
    if not rest:
        return f"{schema}:// says the service, but not where to"
    for pair in re.split("[?&]", rest)[1:]:
        key, _, value = pair.partition("=")
        name = unquote(key).strip().lower()
        if name in _REFUSED and unquote(value).lower() not in _HARMLESS.get(name, ()):
            return _REFUSED[name]
    return None


def _incomplete(apprise: Any, schema: str) -> str:
    plugin = apprise.NotificationManager()[schema]
    if not plugin.enabled:
        needed = plugin.requirements.get("packages_required") or []
        needed = [needed] if isinstance(needed, str) else needed
        return f"{schema}:// needs a package that isn't installed: {', '.join(map(str, needed)) or 'see Apprise'}"
    page = f"; see {plugin.setup_url}" if plugin.setup_url else ""
    return (
        f"{schema}:// URL without all the parts that {plugin.service_name} needs, or with a wrong one{page}"
    )


def _unvalued(text: str, url: Secret) -> str:
    """Apprise's complaint without the value that it complains of, which may be a secret."""
    masker = Masker()
    for word in _words(url.reveal().partition("://")[2]):
        masker.add(word)
    return flat(masker.mask(re.sub(r"\s*\([^()]*\)", "", text)), 200)


def _settle(plugin: Any, schema: str) -> None:
    plugin.request_rate_per_sec = 0  # its throttle sleeps in the thread; the pace is kept outside
    plugin.optional, plugin.retry = False, 0
    if schema == "discord":
        plugin.interpret_emojis = None  # it would escape the colons of times, and our own escapes
    own = vars(plugin)
    if "socket_connect_timeout" not in own:
        plugin.socket_connect_timeout = _MAIL_TIMEOUT if schema.startswith("mailto") else _CONNECT_TIMEOUT
    if "socket_read_timeout" not in own:
        plugin.socket_read_timeout = _READ_TIMEOUT


def _words(url: str) -> list[str]:
    return re.findall(r"[^/:@?&=,;\s]{4,}", unquote(url))


DEADLINE = 30.0  # seconds a send may take in all; each single read has a shorter time-out of its own
_KEPT = 1000  # deliveries of which it is remembered who has them
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseSender(Sender):
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
        self._service = service_of(schema_of(url))
        self._plugin: Any = None
        self._given: dict[str, str] | None = None  # headers that the URL says
        self._own_masker = Masker()
        self._partly: dict[str, set[str]] = {}  # delivery id -> who has it already

    async def prepare(self) -> None:
        """Load what sending takes (Apprise: a second, and more beside busy venues), so that the first message needn't wait."""
        await trio.to_thread.run_sync(self._load, abandon_on_cancel=True, limiter=self._limiter)

    async def send(self, message: Message, handle: Handle | None = None) -> Outcome:  # noqa: ARG002 - nothing to reply by
        """Send, within the deadline. What the outside does is in the outcome; only bugs of ours are raised."""
        schema = schema_of(self._url)
        monitor = TransportMonitor(
            self._partly.setdefault(message.delivery_id, set()),
            self._service.means,
            self._moved if schema == "tgram" else None,
            {} if schema in WITH_HEADERS else self._service.headers(message),
        )
        try:
            with trio.fail_after(self._deadline):
                return await trio.to_thread.run_sync(
                    self._send, message, monitor, abandon_on_cancel=True, limiter=self._limiter
                )
        except trio.TooSlowError:
            return Outcome(sent=False, answer=f"{self.name}: no answer within {self._deadline:g} s")
        finally:
            monitor.cut_off()

    def _load(self) -> str:
        """Why there is nothing to send with, if that is so."""
        if self._plugin is None:
            try:
                self._plugin = self._prepare(load(self._url))
            except ValueError as error:
                return str(error)
        return ""

    def _send(self, message: Message, monitor: TransportMonitor) -> Outcome:
        if problem := self._load():
            return Outcome(sent=False, answer=f"{self.name}: {problem}", permanent=True)
        plugin = self._plugin
        quiet_apprise()  # also where somebody turned the logs up since
        apprise = importlib.import_module("apprise")
        self._dress(plugin, message)
        title, body = self._fitted(plugin, message)
        bell = apprise.Apprise(asset=plugin.asset)
        bell.add(plugin)
        if plugin.overflow_mode != "split":
            # A URL can name several people. Apprise's plugins ask these two before and after each: when one refused and
            # the message is tried again, those that have it aren't told twice.
            plugin.is_delivered = monitor.has_reached
            plugin.mark_delivered = monitor.reaches
        with monitor.listening():
            result = bell.notify(
                body=body,
                title=title,
                notify_type="success" if message.resolved else _TYPES[message.severity],
                body_format=apprise.NotifyFormat.TEXT,
            )
        logged = [entry.message for entry in result.logs()]
        self._forget(message.delivery_id, accepted=bool(result))
        outcome = classify(
            str(plugin.service_name),
            sent=bool(result),
            heard=monitor.answers,
            logged=logged,
            reached=monitor.reached,
        )
        moved = monitor.learnt
        told = "".join(f" (the chat has a new id, put it into the URL: {new})" for new in moved.values())
        return structs.replace(
            outcome,
            answer=self._masked(outcome.answer) + (told if outcome.sent else ""),
            refused=tuple(map(self._masked, outcome.refused)),
            moved=moved,
        )

    def _prepare(self, plugin: Any) -> Any:
        self._own_masker = masker_for(plugin, self._url)
        headers = getattr(plugin, "headers", None)
        self._given = dict(headers) if isinstance(headers, dict) and plugin.schema in WITH_HEADERS else None
        return plugin

    def _dress(self, plugin: Any, message: Message) -> None:
        """What isn't the text: how loud it is, its alert, and the delivery's id, by which a receiver can tell a repetition.

        What the URL itself says of these goes first.
        """
        if self._given is not None:
            headers = self._service.headers(message)
            # A header takes ASCII: an id that a disk has damaged must not keep its message from being sent.
            id_ = quote(message.delivery_id, safe=_IN_HEADERS)
            plugin.headers = {DELIVERY_HEADER: id_, **headers, **self._given}
        if self._service.priority and not re.search(r"[?&]priority=", self._url.reveal(), re.IGNORECASE):
            plugin.priority = self._service.priority[loudness_of(message)]

    def _masked(self, text: str) -> str:
        return self._masker.mask(self._own_masker.mask(text))

    def _fitted(self, plugin: Any, message: Message) -> tuple[str, str]:
        if plugin.overflow_mode == "split":
            return message.title, "\n".join((message.body or message.title, *message.links))
        return fit(
            message,
            title_limit=plugin.title_maxlen,
            body_limit=plugin.body_maxlen,
            title_in_body=bool(plugin.overflow_amalgamate_title),
            longest=self._service.longest,
            written=self._service.written,
        )

    def _forget(self, delivery_id: str, *, accepted: bool) -> None:
        if accepted or not self._partly.get(delivery_id):
            self._partly.pop(delivery_id, None)
        while len(self._partly) > _KEPT:
            self._partly.pop(next(iter(self._partly)))
