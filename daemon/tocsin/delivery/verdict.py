"""From what was heard of a service to what is told of a try: its words, and whether trying again can help. Pure."""

from collections.abc import Sequence

from tocsin.alerts.plain import flat
from tocsin.delivery.answers import Answer
from tocsin.delivery.model import Outcome

# 4xx that pass by themselves (RFC 9110, RFC 6585, RFC 8470): request timeout, conflict, too early, too many requests.
_PASSING = frozenset({408, 409, 425, 429})
# What Slack's API says with status 200 when it isn't our fault (https://api.slack.com/methods/chat.postMessage).
_SLACK_PASSING = frozenset(
    {
        "ratelimited", "rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable",
        "request_timeout", "team_added_to_org", "ekm_access_denied",
    }
)  # fmt: skip


def verdict(service: str, *, sent: bool, heard: Sequence[Answer], logged: Sequence[str] = ()) -> Outcome:
    """What came of one try. `logged` are Apprise's own warnings, for services that can't be listened to."""
    decisive = _accepting(heard) if sent else _refusing(heard)
    if decisive is None:
        said = "accepted" if sent else _logged(logged)
        return Outcome(sent=sent, answer=f"{service}: {said}")
    status = f"{decisive.status} " if decisive.status is not None else ""
    answer = f"{service}: {status}{decisive.text}".rstrip()
    return Outcome(
        sent=sent,
        answer=answer,
        permanent=not sent and _is_permanent(service, decisive),
        retry_after=None if sent else decisive.retry_after,
    )


def _accepting(heard: Sequence[Answer]) -> Answer | None:
    """The answer that took the message; of a mail's dialogue the last 250, with which the server took it over."""
    for answer in reversed(heard):
        if answer.status is not None and (answer.how == "http" or answer.status == 250):
            return answer
    return None


def _refusing(heard: Sequence[Answer]) -> Answer | None:
    """The answer on which it failed: the last that refuses or never came, else the last of all (HTTP's `200 no`)."""
    for answer in reversed(heard):
        if answer.status is None or answer.status >= (300 if answer.how == "http" else 400):
            return answer
    last = heard[-1] if heard else None
    return last if last is not None and last.how == "http" else None


def _is_permanent(service: str, answer: Answer) -> bool:
    status = answer.status
    if status is None:
        return False
    if answer.how == "smtp":
        return status >= 500  # RFC 5321 4.2.1: permanent negative completion; 4xx may be tried again
    if status < 300:
        return service == "Slack" and answer.text not in _SLACK_PASSING
    return status < 500 and status not in _PASSING


def _logged(logged: Sequence[str]) -> str:
    return flat(logged[-1], 200) if logged else "not accepted, no reason given"
