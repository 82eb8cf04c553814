"""What a service answers, and what that means: whether it took the message, its words, whether trying again can help. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from msgspec import Struct

from tocsin.alerts.plain import flat
from tocsin.answers import parsed
from tocsin.delivery.model import Outcome

LONGEST = 200  # characters of a body that are told
# Where services put their words in a JSON answer: Telegram description, Slack error, many message.
_WORDS = ("description", "error", "message", "error_description", "detail", "reason", "errors")

Means = Literal["accepted", "refused", "passing", "foreign"]
"""Of an answer of HTTP: taken; refused, for good if the status says so; not now; not the service's own answer at all."""


class ServiceResponse(Struct, frozen=True, kw_only=True):
    """One answer of a service, or the lack of one (`status` None). `text` may hold secrets.

    `about` tells the recipients of one URL apart (None: it is about all of them), `to` is the recipient's address where
    that is known. `means` is judged for HTTP only.
    """

    how: Literal["http", "smtp"]
    status: int | None
    text: str
    retry_after: float | None = None  # seconds
    about: str | None = None
    to: str | None = None
    means: Means = "accepted"


def said(body: bytes) -> str:
    """The service's words from an HTTP answer's body: out of its JSON where it is some, else its beginning."""
    answer = parsed(body)
    if isinstance(answer, dict):
        for name in _WORDS:
            words = answer.get(name)
            if isinstance(words, dict):
                words = words.get("message") or words.get("type")
            if words and isinstance(words, str | list):
                return flat(words if isinstance(words, str) else json.dumps(words), LONGEST)
    text = body[:65536].decode(errors="replace")
    return flat(text if answer is not None else re.sub(r"<[^>]*>", " ", text), LONGEST)


# ---------------------------------------------------------------------------------------------- what they mean together

# 4xx that pass by themselves (RFC 9110, RFC 6585, RFC 8470): request timeout, conflict, too early, too many requests.
_PASSING = frozenset({408, 409, 425, 429})


class _Failure(Struct, frozen=True):
    """Why a recipient doesn't have it. `permanent`: no answer about it leaves hope."""

    answer: ServiceResponse
    permanent: bool


def classify(
    service: str,
    *,
    sent: bool,
    heard: Sequence[ServiceResponse],
    logged: Sequence[str] = (),
    reached: AbstractSet[str] = frozenset(),
) -> Outcome:
    """What came of one try. `reached` are those (`ServiceResponse.about`) who have the message.

    Permanent is only what all the others refused for good; where it passes for some, the others' refusals are in
    `refused`. `logged` are Apprise's own warnings, for services that can't be listened to.
    """
    if sent:
        answer = _accepting(heard)
        return Outcome(sent=True, answer=_told(service, answer) if answer else f"{service}: accepted")
    failures = list(_failures(heard, reached))
    if not failures:
        last = heard[-1] if heard else None
        if last is None or last.how != "http":
            return Outcome(sent=False, answer=f"{service}: {_logged(logged)}")
        failures = [_Failure(last, permanent=False)]
    passing = [failure.answer for failure in failures if not failure.permanent]
    refused = [failure.answer for failure in failures if failure.permanent]
    several = len({answer.to for answer in heard if answer.to is not None}) > 1

    def told(answer: ServiceResponse) -> str:
        to = f" (to {answer.to})" if several and answer.to is not None else ""
        return _told(service, answer) + to

    return Outcome(
        sent=False,
        answer=told((passing or refused)[-1]),
        permanent=not passing,
        refused=tuple(map(told, refused)) if passing else (),
        retry_after=max((each.retry_after for each in passing if each.retry_after is not None), default=None),
    )


def _told(service: str, answer: ServiceResponse) -> str:
    status = f"{answer.status} " if answer.status is not None else ""
    text = f"not {service}'s own answer: {answer.text}" if answer.means == "foreign" else answer.text
    return f"{service}: {status}{text}".rstrip()


def _accepting(heard: Sequence[ServiceResponse]) -> ServiceResponse | None:
    """The answer that took the message; of a mail's dialogue the last 250, with which the server took it over."""
    for answer in reversed(heard):
        if answer.status is not None and (answer.how == "http" or answer.status == 250):
            return answer
    return None


def _failures(heard: Sequence[ServiceResponse], reached: AbstractSet[str]) -> Iterator[_Failure]:
    """For each recipient who isn't reached, the last answer that refused or never came."""
    about: dict[str | None, list[ServiceResponse]] = {}
    for answer in heard:
        if answer.about not in reached and _is_refusal(answer):
            about.setdefault(answer.about, []).append(answer)
    if len(about) > 1:
        about.pop(None, None)  # before the first recipient; it went on all the same
    for answers in about.values():
        yield _Failure(answers[-1], all(map(_is_permanent, answers)))


def _is_refusal(answer: ServiceResponse) -> bool:
    if _is_success(answer):
        return answer.means != "accepted"
    return answer.status is None or answer.status >= (300 if answer.how == "http" else 400)


def _is_permanent(answer: ServiceResponse) -> bool:
    status = answer.status
    if status is None or answer.means in ("passing", "foreign"):
        return False
    if answer.how == "smtp":
        return status >= 500  # RFC 5321 4.2.1: permanent negative completion; 4xx may be tried again
    if _is_success(answer):
        return answer.means == "refused"
    return status < 500 and status not in _PASSING


def _is_success(answer: ServiceResponse) -> bool:
    return answer.how == "http" and answer.status is not None and 200 <= answer.status < 300


def _logged(logged: Sequence[str]) -> str:
    return flat(logged[-1], 200) if logged else "not accepted, no reason given"
