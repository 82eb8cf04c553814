"""Values that a description puts together: templates, times, hashes and signatures of the common kinds. The time is handed in."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from tocsin.events import microseconds
from tocsin.quantities import parse_duration
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.templates import Metered, Names, Scope, Template, Unfillable, read_template

CLOCK = ("s", "ms", "us", "iso")
Make: TypeAlias = Callable[[Scope, datetime], str]
"""A value, made of those before it and of the time (UTC). Raises Unfillable."""
_Bytes: TypeAlias = Callable[[Scope], bytes]
_GOES_WITH: Mapping[str, tuple[str, ...]] = {
    "time": ("plus",),
    "hmac": ("key", "key_as", "over", "as"),
    "hash": ("over", "as"),
    "base64": (),
}
_NEEDS: Mapping[str, tuple[str, ...]] = {"hmac": ("key", "over"), "hash": ("over",)}


class Recipes(NamedTuple):
    """Values by name, in the order in which they are made."""

    made: tuple[tuple[str, Make], ...] = ()

    def fill(self, scope: Scope, now: datetime) -> dict[str, str]:
        """The scope with these values added, metered from here on. Raises Unfillable."""
        filled = Metered(scope)
        for name, make in self.made:
            filled[name] = make(filled, now)
        return filled


def clock(prefix: str, at: datetime) -> dict[str, str]:
    """A moment in every unit: `now_s`, `now_ms`, `now_us`, `now_iso`."""
    micro = microseconds(at)
    said = (
        str(micro // 1_000_000),
        str(micro // 1_000),
        str(micro),
        at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
    return {f"{prefix}_{unit}": text for unit, text in zip(CLOCK, said, strict=True)}


def clock_names(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{unit}" for unit in CLOCK)


def read_recipes(at: Cursor | None, names: Names) -> tuple[Recipes, Names]:
    """The values of a `let:`, and the names that are known after them."""
    made: list[tuple[str, Make]] = []
    for entry in at.entries() if at is not None else ():
        name = entry.key.text if entry.key is not None else ""
        if not name.isidentifier() or not name.isascii():
            entry.refuse_key(f"`{name:.60}` is no name", "letters, digits and _")
            continue
        make, used = _read_recipe(entry, names)
        made.append((name, make))
        names = names.also(name, secret=bool(used & names.secret))
    return Recipes(tuple(made)), names


def _read_recipe(at: Cursor, names: Names) -> tuple[Make, frozenset[str]]:
    """How the value is made, and of what names."""
    if at.is_scalar:
        template = read_template(at, names)
        return lambda scope, now: template.fill(scope), template.names
    way = _way(at)
    if way == "time":
        return _read_time(at), frozenset()
    if way == "base64":
        text = _text(at.get("base64"), names)
        return lambda scope, now: base64.b64encode(text.fill(scope).encode()).decode(), text.names
    if way in ("hmac", "hash"):
        over, used = _read_over(at.get("over"), names)
        show = _base64 if at.text_at("as") == "base64" else bytes.hex
        algorithm = at.text_at(way)
        if way == "hash":
            return lambda scope, now: show(_digest(algorithm, over(scope))), used
        key = _text(at.get("key"), names)
        as_key = _KEYS[at.text_at("key_as", "text")]

        def sign(scope: Scope, now: datetime) -> str:
            return show(hmac.new(as_key(key.fill(scope)), over(scope), algorithm).digest())

        return sign, used | key.names
    return lambda scope, now: "", frozenset()


def _way(at: Cursor) -> str:
    """The key that says how the value is made; "" where that isn't clear, which is noted."""
    ways = [way for way in _GOES_WITH if at.has(way)]
    if len(ways) != 1:
        at.refuse_whole(
            f"must have one of {', '.join(_GOES_WITH)}", "or be a text, put together of {{names}}"
        )
        return ""
    (way,) = ways
    for entry in at.entries():
        if entry.key is not None and entry.key.text not in (way, *_GOES_WITH[way]):
            entry.refuse_key(f"`{entry.key.text}` doesn't go with `{way}`")
    lacking = [key for key in _NEEDS.get(way, ()) if not at.has(key)]
    for key in lacking:
        at.refuse_whole(f"the key `{key}` is missing")
    return "" if lacking else way


def _read_time(at: Cursor) -> Make:
    unit = at.text_at("time")
    plus = at.get("plus")
    later = parse_duration(plus.text) if plus is not None else None
    return lambda scope, now: clock("at", now + later if later else now)[f"at_{unit}"]


def _text(at: Cursor | None, names: Names) -> Template:
    return read_template(at, names) if at is not None else Template(("",))


def _read_over(at: Cursor | None, names: Names) -> tuple[_Bytes, frozenset[str]]:
    """What is signed: texts, and hashes of texts as their bytes, one after the other."""
    if at is None:
        return lambda scope: b"", frozenset()
    if at.is_list:
        parts = [_read_over(item, names) for item in at.items()]
        used = frozenset[str]().union(*(names for _, names in parts))
        return lambda scope: b"".join(part(scope) for part, _ in parts), used
    if at.is_mapping:
        algorithm, inner = at.text_at("hash"), _text(at.get("over"), names)
        return lambda scope: _digest(algorithm, inner.fill(scope).encode()), inner.names
    template = read_template(at, names)
    return lambda scope: template.fill(scope).encode(), template.names


def _digest(algorithm: str, data: bytes) -> bytes:
    # md5 among them: what a venue wants signed so is signed so.
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unfillable("the key to sign with is no base64") from None


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Unfillable("the key to sign with is no hexadecimal number") from None


_KEYS: Mapping[str, Callable[[str], bytes]] = {"text": str.encode, "base64": _from_base64, "hex": _from_hex}
