"""What we know of services beyond Apprise, by the schemas of its URLs: what they take, and what their answers mean. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from msgspec import Struct

from tocsin.answers import is_page, parsed
from tocsin.delivery.fitting import as_it_is, for_discord, without_pictures
from tocsin.delivery.model import Message
from tocsin.delivery.rate_limiter import Limit, RateLimiter, parse_rate
from tocsin.delivery.service_responses import Means
from tocsin.secrets import Secret

WITH_HEADERS = frozenset(
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
    return "resolved" if message.resolved else message.severity


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
    too; a page for people is a proxy's. `limits`: how many messages it takes in what time, where that is known.
    """

    success: Callable[[int, bytes], Means] = _other_means
    longest: int | None = None
    speaks_json: bool = False
    limits: tuple[Limit, ...] = ()
    priority: Mapping[Loudness, int | str] = {}
    headers: Callable[[Message], Mapping[str, str]] = _no_headers
    written: Callable[[str], str] = as_it_is

    def means(self, status: int, body: bytes) -> Means:
        """What an answer means by itself, its status aside where that isn't a 2xx."""
        if 200 <= status < 300:
            return self.success(status, body)
        return "foreign" if self.speaks_json and is_page(body) else "refused"


_OTHER = Service()
_A_SECOND = Limit(1, 1.0)
# By the schema of Apprise's URLs.
_SERVICES = {
    # https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: one a second to a chat; for groups see
    # `service_limits`.
    "tgram": Service(_telegram_means, speaks_json=True, limits=(_A_SECOND,)),
    # https://api.slack.com/apis/rate-limits: one message a second to a channel.
    "slack": Service(_slack_means, speaks_json=True, limits=(_A_SECOND,), written=without_pictures),
    # https://discord.com/developers/docs/topics/rate-limits, webhooks: 5 in 2 s.
    "discord": Service(_discord_means, speaks_json=True, limits=(Limit(5, 2.0),), written=for_discord),
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
    # Providers count by the minute and the hour; a burst of thirty a minute passes with all the large ones.
    "mailto": Service(limits=(Limit(30, 60.0),), headers=_mail_headers),
    # Whoever receives these is a program of the user's, which may answer what it likes.
    "form": Service(_any_means),
    "xml": Service(_any_means),
}
_SAME = {"ntfys": "ntfy", "gotifys": "gotify", "forms": "form", "xmls": "xml", "mailtos": "mailto"}
_TELEGRAM_GROUP = Limit(20, 60.0)  # from the same page


def service_of(schema: str) -> Service:
    """What is known of the service behind URLs of a schema."""
    return _SERVICES.get(_SAME.get(schema.lower(), schema.lower()), _OTHER)


def is_terse(url: Secret) -> bool:
    """Whether the service takes so little text that no character should be wasted."""
    return schema_of(url) in _TERSE


def takes_whole_ids(url: Secret) -> bool:
    """Whether ids are better whole than short there."""
    return schema_of(url) in _AT_LENGTH


def service_limits(url: str) -> tuple[Limit, ...]:
    """What the service behind an Apprise URL is known to take; nothing for one that we know nothing of."""
    schema, _, rest = url.partition("://")
    limits = service_of(schema).limits
    if schema.lower() == "tgram":
        # Groups' and channels' ids are negative (https://core.telegram.org/bots/api#chat); names stand for them too.
        _, *chats = unquote(rest.partition("?")[0]).split("/")  # the first part is the bot's token
        if any(chat[:1] in "-@" or chat[:1].isalpha() for chat in chats if chat):
            limits += (_TELEGRAM_GROUP,)
    return limits


def rate_limiter_for(url: str, rate: str | None) -> RateLimiter:
    """For one URL of a channel: the service's own limits, and the config's `rate` (20/min)."""
    return RateLimiter(service_limits(url) + ((parse_rate(rate),) if rate else ()))


def schema_of(url: Secret) -> str:
    """Of an Apprise URL, in lower case."""
    return url.reveal().partition("://")[0].lower()
