"""The section `names`: whether what is named there is what venues call so."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from tocsin.alerts.plain import flat
from tocsin.config.reading import Reading
from tocsin.document import Mapping, Node
from tocsin.errors import Problem

# What messages show of a UUID that has no name.
_SHORTENED = re.compile(r"[0-9a-fA-F]{8}…?", re.ASCII)
_SHOWN = 5
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Seen:
    """What venues have told of so far: their accounts and symbols as they spell them, and which venues told at all."""

    accounts: Sequence[str]
    symbols: Sequence[str]
    venues: frozenset[str]


LookAtSeen = Callable[[], Seen | None]
"""None where nothing is known of it."""


def nothing_seen() -> None:
    """Nobody has looked."""


def check_names(reading: Reading, node: Node | None, venues: Sequence[str], look: LookAtSeen) -> None:
    """Add a warning for each name of an account or symbol that no venue has told of. Without a state, for what can't be an id."""
    sections = [
        (what, section)
        for what in ("accounts", "symbols")
        if isinstance(section := node.get(what) if isinstance(node, Mapping) else None, Mapping)
    ]
    seen = look() if sections else None
    for what, section in sections:
        known = getattr(seen, what, ())
        # As messages find them: symbols in any case, ids exactly.
        folded = {each.casefold() for each in known} if what == "symbols" else ()
        for entry in section:
            name = entry.key.text
            if known and name not in known and name.casefold() not in folded:
                message = f"no venue has told of {_WHAT[what]} `{name:.80}` so far: this names nothing"
                hint = _known(name, known, sorted(set(venues) - seen.venues) if seen else [])
            elif not known and what == "accounts" and _SHORTENED.fullmatch(name):
                message = f"`{name}` looks like the beginning of an account's id: it names no account"
                hint = "write the whole id, as `tocsin alerts --json` has it"
            else:
                continue
            reading.add(Problem(message, entry.key.place, f"names.{what}", hint, "warning"))


_WHAT = {"accounts": "an account", "symbols": "a symbol"}


def _known(name: str, known: Sequence[str], silent: Sequence[str]) -> str:
    """What there is instead, nearest first, and which venues may yet tell of it."""
    asked = name.rstrip("…").casefold()

    def likeness(each: str) -> tuple[bool, float]:
        other = each.casefold()
        return other.startswith(asked), SequenceMatcher(None, asked, other[:_LONGEST]).ratio()

    near = sorted(known, key=likeness, reverse=True)
    shown = ", ".join(flat(each, _LONGEST) for each in near[:_SHOWN])
    more = f" and {len(near) - _SHOWN} more" if len(near) > _SHOWN else ""
    yet = f"; nothing was heard from {', '.join(silent)} yet" if silent else ""
    return f"there are {shown}{more}{yet}"
