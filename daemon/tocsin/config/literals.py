"""Hides secrets that stand literally in a file, before any line of that file is shown beside an error.

This has to work on files that don't parse and on keys that are misspelt, so it goes by what looks like a secret.
Each hidden character becomes one `*`: columns and carets stay right. References such as `${cred:NAME}` stay readable.
"""

import re

_WORDS = (
    "secret", "token", "passw", "passphrase", "credential", "otp", "bearer", "cookie", "authorization", "api_key",
    "api-key", "apikey", "app_key", "appkey", "access_key", "private_key",
)  # fmt: skip
# Repetitions are bounded, so that no text makes the search slow.
_KEY = re.compile(rf"(?i)(?:{'|'.join(_WORDS)})([\w.-]{{0,40}}+)[\"']?[ \t]{{0,40}}+:")
_LONGEST_LINE = 2000  # characters before a key that are looked at
_REFERENCE = re.compile(r"\$\{[^}\n]{0,200}\}")
_STARRED = re.compile(rf"{_REFERENCE.pattern}|[^\s\"']")
# Up to white space or a quote; a bracket or comma that ends an item of a list is no part of it.
_URL = re.compile(
    r"""([A-Za-z][A-Za-z0-9+.-]{0,20})://
    ((?: \$\{[^}\n]{0,200}\} | [^\s"'<>,\]}] | [,\]}](?![\s,\]}]|\Z) )*)""",
    re.VERBOSE,
)
_PLAIN_SCHEMES = frozenset({"http", "https", "ws", "wss", "tcp", "tls"})
_USERINFO = re.compile(r"^[^/?#@]*(?=@)")
_QUERY_VALUE = re.compile(r"(?<==)[^&#]+")
_SEGMENT = re.compile(r"(?<=/)[^/?#]+")
_RANDOM = re.compile(r"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[^\s]{10,}|[^\s]{24,}")
_FLOW_VALUE = re.compile(r"""\s* (?: "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | [^,}\]\n]* )""", re.VERBOSE)


def hide_literals(text: str) -> str:
    """The text with everything that looks like a literal secret starred out; each line keeps its length."""
    return _hide_in_urls(_hide_secret_keys(text))


def looks_secret(url: str) -> bool:
    """Whether a URL seems to hold a secret: a password, or a part that looks random."""
    _, _, rest = url.partition("://")
    rest = _REFERENCE.sub("$", rest)
    words = re.split(r"[/?&#=@:]", rest)
    return bool(re.match(r"[^/?#@]*:[^/?#@$]+@", rest)) or any(_RANDOM.fullmatch(word) for word in words)


def is_secret_name(name: str) -> bool:
    """Whether a key, header or parameter of that name holds a secret."""
    return any(word in name.lower() for word in _WORDS)


def _hide_in_urls(text: str) -> str:
    return _URL.sub(lambda match: f"{match[1]}://{_url_rest(match[1], match[2])}", text)


def _url_rest(scheme: str, rest: str) -> str:
    if scheme.lower() not in _PLAIN_SCHEMES:
        return star(rest)  # a notification service's: any part of it may be the token
    rest = _USERINFO.sub(lambda match: star(match[0]), rest)
    rest = _SEGMENT.sub(lambda match: star(match[0]) if _RANDOM.fullmatch(match[0]) else match[0], rest)
    return _QUERY_VALUE.sub(lambda match: star(match[0]), rest)


def _hide_secret_keys(text: str) -> str:
    lowered = text.lower()
    if not any(word in lowered for word in _WORDS):  # spares rule files the slower search
        return text
    parts: list[str] = []
    done = 0
    while match := _KEY.search(text, done):
        start = match.end()
        end = start if match[1].lower().endswith("url") else _value_end(text, match)
        parts += [text[done:start], star(text[start:end])]
        done = end
    return "".join(parts) + text[done:]


def _value_end(text: str, match: re.Match[str]) -> int:
    """Where the value ends: in a flow mapping before the next key, else with the deeper lines below the key's."""
    earliest = max(0, match.start() - _LONGEST_LINE)
    line_start = max(earliest, text.rfind("\n", earliest, match.start()) + 1)
    before = text[line_start : match.start()]
    if "{" in _REFERENCE.sub("", before):
        flow = _FLOW_VALUE.match(text, match.end())
        return flow.end() if flow else match.end()
    indent = len(before) - len(before.lstrip(" \t-\"'?"))
    end = _line_end(text, match.end())
    while end < len(text):
        next_end = _line_end(text, end + 1)
        line = text[end + 1 : next_end]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        end = next_end
    return end


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def star(text: str) -> str:
    """Stars for all but white space, quotes and references."""
    return _STARRED.sub(lambda match: match[0] if len(match[0]) > 1 else "*", text)
