"""What we know of services beyond Apprise, by the schemas of its URLs: what they take, and what their answers mean. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from tocsin.alerts.digest import Room
from tocsin.answers import is_page, parsed
from tocsin.delivery.fitting import as_it_is, for_discord, for_telegram, length, without_pictures
from tocsin.delivery.model import Message
from tocsin.delivery.service_responses import Means
from tocsin.secrets import Secret

# Of 160 characters or fewer, where a single emoji halves the room there is. By Apprise's `body_maxlen`, and its services
# for text messages whose limit depends on the number.
TERSE = frozenset({
    "46elks", "aprs", "atalk", "bulksms", "bulkvs", "burstsms", "clickatell", "clicksend", "d7sms", "dapnet", "elks", "freemobile",
    "httpsms", "infobip", "kavenegar", "kudosity", "mobilemessage", "msg91", "msgbird", "nexmo", "notifyre", "plivo", "pushed",
    "ringc", "serwersms", "seven", "sfr", "sinch", "smsc", "smsmanager", "smsmgr", "sns", "telnyx", "twilio", "voipms", "vonage",
})  # fmt: skip
PROGRAMS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "apprise", "apprises"})
"""Those behind which a program of the user's is."""
WITH_HEADERS = PROGRAMS | {"mailto", "mailtos"}
# Where nobody reads at a glance: mail, and programs.
_AT_LENGTH = WITH_HEADERS
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


Loudness: TypeAlias = Literal["critical", "warning", "info", "resolved"]


def loudness_of(message: Message) -> Loudness:
    """Who hears that it is over or that somebody has it may go on sleeping."""
    return "resolved" if message.resolved or message.acked else message.severity


def _no_headers(_message: Message) -> Mapping[str, str]:
    return {}


def _ntfy_headers(message: Message) -> Mapping[str, str]:
    """What is of one alert takes the place of what was told of it: https://docs.ntfy.sh/publish/#updating-deleting-notifications"""
    id_ = _plain_id(message.alert)
    return {"X-Sequence-ID": id_} if id_ else {}


def _mail_headers(message: Message) -> Mapping[str, str]:
    """One thread an alert (RFC 5322 3.6.4), no answers by machines (RFC 3834), and how urgent it is (RFC 2156)."""
    headers = {"Auto-Submitted": "auto-generated"}
    if id_ := _plain_id(message.alert):
        headers["References"] = f"<{id_}@tocsin>"
    if loudness_of(message) == "critical":
        headers["Importance"] = "high"
    return headers


def _plain_id(alert: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", alert)[:64]


class Service(Struct, frozen=True):
    """What we know of a service beyond Apprise. `success`: what a 2xx of it means, by status and body.

    `priority`: how loud the phone is, where Apprise's plugin has a `priority`. `headers` of one message: of the mail, else of
    the request. `written`: the text as its markup has to say it.

    `longest`: bytes of a body that it takes, where it counts them so. `speaks_json`: its refusals are JSON or plain text,
    too; a page for people is a proxy's.
    """

    success: Callable[[int, bytes], Means] = _other_means
    longest: int | None = None
    speaks_json: bool = False
    priority: Mapping[Loudness, int | str] = {}
    headers: Callable[[Message], Mapping[str, str]] = _no_headers
    written: Callable[[str], str] = as_it_is

    def means(self, status: int, body: bytes) -> Means:
        """What an answer means by itself, its status aside where that isn't a 2xx."""
        if 200 <= status < 300:
            return self.success(status, body)
        return "foreign" if self.speaks_json and is_page(body) else "refused"


_OTHER = Service()
# By the schema of Apprise's URLs.
_SERVICES = {
    "tgram": Service(_telegram_means, speaks_json=True),
    "slack": Service(_slack_means, speaks_json=True, written=without_pictures),
    "discord": Service(_discord_means, speaks_json=True, written=for_discord),
    # A longer body becomes a file (https://docs.ntfy.sh/publish/#limitations).
    "ntfy": Service(
        _ntfy_means,
        longest=4096,
        speaks_json=True,
        headers=_ntfy_headers,
        priority={"critical": "5", "warning": "4", "info": "3", "resolved": "2"},
    ),
    # https://pushover.net/api#priority, https://gotify.net/docs/msgextras: what is over is told as what only informs.
    "pover": Service(priority={"critical": 1, "warning": 0, "info": -1, "resolved": -1}),
    "gotify": Service(priority={"critical": 8, "warning": 5, "info": 2, "resolved": 2}),
    "mailto": Service(headers=_mail_headers),
    # Whoever receives these is a program of the user's, which may answer what it likes.
    "form": Service(_any_means),
    "xml": Service(_any_means),
}
_SAME = {
    "ntfys": "ntfy",
    "gotifys": "gotify",
    "forms": "form",
    "xmls": "xml",
    "mailtos": "mailto",
}
# Of a digest's lines: rather less than the limit, for its title and remarks are in it, too.
_ROOM = {
    "tgram": Room(3600, lambda text: length(for_telegram(text))),
    "slack": Room(2700, length),
    "discord": Room(1700, lambda text: length(for_discord(text))),
    "ntfy": Room(3600, lambda text: len(text.encode(errors="replace"))),
    "pover": Room(800, length),
}
_ROOM_TERSE, _ROOM_OTHERS = Room(100), Room(6000)


def service_of(schema: str) -> Service:
    """What is known of the service behind URLs of a schema."""
    return _SERVICES.get(_SAME.get(schema.lower(), schema.lower()), _OTHER)


def is_terse(url: Secret) -> bool:
    """Whether the service takes so little text that no character should be wasted."""
    return schema_of(url) in TERSE


def takes_whole_ids(url: Secret) -> bool:
    """Whether ids are better whole than short there."""
    return schema_of(url) in _AT_LENGTH


def room_for_lines(url: Secret) -> Room:
    """What the lines of a digest may take there."""
    schema = schema_of(url)
    return _ROOM_TERSE if schema in TERSE else _ROOM.get(_SAME.get(schema, schema), _ROOM_OTHERS)


def schema_of(url: Secret) -> str:
    """Of an Apprise URL, in lower case."""
    return url.reveal().partition("://")[0].lower()


_NAMES = {
    "tgram": "Telegram", "slack": "Slack", "discord": "Discord", "ntfy": "ntfy", "pover": "Pushover", "gotify": "Gotify", "matrix": "Matrix",
    "mmost": "Mattermost", "msteams": "Teams", "workflows": "Teams", "signal": "Signal", "whatsapp": "WhatsApp", "twilio": "Twilio",
    "pagerduty": "PagerDuty", "opsgenie": "Opsgenie", "json": "JSON", "xml": "XML", "form": "a form",
}  # fmt: skip
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE)


def service_name(url: Secret) -> str:
    """What people call the service behind a URL, of a mail the server's name where it surely is one; nothing else of the URL."""
    schema = schema_of(url)
    if schema in {"mailto", "mailtos"}:
        try:
            parts = urlsplit(url.reveal())
            host = dict(parse_qsl(parts.query)).get("smtp") or (parts.hostname if "@" in parts.netloc else "")
        except ValueError:
            host = ""
        return host if host and _HOST.fullmatch(host) else "mail"
    return _NAMES.get(schema) or _NAMES.get(schema.removesuffix("s"), schema)
