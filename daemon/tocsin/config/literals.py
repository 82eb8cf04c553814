"""Hides secrets that stand literally in a file, before any line of that file is shown beside an error.

This has to work on files that don't parse and on keys that are misspelt, so it goes by what looks like a secret.
Each hidden character becomes one `*`: columns and carets stay right. References such as `${cred:NAME}` stay readable,
and so do words that nobody's token, key or password is made of: what is mistyped is to be found.
"""

import re
from difflib import get_close_matches

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
_OPTION = re.compile(r"([^&=#]*)(=?)([^&#]*)")
_SEGMENT = re.compile(r"(?<=/)[^/?#]+")
_PART = re.compile(r"[^/#:]+")
_RANDOM = re.compile(r"(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[^\s]{10,}|[^\s]{24,}")
# A word of one case (or with one capital), a short number, a short number with a unit: tokens are longer, and mixed.
_PLAIN_WORD = re.compile(
    r"[A-Z]?[a-z]{1,15}|[A-Z]{1,6}|[a-z]{1,4}[0-9]{1,2}|[0-9]{1,3}[A-Za-z]{0,3}", re.ASCII
)
_LONGEST_PLAIN = 60
# Names of options that hold secrets, as a whole, so that one that is misspelt is known by its likeness.
_SECRET_NAMES = (
    "secret", "token", "password", "passwd", "passphrase", "pass", "pwd", "pw", "pin", "credential", "credentials", "otp",
    "bearer", "cookie", "authorization", "auth", "key", "apikey", "appkey", "sign", "signature",
)  # fmt: skip
_LIKE = 0.75
# What stands for a reference while the rest is looked at.
_REFERRED = "\ue000"
# User and password, host, port, path. A colon before what is no port is within a token: no match.
_SERVICE = re.compile(rf"(.*@)?([^/#:]*)(:(?:[0-9]{{1,5}}|{_REFERRED}+)?(?![^/#]))?((?:[/#].*)?)", re.DOTALL)
_FLOW_VALUE = re.compile(r"""\s* (?: "(?:[^"\\\n]|\\.)*" | '[^'\n]*' | [^,}\]\n]* )""", re.VERBOSE)


def hide_literals(text: str) -> str:
    """The text with everything that looks like a literal secret starred out; each line keeps its length."""
    return hide_in_urls(_hide_secret_keys(text))


def looks_secret(url: str) -> bool:
    """Whether a URL seems to hold a secret: a password, or a part that looks random."""
    _, _, rest = url.partition("://")
    rest = _REFERENCE.sub("$", rest)
    words = re.split(r"[/?&#=@:]", rest)
    return bool(re.match(r"[^/?#@]*:[^/?#@$]+@", rest)) or any(_RANDOM.fullmatch(word) for word in words)


def is_secret_name(name: str) -> bool:
    """Whether a key, header or parameter of that name holds a secret."""
    return any(word in name.lower() for word in _WORDS)


def seems_secret_name(name: str) -> bool:
    """Whether an unknown key may be a misspelt one that holds a secret."""
    words = re.findall(r"[a-z]+", name.lower())
    joined = "".join(words)
    return is_secret_name(name) or any(
        get_close_matches(word, _SECRET_NAMES, 1, _LIKE) for word in (*words, joined)
    )


def hide_doubtful(text: str) -> str:
    """The value of an unknown key: as it is where it can't be a secret, else starred."""
    parts: list[str] = []
    done = 0
    for match in _URL.finditer(text):
        parts += [_doubtful(text[done : match.start()]), f"{match[1]}://{_url_rest(match[2], strict=True)}"]
        done = match.end()
    return "".join(parts) + _doubtful(text[done:])


def _doubtful(text: str) -> str:
    return text if _is_plain(text) else star(text)


def _is_plain(text: str) -> bool:
    """Whether no part of it can be a token, a key or a password; references aside."""
    text = _REFERENCE.sub(" ", text)
    return (
        len(text) <= _LONGEST_PLAIN
        and text.isascii()
        and not any(_RANDOM.fullmatch(part) for part in re.split(r"[^\w+=~-]+", text))
        and all(_PLAIN_WORD.fullmatch(word) for word in re.findall(r"[A-Za-z0-9]+", text))
    )


def hide_in_urls(text: str) -> str:
    """The text with what may be a secret in its URLs starred out."""

    def shown(match: re.Match[str]) -> str:
        return f"{match[1]}://{_url_rest(match[2], strict=match[1].lower() not in _PLAIN_SCHEMES)}"

    return _URL.sub(shown, text)


def _url_rest(rest: str, *, strict: bool) -> str:
    """`strict`: of a notification service, of whose URL any part may be the token."""
    covered = _REFERENCE.sub(lambda match: _REFERRED * len(match[0]), rest)
    head, mark, query = covered.partition("?")
    if not strict:
        head = _USERINFO.sub(lambda match: _starred(match[0]), head)
        head = _SEGMENT.sub(_plain_part, head)
        shown = head + mark + _OPTION.sub(_option, query)
    elif match := _SERVICE.fullmatch(head):
        before, host, port, path = (part or "" for part in match.groups())
        host, path = _PART.sub(_plain_part, host), _PART.sub(_plain_part, path)
        shown = f"{_starred(before[:-1])}{before[-1:]}{host}{port}{path}{mark}{_OPTION.sub(_option, query)}"
    else:
        shown = _starred(covered)
    return "".join(there if char == _REFERRED else char for char, there in zip(shown, rest, strict=True))


def _plain_part(match: re.Match[str]) -> str:
    return match[0] if _is_plain_part(match[0]) else _starred(match[0])


def _option(match: re.Match[str]) -> str:
    name, equals, value = match.groups()
    told = not seems_secret_name(name) and name[:1] not in ("+", "-", ":") and _is_plain_part(value)
    name = name if _is_plain_part(name.lstrip("+-:")) else _starred(name)
    return f"{name}{equals}{value if told else _starred(value)}"


def _is_plain_part(text: str) -> bool:
    return _is_plain(text.replace(_REFERRED, " ").strip())


def _starred(text: str) -> str:
    return re.sub(rf"[^{_REFERRED}]", "*", text)


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
