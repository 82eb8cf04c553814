"""The sections by which others watch the daemon: `heartbeat` and `listen`."""

import re
from collections.abc import Collection, Iterator

from tocsin.config import shape
from tocsin.config.listening import EXAMPLE_URL, OPEN, address_of, is_in_the_clear
from tocsin.config.literals import looks_secret
from tocsin.config.reading import Reading
from tocsin.config.settings import Common, Heartbeat
from tocsin.document import Mapping, Node, Plain, Scalar, items, listed
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.secrets import Secret

_SECRET = {"heartbeat": "url", "listen": "metrics"}  # of each section the key that holds one


def plain_values(reading: Reading, section: Mapping) -> Plain:
    """The values of a config's common sections, with the secrets of these filled in; no line with one is shown."""
    values = section.plain()
    assert isinstance(values, dict)  # noqa: S101  a mapping's
    for name, key in _SECRET.items():
        if (node := section.get(name)) is not None:
            for each in items(node):
                _hide_secret(reading, each, key)
            values[name] = reading.plain(node)
    people, plain = section.get("people"), values.get("people")
    if isinstance(people, Mapping) and isinstance(plain, dict):
        for entry in people:
            # Its other keys are no secrets: a reference in these is an error.
            secret, person = _hide_secret(reading, entry.value, "token"), plain[entry.key.text]
            if secret is not None and isinstance(person, dict):
                person["token"] = reading.plain(secret)
    return values


def _hide_secret(reading: Reading, node: Node, key: str) -> Scalar | None:
    """That key's text, where it holds a secret, which isn't shown from now on."""
    secret = node.get(key) if isinstance(node, Mapping) else None
    if not isinstance(secret, Scalar) or not isinstance(secret.value, str) or secret.value == OPEN:
        return None
    reading.hide(secret)
    if "${" not in secret.text:
        reading.warn_of_literal(secret)
    return secret


def check_listen(reading: Reading, listen: Node) -> None:
    """How the section's keys go together."""
    if not isinstance(listen, Mapping):
        return
    address = listen.get("address")
    try:
        host = address_of(address.text).ip if isinstance(address, Scalar) else None
    except ValueError:
        host = None
    proxies, named = (
        items(listen.get("proxy")),
        any(items(listen.get(key)) for key in ("hosts", "public_url")),
    )
    if host is not None and not host.is_loopback and not proxies:
        assert address is not None  # noqa: S101  there is a host
        reading.add(
            Problem(
                "outside of this machine it takes a reverse proxy with TLS", address.place, "listen.address",
                "write 127.0.0.1:8080 for one on this machine, or name the addresses of another: proxy: [192.0.2.1]",
            )
        )  # fmt: skip
    public = listen.get("public_url")
    if isinstance(public, Scalar) and is_in_the_clear(public.text):
        what = "by http tokens and all that is shown can be read on the way"
        hint = f"let the proxy speak TLS, and write public_url: {EXAMPLE_URL}"
        reading.add(Problem(what, public.place, "listen.public_url", hint, "warning"))
    for key, says in (("address", host is not None and host.is_unspecified), ("proxy", bool(proxies))):
        if says and not named:
            what = "by what name it is asked has to be said" + (
                "" if key == "proxy" else ": such an address has none"
            )
            hint = f"write public_url: {EXAMPLE_URL}, or hosts: [tocsin.example.org]"
            reading.add(Problem(what, listen.entries[key].value.place, f"listen.{key}", hint))
            return


def check_tokens(reading: Reading, root: Mapping) -> None:
    """That each token is of one person, or of metrics, alone: else nobody could tell who signs in."""
    seen: dict[str, str] = {}
    for node, path in _tokens(root):
        text = reading.plain(node)
        if not isinstance(text, str) or text == OPEN or reading.is_unresolved(node):
            continue
        if text in seen:
            reading.add(
                Problem(
                    f"the same token as {seen[text]}",
                    node.place,
                    path,
                    "each has its own: openssl rand -hex 32",
                )
            )
        seen.setdefault(text, path)


def _tokens(root: Mapping) -> Iterator[tuple[Scalar, str]]:
    people, listen = root.get("people"), root.get("listen")
    for entry in people if isinstance(people, Mapping) else ():
        found = entry.value.get("token") if isinstance(entry.value, Mapping) else None
        if isinstance(found, Scalar):
            yield found, shape.dotted(("people", entry.key.text, "token"))
    found = listen.get("metrics") if isinstance(listen, Mapping) else None
    if isinstance(found, Scalar):
        yield found, "listen.metrics"


def heartbeats(
    reading: Reading, section: Mapping, common: Common, venues: Collection[str]
) -> tuple[Heartbeat, ...]:
    """Those of the config; that the venues which they require exist is checked."""
    found = common.heartbeat if isinstance(common.heartbeat, tuple) else (common.heartbeat,)
    for each in found:
        _remember(reading, each.url)
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


def remember_tokens(reading: Reading, common: Common) -> None:
    """Tells the masker of what people and programs prove by who they are."""
    metrics = common.listen.metrics if common.listen is not None else None
    for secret in (metrics, *(person.token for person in common.people.values())):
        if secret is not None and secret.reveal() != OPEN:
            reading.masker.add(secret)


def _remember(reading: Reading, url: Secret) -> None:
    """Tells the masker of the URL, and of the key in it."""
    reading.masker.add(url)
    for word in re.split(r"[/?&#=@:]", url.reveal()):
        if looks_secret(f"x://{word}"):
            reading.masker.add(word)
