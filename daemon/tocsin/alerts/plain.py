"""Text from a venue is text: what could forge a line, hide or turn letters round, ping or link is made harmless."""

import re
import unicodedata
from datetime import datetime, tzinfo

# Characters of one value; what a person reads at night is far shorter, and the raw message is in the database.
LONGEST = 500
NOT_KEPT = "not on the disk yet: it is lost if Tocsin ends before the disk takes something again"
"""What is so of what somebody did, and that holds, while the database takes nothing."""
_JOINER = "\u2060"  # zero-width WORD JOINER: looks like nothing, breaks up what a chat client would act on

# Invisible or direction-changing characters, by which a text can read as something else than it is: soft hyphen,
# Arabic letter mark, Mongolian vowel separator, zero-width space, marks, embeddings, overrides and isolates
# (Unicode UAX #9), invisible operators, the byte order mark, interlinear anchors and tag characters.
_HIDDEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_BREAKS = re.compile(r"\s+")
_LINE_ENDS = re.compile("\r\n|[\n\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_PICTURES = 0x2400  # Unicode's block of pictures, one for each control character
_DELETE = "\x7f"
# A mention as Slack, Telegram and Discord read it: an @ that no word stands before. me@example.org is none.
_MENTION = re.compile(r"(?<![\w.])@(?=\w)")
# A word that a chat client would turn into a link.
_LINK = re.compile(r"\S*(?:://|\bwww\.|\bmailto:|\w\.[a-z]{2,}/)\S*", re.IGNORECASE)


def flat(text: str, longest: int = LONGEST) -> str:
    """The text on one line: control characters, line breaks and direction marks gone, cut at `longest`, saying so."""
    text = _HIDDEN.sub("", text[: 4 * longest])
    text = "".join(_visible(char) for char in text) if not text.isprintable() else text
    text = _BREAKS.sub(" ", text).strip()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(text: str, longest: int = LONGEST) -> str:
    """A venue's text as it may stand in a message: as `shown`, and no mention and no link to any service."""
    return _LINK.sub(_unlinked, _MENTION.sub(f"@{_JOINER}", shown(text, longest)))


def shown(text: str, longest: int = LONGEST) -> str:
    """A venue's text as it may stand on a terminal: flat, its control characters shown. What is copied from it is what was said."""
    if not text.isprintable():
        text = _CONTROLS.sub(_picture, _LINE_ENDS.sub("\u2424", text[: 4 * longest]))
    return flat(text, longest)


def _picture(match: re.Match[str]) -> str:
    return "\u2421" if match[0] == _DELETE else chr(_PICTURES + ord(match[0]))


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    return "\ufffd" if category in ("Cs", "Cn") else char


def _unlinked(match: re.Match[str]) -> str:
    broken = match[0].replace("://", f":{_JOINER}//").replace(".", f".{_JOINER}")
    return re.sub("(?i)mailto:", f"mailto:{_JOINER}", broken)


_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?: UTC\b|Z\b|\+00:00)")


def time_of(text: str, tz: tzinfo) -> str:
    """A time as the state and the control API have it, for people: `2026-01-01 01:00:00 CET`."""
    try:
        return f"{datetime.fromisoformat(text).astimezone(tz):%Y-%m-%d %H:%M:%S %Z}"
    except (ValueError, OverflowError):
        return text  # of a damaged state


def times_in(words: str, tz: tzinfo) -> str:
    """Words of the daemon, or of its state, with the times in them, which are UTC and say so, in that zone."""

    def there(found: re.Match[str]) -> str:
        utc = f"{found[1]}+00:00"
        return found[0] if (told := time_of(utc, tz)) == utc else told

    return _TIME.sub(there, words)
