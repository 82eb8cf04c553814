"""How numbers, times and states look on the page: the filters of its templates. Each gives text that is escaped, or markup of ours."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from hashlib import blake2s
from typing import Any

from markupsafe import Markup, escape

from tocsin.alerts.plain import shown, times_in
from tocsin.alerts.wording import Style, span_text
from tocsin.events import from_iso, readable_text, stored_number

MISSING = "–"
_NUMBER = re.compile(r"([-+]?)(\d+)((?:\.\d+)?)", re.ASCII)
_MADE_BY_A_FLOAT = re.compile(r"[-+]?\d+(?:\.\d+)?[eE]-\d{1,3}", re.ASCII)
_SEVERITY_MARKS = {"critical": "▲", "warning": "■", "info": "●"}
_GROUP = 3  # digits
_KEY = re.compile(r"(\s*(?:-\s+)*(?:[\w.-]+|\"[^\"]*\")\s*:)(?=\s|$)(.*)", re.DOTALL)
_COMMENT = re.compile(r"\s*#")
_EXACT = 10.0  # seconds below which a tenth says something
_VIA = {"cli": "by command", "page": "on the page", "telegram": "on Telegram"}
_PER = {1.0: "/s", 60.0: "/min", 3600.0: "/h"}


def grouped(value: Any) -> Markup | str:
    """The venue's own digits, set apart in threes by markup alone, so that they are copied as they are; of what a binary float makes
    of a number (`-9.999999997489795e-05`) as many as a person reads. `–` for None.
    """
    if value is None or value == "":
        return MISSING
    found = _NUMBER.fullmatch(text := _readable(str(value)))
    if found is None:
        return shown(text)
    sign, whole, rest = found.groups()
    if len(whole) <= _GROUP + 1:  # 1234 is read well as it is
        return text
    first = len(whole) % _GROUP or _GROUP
    groups = [whole[:first], *(whole[at : at + _GROUP] for at in range(first, len(whole), _GROUP))]
    marked = "".join(f'<span class="g">{each}</span>' for each in groups[:-1])
    return Markup(f"{sign}{marked}{groups[-1]}{rest}")  # noqa: S704 - digits


def _readable(text: str) -> str:
    try:
        return readable_text(stored_number(text)) if _MADE_BY_A_FLOAT.fullmatch(text) else text
    except ValueError:
        return text


def signed(value: Any) -> Markup | str:
    """As `grouped`, with a plus before what is above 0."""
    text = grouped(value)
    positive = text != MISSING and not str(value).startswith("-") and str(value).strip("0.") != ""
    return Markup("+{}").format(text) if positive and _NUMBER.fullmatch(str(value)) else text


def tone(value: Any) -> str:
    """The class of a number by its sign: `up`, `down` or none."""
    text = str(value or "")
    if not _NUMBER.fullmatch(text) or text.strip("+-0.") == "":
        return ""
    return "down" if text.startswith("-") else "up"


def row_id(entity: Mapping[str, Any], kind: str) -> str:
    """The id in the page of an entity's row, whatever letters its own has: what has one stays the same element when rows come and go."""
    text = "\0".join(str(entity[name] or "") for name in ("venue", "account", "id"))
    return f"{kind}-{blake2s(text.encode(errors='surrogatepass'), digest_size=6).hexdigest()}"


def severity_mark(severity: str) -> str:
    """A shape beside the word, for who doesn't see colours."""
    return _SEVERITY_MARKS.get(severity, "")


def times(tz: tzinfo, today: date) -> dict[str, Any]:
    """The filters that show times: UTC texts or datetimes, in that zone."""

    def local(time: str | datetime) -> tuple[datetime, datetime]:
        moment = from_iso(time) if isinstance(time, str) else time
        return moment, moment.astimezone(tz)

    def marked(moment: datetime, here: datetime, text: str, more: str = "") -> Markup:
        # Much is shown with its time, and Markup.format is slow.
        title = escape(f"{here:%Y-%m-%d %H:%M:%S %Z}")
        return Markup(  # noqa: S704 - what isn't ours is escaped
            f'<time datetime="{moment.isoformat()}" title="{title}"{more}>{escape(text)}</time>'
        )

    def clock(time: str | datetime | None) -> Markup | str:
        """`17:51:02`, with the day where that isn't today."""
        if not time:
            return MISSING
        moment, here = local(time)
        text = f"{here:%H:%M:%S}" if here.date() == today else f"{here.day} {here:%b, %H:%M}"
        return marked(moment, here, text)

    def age(time: str | datetime | None, now: datetime, ago: str = "ago") -> Markup | str:
        """`4 min ago`; browsers count on. What happened since `now` was looked up happened at it."""
        if not time:
            return MISSING
        moment, here = local(time)
        span = span_text(max(now - moment, timedelta(0)))
        return marked(moment, here, f"{span} {ago}".strip(), f' data-age="{escape(ago)}"')

    def until(time: str | datetime | None, now: datetime) -> Markup | str:
        """`20:00, in 2 h`."""
        if not time:
            return MISSING
        moment, _ = local(time)
        return Markup('{}, <span class="nowrap">in {}</span>').format(clock(time), span_text(moment - now))

    def local_words(words: str | None) -> str:
        """A text of ours or of a service, fit to be shown, with the times in it in that zone."""
        return shown(times_in(words or "", tz))

    return {"clock": clock, "age": age, "until": until, "local_words": local_words}


def lasted(since: str | datetime | None, until: str | datetime | None) -> str:
    """`4 min`, from then to then; `–` where one isn't known, which only damage brings about."""
    if since is None or until is None:
        return MISSING
    begun, ended = (from_iso(each) if isinstance(each, str) else each for each in (since, until))
    return span_text(ended - begun)


def moment(seconds: float) -> datetime:
    """Of seconds since 1970, UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def place(venue: str, account: str | None, style: Style) -> str:
    """`fx, Main`."""
    return ", ".join(filter(None, (shown(venue), style.account(account) if account else "")))


def via_words(via: str | None) -> str:
    """By what somebody acted; empty where that isn't known."""
    return _VIA.get(via, f"via {shown(via)}") if via else ""


def subject(id_: str, symbol: str | None, account: str | None, style: Style, *, whole: bool = False) -> str:
    """What people call an entity: its symbol, an account by its name, else its id, cut unless it is wanted `whole` (a group's is words)."""
    if symbol:
        return style.symbol(symbol)
    if id_ and id_ == account:
        return style.account(account)
    return shown(id_) if whole else style.id(id_)


def span(seconds: float) -> str:
    """`4 min`."""
    return span_text(timedelta(seconds=seconds))


def seconds(length: float) -> str:
    """`0.4 s`, `38 s`, `4 min`."""
    return f"{length:.1f} s" if length < _EXACT else span(length)


def per(length: float) -> str:
    """`/min`, of a rate's seconds."""
    return _PER.get(length, f"in {length:g} s")


def size(count: int) -> str:
    """Bytes: `12.3 MB`."""
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count} bytes"


def sentence(parts: Iterable[Any]) -> Markup:
    """What of these isn't empty, set apart by dots."""
    return Markup(" &nbsp;·&nbsp; ").join(escape(part) for part in parts if part)


def yaml_line(text: str, number: int) -> Markup:
    """A line of YAML with its number; its key, or all of it where it is a comment, is set apart."""
    found = _KEY.match(text)
    if found is not None:
        inner = Markup("<b>{}</b>{}").format(*found.groups())
    else:
        inner = Markup("<i>{}</i>").format(text) if _COMMENT.match(text) else escape(text)
    return Markup('<span data-n="{}">{}\n</span>').format(number, inner)
