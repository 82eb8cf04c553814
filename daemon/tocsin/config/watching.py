"""The sections by which others watch the daemon: `heartbeat` and `listen`."""

import re
from collections.abc import Collection, Iterator

from tocsin.config import shape
from tocsin.config.literals import looks_secret
from tocsin.config.reading import Reading
from tocsin.config.settings import OPEN, Common, Heartbeat
from tocsin.document import Mapping, Node, Plain, Scalar, items, listed
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.secrets import Secret

_SECRET = {"heartbeat": "url", "listen": "metrics"}  # of each section the key that holds one
_LATER = ("public_url", "proxy")


def check_listen(reading: Reading, listen: Node) -> Node:
    """The section without what a later version will know."""
    return reading.without_later(listen, _LATER, ("listen",))


def plain_values(reading: Reading, section: Mapping) -> Plain:
    """The values of a config's common sections, with the secrets of these filled in; no line with one is shown."""
    values = section.plain()
    assert isinstance(values, dict)  # noqa: S101  a mapping's
    for name, key in _SECRET.items():
        if (node := section.get(name)) is not None:
            for secret in _secrets(node, key):
                reading.hide(secret)
                if "${" not in secret.text:
                    reading.warn_of_literal(secret)
            values[name] = reading.plain(node)
    return values


def _secrets(node: Node, key: str) -> Iterator[Scalar]:
    for each in items(node):
        found = each.get(key) if isinstance(each, Mapping) else None
        if isinstance(found, Scalar) and isinstance(found.value, str) and found.value != OPEN:
            yield found


def heartbeats(
    reading: Reading, section: Mapping, common: Common, venues: Collection[str]
) -> tuple[Heartbeat, ...]:
    """Those of the config; that the venues which they require exist is checked."""
    found = common.heartbeat if isinstance(common.heartbeat, tuple) else (common.heartbeat,)
    for each in found:
        _remember(reading, each.url)
    if common.listen is not None and common.listen.metrics and common.listen.metrics.reveal() != OPEN:
        reading.masker.add(common.listen.metrics)
    node = section.get("heartbeat")
    for item in items(node):
        required = item.get("require") if isinstance(item, Mapping) else None
        for name in listed(required):
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
