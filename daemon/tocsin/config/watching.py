"""The sections by which others watch the daemon: `heartbeat`."""

import re
from collections.abc import Collection, Iterator

from tocsin.config import shape
from tocsin.config.literals import looks_secret
from tocsin.config.reading import Reading
from tocsin.config.settings import Common, Heartbeat
from tocsin.document import Mapping, Node, Plain, Scalar, Sequence
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.secrets import Secret

SECTIONS = ("heartbeat",)


def plain_values(reading: Reading, section: Mapping) -> Plain:
    """The values of a config's common sections, with the secrets of these filled in; no line with one is shown."""
    values = section.plain()
    assert isinstance(values, dict)  # noqa: S101  a mapping's
    for name in SECTIONS:
        if (node := section.get(name)) is not None:
            for secret in _secrets(node):
                reading.hide(secret)
                if "${" not in secret.text:
                    reading.warn_of_literal(secret)
            values[name] = reading.plain(node)
    return values


def _secrets(node: Node) -> Iterator[Scalar]:
    for each in node.items if isinstance(node, Sequence) else (node,):
        url = each.get("url") if isinstance(each, Mapping) else None
        if isinstance(url, Scalar) and isinstance(url.value, str):
            yield url


def heartbeats(
    reading: Reading, section: Mapping, common: Common, venues: Collection[str]
) -> tuple[Heartbeat, ...]:
    """Those of the config; that the venues which they require exist is checked."""
    found = common.heartbeat if isinstance(common.heartbeat, tuple) else (common.heartbeat,)
    for each in found:
        _remember(reading, each.url)
    node = section.get("heartbeat")
    for item in node.items if isinstance(node, Sequence) else (node,):
        required = item.get("require") if isinstance(item, Mapping) else None
        for name in required.items if isinstance(required, Sequence) else ():
            if isinstance(name, Scalar) and name.text not in venues:
                hint = did_you_mean(
                    name.text, list(venues), f"there are {', '.join(venues)}" if venues else ""
                )
                what = f"no venue is called `{name.text:.80}`"
                reading.add(Problem(what, name.place, shape.dotted(("heartbeat", "require")), hint))
    return found


def _remember(reading: Reading, url: Secret) -> None:
    """Tells the masker of the URL, and of the key in it."""
    reading.masker.add(url)
    for word in re.split(r"[/?&#=@:]", url.reveal()):
        if looks_secret(f"x://{word}"):
            reading.masker.add(word)
