"""Apprise's side of a channel: loading a URL's plugin as we want it, checking URLs, cutting to a service's limits.

Apprise costs 0.4 s and 40 MB to import, so that happens in the functions here, and they are called in a thread.
"""

import importlib
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from tocsin.alerts.plain import flat
from tocsin.answers import is_page, parsed
from tocsin.delivery.answers import Means
from tocsin.delivery.model import Message
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
_WITH_HEADERS = frozenset(
    {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos", "apprise", "apprises"}
)
# Of 160 characters or fewer, where a single emoji halves the room there is. By Apprise's `body_maxlen`, and its services
# for text messages whose limit depends on the number.
_TERSE = frozenset({
    "46elks", "aprs", "atalk", "bulksms", "bulkvs", "burstsms", "clickatell", "clicksend", "d7sms", "dapnet", "elks", "freemobile",
    "httpsms", "infobip", "kavenegar", "kudosity", "mobilemessage", "msg91", "msgbird", "nexmo", "notifyre", "plivo", "pushed",
    "ringc", "serwersms", "seven", "sfr", "sinch", "smsc", "smsmanager", "smsmgr", "sns", "telnyx", "twilio", "voipms", "vonage",
})  # fmt: skip
# Where nobody reads at a glance: mail, and programs.
_AT_LENGTH = _WITH_HEADERS
DELIVERY_HEADER = "X-Tocsin-Delivery"
# What Slack's API says with status 200 when it isn't our fault (https://api.slack.com/methods/chat.postMessage).
_SLACK_PASSING = frozenset(
    {
        "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable",
        "request_timeout", "team_added_to_org", "ekm_access_denied",
    }
)  # fmt: skip


def _telegram_means(_status: int, body: bytes) -> Means:
    """https://core.telegram.org/bots/api#making-requests"""
    ok = _says(body, "ok")
    return "accepted" if ok is True else "passing" if ok is False else "foreign"


def _slack_means(_status: int, body: bytes) -> Means:
    """The API's `ok`; a webhook answers the plain text (https://api.slack.com/messaging/webhooks#handling_errors)."""
    ok = _says(body, "ok")
    if ok is True or body.strip() == b"ok":
        return "accepted"
    if ok is not False:
        return "foreign"
    return "passing" if _says(body, "error") in _SLACK_PASSING else "refused"


def _discord_means(status: int, body: bytes) -> Means:
    """https://discord.com/developers/docs/resources/webhook#execute-webhook"""
    return "accepted" if status == 204 or _says(body, "id") else "foreign"


def _ntfy_means(_status: int, body: bytes) -> Means:
    """https://docs.ntfy.sh/subscribe/api/#json-message-format"""
    return "accepted" if _says(body, "id") else "foreign"


def _other_means(_status: int, body: bytes) -> Means:
    return "foreign" if is_page(body) else "accepted"


def _any_means(_status: int, _body: bytes) -> Means:
    return "accepted"


def _says(body: bytes, name: str) -> Any:
    answer = parsed(body)
    return answer.get(name) if isinstance(answer, dict) else None


class Service(Struct, frozen=True):
    """What we know of a service beyond Apprise. `success`: what a 2xx of it means, by status and body.

    `longest`: bytes of a body that it takes, where it counts them so. `speaks_json`: its refusals are JSON or plain text,
    too; a page for people is a proxy's.
    """

    success: Callable[[int, bytes], Means] = _other_means
    longest: int | None = None
    speaks_json: bool = False

    def means(self, status: int, body: bytes) -> Means:
        """What an answer means by itself, its status aside where that isn't a 2xx."""
        if 200 <= status < 300:
            return self.success(status, body)
        return "foreign" if self.speaks_json and is_page(body) else "refused"


_OTHER = Service()
# By the schema of Apprise's URLs.
_SERVICES = {
    "tgram": Service(_telegram_means, speaks_json=True),
    "slack": Service(_slack_means, speaks_json=True),
    "discord": Service(_discord_means, speaks_json=True),
    # A longer body becomes a file (https://docs.ntfy.sh/publish/#limitations).
    "ntfy": Service(_ntfy_means, longest=4096, speaks_json=True),
    # Whoever receives these is a program of the user's, which may answer what it likes.
    "form": Service(_any_means),
    "xml": Service(_any_means),
}
_SAME = {"ntfys": "ntfy", "forms": "form", "xmls": "xml"}


def service_of(schema: str) -> Service:
    """What is known of the service behind URLs of a schema."""
    return _SERVICES.get(_SAME.get(schema.lower(), schema.lower()), _OTHER)


def is_terse(url: Secret) -> bool:
    """Whether the service takes so little text that no character should be wasted."""
    return _schema(url) in _TERSE


def takes_whole_ids(url: Secret) -> bool:
    """Whether ids are better whole than short there."""
    return _schema(url) in _AT_LENGTH


def _schema(url: Secret) -> str:
    return url.reveal().partition("://")[0].lower()


def quiet_apprise() -> None:
    """Apprise's and urllib3's debug logs print whole URLs with their tokens: they are not let to, whatever is configured."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What Apprise warns of is in the outcome, masked; its own lines name people's addresses.
    logging.getLogger("apprise").propagate = False


def load(url: Secret) -> Any:
    """The Apprise plugin for `url`. ValueError, fit to be shown, where there is none. Blocks; imports Apprise."""
    problem = _surface_problem(url.reveal())
    if problem is not None:
        raise ValueError(problem)
    quiet_apprise()
    apprise = importlib.import_module("apprise")
    schema = _schema(url)
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


def validate_url(url: Secret | str) -> str | None:
    """What is wrong with a channel's URL, without any secret of it; None when a message can be sent there.

    Sends nothing. Blocks, and imports Apprise.
    """
    try:
        load(url if isinstance(url, Secret) else Secret(url))
    except ValueError as error:
        return str(error)
    return None


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


def carry_delivery_id(plugin: Any, delivery_id: str) -> None:
    """Put the delivery's id into a header, where the service has headers: a receiver can tell a repetition by it."""
    if plugin.schema in _WITH_HEADERS and isinstance(getattr(plugin, "headers", None), dict):
        plugin.headers[DELIVERY_HEADER] = delivery_id


def fit(
    message: Message, *, title_limit: int, body_limit: int, title_in_body: bool, longest: int | None = None
) -> tuple[str, str]:
    """Title and body cut to what the service takes, saying so. Never an empty body, which Apprise would refuse.

    `longest`: bytes of UTF-8 that it takes of the body.
    """
    room = body_limit
    if title_limit <= 0 or title_in_body:
        title = cut(message.title, min(title_limit or body_limit, body_limit // 2))
        room = body_limit - _length(title) - 2
    else:
        title = cut(message.title, title_limit)
    body = message.body if message.body.strip() else message.title
    body = cut(body or "(no text)", max(room, 1))
    while longest is not None and (over := len(body.encode(errors="replace")) - longest) > 0:
        body = cut(message.body or message.title, max(_length(body) - max(over // 3, 1), 1))
    return title, body


def cut(text: str, limit: int) -> str:
    """`text` in at most `limit` UTF-16 units (as Telegram counts, and never fewer than characters)."""
    if _length(text) <= limit:
        return text
    mark = f" … (cut, {len(text)} characters in all)"
    if len(mark) * 2 > limit:
        mark = "…"
    units = text.encode("utf-16-le", "replace")[: 2 * max(limit - len(mark), 0)]
    return units.decode("utf-16-le", "ignore") + mark[:limit]


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _surface_problem(url: str) -> str | None:
    """What can be said of a URL without Apprise."""
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
    own = vars(plugin)
    if "socket_connect_timeout" not in own:
        plugin.socket_connect_timeout = _MAIL_TIMEOUT if schema.startswith("mailto") else _CONNECT_TIMEOUT
    if "socket_read_timeout" not in own:
        plugin.socket_read_timeout = _READ_TIMEOUT


def _words(url: str) -> list[str]:
    return re.findall(r"[^/:@?&=,;\s]{4,}", unquote(url))
