"""From what was heard of a service to what is told of a try: its words, and whether trying again can help. Pure."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from tocsin.alerts.plain import flat
from tocsin.delivery.answers import Answer
from tocsin.delivery.model import Outcome

# 4xx that pass by themselves (RFC 9110, RFC 6585, RFC 8470): request timeout, conflict, too early, too many requests.
_PASSING = frozenset({408, 409, 425, 429})


class _Failure(Struct, frozen=True):
    """Why a recipient doesn't have it. `permanent`: no answer about it leaves hope."""

    answer: Answer
    permanent: bool


def verdict(
    service: str,
    *,
    sent: bool,
    heard: Sequence[Answer],
    logged: Sequence[str] = (),
    reached: AbstractSet[str] = frozenset(),
) -> Outcome:
    """What came of one try. `reached` are those (`Answer.about`) who have the message.

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

    def told(answer: Answer) -> str:
        to = f" (to {answer.to})" if several and answer.to is not None else ""
        return _told(service, answer) + to

    return Outcome(
        sent=False,
        answer=told((passing or refused)[-1]),
        permanent=not passing,
        refused=tuple(map(told, refused)) if passing else (),
        retry_after=max((each.retry_after for each in passing if each.retry_after is not None), default=None),
    )


def _told(service: str, answer: Answer) -> str:
    status = f"{answer.status} " if answer.status is not None else ""
    text = f"not {service}'s own answer: {answer.text}" if answer.means == "foreign" else answer.text
    return f"{service}: {status}{text}".rstrip()


def _accepting(heard: Sequence[Answer]) -> Answer | None:
    """The answer that took the message; of a mail's dialogue the last 250, with which the server took it over."""
    for answer in reversed(heard):
        if answer.status is not None and (answer.how == "http" or answer.status == 250):
            return answer
    return None


def _failures(heard: Sequence[Answer], reached: AbstractSet[str]) -> Iterator[_Failure]:
    """For each recipient who isn't reached, the last answer that refused or never came."""
    about: dict[str | None, list[Answer]] = {}
    for answer in heard:
        if answer.about not in reached and _is_refusal(answer):
            about.setdefault(answer.about, []).append(answer)
    if len(about) > 1:
        about.pop(None, None)  # before the first recipient; it went on all the same
    for answers in about.values():
        yield _Failure(answers[-1], all(map(_is_permanent, answers)))


def _is_refusal(answer: Answer) -> bool:
    if _is_success(answer):
        return answer.means != "accepted"
    return answer.status is None or answer.status >= (300 if answer.how == "http" else 400)


def _is_permanent(answer: Answer) -> bool:
    status = answer.status
    if status is None or answer.means in ("passing", "foreign"):
        return False
    if answer.how == "smtp":
        return status >= 500  # RFC 5321 4.2.1: permanent negative completion; 4xx may be tried again
    if _is_success(answer):
        return answer.means == "refused"
    return status < 500 and status not in _PASSING


def _is_success(answer: Answer) -> bool:
    return answer.how == "http" and answer.status is not None and 200 <= answer.status < 300


def _logged(logged: Sequence[str]) -> str:
    return flat(logged[-1], 200) if logged else "not accepted, no reason given"
